import pytest

from bench.store.corpus import Corpus, Distinct, Exhausted

LICENCE = "Permission is hereby granted to whoever reads this line.\n"


def test_what_stands_twice_is_taken_once() -> None:
    distinct = Distinct()

    assert distinct.of(f"{LICENCE}\nThe first text has a paragraph of its own.") != ""
    assert distinct.of(f"  {LICENCE}\nThe second text has another one, which is its own.") == (
        "The second text has another one, which is its own."
    )


def test_a_paragraph_goes_if_most_of_its_lines_were_seen() -> None:
    distinct = Distinct()
    shared = "def first_of(numbers: list[int]) -> int:\n"
    distinct.of(f"{shared}    assert numbers, 'there must be one of them'\n    return 1")
    again = f"{shared}    assert numbers, 'there must be one of them'\n    return 2"
    other = f"{shared}    found = search(numbers, carefully=True)\n    return answer_of(found, and_more=True)"

    assert distinct.of(again) == ""
    assert distinct.of(other) == other


def test_passages_are_of_the_text_and_each_is_given_once() -> None:
    text = "\n".join(f"Line {number} says what line {number} has to say." for number in range(400))
    corpus = Corpus([("prose", text)], enough=10**6, seed=1)
    passages = []
    with pytest.raises(Exhausted):
        while True:
            passages.append(corpus.passage("prose", mean=500))

    assert "\n".join(passages) == text[: sum(map(len, passages)) + len(passages) - 1]
    assert len(passages) > 20


def test_neighbours_come_from_different_documents() -> None:
    corpus = Corpus([("code", "a " * 5000), ("code", "b " * 5000)], enough=10**6, seed=1)

    assert {corpus.passage("code", mean=100)[0], corpus.passage("code", mean=100)[0]} == {"a", "b"}


def test_lengths_spread_around_their_mean() -> None:
    lengths = [Corpus((), enough=0, seed=seed).length(1_800) for seed in range(4_000)]

    assert 1_750 < sum(lengths) / len(lengths) < 1_850
    assert min(lengths) < 700
    assert max(lengths) > 5_000


def test_a_copy_gives_the_same_again(texts: Corpus) -> None:
    first, second = texts.copy(seed=1), texts.copy(seed=1)

    assert [first.passage("prose", mean=900) for _ in range(9)] == [second.passage("prose", mean=900) for _ in range(9)]


def test_what_is_installed_is_enough_prose_and_code(texts: Corpus) -> None:
    assert texts.characters("prose") >= 400_000
    assert texts.characters("code") >= 400_000
    assert len({texts.copy(seed=1).passage(kind, mean=1000) for kind in ("prose", "code")}) == 2

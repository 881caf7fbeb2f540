"""A text followed by its grammar: taken as long as it is by it, and no longer."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.engines.llamacpp import watch

MONTH = 'start: YEAR "-" MONTH\nYEAR: /20[0-9]{2}/\nMONTH: /0[1-9]|1[0-2]/'


def follow(source: str, *pieces: str) -> list[bool]:
    following = watch.by(source)
    return [following.feed(piece) for piece in pieces]


@given(cuts=st.lists(st.integers(0, 7), max_size=5))
def test_any_split_of_a_text_by_the_grammar_is_taken(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), 7]
    following = watch.by(MONTH)

    assert all(following.feed("2024-12"[start:end]) for start, end in itertools.pairwise(edges))
    assert following.end()


@pytest.mark.parametrize("text", ["2024-13", "2024-123", "1", "2024-12\n", "2024-1é"])
def test_the_first_letter_that_is_not_by_it_is_seen(text: str) -> None:
    *before, last = text

    assert follow(MONTH, *before, last) == [True] * len(before) + [False]


@pytest.mark.parametrize(("text", "whole"), [("2024-12", True), ("2024-1", False), ("", False)])
def test_a_text_may_end_where_the_grammar_does(text: str, whole: bool) -> None:
    following = watch.by(MONTH)
    following.feed(text)

    assert following.end() is whole


def test_what_a_stop_sequence_may_cut_may_end_anywhere() -> None:
    following = watch.by(MONTH, may_break_off=True)

    assert following.feed("20")
    assert following.end()
    assert not following.feed("x")


def test_each_text_is_followed_for_itself() -> None:
    first = watch.by(MONTH)
    second = first.another()

    assert [first.feed("2024"), second.feed("2025-01"), first.feed("-12")] == [True] * 3
    assert first.end()
    assert second.end()


def test_letters_of_several_bytes_are_followed() -> None:
    assert follow('start: "日本" /[é🎈]/', "日", "本", "🎈") == [True] * 3


def test_a_grammar_that_passes_a_limit_on_the_way_takes_nothing_more() -> None:
    optional = "start: " + " ".join(f'"{letter}"?' for letter in "abcdefghij" * 120)

    assert follow(optional, "a") == [False]


def test_an_ambiguous_grammar_is_given_up_before_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_WORK_S", 0.01)
    following = watch.by('start: s\ns: s s | "a"')

    assert following.feed("a")
    assert not all(following.feed("a") for _ in range(300))

"""Stop sequences, wherever the pieces of an answer begin and end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.engines.llamacpp.stops import Stops


def read(stops: Sequence[str], pieces: Sequence[str]) -> tuple[list[tuple[str, int]], bool]:
    """What comes out, each piece with its place, and whether a stop was found."""
    reader = Stops[int](stops)
    out: list[tuple[str, int]] = []
    for place, piece in enumerate(pieces):
        out += reader.feed(piece, place)
        if reader.found:
            return out, True
    return [*out, *reader.flush()], False


@pytest.mark.parametrize(
    ("stops", "pieces", "out"),
    [
        (["\n\n"], ["a", "\n", "b"], [("a", 0), ("\n", 1), ("b", 2)]),
        (["\n\n"], ["a", "\n", "\n", "b"], [("a", 0)]),
        (["zz", "e"], ["Th", "ere"], [("Th", 0)]),
        (["ere"], ["The", "re is"], [("Th", 0)]),
        (["abc"], ["ab", "abc"], [("ab", 0)]),
        (["x"], ["x"], []),
    ],
)
def test_pieces_keep_what_belongs_to_them(stops: list[str], pieces: list[str], out: list[tuple[str, int]]) -> None:
    assert read(stops, pieces)[0] == out


def test_what_may_begin_a_stop_waits() -> None:
    reader = Stops[int](["ab!", "b?"])

    assert [list(reader.feed(piece, 0)) for piece in ("x", "a", "b")] == [[("x", 0)], [], []]
    assert list(reader.feed("c", 0)) == [("a", 0), ("b", 0), ("c", 0)]


TEXTS = st.text("ab", min_size=1, max_size=4)


@given(st.lists(TEXTS, min_size=1, max_size=4), st.lists(TEXTS, max_size=12))
def test_any_split_gives_the_text_before_the_first_stop(stops: list[str], pieces: list[str]) -> None:
    out, found = read(stops, pieces)

    whole = "".join(pieces)
    said = "".join(text for text, _ in out)
    assert found is any(stop in whole for stop in stops)
    if not found:
        assert out == [(piece, place) for place, piece in enumerate(pieces)]
    assert whole.startswith(said)
    assert not any(stop in said for stop in stops)
    assert not found or any(whole[len(said) :].startswith(stop) for stop in stops)

"""core/spans.py: how finders look at a text, each character in its place."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hansard.core.spans import merged, plain


@given(text=st.text() | st.text().map(json.dumps) | st.text("\\nu0041é\N{NO-BREAK SPACE}\N{EN DASH}"))
@example(text=r"\u004")
@example(text=r"\\u0041\\\n\ud83d")
def test_each_character_keeps_its_place(text: str) -> None:
    assert len(plain(text)) == len(text)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a b-c", "a b-c"),
        ("4\N{NO-BREAK SPACE}2\N{NON-BREAKING HYPHEN}1", "4 2-1"),
        ("a\N{EM DASH}b", "a\N{EM DASH}b"),
        (r"a\nb", "a\\ b"),
        (r"a\u003cb", "a\\     b"),
        (r"j\u00fcrgen", "jxxxxxxrgen"),
        (r"C:\users", r"C:\users"),
    ],
)
def test_how_it_is_looked_at(text: str, seen: str) -> None:
    assert plain(text) == seen


def test_spans_that_overlap_are_one() -> None:
    assert [*merged([(5, 7), (0, 2), (1, 4), (7, 8), (2, 3)])] == [(0, 4), (5, 7), (7, 8)]

"""RFC 6901, section 6: the fragment of a URI, and what it points at in the document of section 5."""

from __future__ import annotations

from typing import Any

import pytest

from hansard.core.pointers import MISSING, target

DOCUMENT = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("#", DOCUMENT),
        ("#/foo", ["bar", "baz"]),
        ("#/foo/0", "bar"),
        ("#/", 0),
        ("#/a~1b", 1),
        ("#/c%25d", 2),
        ("#/e%5Ef", 3),
        ("#/g%7Ch", 4),
        ("#/i%5Cj", 5),
        ("#/k%22l", 6),
        ("#/%20", 7),
        ("#/m~0n", 8),
    ],
)
def test_the_standards_own_examples(pointer: str, expected: Any) -> None:
    assert target(DOCUMENT, pointer) == expected


@pytest.mark.parametrize("pointer", ["#/bar", "#/foo/2", "#/foo/-", "#/foo/-1", f"#/foo/{'9' * 5000}", "#/foo/0/0"])
def test_what_is_not_there(pointer: str) -> None:
    assert target(DOCUMENT, pointer) is MISSING

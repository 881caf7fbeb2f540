"""What the finders of ``redaction`` have in common: where something stands in a text, and how the text is looked at.

Pure. A finder takes time by the length of a text alone: none backs up over more than a bounded part of it. And each
begins with something rare that every hit has (an ``@``, a digit, ``sk-``) and looks from there to both sides: Python's
expressions skip fast only to a character that they begin with, and so do not begin with what stands before a hit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

Span: TypeAlias = tuple[int, int]
Finder: TypeAlias = Callable[[str], Iterable[Span]]
"""Where in a text it is: in order, none over another."""

# What typesetters put between digits so that no line ends there, and hyphens beside that of ASCII.
_PLAIN: Final = (
    *((gap, " ") for gap in "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{FIGURE SPACE}\N{THIN SPACE}"),
    *((hyphen, "-") for hyphen in "\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{FIGURE DASH}\N{EN DASH}"),
)
_ESCAPE: Final = re.compile(r"\\(?:[bfnrt]|u[0-9A-Fa-f]{4})")


def plain(text: str) -> str:
    """The text as finders look at it, each character in its place: with spaces and hyphens of ASCII, and no escapes.

    JSON in a string, as the arguments of a call are, has these: the ``n`` of a ``\\n`` is no part of what follows it.
    """
    if not text.isascii():
        for odd, usual in _PLAIN:
            if odd in text:
                text = text.replace(odd, usual)
    return _ESCAPE.sub(_blank, text) if "\\" in text else text


def _blank(escape: re.Match[str]) -> str:
    """A letter where it says one, else an end of whatever is before it, and a gap that no number goes over."""
    said = escape[0]
    return "x" * len(said) if len(said) > 2 and chr(int(said[2:], 16)).isalpha() else f"\\{' ' * (len(said) - 1)}"


def merged(spans: Iterable[Span]) -> Iterator[Span]:
    """In order, and as one where they overlap."""
    whole: Span | None = None
    for start, end in sorted(spans):
        if whole is None or start >= whole[1]:
            if whole is not None:
                yield whole
            whole = start, end
        else:
            whole = whole[0], max(whole[1], end)
    if whole is not None:
        yield whole

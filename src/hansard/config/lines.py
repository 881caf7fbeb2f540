"""On which line of a TOML file a value stands, because ``tomllib`` does not say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

_NAME = r"""[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*'"""
_ARRAY_TABLE = re.compile(rf"\s*\[\[\s*({_NAME})\s*\]\]")
_TABLE = re.compile(rf"\s*\[\s*({_NAME})\s*\]")
_KEY = re.compile(rf"\s*({_NAME})\s*=")
_PIECE = re.compile(r"""#.*|"(?:\\.|[^"\\])*"|'[^']*'|[\[\]{},]|[^\s\[\]{},"'#]+""")


class Spot(NamedTuple):
    """A place in a file, as the keys and numbers that lead there; the lines are those of ``lines_of``."""

    path: Path = ()
    lines: Mapping[Path, int] = {}

    def under(self, part: str | int) -> Spot:
        """The place of a key in this table, or of an item in this list, counted from 1."""
        return self._replace(path=(*self.path, part))

    def __str__(self) -> str:
        """`` (line 7)``: its own line or that of what it is part of; nothing where that is not known."""
        for length in range(len(self.path), 0, -1):
            if (line := self.lines.get(self.path[:length])) is not None:
                return f" (line {line})"
        return ""


def lines_of(text: str) -> dict[Path, int]:
    """The line of every table and key that begins one, by the way to it; items of lists count from 1."""
    found: dict[Path, int] = {}
    items: Counter[str] = Counter()
    table: Path = ()
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if (match := _ARRAY_TABLE.match(line)) is not None:
            name = match[1].strip("\"'")
            items[name] += 1
            table = (name, items[name])
            found[table] = number
        elif (match := _TABLE.match(line)) is not None:
            table = (match[1].strip("\"'"),)
            found[table] = number
        elif (match := _KEY.match(line)) is not None:
            way = (*table, match[1].strip("\"'"))
            found.setdefault(way, number)
            for item, at in enumerate(_items([line[match.end() :], *lines[number:]]), 1):
                found.setdefault((*way, item), number + at)
    return found


def _items(lines: Sequence[str]) -> Iterator[int]:
    """How many lines below the first each item of the list begins that these lines begin with, if they do."""
    depth, is_between = 0, True
    for below, line in enumerate(lines):
        for piece in _PIECE.findall(line):
            if piece.startswith("#"):
                continue
            if depth == 0 and piece != "[":
                return
            if depth == 1 and is_between and piece not in ("]", ","):
                yield below
            if depth <= 1:
                is_between = piece in ("[", ",")
            depth += (piece in ("[", "{")) - (piece in ("]", "}"))
            if depth == 0:
                return

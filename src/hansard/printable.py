"""Text that others wrote, as a terminal and a log may show it: it cannot steer the one or forge lines in the other."""

from __future__ import annotations

import re

# Control characters except tab and line feed, and those that reorder text: they could fake what a terminal shows.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")

# What has the shape of an address or a database's file, with no place for a password or a key in it.
_ADDRESS = re.compile(
    r"[a-z]+:/{1,3}[\w.\[\]-]*(?::\d+)?(?:/[\w.-]*)*|[\w.-]+:\d+(?:/[\w.-]*)*|[\w./-]+\.(?:db|sqlite3?)|sqlite:///:memory:"
)


def printable(text: str) -> str:
    """The text without what would steer a terminal."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """The text on one line, without tabs."""
    return printable(" ".join(text.split()))


def cut(text: str, limit: int) -> str:
    """No more than so many characters of it, and a sign that there were more."""
    return text if len(text) <= limit else f"{text[:limit]}..."


def address(text: str) -> str:
    """As an error names what was given for an address: not at all if it may hold a secret."""
    return repr(text) if _ADDRESS.fullmatch(text) else "this"

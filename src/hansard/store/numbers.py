"""The counter behind the numbers of completions: each database keeps it in its own way, and none goes back."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, func, select, text

from hansard.store.schema import completions, tombstones

_COUNTER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "sqlite": "SELECT seq FROM sqlite_sequence WHERE name = 'completions'",
        # A sequence that has given nothing yet stands at its first number all the same.
        "postgresql": "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM completions_number_seq",
    }
)

# SQLite has a row for a table only once a row was inserted there; no key keeps it from having two.
_RAISE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "sqlite": (
            "DELETE FROM sqlite_sequence WHERE name = 'completions'",
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('completions', :number)",
        ),
        "postgresql": ("SELECT setval('completions_number_seq', :number)",),
    }
)


def counter(connection: Connection) -> int:
    """The last number that was given; 0 if none was."""
    return int(connection.scalar(text(_COUNTER[connection.dialect.name])) or 0)


def highest(connection: Connection) -> int:
    """The highest number in use, by a completion or by the place of one."""
    return max(connection.scalar(select(func.max(table.c.number))) or 0 for table in (completions, tombstones))


def raise_to(connection: Connection, number: int) -> None:
    """Let no number up to this one be given any more."""
    if counter(connection) < number:
        for statement in _RAISE[connection.dialect.name]:
            connection.execute(text(statement), {"number": number})

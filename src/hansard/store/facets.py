"""Counts per label, and per reason to end, kept up with every change instead of counted when asked for.

The functions run inside the caller's transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from sqlalchemy import Connection, bindparam, func, select

from hansard.store import ranges
from hansard.store.ranges import Label
from hansard.store.rows import delete_rows, insert_rows
from hansard.store.schema import facets

FINISH_REASON: Final = "finish_reason"
"""The key of the reasons to end. No label has it: those of metadata are spelled ``metadata[...]``."""

ALL: Final = ranges.ALL

Place: TypeAlias = tuple[str, str, str]
"""Project, key and value."""

Counts: TypeAlias = Counter[Place]
"""How much to add to each."""

_COLUMNS: Final = ("project", "key", "value", "slot", "count")
_ADD: Final = "ON CONFLICT (project, key, value, slot) DO UPDATE SET count = facets.count + excluded.count"

_SLOTS: Final = 16

_TOTAL: Final = func.sum(facets.c.count)

_OF_KEY: Final = (
    select(facets.c.value, _TOTAL)
    .where(facets.c.project == bindparam("of_project"), facets.c.key == bindparam("of_key"))
    .group_by(facets.c.value)
    .having(_TOTAL > 0)
    .order_by(_TOTAL.desc(), facets.c.value)
    .limit(bindparam("most"))
)

_KEYS: Final = (
    select(facets.c.key, _TOTAL)
    .where(facets.c.project == bindparam("of_project"), facets.c.key != bindparam("of_key"))
    .group_by(facets.c.key)
    .having(_TOTAL > 0)
    .order_by(facets.c.key)
    .limit(bindparam("most"))
)


def add(connection: Connection, counts: Counts) -> None:
    """Change each count by so much. Nothing is left of one that comes to zero."""
    slot = _slot(connection)
    # In one order everywhere, so that two servers that share a slot wait for each other and never in a circle.
    rows = sorted((*place, slot, count) for place, count in counts.items() if count)
    insert_rows(connection, facets, _COLUMNS, rows, or_else=_ADD)
    fewer = [row for row in rows if row[-1] < 0]
    if fewer:
        delete_rows(connection, facets, _COLUMNS, [(*place, 0) for *place, _ in fewer])


def values(connection: Connection, project: str, key: str, *, most: int) -> Sequence[tuple[str, int]]:
    """The values of a key and how many completions have each, the most frequent first."""
    rows = connection.execute(_OF_KEY, {"of_project": project, "of_key": key, "most": most})
    return [(value, int(count)) for value, count in rows]


def keys(connection: Connection, project: str, *, most: int) -> Sequence[tuple[str, int]]:
    """The keys there are, by name, and how often completions have a value of each."""
    rows = connection.execute(_KEYS, {"of_project": project, "of_key": ALL[0], "most": most})
    return [(key, int(count)) for key, count in rows]


def of_completion(project: str, carried: Iterable[Label], finish_reason: str | None) -> list[Place]:
    """Where one completion with these labels counts."""
    reason = [] if finish_reason is None else [(FINISH_REASON, finish_reason)]
    return of_labels(project, [ALL, *carried, *reason])


def of_labels(project: str, carried: Iterable[Label]) -> list[Place]:
    """Where each counts."""
    return [(project, key, value) for key, value in carried]


def _slot(connection: Connection) -> int:
    if connection.dialect.name == "sqlite":
        return 0  # there is one who writes
    driver = connection.connection.driver_connection
    assert driver is not None
    return int(driver.info.backend_pid) % _SLOTS

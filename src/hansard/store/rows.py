"""Many rows inserted, found or deleted by one statement of the driver's own.

SQLite has no other way to insert many at once: ``executemany`` runs one statement a row, and each lets go of the
interpreter and has to win it back from the event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import chain, repeat
from typing import Any, Final, TypeVar

from sqlalchemy import Column, Connection, Table

from hansard.store.driver import run

T = TypeVar("T")

# Bounds the parameters of a statement (SQLite takes 32,766), and how many texts there are to keep prepared.
_MOST_AT_ONCE: Final = 64

# As many as the driver of SQLite keeps prepared for a connection: what is rarer than that is prepared anew as well.
_MOST_TEXTS: Final = 128

_MARKS: Final = {"qmark": "?", "format": "%s", "pyformat": "%s"}


def filled(values: Sequence[T]) -> Sequence[T]:
    """The same values, the last of them again and again up to the next power of two.

    A statement that looks for some values does the same with one of them twice. So seven texts do for all counts up to
    64, and are soon known: a text for each would go on coming for hours, each with some kilobytes that stay.
    """
    if not values:
        return values
    size = 1 << (len(values) - 1).bit_length()
    return [*values, *repeat(values[-1], size - len(values))]


def insert_rows(
    connection: Connection,
    table: Table,
    columns: tuple[str, ...],
    rows: Sequence[Sequence[object]],
    *,
    or_else: str = "",
    returning: tuple[str, ...] = (),
) -> list[tuple[Any, ...]]:
    """Insert ``rows``, each in the order of ``columns``; the ``returning`` of each, in any order.

    ``or_else`` is what the statement says of rows that are there already. Values go to the driver as they are: what
    a column's type would make of them is the caller's to do.
    """
    mark = _MARKS[connection.dialect.paramstyle]
    returned: list[tuple[Any, ...]] = []
    for start in range(0, len(rows), _MOST_AT_ONCE):
        some = rows[start : start + _MOST_AT_ONCE]
        text = _text(table.name, columns, len(some), mark, or_else, returning)
        returned += run(connection, text, tuple(chain.from_iterable(some)), returns=bool(returning))
    return returned


def find(connection: Connection, column: Column[Any], values: Sequence[object], *, project: str) -> list[Any]:
    """Those of ``values`` that ``column`` has in the project."""
    mark = _MARKS[connection.dialect.paramstyle]
    found: list[Any] = []
    for start in range(0, len(values), _MOST_AT_ONCE):
        some = filled(values[start : start + _MOST_AT_ONCE])
        text = _text_to_find(column.table.name, column.name, len(some), mark)
        found += (value for (value,) in run(connection, text, (project, *some), returns=True))
    return found


def find_rows(
    connection: Connection,
    table: Table,
    columns: tuple[str, ...],
    rows: Sequence[Sequence[object]],
    shown: tuple[str, ...],
) -> list[tuple[Any, ...]]:
    """What is ``shown`` of the rows in which ``columns``, the whole of a key, have these values, once each.

    Either database is told of them as ``delete_rows`` tells of what is to go.
    """
    mark = _MARKS[connection.dialect.paramstyle]
    at_once = _MOST_AT_ONCE if connection.dialect.name == "sqlite" else 1
    found: list[tuple[Any, ...]] = []
    for start in range(0, len(rows), at_once):
        some = filled(rows[start : start + at_once])
        text = _text_to_show(table.name, columns, len(some), mark, shown)
        found += run(connection, text, tuple(chain.from_iterable(some)), returns=True)
    return found


def delete_rows(
    connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[Sequence[object]]
) -> None:
    """Delete the rows in which ``columns``, the whole of a key at least, have these values.

    SQLite finds each by that key; in a list of keys (``IN``) it would look for every row of the table. PostgreSQL,
    told of several, looks through whatever they have in common, so it gets a statement for each, all sent at once.
    """
    mark = _MARKS[connection.dialect.paramstyle]
    if connection.dialect.name != "sqlite":
        if rows:
            connection.exec_driver_sql(_text_to_delete(table.name, columns, 1, mark), [tuple(row) for row in rows])
        return
    for start in range(0, len(rows), _MOST_AT_ONCE):
        some = filled(rows[start : start + _MOST_AT_ONCE])
        text = _text_to_delete(table.name, columns, len(some), mark)
        run(connection, text, tuple(chain.from_iterable(some)))


@cache
def _text_to_find(table: str, column: str, count: int, mark: str) -> str:
    marks = ", ".join([mark] * count)
    return f"SELECT {column} FROM {table} WHERE project = {mark} AND {column} IN ({marks})"  # noqa: S608 - as below


@cache
def _text_to_show(table: str, columns: tuple[str, ...], count: int, mark: str, shown: tuple[str, ...]) -> str:
    return f"SELECT {', '.join(shown)} FROM {table} WHERE {_any_of(columns, count, mark)}"  # noqa: S608 - as below


@cache
def _text_to_delete(table: str, columns: tuple[str, ...], count: int, mark: str) -> str:
    return f"DELETE FROM {table} WHERE {_any_of(columns, count, mark)}"  # noqa: S608 - as below


def _any_of(columns: tuple[str, ...], count: int, mark: str) -> str:
    row = f"({' AND '.join(f'{column} = {mark}' for column in columns)})"
    return " OR ".join([row] * count)


@lru_cache(_MOST_TEXTS)
def _text(table: str, columns: tuple[str, ...], count: int, mark: str, or_else: str, returning: tuple[str, ...]) -> str:
    row = f"({', '.join([mark] * len(columns))})"
    # Names of our own tables and columns: none of them needs quoting, and none comes from a request.
    text = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * count)} {or_else}"  # noqa: S608
    return f"{text} RETURNING {', '.join(returning)}" if returning else text

"""The tables as a copy walks them: which rows, in what order, how many at a time.

The order is that of the bytes of a key and the same on both databases: a collation of PostgreSQL's own is not asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    collate,
    func,
    literal,
    select,
    tuple_,
)

from hansard.store import schema
from hansard.store.ranges import LISTED
from hansard.store.schema import completions, facets

Key: TypeAlias = tuple[Any, ...]

CONTENTS_AT_ONCE: Final = 16
_ROWS_AT_ONCE: Final = 1000

# Bounds the parameters of a statement.
LOOKED_UP_AT_ONCE: Final = 500

_CONTENTS: Final = frozenset({"content", "reply"})


@dataclass(frozen=True, kw_only=True)
class Part:
    """A table. ``rows`` has the ``key_length`` columns of its key first; ``has_parents``: rows stand on others of it.

    ``columns`` are those that are inserted: those of the rows, and ``constants``.
    """

    table: Table
    rows: Select[Any]
    key_length: int
    at_once: int = _ROWS_AT_ONCE
    has_parents: bool = False
    constants: tuple[tuple[str, object], ...] = ()

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.rows.selected_columns.keys(), *(name for name, _ in self.constants))

    def inserted(self, row: Sequence[Any]) -> tuple[Any, ...]:
        return (*row, *(value for _, value in self.constants))

    def key_of(self, row: Sequence[Any]) -> Key:
        return tuple(row[: self.key_length])

    def without_content(self) -> Part:
        """What of it is read soon."""
        columns = [column for column in self.rows.selected_columns if column.key not in _CONTENTS]
        return replace(self, rows=self.rows.with_only_columns(*columns), at_once=_ROWS_AT_ONCE)

    def ordered(self, connection: Connection, *, after: Key | None = None, until: Key | None = None) -> Select[Any]:
        """The rows behind the one key, up to the other."""
        key = self._key(connection)
        rows = self.rows
        if after is not None:
            rows = rows.where(tuple_(*key) > _values(key, after))
        if until is not None:
            rows = rows.where(tuple_(*key) <= _values(key, until))
        return rows.order_by(*key)

    def last(self, connection: Connection) -> Select[Any]:
        """The key of the last row in order."""
        key = self._key(connection)
        names = list(self.rows.selected_columns)[: self.key_length]
        return self.rows.with_only_columns(*names).order_by(*(each.desc() for each in key)).limit(1)

    def counted(self) -> Select[int]:
        return select(func.count()).select_from(self.rows.subquery())

    def _key(self, connection: Connection) -> list[ColumnElement[Any]]:
        columns = list(self.rows.selected_columns)[: self.key_length]
        if connection.dialect.name == "sqlite":
            return columns
        return [collate(column, "C") if isinstance(column.type, Text) else column for column in columns]


def _values(key: Sequence[ColumnElement[Any]], values: Key) -> ColumnElement[Any]:
    return tuple_(*(literal(value, each.type) for value, each in zip(values, key, strict=True)))


# The text of the metadata as it is: what a database makes of it when asked for the document is another one.
_COMPLETIONS: Final = select(
    *(cast(column, Text).label("metadata") if column.key == "metadata" else column for column in completions.c)
)

# One count of all slots, as servers on SQLite keep it; those on PostgreSQL part it again as they change it.
_SUM: Final = func.sum(facets.c.count)
_FACETS: Final = (
    select(facets.c.project, facets.c.key, facets.c.value, cast(_SUM, BigInteger).label("count"))
    .group_by(facets.c.project, facets.c.key, facets.c.value)
    .having(_SUM != 0)
)

# Windows and what is theirs are not copied: a server on the copy makes its own.
_REVISIONS: Final = select(schema.revisions).where(schema.revisions.c.name != LISTED)

# What others point at comes before them.
PARTS: Final = (
    Part(table=schema.pieces, rows=select(schema.pieces), key_length=2, at_once=CONTENTS_AT_ONCE, has_parents=True),
    Part(table=completions, rows=_COMPLETIONS, key_length=1),
    Part(table=schema.bodies, rows=select(schema.bodies), key_length=1, at_once=CONTENTS_AT_ONCE),
    Part(table=schema.labels, rows=select(schema.labels), key_length=5),
    Part(table=facets, rows=_FACETS, key_length=3, constants=(("slot", 0),)),
    Part(table=schema.tombstones, rows=select(schema.tombstones), key_length=2),
    Part(table=schema.outcomes, rows=select(schema.outcomes), key_length=2, at_once=CONTENTS_AT_ONCE),
    Part(table=schema.projects, rows=select(schema.projects), key_length=1),
    Part(table=schema.keys, rows=select(schema.keys), key_length=2),
    Part(table=schema.audit, rows=select(schema.audit), key_length=3),
    Part(table=schema.revisions, rows=_REVISIONS, key_length=1),
    Part(table=schema.tallies, rows=select(schema.tallies), key_length=3),
)


def _tree() -> Select[Any]:
    """Each piece behind the one it stands on."""
    pieces = schema.pieces
    first = select(literal(0).label("steps"), pieces.c.project, pieces.c.digest).where(pieces.c.parent.is_(None))
    tree = first.cte("tree", recursive=True)
    following = select(tree.c.steps + 1, pieces.c.project, pieces.c.digest).where(
        pieces.c.project == tree.c.project, pieces.c.parent == tree.c.digest
    )
    tree = tree.union_all(following)
    return select(tree.c.project, tree.c.steps, tree.c.digest).order_by(tree.c.steps, tree.c.project)


TREE: Final = _tree()

_OF_DIGESTS: Final = (
    schema.pieces.c.project == bindparam("of_project"),
    schema.pieces.c.digest.in_(bindparam("digests", expanding=True)),
)
KNOWN: Final = select(schema.pieces.c.digest).where(*_OF_DIGESTS)
PIECES: Final = select(schema.pieces).where(*_OF_DIGESTS)

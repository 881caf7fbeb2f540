"""What is asked of the tables. Every function runs inside the caller's transaction.

A page is found in two steps: first the numbers (``bitmaps``, ``ranges``), then their records by number. So a body is
read only if its record is on the page, whatever the planner thinks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeAlias

import msgspec
from sqlalchemy import ARRAY, BigInteger, Connection, Select, and_, bindparam, func, select, true, union_all

from hansard.core.paging import ListQuery
from hansard.core.pieces import joined, without_messages
from hansard.store import bitmaps, pieces
from hansard.store.base import Cursor, Record
from hansard.store.codec import unpack_body
from hansard.store.driver import fetch
from hansard.store.ranges import Label, Place
from hansard.store.rows import filled
from hansard.store.schema import bodies, completions, tombstones

_LONGEST_NAME: Final = 512

# Bounds the parameters of a statement, and how many texts there are to keep prepared: a page has 101 at most.
_MOST_AT_ONCE: Final = 128

_FIELDS: Final = tuple(column.name for column in completions.c if column is not completions.c.number)
_CREATED: Final = 1 + _FIELDS.index("created")
_TOOLS: Final = -2

_WHOLE: Final = select(
    completions.c.number,
    *(completions.c[name] for name in _FIELDS),
    bodies.c.turns,
    bodies.c.tools,
    bodies.c.content,
).join_from(
    completions,
    bodies,
    and_(bodies.c.project == completions.c.project, bodies.c.number == completions.c.number),
)

_Row: TypeAlias = tuple[Any, ...]
"""Of ``_WHOLE``, as the driver gives it."""

_BY_ID: Final = _WHOLE.where(completions.c.project == bindparam("project"), completions.c.id == bindparam("id"))

WANTED: Final = (
    func.unnest(bindparam("numbers", type_=ARRAY(BigInteger))).table_valued("number", name="wanted").render_derived()
)
_ONE: Final = (
    _WHOLE.where(completions.c.project == bindparam("project"), completions.c.number == WANTED.c.number)
    .limit(1)
    .lateral("one")
)

_OF_SERVER: Final = select(_ONE).select_from(WANTED.join(_ONE, true()))


@cache
def _of_file(count: int) -> Select[Any]:
    return _WHOLE.where(
        completions.c.project.concat("") == bindparam("project"),
        completions.c.number.in_([bindparam(f"number_{n}") for n in range(count)]),
    )


def _asked_of_file(numbers: Sequence[int]) -> tuple[Select[Any], Mapping[str, object]]:
    some = filled(numbers)
    return _of_file(len(some)), {f"number_{n}": each for n, each in enumerate(some)}


# Each planner would rather read a whole project than 21 numbers. The concatenation keeps SQLite from the project's
# index; a look-up for each number keeps PostgreSQL (seen in 16) from looking for them in all of the project.
_BY_NUMBERS: Final[Mapping[str, Callable[[Sequence[int]], tuple[Select[Any], Mapping[str, object]]]]] = {
    "sqlite": _asked_of_file,
    "postgresql": lambda numbers: (_OF_SERVER, {"numbers": list(numbers)}),
}

_PLACE: Final = union_all(
    *(
        select(table.c.created, table.c.number).where(
            table.c.project == bindparam("project"), table.c.id == bindparam("id")
        )
        for table in (completions, tombstones)
    )
)


def labels_of(models: Iterable[str], metadata: Iterable[Label]) -> set[Label]:
    """The labels for these names of a model and these pairs of metadata."""
    return {("model", short(name)) for name in models} | {(f"metadata[{key}]", value) for key, value in metadata}


def short(name: str) -> str:
    """A name that an index can hold, a very long one by its digest.

    PostgreSQL's takes some 2,700 bytes. Metadata is bounded by the API itself.
    """
    if len(name) <= _LONGEST_NAME:
        return name
    return f"sha256:{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()}"


def get(connection: Connection, project: str, completion_id: str, *, whole: bool = True) -> Record | None:
    """The record, if it is there; if not ``whole``, its request without messages."""
    rows = fetch(connection, _BY_ID, {"project": project, "id": completion_id})
    return _records(connection, project, rows, whole=whole)[0] if rows else None


def locate(connection: Connection, project: str, completion_id: str) -> Cursor | None:
    rows = fetch(connection, _PLACE, {"project": project, "id": completion_id})
    # Two, if a deleted completion was stored again: the later one counts.
    return max((Cursor(*row) for row in rows), key=lambda cursor: cursor.number, default=None)


def page(
    connection: Connection,
    project: str,
    query: ListQuery,
    *,
    after: Cursor | None,
    limit: int,
    whole: bool = False,
) -> Sequence[Record]:
    """One page of records; if not ``whole``, their requests without messages."""
    wanted = labels_of(() if query.model is None else (query.model,), query.metadata)
    seen: dict[int, _Row] = {}

    def look_up(numbers: Sequence[int]) -> Sequence[Place]:
        found = _rows(connection, project, numbers)
        seen.update(found)
        return [(row[_CREATED], number) for number, row in found.items()]

    numbers = bitmaps.numbers(connection, project, wanted, after=after, order=query.order, limit=limit, look_up=look_up)
    seen.update(_rows(connection, project, [number for number in numbers if number not in seen]))
    return _records(connection, project, [seen[number] for number in numbers if number in seen], whole=whole)


def by_numbers(
    connection: Connection, project: str, numbers: Sequence[int], *, whole: bool = False
) -> Sequence[Record]:
    """The records of these completions, in this order, as far as they are there."""
    by_number = _rows(connection, project, numbers)
    return _records(connection, project, [by_number[number] for number in numbers if number in by_number], whole=whole)


def _rows(connection: Connection, project: str, numbers: Sequence[int]) -> dict[int, _Row]:
    found: list[_Row] = []
    for start in range(0, len(numbers), _MOST_AT_ONCE):
        statement, values = _BY_NUMBERS[connection.dialect.name](numbers[start : start + _MOST_AT_ONCE])
        found += fetch(connection, statement, {"project": project, **values})
    return {row[0]: row for row in found}


def _records(connection: Connection, project: str, rows: Sequence[_Row], *, whole: bool) -> list[Record]:
    tools = pieces.read_each(connection, project, (row[_TOOLS] for row in rows))
    records = []
    for _, *fields, of_turns, of_tools, content in rows:
        body = unpack_body(content)
        if whole:
            request = joined(body.request(turns=pieces.read(connection, project, of_turns), tools=tools[of_tools]))
        else:
            request = without_messages(body.request(tools=tools[of_tools]))
        named = dict(zip(_FIELDS, fields, strict=True))
        named["metadata"] = decoded(named["metadata"])
        records.append(Record(**named, request=request, reply=body.reply))
    return records


def decoded(metadata: str | dict[str, str]) -> Mapping[str, str]:
    """SQLite keeps a text; PostgreSQL's driver has decoded it."""
    return msgspec.json.decode(metadata, type=dict[str, str]) if isinstance(metadata, str) else metadata

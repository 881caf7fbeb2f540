"""What is asked of the tables. Every function runs inside the caller's transaction.

A page is found in two steps: first the numbers (``bitmaps``, ``ranges``), then their records by number. So a body is
read only if its record is on the page, whatever the planner thinks; a large one only when its turn comes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any, Final, TypeAlias

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    func,
    select,
    true,
    union_all,
)

from hansard.core.paging import ListQuery
from hansard.core.pieces import joined, without_messages
from hansard.store import bitmaps, pieces
from hansard.store.base import PAGE_BYTES, Cursor, Record, size_bytes
from hansard.store.codec import unpack_body
from hansard.store.driver import fetch
from hansard.store.ranges import Label, Place
from hansard.store.rows import filled
from hansard.store.schema import bodies, completions, tombstones

_LONGEST_NAME: Final = 512

# Bounds the parameters of a statement, and how many texts there are to keep prepared: a page has 101 at most.
_MOST_AT_ONCE: Final = 128

# As it lies there: larger ones are read one by one, so that no more of them are in memory than are shown.
_LARGE_BYTES: Final = 128 * 1024

_FIELDS: Final = tuple(column.name for column in completions.c if column is not completions.c.number)
_TOOLS: Final = -2

_WHOLE: Final = select(
    completions.c.number,
    *(completions.c[name] for name in _FIELDS),
    bodies.c.turns,
    bodies.c.tools,
    case((func.length(bodies.c.content) <= bindparam("large", _LARGE_BYTES), bodies.c.content)),
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


# Each planner would rather read a whole project than 21 numbers. The concatenation keeps SQLite from the project's
# index; a look-up for each number keeps PostgreSQL (seen in 16) from looking for them in all of the project.
def _of_server(what: Select[Any]) -> Select[Any]:
    found = what.where(completions.c.project == bindparam("project"), completions.c.number == WANTED.c.number)
    one = found.limit(1).lateral("one")
    return select(one).select_from(WANTED.join(one, true()))


def _of_file(what: Select[Any], count: int) -> Select[Any]:
    numbers: list[BindParameter[int]] = [bindparam(f"number_{n}") for n in range(count)]
    return what.where(completions.c.project.concat("") == bindparam("project"), completions.c.number.in_(numbers))


_CONTENT: Final = select(bodies.c.content).where(
    bodies.c.project == bindparam("project"), bodies.c.number == bindparam("number")
)
_PLACES: Final = select(completions.c.created, completions.c.number)


@cache
def _by_numbers(dialect: str, count: int, *, whole: bool) -> Select[Any]:
    """Their rows, or if not ``whole`` their places. A server is told any count of numbers at once."""
    what = _WHOLE if whole else _PLACES
    return _of_server(what) if dialect == "postgresql" else _of_file(what, count)


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
    return next(_records(connection, project, rows, whole=whole), None)


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
    numbers = bitmaps.numbers(
        connection,
        project,
        wanted,
        after=after,
        order=query.order,
        limit=limit,
        look_up=partial(_places, connection, project),
    )
    records: list[Record] = []
    size = 0
    for record in read(connection, project, numbers, whole=whole):
        records.append(record)
        size += size_bytes([record])
        if size >= PAGE_BYTES:
            break
    return records


def by_numbers(
    connection: Connection, project: str, numbers: Sequence[int], *, whole: bool = False
) -> Sequence[Record]:
    """The records of these completions, in this order, as far as they are there."""
    return list(read(connection, project, numbers, whole=whole))


def read(connection: Connection, project: str, numbers: Sequence[int], *, whole: bool = False) -> Iterator[Record]:
    """The same, one by one: what comes of them is in memory no longer than they are."""
    by_number = {row[0]: row for row in _rows(connection, project, numbers, whole=True)}
    return _records(connection, project, [by_number[number] for number in numbers if number in by_number], whole=whole)


def _places(connection: Connection, project: str, numbers: Sequence[int]) -> Sequence[Place]:
    return [(created, number) for created, number in _rows(connection, project, numbers, whole=False)]


def _rows(connection: Connection, project: str, numbers: Sequence[int], *, whole: bool) -> list[_Row]:
    found: list[_Row] = []
    dialect = connection.dialect.name
    for start in range(0, len(numbers), _MOST_AT_ONCE):
        some = numbers[start : start + _MOST_AT_ONCE]
        values: dict[str, object] = {"project": project}
        if dialect == "postgresql":
            values["numbers"] = list(some)
        else:
            some = filled(some)
            values |= {f"number_{n}": each for n, each in enumerate(some)}
        found += fetch(
            connection, _by_numbers(dialect, 0 if dialect == "postgresql" else len(some), whole=whole), values
        )
    return found


def _records(connection: Connection, project: str, rows: Sequence[_Row], *, whole: bool) -> Iterator[Record]:
    tools = pieces.read_each(connection, project, (row[_TOOLS] for row in rows))
    for number, *fields, of_turns, of_tools, content in rows:
        if content is None:
            ((content,),) = fetch(connection, _CONTENT, {"project": project, "number": number})
        body = unpack_body(content)
        if whole:
            request = joined(body.request(turns=pieces.read(connection, project, of_turns), tools=tools[of_tools]))
        else:
            request = without_messages(body.request(tools=tools[of_tools]))
        named = dict(zip(_FIELDS, fields, strict=True))
        named["metadata"] = decoded(named["metadata"])
        yield Record(**named, request=request, reply=body.reply)


def decoded(metadata: str | dict[str, str]) -> Mapping[str, str]:
    """SQLite keeps a text; PostgreSQL's driver has decoded it."""
    return msgspec.json.decode(metadata, type=dict[str, str]) if isinstance(metadata, str) else metadata

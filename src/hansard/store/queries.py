"""What is asked of the tables. Every function runs inside the caller's transaction.

A page is found in two steps: first the numbers, from one range of one index, then their records
by number. So a body is read only if its record is on the page, whatever the planner thinks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    bindparam,
    exists,
    func,
    literal,
    select,
    tuple_,
    union_all,
)

from hansard.core.paging import ListQuery
from hansard.store.base import Cursor, Record
from hansard.store.schema import bodies, completions, labels, tombstones

Label: TypeAlias = tuple[str, str]
"""A key, spelled as in the query string of a list, and the value it must equal."""

# How far labels are counted to find the rarest. Counting 5,000 entries takes half a millisecond;
# of two labels above that either one mostly fills a page soon.
_COUNTS: Final = (500, 5_000)

_RECORD: Final = (
    *(column for column in completions.c if column is not completions.c.number),
    bodies.c.request,
    bodies.c.reply,
)

_WHOLE: Final = select(completions.c.number, *_RECORD).join_from(
    completions, bodies, bodies.c.number == completions.c.number
)

_BY_ID: Final = _WHOLE.where(completions.c.project == bindparam("project"), completions.c.id == bindparam("id"))

# The concatenation keeps SQLite from the project's index: it would rather read a whole project than 21 numbers.
_BY_NUMBERS: Final = _WHOLE.where(
    completions.c.project.concat("") == bindparam("project"),
    completions.c.number.in_(bindparam("numbers", expanding=True)),
)

_PLACE: Final = union_all(
    *(
        select(table.c.created, table.c.number).where(
            table.c.project == bindparam("project"), table.c.id == bindparam("id")
        )
        for table in (completions, tombstones)
    )
)


def labels_of(models: Iterable[str], metadata: Mapping[str, str] | Iterable[Label]) -> set[Label]:
    """Every label that a completion carries, or that a query asks for."""
    pairs = metadata.items() if isinstance(metadata, Mapping) else metadata
    return {("model", name) for name in models} | {(f"metadata[{key}]", value) for key, value in pairs}


def get(connection: Connection, project: str, completion_id: str) -> Record | None:
    row = connection.execute(_BY_ID, {"project": project, "id": completion_id}).one_or_none()
    return None if row is None else _record(row)


def locate(connection: Connection, project: str, completion_id: str) -> Cursor | None:
    row = connection.execute(_PLACE, {"project": project, "id": completion_id}).one_or_none()
    return None if row is None else Cursor(row.created, row.number)


def page(
    connection: Connection, project: str, query: ListQuery, *, after: Cursor | None, limit: int
) -> Sequence[Record]:
    models = () if query.model is None else (query.model,)
    wanted = _rarest_first(connection, project, labels_of(models, query.metadata))
    numbers = connection.scalars(page_of_numbers(project, wanted, after=after, limit=limit, order=query.order)).all()
    rows = connection.execute(_BY_NUMBERS, {"project": project, "numbers": numbers})
    records = {row.number: _record(row) for row in rows}
    return [records[number] for number in numbers]


def page_of_numbers(
    project: str, wanted: Sequence[Label], *, after: Cursor | None, limit: int, order: str
) -> Select[tuple[int]]:
    """One range of one index, in its order: the first label's, or the project's own without labels.

    The other labels are looked up for each entry of the range, by their full key.
    """
    source: Table = labels if wanted else completions
    created, number = source.c.created, source.c.number
    conditions = [source.c.project == project]
    if wanted:
        conditions += _carries(source, wanted[0])
    if after is not None:
        place, cursor = tuple_(created, number), tuple_(literal(after.created), literal(after.number))
        conditions.append(place > cursor if order == "asc" else place < cursor)
    conditions += [_also(source, label) for label in wanted[1:]]
    keys = (created, number) if order == "asc" else (created.desc(), number.desc())
    return select(number).where(*conditions).order_by(*keys).limit(limit)


def _carries(table: Table, label: Label) -> list[ColumnElement[bool]]:
    key, value = label
    return [table.c.key == key, table.c.value == value]


def _also(source: Table, label: Label) -> ColumnElement[bool]:
    other = labels.alias()
    same = [other.c[name] == source.c[name] for name in ("project", "created", "number")]
    return exists().where(*_carries(other, label), *same)  # type: ignore[arg-type]


def _rarest_first(connection: Connection, project: str, wanted: Collection[Label]) -> list[Label]:
    """The label with the fewest completions leads: planners have been seen to choose otherwise."""
    ordered = sorted(wanted)
    if len(ordered) < 2:
        return ordered
    for most in _COUNTS:
        counts = {label: _count(connection, project, label, most=most) for label in ordered}
        ordered.sort(key=counts.__getitem__)
        if counts[ordered[0]] < most:
            break
    return ordered


def _count(connection: Connection, project: str, label: Label, *, most: int) -> int:
    some = select(literal(1)).where(labels.c.project == project, *_carries(labels, label)).limit(most)
    return connection.scalar(select(func.count()).select_from(some.subquery())) or 0


def _record(row: Row[tuple[object, ...]]) -> Record:
    fields = row._asdict()
    del fields["number"]
    return Record(**fields)

"""What is changed in the tables. Every function runs inside the caller's transaction, on the writer.

Labels follow the completion they index in the same transaction, and a delete leaves nothing of
one but a tombstone, where it stood, and bits, which tell nothing without it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import BindParameter, Connection, Row, bindparam, delete, select, update
from sqlalchemy.sql import ClauseElement

from hansard.core.pieces import cut, without_messages
from hansard.store import closing, edits, facets, pieces, queries, words
from hansard.store.base import Record
from hansard.store.codec import pack_body
from hansard.store.driver import fetch, tell
from hansard.store.queries import labels_of, short
from hansard.store.ranges import Label
from hansard.store.rows import delete_rows, filled, insert_rows
from hansard.store.schema import bodies, completions, labels, tombstones

_COLUMNS: Final = tuple(column.name for column in completions.c if column is not completions.c.number)
_BODY: Final = tuple(bodies.c.keys())
_LABEL: Final = tuple(labels.c.keys())

_values: Final = attrgetter(*_COLUMNS)
_METADATA: Final = _COLUMNS.index("metadata")
_REASON: Final = _COLUMNS.index("finish_reason")


class Standing(NamedTuple):
    """What of a row of ``completions`` tells where it is indexed and counted."""

    number: int
    id: str
    created: int
    model: str
    requested_model: str
    metadata: Mapping[str, str]
    finish_reason: str | None


# Where several may write, whoever comes second waits here, and then sees what the first has made of it.
_FOR_CHANGE: Final = (
    select(*(completions.c[name] for name in Standing._fields))
    .where(completions.c.project == bindparam("project"), completions.c.id == bindparam("id"))
    .with_for_update()
)

_SET_METADATA: Final = (
    update(completions)
    .where(completions.c.project == bindparam("of_project"), completions.c.number == bindparam("of_number"))
    .values(metadata=bindparam("metadata"))
)


@cache
def _delete_bodies(count: int) -> ClauseElement:
    numbers: list[BindParameter[int]] = [bindparam(f"number_{n}") for n in range(count)]
    of_these = delete(bodies).where(bodies.c.project == bindparam("of_project"), bodies.c.number.in_(numbers))
    return of_these.returning(bodies.c.turns, bodies.c.tools)


_PLACE: Final = ("project", "number")
_TOMBSTONE: Final = tuple(tombstones.c.keys())
_STANDS_AGAIN: Final = "ON CONFLICT (project, id) DO UPDATE SET created = excluded.created, number = excluded.number"


def insert_records(connection: Connection, records: Sequence[Record]) -> Sequence[None]:
    """All that is kept of them, in a statement a table: by ones, 32 records cost the processor twice as much."""
    closing.must_be_there(connection, {each.project for each in records})
    rows = [_row(each) for each in records]
    inserted = insert_rows(connection, completions, _COLUMNS, rows, returning=("project", "id", "number"))
    # A database may return them in any order, so each is told its number by its name.
    numbers = {(project, name): number for project, name, number in inserted}
    numbered = [(numbers[each.project, each.id], each) for each in records]
    _insert_bodies(connection, numbered)
    carried = [(number, each, _carried(each)) for number, each in numbered]
    rows_of_labels = [(each.project, *label, each.created, number) for number, each, some in carried for label in some]
    insert_rows(connection, labels, _LABEL, rows_of_labels)
    places = (facets.of_completion(each.project, some, _reason(each)) for _, each, some in carried)
    facets.add(connection, Counter(chain.from_iterable(places)))
    words.add(connection, numbered)
    return [None] * len(records)


def _insert_bodies(connection: Connection, numbered: Sequence[tuple[int, Record]]) -> None:
    parts = [cut(each.request) for _, each in numbered]
    ends = pieces.add(connection, [(each.project, part) for (_, each), part in zip(numbered, parts, strict=True)])
    rows = [
        (number, each.project, *end, pack_body(part, each.reply))
        for (number, each), part, end in zip(numbered, parts, ends, strict=True)
    ]
    insert_rows(connection, bodies, _BODY, rows)


def is_inserted(connection: Connection, record: Record) -> tuple[()] | tuple[None]:
    """The result of its insertion, in a tuple, if exactly this record is there."""
    return (None,) if queries.get(connection, record.project, record.id) == record else ()


def insert_record(connection: Connection, record: Record) -> None:
    insert_records(connection, [record])


def set_metadata(
    connection: Connection, project: str, completion_id: str, metadata: Mapping[str, str]
) -> Record | None:
    row = _locked(connection, project, completion_id)
    if row is None:
        return None
    place = (row.created, row.number)
    before, now = labels_of((), row.metadata.items()), labels_of((), metadata.items())
    delete_rows(connection, labels, _LABEL, [(project, *label, *place) for label in before - now])
    insert_rows(connection, labels, _LABEL, [(project, *label, *place) for label in now - before])
    if now != before:
        edits.relabel(connection, project, place, gained=now - before, lost=before - now)
    counts = Counter(facets.of_labels(project, now))
    counts.subtract(facets.of_labels(project, before))
    facets.add(connection, counts)
    tell(connection, _SET_METADATA, {"of_project": project, "of_number": row.number, "metadata": _to_json(metadata)})
    return queries.get(connection, project, completion_id, whole=False)


def _locked(connection: Connection, project: str, completion_id: str) -> Standing | None:
    rows = fetch(connection, _FOR_CHANGE, {"project": project, "id": completion_id})
    if not rows:
        return None
    named = dict(zip(Standing._fields, rows[0], strict=True))
    return Standing(**named | {"metadata": queries.decoded(named["metadata"])})


def delete_record(connection: Connection, project: str, completion_id: str) -> bool:
    row = _locked(connection, project, completion_id)
    if row is None:
        return False
    delete_records(connection, project, [row])
    return True


def delete_records(connection: Connection, project: str, rows: Sequence[Standing | Row[Any]]) -> None:
    """All that is kept of these rows of ``completions``, at least one, which the caller has locked.

    A statement a table, as for an insertion.
    """
    carried = [(row, _carried(row)) for row in rows]
    edits.leave_out(connection, project, [(row.created, row.number) for row in rows])
    rows_of_labels = [(project, *label, row.created, row.number) for row, some in carried for label in some]
    delete_rows(connection, labels, _LABEL, rows_of_labels)
    counts: facets.Counts = Counter()
    for row, some in carried:
        counts.subtract(facets.of_completion(project, some, row.finish_reason))
    facets.add(connection, counts)
    words.remove(connection, project, [row.number for row in rows])
    numbers = filled([row.number for row in rows])
    numbered = {f"number_{n}": number for n, number in enumerate(numbers)}
    ends = fetch(connection, _delete_bodies(len(numbers)), {"of_project": project, **numbered})
    pieces.drop(connection, project, chain.from_iterable(ends))
    delete_rows(connection, completions, _PLACE, [(project, row.number) for row in rows])
    gone = [(project, row.id, row.created, row.number) for row in rows]
    insert_rows(connection, tombstones, _TOMBSTONE, gone, or_else=_STANDS_AGAIN)


def is_deleted(connection: Connection, project: str, completion_id: str) -> tuple[()] | tuple[bool]:
    """The result of its deletion, in a tuple, if it is deleted."""
    of_id = (tombstones.c.project == project, tombstones.c.id == completion_id)
    gone = queries.get(connection, project, completion_id) is None
    return (True,) if gone and connection.scalar(select(tombstones.c.number).where(*of_id)) is not None else ()


def _row(record: Record) -> list[object]:
    row = list(_values(record))
    row[_METADATA] = _to_json(record.metadata)
    row[_REASON] = _reason(record)
    return row


def _reason(record: Record) -> str | None:
    """As it is counted and filtered by; the reply has it as it is."""
    return None if record.finish_reason is None else short(record.finish_reason)


def _to_json(metadata: Mapping[str, str]) -> str:
    return msgspec.json.encode(dict(metadata)).decode()


def _carried(record: Record | Standing | Row[Any]) -> set[Label]:
    """Every label of it."""
    return labels_of({record.model, record.requested_model}, record.metadata.items())


# No key can name it: a project of the API is never empty, and this one has a space.
_PROBE: Final = Record(
    project=" self-check",
    id="self-check",
    created=0,
    model="self-check",
    requested_model="self-check",
    request_id="",
    metadata={"self": "check"},
    seed=0,
    request=b"{}",
    reply=b"{}",
    engine="",
)


def works(connection: Connection) -> bool:
    """Whether a record written, relabelled, read and deleted does what it should. Leaves no trace."""
    project, name = _PROBE.project, _PROBE.id
    insert_record(connection, _PROBE)
    changed = set_metadata(connection, project, name, {"self": "checked"})
    deleted = delete_record(connection, project, name)
    gone = queries.get(connection, project, name) is None
    connection.execute(delete(tombstones).where(tombstones.c.project == project, tombstones.c.id == name))
    expected = msgspec.structs.replace(
        _PROBE, metadata={"self": "checked"}, request=without_messages(cut(_PROBE.request))
    )
    return changed == expected and deleted and gone

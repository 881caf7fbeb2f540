"""Whether a database holds what it should: every question asked of it, and what was found. Nothing here writes.

All of it runs inside the caller's transaction, so it sees the database of one moment, whatever a server writes
meanwhile. What only SQLite can be asked is in ``maintenance``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    type_coerce,
    union_all,
)
from sqlalchemy.types import NullType

from hansard.core.pieces import joined, next_digest
from hansard.store import missed, pieces, schema, words
from hansard.store.codec import Body, unpack, unpack_body
from hansard.store.facets import ALL, FINISH_REASON
from hansard.store.queries import labels_of
from hansard.store.ranges import Label
from hansard.store.schema import bodies, completions, facets, labels, outcomes, tombstones

T = TypeVar("T")

Tell: TypeAlias = Callable[[str, int, int | None], None]
"""Told of long work as it goes on: what is looked at, how many of it are done, and of how many, if that is known."""

# What each kind of finding means, in the order in which they are told.
KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "file": "the file is damaged",
        "version": "the tables are older than this version of Hansard; upgrade them, then check again",
        "reference": "a row belongs to one that is not there",
        "counter": "numbers of deleted completions would be given again",
        "body": "a completion without its body, or with a damaged one",
        "metadata": "metadata that is not a JSON object of texts",
        "request": "a request that is not JSON with messages",
        "reply": "a reply that is not the JSON of its completion",
        "piece": "a piece of requests that is damaged, or that nothing stands on",
        "label_surplus": "a label that no completion has",
        "label_missing": "a completion without one of its labels: lists that ask for it miss it",
        "facet": "a count of completions that is not how many there are",
        "window": "a window of numbers, or a bitmap of one, that misses a completion: lists by several labels may too",
        "search": "a completion that the index of words misses, or one in it that is gone",
        "tombstone": "a tombstone in the place of a completion that is there",
        "outcome": "an outcome of an Idempotency-Key that has not one reply of its own project",
    }
)

# More ids of a kind are counted, but not named.
_NAMED: Final = 1000

# So many rows are held at a time: a body may have many megabytes.
_BODIES_AT_ONCE: Final = 8
_ROWS_AT_ONCE: Final = 1000


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with ``count`` rows. ``ids`` name the completions concerned, or say which rows; 1000 at most."""

    kind: str
    meaning: str
    count: int
    ids: tuple[str, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows of each table were looked at, and what was wrong with them: nothing, if it is sound."""

    version: str | None
    looked_at: Mapping[str, int]
    findings: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        return not self.findings


class Findings:
    """Collects what is found."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._ids: dict[str, dict[str, None]] = {}

    def add(self, kind: str, name: object) -> None:
        """``name`` as the database has it, which need be no text any more."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        ids = self._ids.setdefault(kind, {})
        if len(ids) < _NAMED:
            ids[name.hex() if isinstance(name, bytes) else str(name)] = None

    def all(self) -> tuple[Finding, ...]:
        return tuple(
            Finding(kind=kind, meaning=meaning, count=self._counts[kind], ids=tuple(self._ids[kind]))
            for kind, meaning in KINDS.items()
            if kind in self._counts
        )


# What the API's stored objects are made of. An upstream may have said more, and less exactly.


class _Message(msgspec.Struct):
    role: str


class _Request(msgspec.Struct):
    messages: Annotated[list[_Message], msgspec.Meta(min_length=1)]


class _NoMessage(msgspec.Struct):
    content: None


class _NoChoice(msgspec.Struct):
    index: int
    message: _NoMessage
    finish_reason: str | None


class _StrippedRequest(msgspec.Struct):
    messages: Annotated[list[_Message], msgspec.Meta(max_length=0)]


class _Choice(msgspec.Struct):
    index: int
    message: dict[str, Any]
    finish_reason: str | None


class _Reply(msgspec.Struct):
    object: Literal["chat.completion"]
    id: str
    created: int
    model: str
    choices: list[_Choice]


class _StrippedReply(_Reply):
    choices: list[_NoChoice]  # type: ignore[assignment]


# By whether what was said in it has expired.
_REQUESTS: Final[Mapping[bool, type[_Request | _StrippedRequest]]] = MappingProxyType(
    {False: _Request, True: _StrippedRequest}
)
_REPLIES: Final[Mapping[bool, type[_Reply]]] = MappingProxyType({False: _Reply, True: _StrippedReply})


def _as_stored(column: Any, name: str) -> Any:
    """The column as the driver gives it: what its type would make of a damaged value could fail."""
    return type_coerce(column, NullType()).label(name)


def _is_of_completion(table: Table) -> ColumnElement[bool]:
    """Joins a row with the completion it belongs to, by the key they share."""
    shared = [name for name in ("project", "number") if name in table.c]
    return and_(*(table.c[name] == completions.c[name] for name in shared))


_METADATA: Final = cast(completions.c.metadata, Text).label("metadata")

_COMPLETIONS: Final = (
    select(
        *(completions.c[name] for name in ("id", "created", "model", "requested_model")),
        _METADATA,
        completions.c.project,
        *(_as_stored(bodies.c[name], name) for name in ("turns", "tools", "content")),
    )
    .join_from(completions, bodies, _is_of_completion(bodies), isouter=True)
    .order_by(completions.c.number)
)

_LABELS: Final = select(
    labels,
    completions.c.id,
    completions.c.created.label("of_created"),
    completions.c.model,
    completions.c.requested_model,
    _METADATA,
).join_from(labels, completions, _is_of_completion(labels), isouter=True)

_LABELLED: Final = select(
    *(completions.c[name] for name in ("project", "id", "created", "number", "model", "requested_model")), _METADATA
).order_by(completions.c.number)

_HAS_LABEL: Final = select(literal(1)).where(*(column == bindparam(column.name) for column in labels.c))

_TOMBSTONES: Final = select(tombstones.c.id, completions.c.number).join_from(
    tombstones, completions, _is_of_completion(tombstones), isouter=True
)

_standing = schema.pieces.alias("standing")
_PIECES: Final = select(
    schema.pieces.c.digest,
    schema.pieces.c.parent,
    _as_stored(schema.pieces.c.content, "content"),
    or_(
        *(
            exists().where(column.table.c.project == schema.pieces.c.project, column == schema.pieces.c.digest)
            for column in (bodies.c.turns, bodies.c.tools, _standing.c.parent)
        )
    ).label("is_used"),
)

_FACETS: Final = select(
    facets.c.project, facets.c.key, facets.c.value, func.sum(facets.c.count).label("count")
).group_by(facets.c.project, facets.c.key, facets.c.value)

_COUNTED: Final = union_all(
    select(labels.c.project, labels.c.key, labels.c.value, func.count().label("count")).group_by(
        labels.c.project, labels.c.key, labels.c.value
    ),
    select(completions.c.project, literal(FINISH_REASON).label("key"), completions.c.finish_reason, func.count())
    .where(completions.c.finish_reason.is_not(None))
    .group_by(completions.c.project, completions.c.finish_reason),
    select(completions.c.project, *map(literal, ALL), func.count()).group_by(completions.c.project),
)

_OUTCOMES: Final = select(
    outcomes.c.key,
    outcomes.c.number,
    _as_stored(outcomes.c.reply, "reply"),
    completions.c.id,
).join_from(outcomes, completions, _is_of_completion(outcomes), isouter=True)


def check(connection: Connection, findings: Findings, tell: Tell) -> dict[str, int]:
    """Look at every row of the newest tables; how many there were of each."""
    expected = _check_completions(connection, findings, tell)
    if _check_labels(connection, findings, tell) < expected:
        _name_missing_labels(connection, findings, tell)
    _check_pieces(connection, findings, tell)
    _check_facets(connection, findings)
    for name in missed.names(connection):
        findings.add("window", name)
    for name in words.misplaced(connection):
        findings.add("search", name)
    _check_tombstones(connection, findings, tell)
    _check_outcomes(connection, findings, tell)
    tables = (completions, schema.pieces, labels, tombstones, outcomes)
    return {table.name: _count(connection, table) for table in tables}


def _check_completions(connection: Connection, findings: Findings, tell: Tell) -> int:
    """Each with its body; returns how many labels they should have in all."""
    expected = 0
    for row in _walk(connection, completions, _COMPLETIONS, tell, at_once=_BODIES_AT_ONCE):
        metadata = _decoded(row.metadata, dict[str, str])
        if metadata is None:
            findings.add("metadata", row.id)
        expected += len(_carried(row, metadata))
        body = _unpacked(row.content, unpack_body)
        if body is None:
            findings.add("body", row.id)
            continue
        if _decoded(_request(connection, row, body), _REQUESTS[body.stripped]) is None:
            findings.add("request", row.id)
        reply = _decoded(body.reply, _REPLIES[body.stripped])
        if reply is None or (reply.id, reply.created, reply.model) != (row.id, row.created, row.model):
            findings.add("reply", row.id)
    return expected


def _request(connection: Connection, row: Row[Any], body: Body) -> bytes | None:
    """All of it, with what was cut out of it; None if that is not there."""
    if not isinstance(row.turns, bytes | None) or not isinstance(row.tools, bytes | None):
        return None
    try:
        turns = pieces.read(connection, row.project, row.turns)
        tools = pieces.read_each(connection, row.project, [row.tools])[row.tools]
    except (ValueError, KeyError, TypeError):
        return None
    return None if row.turns is not None and not turns else joined(body.request(turns=turns, tools=tools))


def _check_pieces(connection: Connection, findings: Findings, tell: Tell) -> None:
    for row in _walk(connection, schema.pieces, _PIECES, tell, at_once=_BODIES_AT_ONCE):
        content, parent = _unpacked(row.content, unpack), row.parent or b""
        is_right = content is not None and isinstance(parent, bytes) and next_digest(parent, content) == row.digest
        if not is_right or not row.is_used:
            findings.add("piece", row.digest)


def _check_facets(connection: Connection, findings: Findings) -> None:
    """Against the labels and the reasons that there are, counted one by one."""
    kept, counted = (
        {(project, key, value): count for project, key, value, count in connection.execute(rows) if count}
        for rows in (_FACETS, _COUNTED)
    )
    for _, key, value in sorted({place for place, _ in kept.items() ^ counted.items()}, key=repr):
        findings.add("facet", f"{key} {value}".strip())


def _check_labels(connection: Connection, findings: Findings, tell: Tell) -> int:
    """Each with its completion; returns how many of them are as they should be.

    No two can be alike, so if these are as many as there should be, none is missing.
    """
    right = 0
    for row in _walk(connection, labels, _LABELS, tell):
        if row.id is None:
            findings.add("label_surplus", f"number {row.number}")
            continue
        metadata = _decoded(row.metadata, dict[str, str])
        if metadata is None and row.key != "model":
            continue  # nobody can tell; that its metadata cannot be read has been found already
        if row.created == row.of_created and (row.key, row.value) in _carried(row, metadata):
            right += 1
        else:
            findings.add("label_surplus", row.id)
    return right


def _name_missing_labels(connection: Connection, findings: Findings, tell: Tell) -> None:
    """Ask for each label by itself, which is slow, and done only if some are known to be missing."""
    for row in _walk(connection, completions, _LABELLED, tell):
        place = {name: getattr(row, name) for name in ("project", "created", "number")}
        for key, value in _carried(row, _decoded(row.metadata, dict[str, str])):
            if connection.scalar(_HAS_LABEL, {**place, "key": key, "value": value}) is None:
                findings.add("label_missing", row.id)


def _check_tombstones(connection: Connection, findings: Findings, tell: Tell) -> None:
    for row in _walk(connection, tombstones, _TOMBSTONES, tell):
        if row.number is not None:
            findings.add("tombstone", row.id)


def _check_outcomes(connection: Connection, findings: Findings, tell: Tell) -> None:
    """Each has a reply of its own, or a completion of its project, and never both."""
    for row in _walk(connection, outcomes, _OUTCOMES, tell, at_once=_BODIES_AT_ONCE):
        if row.number is None:
            is_right = isinstance(row.reply, bytes) and _decoded(row.reply, _Reply) is not None
        else:
            is_right = row.reply is None and row.id is not None
        if not is_right:
            findings.add("outcome", row.key)


def _walk(
    connection: Connection, table: Table, rows: Select[Any], tell: Tell, *, at_once: int = _ROWS_AT_ONCE
) -> Iterator[Row[Any]]:
    """One row after the other, never all of them in memory."""
    total = _count(connection, table)
    tell(table.name, 0, total)
    # For this statement alone: what is asked beside it is small, and a cursor for it takes three journeys to a server.
    result = connection.execute(rows, execution_options={"yield_per": at_once})
    for done, row in enumerate(result, 1):
        yield row
        if done % _ROWS_AT_ONCE == 0:
            tell(table.name, done, total)
    tell(table.name, total, total)


def _count(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table).where(true())) or 0


def _carried(row: Row[Any], metadata: Mapping[str, str] | None) -> set[Label]:
    """The labels that a completion should have, as far as that can be told."""
    models = {name for name in (row.model, row.requested_model) if isinstance(name, str)}
    return labels_of(models, (metadata or {}).items())


def _unpacked(stored: object, how: Callable[[bytes], T]) -> T | None:
    """None if it is damaged. What is no longer bytes is, too."""
    try:
        return how(stored) if isinstance(stored, bytes) else None
    except ValueError:
        return None


def _decoded(text: object, kind: type[T]) -> T | None:
    if not isinstance(text, bytes | str):
        return None
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeError):
        return None

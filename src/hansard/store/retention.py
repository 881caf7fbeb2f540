"""What has expired, found and forgotten, some of it at a time: whole completions, what was said in others, outcomes.

Every function runs inside the caller's transaction and is told the time. Where several servers share a database, each
leaves alone what another has under its hands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Column, Connection, Row, Select, bindparam, delete, func, literal, select, update

from hansard.core.stripped import TOOLS_ELSEWHERE, stripped_reply, stripped_request
from hansard.store import changes, pieces, words
from hansard.store.base import Expired
from hansard.store.codec import Body, pack_body, unpack_body
from hansard.store.schema import bodies, completions, outcomes

# What is deleted is overwritten as well, so a transaction of a few very large bodies could take long.
_BYTES_AT_ONCE: Final = 8 * 1024 * 1024

_INDEXES: Final = {"expires": "completions_by_expiry", "body_expires": "completions_by_body_expiry"}


def due(connection: Connection, now: int) -> list[str]:
    """The projects in which something has expired by then. Reads only."""
    found: set[str] = set()
    for name in _NEXT:
        project = ""
        while (following := connection.scalar(_NEXT[name], {"after": project})) is not None:
            project = following
            if connection.scalar(_ANY[name], {"of_project": project, "now": now}) is not None:
                found.add(project)
    return sorted(found)


def expire(connection: Connection, project: str, *, now: int, most: int) -> Expired:
    """Forget at most so many: first completions, those that expired first before others, what was said, outcomes."""
    gone = _bounded(connection.execute(_SOME["expires"], {"of_project": project, "now": now, "most": most}))
    if gone:
        changes.delete_records(connection, project, gone)
    some = {"of_project": project, "now": now, "most": most - len(gone)}
    bare = _bounded(connection.execute(_SOME["body_expires"], some)) if most > len(gone) else []
    strip(connection, project, bare)
    rest = most - len(gone) - len(bare)
    replies = _bounded(connection.execute(_SOME_OUTCOMES, {**some, "most": rest})) if rest else []
    if replies:
        connection.execute(_FORGET_KEY, [{"of_project": project, "of_key": row.key} for row in replies])
    return Expired(records=len(gone), bodies=len(bare), outcomes=len(replies))


def strip(connection: Connection, project: str, rows: Sequence[Row[Any]]) -> None:
    """Forget what was said in these rows of ``completions``, which the caller has locked."""
    if not rows:
        return
    indexed = words.remove(connection, project, [row.number for row in rows], even_if_off=True)
    ends: list[bytes | None] = []
    for row in rows:
        ends += _strip(connection, project, row)
    places = [{"of_project": project, "of_number": row.number} for row in rows]
    connection.execute(_NO_MORE_TO_EXPIRE, places)
    # A repeat of its request must not be given what is left for an answer.
    connection.execute(_FORGET_OUTCOME, places)
    pieces.drop(connection, project, ends)
    words.put_back(connection, project, indexed)


def _strip(connection: Connection, project: str, row: Row[Any]) -> tuple[bytes | None, ...]:
    """Write its body anew; the pieces that it stands on no more."""
    place = {"of_project": project, "of_number": row.number}
    kept = connection.execute(_BODY, place).one_or_none()
    if kept is None:
        return ()
    body = _readable(kept.content)
    parts = stripped_request(body.request(tools=TOOLS_ELSEWHERE if kept.tools else b""))
    reply = stripped_reply(body.reply, completion_id=row.id, created=row.created, model=row.model)
    tools = kept.tools if parts.tools else None
    connection.execute(_WRITE_BODY, {**place, "tools": tools, "content": pack_body(parts, reply, stripped=True)})
    return (kept.turns, None if tools else kept.tools)


def _readable(content: bytes) -> Body:
    """What is damaged must go in its time as well."""
    try:
        return unpack_body(content)
    except ValueError:
        return Body(b"", 0, 0, 0, b"")


def _bounded(rows: Any) -> list[Row[Any]]:
    """The first of them, as many as can be forgotten in one transaction; at least one if there is one."""
    taken: list[Row[Any]] = []
    size_bytes = 0
    for row in rows.all():
        size_bytes += row.size_bytes or 0
        if taken and size_bytes > _BYTES_AT_ONCE:
            break
        taken.append(row)
    return taken


def _some(column: Column[Any]) -> Select[Any]:
    # Neither database reads a body to tell its length.
    return (
        _by_index(select(completions, func.length(bodies.c.content).label("size_bytes")), column)
        .join_from(
            completions,
            bodies,
            (bodies.c.project == completions.c.project) & (bodies.c.number == completions.c.number),
            isouter=True,
        )
        .where(completions.c.project == bindparam("of_project"), column <= bindparam("now"))
        .order_by(column)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True, of=completions)
    )


def _next(column: Column[Any]) -> Select[str]:
    project = column.table.c.project
    return (
        _by_index(select(project), column)
        .where(project > bindparam("after"), column.is_not(None))
        .order_by(project)
        .limit(1)
    )


def _any(column: Column[Any]) -> Select[int]:
    return (
        _by_index(select(literal(1)).select_from(column.table), column)
        .where(column.table.c.project == bindparam("of_project"), column <= bindparam("now"))
        .limit(1)
    )


def _by_index(found: Select[Any], column: Column[Any]) -> Select[Any]:
    """SQLite would as soon walk through every completion, of which most may never expire."""
    if column.table is outcomes:
        return found  # each of them expires
    return found.with_hint(completions, f"INDEXED BY {_INDEXES[column.name]}", "sqlite")


_COLUMNS: Final = {name: completions.c[name] for name in _INDEXES}
_SOME: Final = {name: _some(column) for name, column in _COLUMNS.items()}
_EXPIRING: Final = {**_COLUMNS, "outcomes": outcomes.c.expires}
_NEXT: Final = {name: _next(column) for name, column in _EXPIRING.items()}
_ANY: Final = {name: _any(column) for name, column in _EXPIRING.items()}

_SOME_OUTCOMES: Final = (
    select(outcomes.c.key, func.length(outcomes.c.reply).label("size_bytes"))
    .where(outcomes.c.project == bindparam("of_project"), outcomes.c.expires <= bindparam("now"))
    .order_by(outcomes.c.expires)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_FORGET_KEY: Final = delete(outcomes).where(
    outcomes.c.project == bindparam("of_project"), outcomes.c.key == bindparam("of_key")
)

_OF_BODY: Final = (bodies.c.project == bindparam("of_project"), bodies.c.number == bindparam("of_number"))
_BODY: Final = select(bodies.c.turns, bodies.c.tools, bodies.c.content).where(*_OF_BODY)
_WRITE_BODY: Final = (
    update(bodies).where(*_OF_BODY).values(turns=None, tools=bindparam("tools"), content=bindparam("content"))
)
_NO_MORE_TO_EXPIRE: Final = (
    update(completions)
    .where(completions.c.project == bindparam("of_project"), completions.c.number == bindparam("of_number"))
    .values(body_expires=None)
)
_FORGET_OUTCOME: Final = delete(outcomes).where(
    outcomes.c.project == bindparam("of_project"), outcomes.c.number == bindparam("of_number")
)

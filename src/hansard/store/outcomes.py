"""What became of requests with an idempotency key: found, kept, and forgotten in time.

The functions run inside the caller's transaction. ``InMemory`` is for a server that writes no completions down.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from sqlalchemy import Connection, and_, bindparam, delete, insert, select

from hansard.store import changes, closing
from hansard.store.base import Outcome, Record
from hansard.store.codec import unpack_body
from hansard.store.schema import bodies, completions, outcomes

# Each new outcome clears away so many of its project that have expired: more than come, and few enough to hold
# nobody up.
_CLEARED_AT_ONCE: Final = 32

_BY_KEY: Final = (outcomes.c.project == bindparam("of_project"), outcomes.c.key == bindparam("of_key"))

_FIND: Final = (
    select(
        *(outcomes.c[name] for name in ("project", "key", "fingerprint", "created", "expires")),
        outcomes.c.reply,
        bodies.c.content,
    )
    .join_from(
        outcomes,
        bodies,
        and_(bodies.c.project == outcomes.c.project, bodies.c.number == outcomes.c.number),
        isouter=True,
    )
    .where(*_BY_KEY, outcomes.c.expires > bindparam("now"))
)

_NUMBER: Final = select(completions.c.number).where(
    completions.c.project == bindparam("project"), completions.c.id == bindparam("id")
)

_EXPIRED: Final = outcomes.c.expires <= bindparam("now")

# Those that another transaction is about to clear away are left to it; SQLite has no others.
_SOME_EXPIRED: Final = (
    select(outcomes.c.key)
    .where(outcomes.c.project == bindparam("of_project"), _EXPIRED)
    .order_by(outcomes.c.expires)
    .limit(_CLEARED_AT_ONCE)
    .with_for_update(skip_locked=True)
)

_CLEAR_SOME: Final = delete(outcomes).where(
    outcomes.c.project == bindparam("of_project"), outcomes.c.key.in_(_SOME_EXPIRED)
)


def find(connection: Connection, project: str, key: str, now: int) -> Outcome | None:
    row = connection.execute(_FIND, {"of_project": project, "of_key": key, "now": now}).one_or_none()
    if row is None:
        return None
    fields = row._asdict()
    content = fields.pop("content")
    if content is not None:
        fields["reply"] = unpack_body(content).reply
    return Outcome(**fields)


def keep(connection: Connection, outcome: Outcome, record: Record | None) -> Outcome:
    """The outcome in force: this one, or that of whoever was first.

    Where two processes may write at once, the primary key lets one of them through; the other is done again by its
    writer, and then finds what the first has committed.
    """
    first = find(connection, outcome.project, outcome.key, outcome.created)
    if first is not None:
        return first
    # Only one that has expired: whoever was first may have committed since it was looked for.
    place = {"of_project": outcome.project, "of_key": outcome.key, "now": outcome.created}
    connection.execute(delete(outcomes).where(*_BY_KEY, _EXPIRED), place)
    connection.execute(_CLEAR_SOME, {"of_project": outcome.project, "now": outcome.created})
    row = {name: getattr(outcome, name) for name in ("project", "key", "fingerprint", "created", "expires")}
    if record is None:
        closing.must_be_there(connection, {outcome.project})
        row |= {"number": None, "reply": outcome.reply}
    else:
        changes.insert_record(connection, record)
        number = connection.scalar(_NUMBER, {"project": record.project, "id": record.id})
        row |= {"number": number, "reply": None}
    connection.execute(insert(outcomes), row)
    return outcome


def clear(connection: Connection, now: int) -> None:
    """Forget all that have expired."""
    connection.execute(delete(outcomes).where(_EXPIRED), {"now": now})


class InMemory:
    """Remembers while the process lives; beyond ``limit`` outcomes, or ``limit_bytes`` of replies, the oldest go."""

    def __init__(self, *, limit: int = 4096, limit_bytes: int = 64 * 1024 * 1024) -> None:
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[tuple[str, str], Outcome] = OrderedDict()
        self._bytes = 0

    async def recall(self, project: str, key: str, *, now: int) -> Outcome | None:
        outcome = self._kept.get((project, key))
        return outcome if outcome is not None and outcome.expires > now else None

    async def remember(self, outcome: Outcome, record: Record | None = None) -> Outcome:
        assert record is None, "what is stored is remembered by the store"
        place = (outcome.project, outcome.key)
        first = await self.recall(*place, now=outcome.created)
        if first is not None:
            return first
        self._forget(place)
        self._kept[place] = outcome
        self._bytes += len(outcome.reply)
        while self._is_over(outcome.created):
            self._forget(next(iter(self._kept)))
        return outcome

    def _is_over(self, now: int) -> bool:
        oldest = next(iter(self._kept.values()), None)
        full = len(self._kept) > self._limit or self._bytes > self._limit_bytes
        return oldest is not None and (full or oldest.expires <= now)

    def _forget(self, place: tuple[str, str]) -> None:
        if (outcome := self._kept.pop(place, None)) is not None:
            self._bytes -= len(outcome.reply)

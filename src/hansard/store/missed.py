"""What windows and bitmaps should have and have not, which ``check`` tells. Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, and_, bindparam, exists, func, select

from hansard.store.bits import unpacked
from hansard.store.ranges import LISTED
from hansard.store.schema import bitmaps, completions, revisions, windows
from hansard.store.windows import CARRIERS

_LISTED: Final = select(revisions.c.number).where(revisions.c.name == LISTED)


def names(connection: Connection) -> Iterator[str]:
    """Completions, or their numbers: some may come twice."""
    up_to = {"listed": connection.scalar(_LISTED)}
    if not isinstance(up_to["listed"], int):
        return
    yield from map(str, connection.scalars(_OUTSIDE, up_to))
    yield from map(str, connection.scalars(_LATER_THAN_SLACK, up_to))
    for project, key, value, bits, *bounds in connection.execute(_BITMAPS).all():
        first, last, first_created, last_created = bounds
        there = set(unpacked(bits, last - first + 1)) if isinstance(bits, bytes) else set()
        named = {"project": project, "key": key, "value": value, "first_number": first, "last_number": last}
        created = {"first_created": first_created, "last_created": last_created}
        for (number,) in connection.execute(CARRIERS, {**named, **created}):
            if number - first not in there:
                yield f"number {number}"


_IN_WINDOW: Final = and_(
    windows.c.project == completions.c.project,
    windows.c.first_number <= completions.c.number,
    windows.c.last_number >= completions.c.number,
)
_OUTSIDE: Final = select(completions.c.id).where(
    completions.c.number <= bindparam("listed"),
    ~exists().where(
        _IN_WINDOW,
        windows.c.first_created <= completions.c.created,
        windows.c.last_created >= completions.c.created,
    ),
)
_latest = func.max(completions.c.created).over(
    partition_by=(completions.c.project, windows.c.first_number), order_by=completions.c.number
)
_by_slack = (
    select(completions.c.id, windows.c.slack, (_latest - completions.c.created).label("late"))
    .join_from(windows, completions, _IN_WINDOW)
    .where(completions.c.number <= bindparam("listed"))
    .subquery()
)
_LATER_THAN_SLACK: Final = select(_by_slack.c.id).where(_by_slack.c.late > _by_slack.c.slack)
_BITMAPS: Final = (
    select(
        *(bitmaps.c[name] for name in ("project", "key", "value", "bits")),
        *(windows.c[name] for name in ("first_number", "last_number", "first_created", "last_created")),
    )
    .join_from(
        bitmaps,
        windows,
        and_(windows.c.project == bitmaps.c.project, windows.c.first_number == bitmaps.c.first_number),
    )
    .where(windows.c.work.is_(None))
)

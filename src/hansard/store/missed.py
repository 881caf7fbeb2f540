"""What windows and bitmaps should have and have not, which ``check`` tells. Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, and_, bindparam, exists, func, select

from hansard.store import bits as bitmap
from hansard.store import ranks
from hansard.store.edits import CARRIERS
from hansard.store.ranges import GONE, LISTED, Stretch
from hansard.store.schema import bitmaps, completions, revisions, windows

_LISTED: Final = select(revisions.c.number).where(revisions.c.name == LISTED)


def names(connection: Connection) -> Iterator[str]:
    """Completions, or their numbers: some may come twice."""
    up_to = {"listed": connection.scalar(_LISTED)}
    if not isinstance(up_to["listed"], int):
        return
    yield from map(str, connection.scalars(_OUTSIDE, up_to))
    yield from map(str, connection.scalars(_LATER_THAN_SLACK, up_to))
    for project, slack, *bounds in connection.execute(_FINISHED).all():
        yield from _of_window(connection, project, Stretch(*bounds), is_ranked=slack > 0)


def _of_window(connection: Connection, project: str, window: Stretch, *, is_ranked: bool) -> Iterator[str]:
    stretch = {"project": project, **window._asdict()}
    there = [number for (number,) in connection.execute(_THERE, stretch)]
    ranked = ranks.all_of(connection, project, window) if is_ranked else {}
    bits_of = ranked if is_ranked else {number: number - window.first_number for number in there}
    last = -1
    for number in there if is_ranked else ():
        rank = ranked.get(number, -1)
        if rank <= last:
            yield f"number {number}"
        last = max(rank, last)
    for key, value, bits in connection.execute(_BITMAPS, stretch).all():
        span = window.last_number - window.first_number + 1
        told = set(bitmap.unpacked(bits, span)) if isinstance(bits, bytes) else set()
        is_gone = (key, value) == GONE
        carriers = there if is_gone else _carriers(connection, {**stretch, "key": key, "value": value})
        yield from (f"number {number}" for number in carriers if (bits_of.get(number) in told) == is_gone)


def _carriers(connection: Connection, of_label: Mapping[str, object]) -> Sequence[int]:
    return [number for _, number in connection.execute(CARRIERS, of_label)]


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
_FINISHED: Final = select(
    *(windows.c[name] for name in ("project", "slack", *Stretch._fields)),
).where(windows.c.work.is_(None))
_THERE: Final = (
    select(completions.c.number)
    .where(
        completions.c.project == bindparam("project"),
        completions.c.number >= bindparam("first_number"),
        completions.c.number <= bindparam("last_number"),
    )
    .order_by(completions.c.created, completions.c.number)
)
_BITMAPS: Final = select(bitmaps.c.key, bitmaps.c.value, bitmaps.c.bits).where(
    bitmaps.c.project == bindparam("project"), bitmaps.c.first_number == bindparam("first_number")
)

"""Windows over the numbers of completions, and the bitmaps of their labels: made in steps.

A window has what was stored up to a number before which nothing comes any more: the last one given, once every
transaction that wrote then has ended (``Indexing`` waits for that). When its own last number is so, bitmaps are made:
somebody takes the window on, reads what its completions carry, and writes that down, unless somebody changes labels
there meanwhile. From then on ``edits`` keeps them up. Every function runs inside the caller's transaction.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    func,
    select,
    text,
    update,
)

from hansard.store import bits as bitmap
from hansard.store import numbers, queries, ranks
from hansard.store.bits import Bits
from hansard.store.driver import fetch
from hansard.store.queries import labels_of
from hansard.store.ranges import LISTED, Label, Place
from hansard.store.rows import insert_rows
from hansard.store.schema import bitmaps, completions, revisions, windows
from hansard.store.schema import ranks as ranks_table


class Sizes(NamedTuple):
    """How many ``numbers`` a window has, behind how many new ones they are ``listed`` again, and what is too few.

    A label that ``few`` or less of a window carry has no bitmap there: they are as soon looked up. Pages are found by
    bitmaps if a merge might read ``worth_it_from`` entries; None: what is best for the database.
    """

    numbers: int = bitmap.MOST
    listed: int = 512
    few: int = 15
    worth_it_from: int | None = None


FEW: Final = Sizes().few

# So many completions are read at once, in some 10 ms.
_SURVEYED_AT_ONCE: Final = 8_192
_READ_AT_ONCE: Final = 1_000
_ROWS_AT_ONCE: Final = 64

# Whoever took a window on and was not heard of since has ended.
_GIVEN_UP_US: Final = 600 * 1_000_000


class Window(NamedTuple):
    """One whose bitmaps are to be made; ``work`` as it was found. With ``slack`` they go by rank, else by number."""

    project: str
    first_number: int
    last_number: int
    slack: int
    work: int

    @property
    def span(self) -> int:
        return self.last_number - self.first_number + 1


class Look(NamedTuple):
    """The last number given, up to which they are in windows, and windows whose bitmaps are to be made."""

    given: int
    listed: int
    due: Sequence[Window]


class Bounds(NamedTuple):
    """Of the completions of one project, some numbers long."""

    first_created: int
    last_created: int
    slack: int

    def followed_by(self, later: Bounds) -> Bounds:
        between = self.last_created - later.first_created
        first_created = min(self.first_created, later.first_created)
        last_created = max(self.last_created, later.last_created)
        return Bounds(first_created, last_created, max(self.slack, later.slack, between))


class Carried:
    """What was read of a window: its completions, and how far behind its first number those stand with a label."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.by_label: dict[Label, array[int]] = {}


OF_BITS: Final = ("project", "key", "value", "first_number")
BITMAP: Final = (*OF_BITS, "bits")
"""Columns of ``bitmaps``, of which the first ones are its key."""

_OF_WINDOW: Final = (
    windows.c.project == bindparam("of_project"),
    windows.c.first_number == bindparam("of_first"),
)


# Listing


def look(connection: Connection, *, now_us: int) -> Look:
    listed = connection.scalar(_LISTED) or 0
    stale = {"listed": listed, "given_up": now_us - _GIVEN_UP_US}
    due = [Window(*row) for row in connection.execute(_DUE, stale)]
    return Look(numbers.counter(connection), listed, due)


def next_listed(seen: Look, listed: int, sizes: Sizes) -> int | None:
    """Up to which number to go on listing; None if there are too few new ones, or too few for a window at all."""
    if seen.given < sizes.numbers or seen.given - listed < sizes.listed:
        return None
    end = (listed // sizes.numbers + 1) * sizes.numbers
    return min(seen.given, end, listed + _SURVEYED_AT_ONCE)


def survey(connection: Connection, listed: int, until: int) -> Mapping[str, Bounds]:
    """The bounds of what each project has behind the one number, up to the other. Reads only."""
    found: dict[str, Bounds] = {}
    for project, created in _numbered(connection, listed, until):
        one = Bounds(created, created, 0)
        found[project] = found[project].followed_by(one) if project in found else one
    return found


def _numbered(connection: Connection, listed: int, until: int) -> Iterator[tuple[str, int]]:
    values = {"listed": listed, "until": until}
    if connection.dialect.name == "sqlite":
        yield from fetch(connection, _NUMBERED, values)
        return
    project = ""
    while (following := connection.scalar(_NEXT_PROJECT, {"after": project})) is not None:
        project = following
        yield from fetch(connection, _NUMBERED_OF_PROJECT, {**values, "project": project})


def add(connection: Connection, found: Mapping[str, Bounds], *, listed: int, until: int, sizes: Sizes) -> bool:
    """Put them into their windows; False if another server was first."""
    raise_it = _RAISE_LISTED if listed else _BEGIN_LISTED
    if not connection.execute(raise_it, {"listed": listed, "until": until} if listed else {"until": until}).rowcount:
        return False
    first = listed // sizes.numbers * sizes.numbers + 1
    for project, bounds in found.items():
        before = connection.execute(_BOUNDS, {"of_project": project, "of_first": first}).one_or_none()
        now = bounds if before is None else Bounds(*before).followed_by(bounds)
        row = (project, first, first + sizes.numbers - 1, *now, 0)
        insert_rows(connection, windows, _WINDOW, [row], or_else=_WIDER)
    return True


# Making bitmaps


def take(connection: Connection, window: Window, *, now_us: int) -> Window | None:
    """Whoever gets it back makes its bitmaps; None if it is another's, or gone."""
    place = {"of_project": window.project, "of_first": window.first_number}
    taken = connection.execute(_TAKE, {**place, "seen": window.work, "new_work": now_us}).rowcount
    if not taken:
        return None
    _drop_bits(connection, window.project, window.first_number, window.last_number)  # another one's, half-done
    return window._replace(work=now_us)


def read(connection: Connection, window: Window, carried: Carried, *, after: int) -> int | None:
    """Add what the next ones carry; the number of the last of them, None if there are no more. Reads only."""
    values = {"project": window.project, "after": after, "last": window.last_number, "most": _READ_AT_ONCE}
    rows = fetch(connection, _CARRYING[connection.dialect.name], values)
    for number, created, model, requested_model, metadata in rows:
        carried.places.append((created, number))
        for label in labels_of((model, requested_model), queries.decoded(metadata).items()):
            carried.by_label.setdefault(label, array("H")).append(number - window.first_number)
    return rows[-1][0] if rows else None


def to_write(window: Window, carried: Carried, *, few: int) -> Iterator[Callable[[Connection], bool]]:
    """What is to be kept of it, in pieces. Nobody reads any of them before all are there."""
    bits_of = array("H", range(window.span))
    if window.slack:
        carried.places.sort()
        for rank, (_, number) in enumerate(carried.places):
            bits_of[number - window.first_number] = rank
        in_order = ranks.rows(window.first_number, carried.places)
        for start in range(0, len(in_order), _ROWS_AT_ONCE):
            yield partial(write_ranks, window=window, some=in_order[start : start + _ROWS_AT_ONCE])
    some = [
        (label, bitmap.packed((bits_of[offset] for offset in offsets), window.span))
        for label, offsets in carried.by_label.items()
        if len(offsets) > few
    ]
    for start in range(0, len(some), _ROWS_AT_ONCE):
        yield partial(write, window=window, some=some[start : start + _ROWS_AT_ONCE])


def write_ranks(connection: Connection, window: Window, some: Sequence[tuple[int, int, bytes]]) -> bool:
    """Keep this part of its order; False if it has to be done again."""
    if not _is_ours(connection, window):
        return False
    ranks.keep(connection, window.project, some)
    return True


def write(connection: Connection, window: Window, some: Sequence[tuple[Label, Bits]]) -> bool:
    """Keep these bitmaps; False if it has to be done again."""
    if not _is_ours(connection, window):
        return False
    rows = [(window.project, *label, window.first_number, bits) for label, bits in some]
    insert_rows(connection, bitmaps, BITMAP, rows)
    return True


def finish(connection: Connection, window: Window) -> bool:
    """Let them be read; False if it has to be done again."""
    if not _is_ours(connection, window):
        return False
    place = {"of_project": window.project, "of_first": window.first_number}
    connection.execute(_SET_WORK, {**place, "new_work": None})
    return True


def _is_ours(connection: Connection, window: Window) -> bool:
    place = {"of_project": window.project, "of_first": window.first_number}
    return connection.scalar(_WORK, place) == window.work


# Forgetting


def drop_empty(connection: Connection, *, listed: int) -> None:
    """Forget the oldest window of each project if nothing is left in it, and nothing can come."""
    for project, first, last in connection.execute(_OLDEST, {"listed": listed}).all():
        values = {"project": project, "after": first - 1, "last": last, "most": 1}
        if not fetch(connection, _CARRYING[connection.dialect.name], values):
            connection.execute(_DROP, {"of_project": project, "of_first": first})
            _drop_bits(connection, project, first, last)


def _drop_bits(connection: Connection, project: str, first: int, last: int) -> None:
    connection.execute(_DROP_BITMAPS, {"of_project": project, "of_first": first})
    ranks.drop(connection, project, first, last)


def forget(connection: Connection) -> None:
    """All of it, so that it is made anew: what it is made of has come in another way than by being stored."""
    for table in (bitmaps, ranks_table, windows):
        connection.execute(delete(table))
    connection.execute(delete(revisions).where(revisions.c.name == LISTED))


_WINDOW: Final = ("project", "first_number", "last_number", *Bounds._fields, "work")
_WIDER: Final = "ON CONFLICT (project, first_number) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in Bounds._fields
)

_LISTED: Final = select(revisions.c.number).where(revisions.c.name == LISTED)
_DUE: Final = (
    select(*(windows.c[name] for name in Window._fields))
    .where(
        windows.c.work.is_not(None),
        windows.c.work < bindparam("given_up"),
        windows.c.last_number <= bindparam("listed"),
    )
    .order_by(windows.c.project, windows.c.first_number)
)

_NUMBERED: Final = (
    select(completions.c.project, completions.c.created)
    .where(completions.c.number > bindparam("listed"), completions.c.number <= bindparam("until"))
    .order_by(completions.c.number)
)
_NUMBERED_OF_PROJECT: Final = _NUMBERED.where(completions.c.project == bindparam("project"))
_NEXT_PROJECT: Final = select(func.min(completions.c.project)).where(completions.c.project > bindparam("after"))

_RAISE_LISTED: Final = (
    update(revisions)
    .where(revisions.c.name == LISTED, revisions.c.number == bindparam("listed"))
    .values(number=bindparam("until"))
)
_BEGIN_LISTED: Final = text(
    f"INSERT INTO revisions (name, number) VALUES ('{LISTED}', :until) ON CONFLICT DO NOTHING"  # noqa: S608 - ours
)
_BOUNDS: Final = select(*(windows.c[name] for name in Bounds._fields)).where(*_OF_WINDOW)

_TAKE: Final = (
    update(windows).where(*_OF_WINDOW, windows.c.work == bindparam("seen")).values(work=bindparam("new_work"))
)
_SET_WORK: Final = update(windows).where(*_OF_WINDOW).values(work=bindparam("new_work"))
_WORK: Final = select(windows.c.work).where(*_OF_WINDOW).with_for_update()
_DROP: Final = delete(windows).where(*_OF_WINDOW)
_DROP_BITMAPS: Final = delete(bitmaps).where(
    bitmaps.c.project == bindparam("of_project"), bitmaps.c.first_number == bindparam("of_first")
)


def _carrying(of_project: ColumnElement[bool]) -> Select[Any]:
    """By number, of which there are no more than a window has."""
    return (
        select(
            completions.c.number,
            completions.c.created,
            completions.c.model,
            completions.c.requested_model,
            completions.c.metadata,
        )
        .where(of_project, completions.c.number > bindparam("after"), completions.c.number <= bindparam("last"))
        .order_by(completions.c.number)
        .limit(bindparam("most"))
    )


# As in ``queries``: the concatenation keeps SQLite from the project's index.
_CARRYING: Final = {
    "sqlite": _carrying(completions.c.project.concat("") == bindparam("project")),
    "postgresql": _carrying(completions.c.project == bindparam("project")),
}

_OLDEST: Final = (
    select(windows.c.project, func.min(windows.c.first_number), func.min(windows.c.last_number))
    .group_by(windows.c.project)
    .having(func.min(windows.c.last_number) <= bindparam("listed"))
)

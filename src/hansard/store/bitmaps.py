"""Which completions carry several labels, by bitmaps: a bit for each completion of a window, for each label in it.

A bitmap has every completion of its window that carries the label, and of others only such as are deleted, most of
which are noted in a bitmap of their own. So what several have in common is on the page if it is there. Bits are in the
order of time: that of numbers, or where that is another, of ``ranks``. Where a label has none (few carry it there, or
nobody has made it yet), and behind the last window, ranges are merged as without any. ``windows`` makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby, islice
from math import ceil, inf, prod
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, literal, literal_column, select

from hansard.core.paging import Order
from hansard.store import bits as bitmap
from hansard.store import ranges, ranks
from hansard.store.base import Cursor
from hansard.store.bits import Bits
from hansard.store.driver import fetch
from hansard.store.ranges import GONE, Asked, Label, Place, Stretch
from hansard.store.schema import bitmaps, completions, windows

WORTH_IT_FROM: Final = "hansard_bitmaps"
"""The option of an engine that says of how many entries a merge may be at most before bitmaps are looked at."""

# Bitmaps take two statements more. A page of what carries one label of 0.1 % and one of 1 % of a million (11,000
# entries) takes SQLite 1.1 ms instead of 1.7; PostgreSQL, which has to plan each statement, 3.4 instead of 2.9.
_WORTH_IT_FROM: Final = {"sqlite": 5_000, "postgresql": 50_000}

_MOST_AT_ONCE: Final = 64
_MOST_LOOKED_UP: Final = 1_024
_BEYOND: Final = 2**62


LookUp: TypeAlias = Callable[[Sequence[int]], Sequence[Place]]
"""Which of these numbers are there, and their seconds: whoever wants the completions reads them at once."""


class Window(NamedTuple):
    """One of a project's, with the bitmap of each label that was asked for. If ``is_ranked``, bits are ranks."""

    stretch: Stretch
    is_ranked: bool
    gone: Bits | None
    bits: tuple[Bits | None, ...]

    @property
    def span(self) -> int:
        return self.stretch.last_number - self.stretch.first_number + 1


def numbers(
    connection: Connection,
    project: str,
    wanted: Collection[Label],
    *,
    after: Cursor | None,
    order: Order,
    limit: int,
    look_up: LookUp,
) -> Sequence[int]:
    """The first ``limit`` past ``after`` of those that carry every label."""
    asked = ranges.page_of(connection, project, wanted, after=after, order=order, limit=limit)
    if asked.listed is None or ranges.most_read(asked) < _worth_it_from(connection):
        return [number for _, number in ranges.places(connection, asked)]
    return _Page(connection, asked, look_up, listed=asked.listed).numbers()


def _worth_it_from(connection: Connection) -> int:
    told = connection.get_execution_options().get(WORTH_IT_FROM)
    return _WORTH_IT_FROM[connection.dialect.name] if told is None else told


class _Page:
    """What is found of a page so far; what may be of it waits, by its window and bit, to be looked up together."""

    def __init__(self, connection: Connection, asked: Asked, look_up: LookUp, *, listed: int) -> None:
        self._connection = connection
        self._there = look_up
        self._asked = asked
        self._rises = asked.order == "asc"
        self._listed = listed
        # As if labels had nothing to do with each other.
        expected = bitmap.MOST * prod(count / max(asked.total, 1) for count in asked.counts)
        self._at_first = min(_MOST_AT_ONCE, 1 + ceil(asked.limit / max(expected, 0.1)))
        self._found: set[Place] = set()
        self._waiting: list[tuple[Window, int]] = []
        self._later: list[Stretch] = []

    def numbers(self) -> Sequence[int]:
        if self._rises:
            self._look_into_windows()
            self._look_behind()
        else:
            self._look_behind()
            self._look_into_windows()
        for stretch in self._later:
            if not self._is_full(stretch):
                self._merge(self._narrowed(stretch))
        return [number for _, number in self._in_order()[: self._asked.limit]]

    def _look_into_windows(self) -> None:
        for is_bare, some in groupby(self._windows(), key=lambda window: None in window.bits):
            look = self._look_into_ranges if is_bare else self._look_into_bitmaps
            if look(some):
                break
        self._look_up()

    def _look_into_ranges(self, some: Iterator[Window]) -> bool:
        """Whether the page is full. Windows that lie side by side are one range."""
        stretches = [window.stretch for window in some]
        self._look_up()
        if self._is_full(stretches[0]):
            return True
        self._merge_in_its_turn(_joined(stretches))
        return False

    def _merge_in_its_turn(self, stretch: Stretch) -> None:
        """At once if the page is about there, else last, when bitmaps have told how far the page goes.

        One that was created by a wrong clock makes a stretch long, and to merge all of that takes long.
        """
        after = self._asked.after
        is_there = not self._rises if after is None else stretch.first_number <= after.number <= stretch.last_number
        if is_there:
            self._merge(stretch)
        else:
            self._later.append(stretch)

    def _merge(self, stretch: Stretch) -> None:
        self._found.update(ranges.places(self._connection, self._asked, within=stretch))

    def _narrowed(self, stretch: Stretch) -> Stretch:
        """As much of it as may be on the page."""
        if len(self._found) < self._asked.limit:
            return stretch
        last, _ = self._in_order()[self._asked.limit - 1]
        if self._rises:
            return stretch._replace(last_created=min(stretch.last_created, last))
        return stretch._replace(first_created=max(stretch.first_created, last))

    def _look_into_bitmaps(self, some: Iterator[Window]) -> bool:
        """Whether the page is full."""
        for window in some:
            if self._is_full(window.stretch):
                return True
            self._look_into(window)
        return False

    def _look_into(self, window: Window) -> None:
        """Its completions in their order, as far as none behind belongs on the page."""
        candidates, more = self._candidates(window), 1
        while True:
            missing = self._asked.limit - len(self._found) - len(self._waiting)
            at_once = max(missing, more)
            self._waiting += (some := [(window, bit) for bit in islice(candidates, at_once)])
            if len(some) < at_once:
                return
            inside = range(window.stretch.first_number, window.stretch.last_number + 1)
            there = [place for place in self._look_up() if place[1] in inside]
            if there and self._is_full_before(*(max(there) if self._rises else min(there))):
                return
            more = min(2 * at_once, _MOST_LOOKED_UP)

    def _candidates(self, window: Window) -> Iterator[int]:
        """All the bits, in order, but for those that are surely not past the cursor."""
        met = bitmap.common([bits for bits in window.bits if bits is not None], window.span)
        if met and window.gone is not None:
            met = bitmap.without(met, window.gone, window.span)
        low, high = 0, window.span - 1
        after = self._asked.after
        if met and after is not None and window.stretch.first_created <= after.created <= window.stretch.last_created:
            bound = self._surely_not_past(after, window)
            low, high = (bound or low, high) if self._rises else (low, high if bound is None else bound)
        return bitmap.between(met, low, high, self._asked.order)

    def _surely_not_past(self, after: Cursor, window: Window) -> int | None:
        """A bit before which, in the order, is none past the cursor."""
        if window.is_ranked:
            return ranks.bound(
                self._connection, self._asked.project, window.stretch, created=after.created, order=self._asked.order
            )
        first, last = window.stretch[:2]
        values = {"project": self._asked.project, "created": after.created, "first_number": first, "last_number": last}
        rows = fetch(self._connection, _NEAR[self._asked.order], values)
        return rows[0][0] - first if rows else None

    def _look_behind(self) -> None:
        """What is in no window yet."""
        values = {"project": self._asked.project, "listed": self._listed}
        ((first_created,),) = fetch(self._connection, _BEHIND[self._connection.dialect.name], values)
        if first_created is not None:
            stretch = Stretch(self._listed + 1, _BEYOND, first_created, _BEYOND)
            if not self._is_full(stretch):
                self._merge_in_its_turn(stretch)

    def _windows(self) -> Iterator[Window]:
        """In the order of the page, those that may have some of it."""
        asked = self._asked
        statement = _windows(len(asked.labels), asked.order, asked.after is not None)
        values: dict[str, Any] = {"project": asked.project, **ranges.named(asked.labels)}
        if asked.after is not None:
            values["created"] = asked.after.created
        skipped, most = 0, self._at_first
        while True:
            rows = fetch(self._connection, statement, {**values, "skipped": skipped, "most": most})
            for row in rows:
                yield Window(Stretch(*row[:4]), row[4] > 0, row[5], row[6:])
            if len(rows) < most:
                return
            skipped, most = skipped + most, min(2 * most, _MOST_AT_ONCE)

    def _look_up(self) -> Sequence[Place]:
        """Which of those that wait are there."""
        some = [window.stretch.first_number + bit for window, bit in self._waiting if not window.is_ranked]
        ranked = [(window.stretch.first_number, bit) for window, bit in self._waiting if window.is_ranked]
        if ranked:
            some += ranks.numbers(self._connection, self._asked.project, ranked)
        self._waiting = []
        places = self._there(some) if some else []
        self._found.update(place for place in places if self._is_past(place))
        return places

    def _is_past(self, place: Place) -> bool:
        after = self._asked.after
        if after is None:
            return True
        cursor = (after.created, after.number)
        return place > cursor if self._rises else place < cursor

    def _is_full(self, behind: Stretch) -> bool:
        """Whether neither that stretch nor any behind it has something that belongs on the page."""
        if self._rises:
            return self._is_full_before(behind.first_created, 0)
        return self._is_full_before(behind.last_created, inf)

    def _is_full_before(self, created: int, number: float) -> bool:
        """Whether nothing behind that place belongs on the page."""
        if len(self._found) < self._asked.limit:
            return False
        last = self._in_order()[self._asked.limit - 1]
        return last <= (created, number) if self._rises else last >= (created, number)

    def _in_order(self) -> Sequence[Place]:
        return sorted(self._found, reverse=not self._rises)


def _joined(some: Sequence[Stretch]) -> Stretch:
    first_numbers, last_numbers, first_seconds, last_seconds = zip(*some, strict=True)
    return Stretch(min(first_numbers), max(last_numbers), min(first_seconds), max(last_seconds))


_OF_PROJECT: Final = completions.c.project == bindparam("project")


@cache
def _windows(labels: int, order: Order, past: bool) -> Select[Any]:  # noqa: FBT001 - what makes two texts differ
    rises = order == "asc"
    near, far = (windows.c.first_created, windows.c.last_created)[:: 1 if rises else -1]
    found = select(
        windows.c.first_number,
        windows.c.last_number,
        windows.c.first_created,
        windows.c.last_created,
        windows.c.slack,
        _bits(literal(GONE[0]), literal(GONE[1])),
        *(_bits(bindparam(f"key_{n}"), bindparam(f"value_{n}")) for n in range(labels)),
    ).where(windows.c.project == bindparam("project"))
    if past:
        # The sum keeps SQLite from the other index, whose windows it would have to sort, with all their bitmaps read.
        plain = far + literal_column("0")
        found = found.where(plain >= bindparam("created") if rises else plain <= bindparam("created"))
    in_order = (near, windows.c.first_number) if rises else (near.desc(), windows.c.first_number.desc())
    return found.order_by(*in_order).limit(bindparam("most")).offset(bindparam("skipped"))


def _bits(key: ColumnElement[Any], value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Of that label; none while they are being made."""
    return (
        select(bitmaps.c.bits)
        .where(
            bitmaps.c.project == bindparam("project"),
            bitmaps.c.key == key,
            bitmaps.c.value == value,
            bitmaps.c.first_number == windows.c.first_number,
            windows.c.work.is_(None),
        )
        .correlate(windows)
        .scalar_subquery()
    )


# In a window that is in order nothing with a smaller number than the last before the cursor's second is past it. The
# other way round likewise.
_INSIDE: Final = (completions.c.number >= bindparam("first_number"), completions.c.number <= bindparam("last_number"))
_NEAR: Final[Mapping[Order, Select[Any]]] = {
    "asc": select(completions.c.number)
    .where(_OF_PROJECT, completions.c.created < bindparam("created"), *_INSIDE)
    .order_by(completions.c.created.desc(), completions.c.number.desc())
    .limit(1),
    "desc": select(completions.c.number)
    .where(_OF_PROJECT, completions.c.created > bindparam("created"), *_INSIDE)
    .order_by(completions.c.created, completions.c.number)
    .limit(1),
}


def _behind(of_project: ColumnElement[bool]) -> Select[Any]:
    """When the first of those behind the windows was created. Told to go by number, of which there are few."""
    some = (
        select(completions.c.created)
        .where(of_project, completions.c.number > bindparam("listed"))
        .order_by(completions.c.number)
        .limit(2**62)
        .subquery()
    )
    return select(func.min(some.c.created))


# As in ``queries``: the concatenation keeps SQLite from the project's index.
_BEHIND: Final = {
    "sqlite": _behind(completions.c.project.concat("") == bindparam("project")),
    "postgresql": _behind(_OF_PROJECT),
}

"""How bitmaps follow what happens to completions in their window: other labels, or the end.

From when a window is taken on (``windows``), whoever changes a completion there sees to it, in the same transaction,
which is the caller's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, bindparam, literal_column, select, union_all, update
from sqlalchemy.sql import ClauseElement

from hansard.store import bits as bitmap
from hansard.store import ranks
from hansard.store.bits import Bits
from hansard.store.driver import fetch
from hansard.store.ranges import GONE, Label, Place, Stretch
from hansard.store.rows import filled, find_rows, insert_rows
from hansard.store.schema import bitmaps, labels, windows
from hansard.store.windows import BITMAP, FEW, OF_BITS


class _Around(NamedTuple):
    """The window around a number."""

    stretch: Stretch
    slack: int
    work: int | None


def relabel(
    connection: Connection, project: str, place: Place, *, gained: Collection[Label], lost: Collection[Label]
) -> None:
    """Tell the bitmaps, if they are made or about to be, of a completion whose labels have changed just now."""
    around = _around(connection, project, place[1])
    if around is None or around.work == 0:
        return
    if around.work is not None:
        connection.execute(_TO_BE_MADE_ANEW, {"of_project": project, "of_first": around.stretch.first_number})
        return
    now = _changed(connection, project, around, _bits_of(connection, project, around, [place]), on=gained, off=lost)
    for label, carriers in _carriers(connection, project, around, sorted({*gained} - now.keys())):
        if len(carriers) > FEW:
            now[label] = bitmap.packed(_bits_of(connection, project, around, carriers), _span(around))
    _put(connection, project, around, now)


def leave_out(connection: Connection, project: str, places: Collection[Place]) -> None:
    """Note in the bitmaps that these, which are deleted just now, are gone."""
    left = sorted(places, key=lambda place: place[1])
    while left and (around := _around(connection, project, left[0][1])) is not None:
        last = around.stretch.last_number
        some, left = [place for place in left if place[1] <= last], [place for place in left if place[1] > last]
        if around.work is not None:
            continue
        bits = _bits_of(connection, project, around, some)
        if bits:
            now = _changed(connection, project, around, bits, on=[GONE])
            _put(connection, project, around, now or {GONE: bitmap.packed(bits, _span(around))})


def _around(connection: Connection, project: str, number: int) -> _Around | None:
    """The window, if it has come into one; locked, if that has bitmaps, or somebody makes them.

    Who changes bits waits here for whoever else does so in the window, and the other way. Who takes it on only later
    waits for the end of this transaction before he reads.
    """
    found = None
    for statement in (_AROUND, _AROUND_LOCKED):
        rows = fetch(connection, statement, {"project": project, "number": number})
        if not rows or number > rows[0][1]:
            return None
        *stretch, slack, work = rows[0]
        found = _Around(Stretch(*stretch), slack, work)
        if found.work == 0:
            break
    return found


def _bits_of(connection: Connection, project: str, window: _Around, places: Collection[Place]) -> Collection[int]:
    """Which bits stand for these."""
    if not window.slack:
        return [number - window.stretch.first_number for _, number in places]
    return ranks.of(connection, project, window.stretch, places).values()


def _changed(
    connection: Connection,
    project: str,
    window: _Around,
    some: Collection[int],
    *,
    on: Collection[Label],
    off: Collection[Label] = (),
) -> dict[Label, Bits]:
    """The bitmaps of these labels, where there are any, with these bits set and not set."""
    named = [(project, *label, window.stretch.first_number) for label in sorted({*on, *off})]
    kept = find_rows(connection, bitmaps, OF_BITS, named, _SHOWN)
    return {
        (key, value): bitmap.changed(bytes(bits), some, _span(window), on=(key, value) in on)
        for key, value, bits in kept
    }


def _put(connection: Connection, project: str, window: _Around, now: Mapping[Label, Bits]) -> None:
    rows = [(project, *label, window.stretch.first_number, bits) for label, bits in now.items()]
    insert_rows(connection, bitmaps, BITMAP, rows, or_else=_ANEW)


def _carriers(
    connection: Connection, project: str, window: _Around, some: Sequence[Label]
) -> Iterator[tuple[Label, Sequence[Place]]]:
    """Which completions of the window carry each of these labels."""
    if not some:
        return
    asked = filled(some)
    named = {
        f"{part}_{n}": text for n, (key, value) in enumerate(asked) for part, text in (("key", key), ("value", value))
    }
    values = {"project": project, **named, **window.stretch._asdict()}
    carried: list[list[Place]] = [[] for _ in asked]
    for n, created, number in fetch(connection, _carriers_of(len(asked)), values):
        carried[n].append((created, number))
    yield from zip(some, carried, strict=False)  # what is only there to fill comes last


def _span(window: _Around) -> int:
    return window.stretch.last_number - window.stretch.first_number + 1


_SHOWN: Final = ("key", "value", "bits")
_ANEW: Final = f"ON CONFLICT ({', '.join(OF_BITS)}) DO UPDATE SET bits = excluded.bits"

_TO_BE_MADE_ANEW: Final = (
    update(windows)
    .where(windows.c.project == bindparam("of_project"), windows.c.first_number == bindparam("of_first"))
    .values(work=0)
)
_AROUND: Final = (
    select(
        windows.c.first_number,
        windows.c.last_number,
        windows.c.first_created,
        windows.c.last_created,
        windows.c.slack,
        windows.c.work,
    )
    .where(windows.c.project == bindparam("project"), windows.c.first_number <= bindparam("number"))
    .order_by(windows.c.first_number.desc())
    .limit(1)
)
_AROUND_LOCKED: Final = _AROUND.with_for_update()


def _carrying_label(*shown: ColumnElement[Any], n: str = "") -> Select[Any]:
    """In the bounds of a window."""
    return select(*shown, labels.c.created, labels.c.number).where(
        labels.c.project == bindparam("project"),
        labels.c.key == bindparam(f"key{n}"),
        labels.c.value == bindparam(f"value{n}"),
        labels.c.created >= bindparam("first_created"),
        labels.c.created <= bindparam("last_created"),
        labels.c.number >= bindparam("first_number"),
        labels.c.number <= bindparam("last_number"),
    )


CARRIERS: Final = _carrying_label()


@cache
def _carriers_of(count: int) -> ClauseElement:
    """Of so many labels, each with its number among them."""
    return union_all(*(_carrying_label(literal_column(str(n)), n=f"_{n}") for n in range(count)))

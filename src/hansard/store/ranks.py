"""The order of a window's completions by time, where that is not the order of their numbers.

There the bits of a window go by rank: 0 is the first of it by second and number. What is deleted keeps its rank. A row
has ``AT_ONCE`` of them, two bytes each: how far the number of the completion lies behind the first of the window.
Elsewhere, which is where no request overlaps a later one by a second, no row is kept, and bits go by number.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import ARRAY, BigInteger, BindParameter, Connection, Select, bindparam, delete, func, select

from hansard.core.paging import Order
from hansard.store.driver import fetch, tell
from hansard.store.ranges import Place, Stretch
from hansard.store.rows import filled, insert_rows
from hansard.store.schema import ranks

AT_ONCE: Final = 64

# Bounds the parameters of a statement, and how many texts there are to keep prepared.
_MOST_ROWS: Final = 128

_Row = tuple[int, int, bytes]
"""Place, second of the first, and numbers."""


def rows(first_number: int, places: Sequence[Place]) -> Sequence[_Row]:
    """What is to be kept of a window with these, which are in order."""
    return [
        (first_number + rank, places[rank][0], _packed(number - first_number for _, number in some))
        for rank in range(0, len(places), AT_ONCE)
        if (some := places[rank : rank + AT_ONCE])
    ]


def keep(connection: Connection, project: str, some: Sequence[_Row]) -> None:
    insert_rows(connection, ranks, _COLUMNS, [(project, *row) for row in some])


def drop(connection: Connection, project: str, first_number: int, last_number: int) -> None:
    tell(connection, _DROP, {"of_project": project, "first_number": first_number, "last_number": last_number})


def numbers(connection: Connection, project: str, some: Sequence[tuple[int, int]]) -> list[int]:
    """Of these, each told by the first number of its window and its rank there."""
    starts = sorted({first + rank // AT_ONCE * AT_ONCE for first, rank in some})
    kept = {}
    for start in range(0, len(starts), _MOST_ROWS):
        statement, values = _AT[connection.dialect.name](starts[start : start + _MOST_ROWS])
        for place, packed in fetch(connection, statement, {"project": project, **values}):
            kept[place] = _unpacked(packed)
    found = ((first, rank, kept.get(first + rank // AT_ONCE * AT_ONCE, ())) for first, rank in some)
    return [first + offsets[rank % AT_ONCE] for first, rank, offsets in found if rank % AT_ONCE < len(offsets)]


def bound(connection: Connection, project: str, window: Stretch, *, created: int, order: Order) -> int | None:
    """A rank before which, in the order, none is past that second; None: perhaps there is one before all of them."""
    values = {**_of(window), "project": project, "created": created}
    found = fetch(connection, _BOUND[order], values)
    return found[0][0] - window.first_number if found else None


def of(connection: Connection, project: str, window: Stretch, places: Collection[Place]) -> Mapping[int, int]:
    """The ranks of these completions of the window, by their numbers."""
    seconds, wanted = [created for created, _ in places], {number for _, number in places}
    values = {**_of(window), "project": project, "created": min(seconds), "last_created": max(seconds)}
    found = {}
    for place, packed in fetch(connection, _AMONG, values):
        for rank, offset in enumerate(_unpacked(packed), place - window.first_number):
            if window.first_number + offset in wanted:
                found[window.first_number + offset] = rank
    return found


def all_of(connection: Connection, project: str, window: Stretch) -> Mapping[int, int]:
    """The ranks of all completions of the window, by their numbers."""
    kept = fetch(connection, _ALL, {**_of(window), "project": project})
    return {
        window.first_number + offset: rank
        for place, packed in kept
        for rank, offset in enumerate(_unpacked(packed), place - window.first_number)
    }


def _of(window: Stretch) -> dict[str, Any]:
    return {"first_number": window.first_number, "last_number": window.last_number}


def _packed(offsets: Iterator[int]) -> bytes:
    return _little(array("H", offsets)).tobytes()


def _unpacked(packed: bytes) -> array[int]:
    return _little(array("H", packed))


def _little(some: array[int]) -> array[int]:
    if sys.byteorder == "big":
        some.byteswap()
    return some


_COLUMNS: Final = ("project", "place", "created", "numbers")
_OF_PROJECT: Final = ranks.c.project == bindparam("project")
_OF_WINDOW: Final = (ranks.c.place >= bindparam("first_number"), ranks.c.place <= bindparam("last_number"))

_DROP: Final = delete(ranks).where(ranks.c.project == bindparam("of_project"), *_OF_WINDOW)

_EARLIER: Final = (
    select(ranks.c.place)
    .where(_OF_PROJECT, *_OF_WINDOW, ranks.c.created < bindparam("created"))
    .order_by(ranks.c.place.desc())
    .limit(1)
)
_LATER: Final = (
    select(ranks.c.place)
    .where(_OF_PROJECT, *_OF_WINDOW, ranks.c.created > bindparam("created"))
    .order_by(ranks.c.place)
    .limit(1)
)
_BOUND: Final[Mapping[Order, Select[Any]]] = {"asc": _EARLIER, "desc": _LATER}

_ALL: Final = select(ranks.c.place, ranks.c.numbers).where(_OF_PROJECT, *_OF_WINDOW).order_by(ranks.c.place)
_AMONG: Final = _ALL.where(
    ranks.c.created <= bindparam("last_created"),
    ranks.c.place >= func.coalesce(_EARLIER.scalar_subquery(), bindparam("first_number", type_=BigInteger)),
)


@cache
def _at(count: int) -> Select[Any]:
    places: list[BindParameter[int]] = [bindparam(f"place_{n}") for n in range(count)]
    return select(ranks.c.place, ranks.c.numbers).where(_OF_PROJECT, ranks.c.place.in_(places))


def _at_in_file(places: Sequence[int]) -> tuple[Select[Any], Mapping[str, object]]:
    some = filled(places)
    return _at(len(some)), {f"place_{n}": each for n, each in enumerate(some)}


_WANTED: Final = (
    func.unnest(bindparam("places", type_=ARRAY(BigInteger))).table_valued("place", name="wanted").render_derived()
)
_AT_IN_SERVER: Final = select(ranks.c.place, ranks.c.numbers).where(_OF_PROJECT, ranks.c.place == _WANTED.c.place)
_AT: Final[Mapping[str, Callable[[Sequence[int]], tuple[Select[Any], Mapping[str, object]]]]] = {
    "sqlite": _at_in_file,
    "postgresql": lambda some: (_AT_IN_SERVER, {"places": list(some)}),
}

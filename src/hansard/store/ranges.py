"""Which completions are on a page: their numbers, from ranges of one index.

Every label's completions lie in one range of ``labels``, in the order of a page. Ranges of about the same length are
read side by side, as a merge, as far as the page needs; the completions of a far longer one are looked up, each by its
full key, for those of the shortest. A page without a label is a range of all completions. Which completions carry
several labels may be known already, for most of them: ``bitmaps``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Connection,
    FromClause,
    Select,
    and_,
    asc,
    bindparam,
    desc,
    func,
    intersect,
    select,
    tuple_,
)

from hansard.core.paging import Order
from hansard.store.base import Cursor
from hansard.store.driver import fetch, run
from hansard.store.schema import completions, facets, labels, revisions

Label: TypeAlias = tuple[str, str]
"""A key, spelled as in the query string of a list, and the value it must equal."""

ALL: Final[Label] = ("", "")
"""What every completion counts (``facets``)."""

GONE: Final = ALL
"""What in a window's bitmaps stands for those that are deleted. Where there is none, none is."""

LISTED: Final = "windows"
"""The name in ``revisions`` of the number up to which completions are in windows."""

_Statement: TypeAlias = Select[Any] | CompoundSelect[Any]

CLOSE: Final = 16
"""How many entries of a range are read in the time of one look-up, about: 0.3 us against 3 to 6 on SQLite."""

# PostgreSQL merges only if it may, and then does so whatever it thinks of the ranges' lengths. The statements after
# this one are as they were.
_TO_MERGE: Final = {
    "sqlite": None,
    "postgresql": (
        "SET LOCAL enable_mergejoin = on; SET LOCAL enable_nestloop = off",
        "SET LOCAL enable_mergejoin = off; SET LOCAL enable_nestloop = on",
    ),
}


Place: TypeAlias = tuple[int, int]
"""Created and number of a completion: where it stands in the order of a page."""


class Stretch(NamedTuple):
    """Completions with these numbers, and the seconds in which they were created: all bounds are of it."""

    first_number: int
    last_number: int
    first_created: int
    last_created: int


class Asked(NamedTuple):
    """A page: the labels, of which the rarest leads, and how many completions carry each, of how many.

    Up to the number ``listed``, if any, completions are in windows. Of a single label neither makes a difference.
    """

    project: str
    labels: tuple[Label, ...]
    counts: tuple[int, ...]
    total: int
    listed: int | None
    after: Cursor | None
    order: Order
    limit: int


class _Shape(NamedTuple):
    """All that makes two statements differ: built once each, since building takes longer than a short range."""

    dialect: str
    merged: int
    looked_up: int
    order: Order
    past: bool
    within: bool


def page_of(
    connection: Connection,
    project: str,
    wanted: Collection[Label],
    *,
    after: Cursor | None,
    order: Order,
    limit: int,
) -> Asked:
    counts, total, listed = _counted(connection, project, wanted)
    # In an order of our own, since planners have been seen to choose otherwise: the rarest leads.
    labels_asked = tuple(sorted(counts, key=lambda label: (counts[label], label)))
    in_order = tuple(counts[label] for label in labels_asked)
    return Asked(project, labels_asked, in_order, total, listed, after, order, limit)


def places(connection: Connection, asked: Asked, *, within: Stretch | None = None) -> Sequence[Place]:
    """Those of the page, in its order; only such as lie in the stretch, if one is given."""
    after = asked.after
    if within is not None and after is not None and not _may_be_past(after, asked.order, within):
        return []
    past = after is not None and (within is None or within.first_created <= after.created <= within.last_created)
    merged = sum(count <= CLOSE * asked.counts[0] for count in asked.counts)
    shape = _Shape(connection.dialect.name, merged, len(asked.labels) - merged, asked.order, past, within is not None)
    parameters: dict[str, Any] = {"project": asked.project, "limit": asked.limit} | named(asked.labels)
    if past and after is not None:
        parameters |= {"created": after.created, "number": after.number}
    if within is not None:
        parameters |= within._asdict()
    with _merging(connection, shape):
        return [(created, number) for created, number in fetch(connection, _statement(shape), parameters)]


def most_read(asked: Asked) -> int:
    """How many entries of ranges are read at most for the page, a look-up counted as what it takes."""
    return sum(min(count, CLOSE * asked.counts[0]) for count in asked.counts)


def _may_be_past(after: Cursor, order: Order, within: Stretch) -> bool:
    """Whether something of the stretch may lie past the place; if so and it is not in these seconds, all of it does."""
    return within.last_created >= after.created if order == "asc" else within.first_created <= after.created


def _counted(
    connection: Connection, project: str, wanted: Collection[Label]
) -> tuple[Mapping[Label, int], int, int | None]:
    """How many completions carry each, how many there are, and the last number that is in a window."""
    if len(wanted) < 2:
        return dict.fromkeys(wanted, 0), 0, None
    asked = list(wanted)
    ((*counts, total, listed),) = fetch(connection, _counts(len(asked)), {"project": project} | named([*asked, ALL]))
    return dict(zip(asked, map(int, counts), strict=True)), int(total), listed


def named(some: Sequence[Label]) -> dict[str, str]:
    """The parameters that tell them."""
    return {
        f"{name}_{n}": text for n, label in enumerate(some) for name, text in zip(("key", "value"), label, strict=True)
    }


@contextmanager
def _merging(connection: Connection, shape: _Shape) -> Iterator[None]:
    settings = _TO_MERGE[shape.dialect] if shape.merged > 1 else None
    if settings is None:
        yield
        return
    before, afterwards = settings
    run(connection, before)
    yield
    run(connection, afterwards)


@cache
def _counts(labels_asked: int) -> _Statement:
    """One row with all, so that a server is asked once."""
    total = func.coalesce(func.sum(facets.c.count), 0)
    counts = (select(total).where(*_of(facets, n)).scalar_subquery() for n in range(labels_asked + 1))
    return select(*counts, select(revisions.c.number).where(revisions.c.name == LISTED).scalar_subquery())


@cache
def _statement(shape: _Shape) -> _Statement:
    found = _walk(shape) if not shape.merged else _MERGE[shape.dialect](shape)
    direction = asc if shape.order == "asc" else desc
    return found.order_by(direction("created"), direction("number")).limit(bindparam("limit"))


def _walk(shape: _Shape) -> _Statement:
    of_project = completions.c.project == bindparam("project")
    return select(completions.c.created, completions.c.number).where(of_project, *_past(completions, shape))


def _as_intersection(shape: _Shape) -> _Statement:
    """SQLite runs two ordered queries side by side, as far as is asked for: https://sqlite.org/eqp.html."""
    first, *others = (_range(n, shape) for n in range(shape.merged))
    first = first.where(*_numbered(shape), *_looked_up(shape))
    return intersect(first, *others) if others else first


def _as_join(shape: _Shape) -> _Statement:
    """PostgreSQL would read both queries of an intersection to their ends; a merge join goes as far as is asked for."""
    tables = [labels, *(labels.alias(f"label_{n}") for n in range(1, shape.merged))]
    joined: FromClause = labels
    for other in tables[1:]:
        joined = joined.join(other, and_(*_same(other, "created", "number")))
    conditions = [each for n, table in enumerate(tables) for each in (*_of(table, n), *_past(table, shape))]
    conditions += [*_numbered(shape), *_looked_up(shape)]
    return select(labels.c.created, labels.c.number).select_from(joined).where(*conditions)


_MERGE: Final = {"sqlite": _as_intersection, "postgresql": _as_join}


def _range(n: int, shape: _Shape) -> Select[Any]:
    return select(labels.c.created, labels.c.number).where(*_of(labels, n), *_past(labels, shape))


def _looked_up(shape: _Shape) -> list[ColumnElement[bool]]:
    """For each entry of the first range, by its full key, whether the others have it."""
    conditions: list[ColumnElement[bool]] = []
    for n in range(shape.merged, shape.merged + shape.looked_up):
        also = labels.alias()
        # Not EXISTS: PostgreSQL makes a join of that, and may read the whole range again for each entry.
        there = select(also.c.number).where(*_of(also, n), *_same(also, "created", "number")).correlate(labels)
        conditions.append(there.scalar_subquery().is_not(None))
    return conditions


def _of(table: FromClause, n: int) -> tuple[ColumnElement[bool], ...]:
    """The rows of the label that is told as the n-th."""
    named = {"project": "project", "key": f"key_{n}", "value": f"value_{n}"}
    return tuple(table.c[column] == bindparam(name) for column, name in named.items())


def _same(other: FromClause, *names: str) -> tuple[ColumnElement[bool], ...]:
    return tuple(other.c[name] == labels.c[name] for name in names)


def _past(table: FromClause, shape: _Shape) -> tuple[ColumnElement[bool], ...]:
    """One bound on each side at most: SQLite begins at the first that it is told, be it the wider one."""
    first, last = (table.c.created >= bindparam("first_created"), table.c.created <= bindparam("last_created"))
    bounds = (first, last) if shape.within else ()
    if not shape.past:
        return bounds
    place = tuple_(table.c.created, table.c.number)
    cursor = tuple_(bindparam("created", type_=BigInteger), bindparam("number", type_=BigInteger))
    if shape.order == "asc":
        return (place > cursor, *bounds[1:])
    return (place < cursor, *bounds[:1])


def _numbered(shape: _Shape) -> tuple[ColumnElement[bool], ...]:
    if not shape.within:
        return ()
    return (labels.c.number >= bindparam("first_number"), labels.c.number <= bindparam("last_number"))

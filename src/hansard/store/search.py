"""What is asked of the index of words. Every function runs inside the caller's transaction.

A page is found by walking back from the newest number in windows, between which the time is looked at, so that a
search ends soon after its time is over and can tell where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    select,
    text,
)

from hansard.core.paging import Order, SearchQuery
from hansard.core.words import Term, snippet, texts
from hansard.store import queries
from hansard.store.base import Cursor, Found, Hit
from hansard.store.queries import labels_of, short
from hansard.store.schema import completions, labels
from hansard.store.words import WORDS, mark, pending

# Up to so many matches PostgreSQL is asked for all of them, which takes it a few milliseconds; of more, the newest
# are soon found by walking back.
_FEW: Final = 5_000
_LOOKED_UP_AT_ONCE: Final = 200

_GROWTH: Final = 4

_LABEL: Final = ("key", "value")


class _Windows(NamedTuple):
    """How many numbers are walked over at first, and at most, between two looks at the clock.

    A word in every completion, with a filter that none passes, costs SQLite some 3 microseconds each, and PostgreSQL
    some 30.
    """

    first: int
    largest: int


_Numbers: TypeAlias = Iterator[tuple[Sequence[int], int]]
"""Numbers found, newest first, and down to which number nothing else is to be found."""

_WINDOWS: Final = {"sqlite": _Windows(4_000, 32_000), "postgresql": _Windows(1_000, 16_000)}


class _Shape(NamedTuple):
    """All that makes the statements of two searches differ: built once each, since what one is built of stays until
    the garbage collector comes."""

    is_after: bool
    is_before: bool
    has_reason: bool
    labels: int


def find(connection: Connection, project: str, query: SearchQuery, *, after: Cursor | None, budget_s: float) -> Found:
    """One page, newest first by insertion; what the time allows of it."""
    deadline = time.monotonic() + budget_s
    oldest, newest = _end(connection, project, "asc"), _end(connection, project, "desc")
    high = newest + 1 if after is None else min(after.number, newest + 1)
    numbers: list[int] = []
    down_to = oldest
    asked = _by_list if connection.dialect.name == "postgresql" else _by_walk
    for some, low in asked(connection, project, query, oldest, high):
        numbers += some
        down_to = low
        if len(numbers) > query.limit or time.monotonic() > deadline:
            break
    has_more = len(numbers) > query.limit
    is_over = down_to > oldest and not has_more
    hits = _hits(connection, project, query, numbers[: query.limit])
    next_after = hits[-1].id if has_more and hits else None
    if is_over:
        next_after = _id_from(connection, project, down_to)
    return Found(
        hits=hits,
        has_more=has_more or is_over,
        is_complete=not is_over and pending(connection) == 0,
        next_after=next_after,
    )


def _by_walk(connection: Connection, project: str, query: SearchQuery, oldest: int, high: int) -> _Numbers:
    """Back from the newest, in windows that grow."""
    shape, filtered = _asked(query)
    statement = _WALK[connection.dialect.name](shape)
    place = filtered | {
        "project": project,
        "most": query.limit + 1,
        "match": _MATCH[connection.dialect.name](project, query.terms),
    }
    size, largest = _WINDOWS[connection.dialect.name]
    if any(term.is_prefix for term in query.terms):
        size = largest  # SQLite gathers all words that begin so each time, however few numbers are asked for
    while high > oldest:
        low = max(high - size, oldest)
        yield connection.scalars(statement, {**place, "low": low, "high": high}).all(), low
        high, size = low, min(size * _GROWTH, largest)


def _by_list(connection: Connection, project: str, query: SearchQuery, oldest: int, high: int) -> _Numbers:
    """All matches of words that are in few completions; those of common ones by walking back."""
    match = _matched_by_postgresql(project, query.terms)
    # In too little memory a word of very many would only tell pages, and each text on them be read again.
    _set(connection, enable_bitmapscan="on", enable_indexscan="off", enable_indexonlyscan="off", work_mem="32MB")
    all_of_them = connection.scalars(_LIST, {"project": project, "match": match, "high": high, "most": _FEW + 1})
    numbers = sorted(all_of_them, reverse=True)
    _set(connection, enable_bitmapscan="off", enable_indexscan="on", enable_indexonlyscan="on")
    if len(numbers) > _FEW:
        yield from _by_walk(connection, project, query, oldest, high)
        return
    shape, filtered = _asked(query)
    for start in range(0, len(numbers), _LOOKED_UP_AT_ONCE):
        some = numbers[start : start + _LOOKED_UP_AT_ONCE]
        found = connection.scalars(_passing(shape), filtered | {"project": project, "numbers": some})
        is_last = start + _LOOKED_UP_AT_ONCE >= len(numbers)
        yield sorted(found, reverse=True), oldest if is_last else some[-1]
    if not numbers:
        yield [], oldest


def _asked(query: SearchQuery) -> tuple[_Shape, dict[str, object]]:
    """What a completion must be besides having the words, and the values for that."""
    bounds = {name: getattr(query, name) for name in ("created_after", "created_before")}
    bounds["finish_reason"] = None if query.finish_reason is None else short(query.finish_reason)
    wanted = sorted(labels_of(() if query.model is None else (query.model,), query.metadata))
    shape = _Shape(
        is_after=query.created_after is not None,
        is_before=query.created_before is not None,
        has_reason=query.finish_reason is not None,
        labels=len(wanted),
    )
    return shape, bounds | {
        f"{name}_{n}": part for n, label in enumerate(wanted) for name, part in zip(_LABEL, label, strict=True)
    }


def _filters(shape: _Shape) -> list[ColumnElement[bool]]:
    created, conditions = completions.c.created, []
    if shape.is_after:
        conditions.append(created > bindparam("created_after"))
    if shape.is_before:
        conditions.append(created < bindparam("created_before"))
    if shape.has_reason:
        conditions.append(completions.c.finish_reason == bindparam("finish_reason"))
    for n in range(shape.labels):
        also = labels.alias()
        named = (also.c[name] == bindparam(f"{name}_{n}") for name in _LABEL)
        same = (also.c[name] == completions.c[name] for name in ("project", "created", "number"))
        there = select(also.c.number).where(*named, *same).correlate(completions)
        # Not EXISTS, as in ``queries``.
        conditions.append(there.scalar_subquery().is_not(None))
    return conditions


@cache
def _walk_on_sqlite(shape: _Shape) -> Select[int]:
    """The addition keeps it from looking each completion up in the index of words, the concatenation from walking
    over the project."""
    rowid = WORDS.c.rowid
    return (
        select(rowid)
        .join_from(WORDS, completions, completions.c.number == rowid + 0)
        .where(
            text("search_words MATCH :match"),
            rowid >= bindparam("low"),
            rowid < bindparam("high"),
            completions.c.project.concat("") == bindparam("project"),
            *_filters(shape),
        )
        .order_by(rowid.desc())
        .limit(bindparam("most"))
    )


@cache
def _walk_on_postgresql(shape: _Shape) -> Select[int]:
    number = WORDS.c.number
    of_completion = (completions.c.project == WORDS.c.project) & (completions.c.number == number)
    return (
        select(number)
        .join_from(WORDS, completions, of_completion)
        .where(
            WORDS.c.project == bindparam("project"),
            number >= bindparam("low"),
            number < bindparam("high"),
            text("search_words.words @@ CAST(:match AS tsquery)"),
            *_filters(shape),
        )
        .order_by(number.desc())
        .limit(bindparam("most"))
    )


_WALK: Final[Mapping[str, Callable[[_Shape], Select[int]]]] = {
    "sqlite": _walk_on_sqlite,
    "postgresql": _walk_on_postgresql,
}

# From the index of words alone: the concatenation and the addition keep it from walking the primary key.
_LIST: Final = text(
    "SELECT number FROM search_words WHERE words @@ CAST(:match AS tsquery) AND project || '' = :project "
    "AND number + 0 < :high LIMIT :most"
)


@cache
def _passing(shape: _Shape) -> Select[int]:
    """Those of some numbers whose completions pass the filters, each looked up by itself."""
    wanted = queries.WANTED
    one = (
        select(completions.c.number)
        .where(completions.c.project == bindparam("project"), completions.c.number == wanted.c.number, *_filters(shape))
        .limit(1)
        .lateral("one")
    )
    return select(one.c.number).select_from(wanted.join(one, text("true")))


def _matched_by_sqlite(project: str, terms: Iterable[Term]) -> str:
    asked = " AND ".join(f'"{" ".join(term.words)}"{" *" if term.is_prefix else ""}' for term in terms)
    return f'project : "{mark(project)}" AND words : ({asked})'


def _matched_by_postgresql(project: str, terms: Iterable[Term]) -> str:
    asked = [" <-> ".join([*(f"'{word}'" for word in term.words[:-1]), _last(term)]) for term in terms]
    return " & ".join([f"'={mark(project)}'", *(f"({term})" for term in asked)])


def _last(term: Term) -> str:
    return f"'{term.words[-1]}'{':*' if term.is_prefix else ''}"


_MATCH: Final[Mapping[str, Callable[[str, Iterable[Term]], str]]] = {
    "sqlite": _matched_by_sqlite,
    "postgresql": _matched_by_postgresql,
}


def _hits(connection: Connection, project: str, query: SearchQuery, numbers: Sequence[int]) -> list[Hit]:
    found = queries.read(connection, project, numbers, whole=True)
    return [
        Hit(
            id=each.id,
            created=each.created,
            model=each.model,
            finish_reason=each.finish_reason,
            metadata=each.metadata,
            snippet=snippet(texts(each.request, each.reply), query.terms),
        )
        for each in found
    ]


def _end(connection: Connection, project: str, order: Order) -> int:
    """The first or the last number of a project, 0 if it has none."""
    return connection.scalar(_end_of(connection.dialect.name, order), {"of_project": project}) or 0


def _id_from(connection: Connection, project: str, low: int) -> str | None:
    """The id of the completion from which on all have been looked at."""
    return connection.scalar(_from(connection.dialect.name), {"of_project": project, "low": low})


def _of(dialect: str) -> ColumnElement[bool]:
    """The concatenation keeps SQLite from its index of projects, which is not in the order of numbers."""
    column = completions.c.project
    return (column.concat("") if dialect == "sqlite" else column) == bindparam("of_project")


@cache
def _end_of(dialect: str, order: Order) -> Select[int]:
    number = completions.c.number
    by_number = number.asc() if order == "asc" else number.desc()
    return select(number).where(_of(dialect)).order_by(by_number).limit(1)


@cache
def _from(dialect: str) -> Select[str]:
    number = completions.c.number
    return select(completions.c.id).where(_of(dialect), number >= bindparam("low")).order_by(number).limit(1)


def _set(connection: Connection, **settings: str) -> None:
    """For the rest of the transaction."""
    said = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    connection.execute(text(f"SELECT {said}"))

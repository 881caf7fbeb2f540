"""What a read costs at 1,000,000 completions, beside what it costs at 10,000.

Through the store's interface, one read at a time, from a warm cache. Each read asks for something else, drawn by
chance; a list is of 20, as often ascending as descending, as often from its beginning as from a completion in the
middle, whose place is then looked for first, as for ``after=ID``. Both sizes take turns, read by read. What some that
took long cost is told by a third database, whose numbers are not in the order of time.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from bench.numbers import quantile, table
from bench.processes import CannotRun
from bench.store import rows
from bench.store.bars import at_most
from bench.store.bars import report as bars
from bench.store.databases import Place
from hansard.core.paging import DEFAULT_LIMIT, ListQuery, Order
from hansard.store import migrate
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite
from hansard.tenancy import DEFAULT_PROJECT

Pair: TypeAlias = tuple[str, str]

_AT_MOST_TIMES: Final = 2.0
_AT_MOST_MS: Final = 10.0
_ORDERS: Final[tuple[Order, ...]] = ("asc", "desc")
_PERCENT: Final = {1000: "0.1 %", 100: "1 %", 10: "10 %"}


@dataclass(frozen=True)
class Subject:
    """A store with so many completions."""

    store: SqlStore
    count: int


Read: TypeAlias = Callable[[Subject, random.Random], Awaitable[int]]
"""Asks for something drawn by chance; how many completions came."""


async def get(subject: Subject, chance: random.Random) -> int:
    found = await subject.store.get(DEFAULT_PROJECT, rows.completion_id(chance.randrange(subject.count)))
    return int(found is not None)


def listing(draw: Callable[[random.Random], tuple[str | None, Sequence[Pair]]]) -> Read:
    """A page of what ``draw`` says: a model or none, and pairs of metadata."""

    async def read(subject: Subject, chance: random.Random) -> int:
        model, pairs = draw(chance)
        query = ListQuery(model=model, metadata=tuple(pairs), order=chance.choice(_ORDERS))
        after = None
        if chance.random() < 0.5:
            middle = subject.count // 4 + chance.randrange(subject.count // 2)
            after = await subject.store.locate(DEFAULT_PROJECT, rows.completion_id(middle))
        return len(await subject.store.page(DEFAULT_PROJECT, query, after=after, limit=DEFAULT_LIMIT + 1))

    return read


def _with_pairs(*spreads: int) -> Read:
    wanted = list(zip(rows.FAMILIES, spreads, strict=False))
    return listing(lambda chance: (None, [rows.pair(*each, chance.randrange(each[1])) for each in wanted]))


def _combined() -> dict[str, Read]:
    spreads = [(first, second) for first in rows.SPREADS for second in rows.SPREADS if first >= second]
    return {
        f"list, two pairs of {_PERCENT[one]} and {_PERCENT[other]}": _with_pairs(one, other) for one, other in spreads
    }


READS: Final[Mapping[str, Read]] = {
    "get, and messages": get,
    "list": listing(lambda _: (None, ())),
    "list, one of ten models": listing(lambda chance: (chance.choice(rows.MODELS), ())),
    **{f"list, a pair of {_PERCENT[spread]}": _with_pairs(spread) for spread in rows.SPREADS},
    **_combined(),
}
WORST: Final = listing(lambda _: (None, rows.NEVER_TOGETHER))
"""Two pairs, half of the completions each, and not one completion with both: all of one half is looked through."""
LATE: Final = listing(lambda chance: (None, [rows.pair("a", 10, chance.randrange(10)), rows.NEVER_TOGETHER[0]]))
"""Two frequent pairs that meet, one of 10 % and one of half."""
_LATE_ROW: Final = "two pairs of 10 % and half, of which 2 % took up to ten minutes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this bench can be told."""
    parser.add_argument("--few", type=int, default=10_000, help="completions of the small database (default 10000)")
    parser.add_argument("--many", type=int, default=1_000_000, help="of the large one (default 1000000)")
    parser.add_argument("--late", type=int, default=200_000, help="of that out of the order of time (default 200000)")
    parser.add_argument("--samples", type=int, default=1_000, help="reads of each kind and size (default 1000)")
    parser.add_argument("--worst-samples", type=int, default=10, help="of the worst case (default 10)")


def run(asked: argparse.Namespace, place: Place) -> dict[str, Any]:
    """Measure, print, and return what was measured. A minute, and some more to fill the databases once."""
    counts = (asked.few, asked.many, asked.late)
    databases = [rows.filled(place, count) for count in counts[:2]] + [rows.filled_late(place, asked.late)]
    rows.warm(place.folder)
    for database in databases:
        rows.warm_buffers(database)

    async def measure() -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]:
        async with AsyncExitStack() as until_done:
            subjects = []
            for database, count in zip(databases, counts, strict=True):
                store = SqlStore(database)
                await store.start()
                until_done.push_async_callback(store.stop)
                subjects.append(Subject(store, count))
            few, many, late = subjects
            measured = [await _row(name, read, [few, many], asked.samples) for name, read in READS.items()]
            worst = await _row("two pairs that never meet", WORST, [few, many], asked.worst_samples)
            return measured, worst, await _row(_LATE_ROW, LATE, [few, late], asked.samples)

    measured_rows, worst, late = asyncio.run(measure())
    measured = {
        "schema": migrate.HEAD,
        "few": asked.few,
        "many": asked.many,
        "samples": asked.samples,
        "rows": measured_rows,
        "worst": worst,
        "late": {**late, "count": asked.late},
        "bars": judged([*measured_rows, late], is_sqlite=isinstance(databases[0], Sqlite)),
    }
    print(report(measured), flush=True)
    return measured


async def _row(name: str, read: Read, subjects: Sequence[Subject], samples: int) -> dict[str, Any]:
    """p50 and p99 of each subject, in milliseconds."""
    taken: list[list[float]] = [[] for _ in subjects]
    found = [0 for _ in subjects]
    # The first tenth is not counted: statements are prepared and pages fetched then.
    for number in range(-(samples // 10), samples):
        for index, subject in enumerate(subjects):
            # The same draws for both, as far as their sizes allow.
            chance = random.Random(f"{name} {number}")
            began = time.perf_counter()
            came = await read(subject, chance)
            took = time.perf_counter() - began
            if number >= 0:
                taken[index].append(took * 1000)
                found[index] += came
    if read is get and found != [samples for _ in subjects]:
        raise CannotRun(f"completions are missing: {found} of {samples} came back")
    few, many = ({"p50_ms": quantile(some, 0.5), "p99_ms": quantile(some, 0.99)} for some in taken)
    row = {"row": name, "few": few, "many": many, "found": [came / samples for came in found]}
    print(", ".join(_line(row)), flush=True)
    return row


def judged(measured: Sequence[Mapping[str, Any]], *, is_sqlite: bool) -> list[dict[str, Any]]:
    """Every read against its bars: how it grows, and on SQLite how long it takes."""
    grows = [
        at_most(f"{row['row']}: p99 of many against few", row["many"]["p99_ms"] / row["few"]["p99_ms"], _AT_MOST_TIMES)
        for row in measured
    ]
    slowest = max(measured, key=lambda row: row["many"]["p99_ms"])
    takes = [at_most(f"slowest p99, ms ({slowest['row']})", slowest["many"]["p99_ms"], _AT_MOST_MS)]
    return grows + (takes if is_sqlite else [])


def report(measured: Mapping[str, Any]) -> str:
    """The tables."""
    few, many = f"{measured['few']:,}", f"{measured['many']:,}"
    head = ("read", f"p50 ms at {few}", "p99", f"p50 ms at {many}", "p99", "p99 ratio", "found on average")
    lines = [_line(row) for row in measured["rows"]]
    lines.append(("worst case: " + measured["worst"]["row"], *_line(measured["worst"])[1:]))
    late = measured["late"]
    lines.append((f"of {late['count']:,}: {late['row']}", *_line(late)[1:]))
    said = f"Schema {measured['schema']}; {measured['samples']:,} reads of each kind and size."
    return "\n\n".join([said, table(head, lines), bars(measured["bars"])])


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    few, many = row["few"], row["many"]
    times = [f"{each[name]:.2f}" for each in (few, many) for name in ("p50_ms", "p99_ms")]
    return (
        row["row"],
        *times,
        f"{many['p99_ms'] / few['p99_ms']:.2f}",
        " / ".join(f"{each:.1f}" for each in row["found"]),
    )

"""What updates and deletes do to reads that go on beside them.

One client reads, the next as soon as the last has come: half of its reads are of one completion, half are lists by a
pair that 1 % carry. Beside it another client changes or deletes completions, one after the other and each committed,
none of which the first asks for by name. Reading alone and beside each stream take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Final, TypeAlias

from bench.numbers import median, quantile, table
from bench.processes import CannotRun
from bench.store import rows
from bench.store.bars import at_most
from bench.store.bars import report as bars
from bench.store.databases import Place
from hansard.core.paging import DEFAULT_LIMIT, ListQuery
from hansard.store import migrate
from hansard.store.sql import SqlStore
from hansard.tenancy import DEFAULT_PROJECT

Change: TypeAlias = Callable[[SqlStore, int], Awaitable[None]]
"""Changes the completion of that number."""

ALONE: Final = "alone"
_AT_MOST: Final = 4 / 3


async def update(store: SqlStore, number: int) -> None:
    """Other values for all of its metadata, so that every label but two is moved."""
    metadata = {key: f"{value}'" for key, value in rows.record(number).metadata.items()}
    if await store.set_metadata(DEFAULT_PROJECT, rows.completion_id(number), metadata) is None:
        raise CannotRun(f"completion {number} is not there to be updated")


async def delete(store: SqlStore, number: int) -> None:
    """Forget it."""
    if not await store.delete(DEFAULT_PROJECT, rows.completion_id(number)):
        raise CannotRun(f"completion {number} is not there to be deleted")


STREAMS: Final[Mapping[str, Change]] = {"updates": update, "deletes": delete}
NOT_YET: Final = ("retention",)
"""What the issue asks for and the store does not do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this bench can be told."""
    parser.add_argument("--disturbed", type=int, default=100_000, help="completions in the database (default 100000)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each turn (default 4)")
    parser.add_argument("--turns", type=int, default=5, help="turns of each kind (default 5)")


def run(asked: argparse.Namespace, place: Place) -> dict[str, Any]:
    """Measure, print, and return what was measured. Takes one or two minutes."""
    place.drop("disturb")
    try:
        database = place.of("disturb")
        rows.fill(database, asked.disturbed)
        rows.warm(place.folder)
        turns = asyncio.run(_turns(SqlStore(database), asked))
    finally:
        place.drop("disturb")
    measured = {
        "schema": migrate.HEAD,
        "completions": asked.disturbed,
        "seconds": asked.seconds,
        "turns": asked.turns,
        "not_yet": list(NOT_YET),
        **summed_up(turns),
    }
    print(report(measured), flush=True)
    return measured


async def _turns(store: SqlStore, asked: argparse.Namespace) -> list[dict[str, Any]]:
    await store.start()
    try:
        # Odd numbers are changed, each once and in no order; even ones are read by name.
        numbers = list(range(1, asked.disturbed, 2))
        random.Random(1).shuffle(numbers)
        left = iter(numbers)
        await _turn(store, None, left, asked)  # not counted
        return [
            {"stream": name, **await _turn(store, change, left, asked)}
            for _ in range(asked.turns)
            for name, change in [(ALONE, None), *STREAMS.items()]
        ]
    finally:
        await store.stop()


async def _turn(
    store: SqlStore, change: Change | None, left: Iterator[int], asked: argparse.Namespace
) -> dict[str, Any]:
    """How long each read took in so many seconds, in milliseconds, and how many changes there were meanwhile."""
    until = time.perf_counter() + asked.seconds
    reading = asyncio.create_task(_read(store, asked.disturbed, until))
    changed = 0
    while change is not None and not reading.done():
        number = next(left, None)
        if number is None:
            raise CannotRun("every completion was changed: it takes more of them, or fewer --seconds")
        await change(store, number)
        changed += 1
    return {"taken_ms": await reading, "changes": changed / asked.seconds}


async def _read(store: SqlStore, completions: int, until: float) -> list[float]:
    taken = []
    for number in count():
        chance = random.Random(number)
        began = time.perf_counter()
        if began >= until:
            break
        if number % 2:
            query = ListQuery(metadata=(rows.pair("a", 100, chance.randrange(100)),), order="desc")
            await store.page(DEFAULT_PROJECT, query, after=None, limit=DEFAULT_LIMIT + 1)
        elif await store.get(DEFAULT_PROJECT, rows.completion_id(chance.randrange(completions) & ~1)) is None:
            raise CannotRun("a completion that nobody deleted is gone")
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def summed_up(turns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of each stream the median of its turns, and the bars against the reads alone."""
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for turn in turns:
        by_name.setdefault(turn["stream"], []).append(turn)
    lines = [_line(name, some) for name, some in by_name.items()]
    alone = next(line for line in lines if line["row"] == ALONE)
    judged = [
        at_most(f"{what} of reads beside {line['row']}, against alone", line[key] / alone[key], _AT_MOST)
        for line in lines
        if line is not alone
        for what, key in (("mean", "mean_ms"), ("p99", "p99_ms"))
    ]
    return {"rows": lines, "bars": judged}


def _line(name: str, turns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    taken = [turn["taken_ms"] for turn in turns]
    return {
        "row": name,
        "changes": median([turn["changes"] for turn in turns]),
        "mean_ms": median([sum(some) / len(some) for some in taken]),
        "p50_ms": median([quantile(some, 0.5) for some in taken]),
        "p99_ms": median([quantile(some, 0.99) for some in taken]),
    }


def report(measured: Mapping[str, Any]) -> str:
    """The tables."""
    lines = [
        (
            line["row"],
            f"{line['changes']:,.0f}",
            f"{1000 / line['mean_ms']:,.0f}",
            f"{line['p50_ms']:.2f}",
            f"{line['p99_ms']:.2f}",
        )
        for line in measured["rows"]
    ]
    lines += [(f"{name}: the store has none yet", "", "", "", "") for name in measured["not_yet"]]
    said = (
        f"Schema {measured['schema']}; {measured['completions']:,} completions, "
        f"{measured['turns']} turns of {measured['seconds']:g} s each."
    )
    head = ("reads beside", "changes/s", "reads/s", "p50 ms", "p99 ms")
    return "\n\n".join([said, table(head, lines), bars(measured["bars"])])

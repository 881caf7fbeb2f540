"""What updates, deletes and retention do to reads that go on beside them.

One client reads, the next as soon as the last has come: half of its reads are of one completion, half are lists by a
pair that 1 % carry. Beside it another client changes or deletes completions, one after the other and each committed,
none of which the first asks for by name; or the server's own janitor forgets completions without ever being done.
Reading alone and beside each stream take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Final, TypeAlias

import msgspec

from bench.numbers import median, quantile, table
from bench.processes import CannotRun
from bench.store import rows
from bench.store.bars import at_most
from bench.store.bars import report as bars
from bench.store.databases import Place
from hansard.core.paging import DEFAULT_LIMIT, ListQuery
from hansard.janitor import Janitor
from hansard.observe import Crashed, Event, RecordsExpired
from hansard.store import migrate
from hansard.store.base import Record
from hansard.store.sql import SqlStore
from hansard.tenancy import DEFAULT_PROJECT

Change: TypeAlias = Callable[[SqlStore, int], Awaitable[None]]
"""Changes the completion of that number."""

ALONE: Final = "alone"
_AT_MOST: Final = 4 / 3
_ALL_CHANGED: Final = "every completion was changed: it takes more of them, or fewer --seconds"


async def update(store: SqlStore, number: int) -> None:
    """Other values for all of its metadata, so that every label but two is moved."""
    metadata = {key: f"{value}'" for key, value in rows.record(number).metadata.items()}
    if await store.set_metadata(DEFAULT_PROJECT, rows.completion_id(number), metadata) is None:
        raise CannotRun(f"completion {number} is not there to be updated")


async def delete(store: SqlStore, number: int) -> None:
    """Forget it."""
    if not await store.delete(DEFAULT_PROJECT, rows.completion_id(number)):
        raise CannotRun(f"completion {number} is not there to be deleted")


CHANGES: Final[Mapping[str, Change]] = {"updates": update, "deletes": delete}
RETENTION: Final = "retention"
STREAMS: Final = (*CHANGES, RETENTION)

# Of each four numbers: two are read by name, one is changed, one expires.
_CHANGED, _EXPIRES, _STEP = 1, 3, 4
_A_SWEEP: Final = 256
"""So many expire at each look of the janitor: it then gives room back to the disk, and looks again at once."""


class Expiry:
    """Completions that expire while the janitor works, as fast as it forgets them; the time is made up."""

    def __init__(self, completions: int) -> None:
        self._last = _expires(completions)
        self._now = 0
        self._forgotten = 0
        self._crashed: BaseException | None = None

    def is_over(self) -> bool:
        """Whether everything has expired by now."""
        return self._now >= self._last

    async def beside(self, store: SqlStore, reading: asyncio.Task[list[float]]) -> int:
        """Have the janitor of the server at work until the reads end; how many completions it forgot."""
        before = self._forgotten
        async with Janitor(store=store, observer=self._observe, clock=self._later, looks_every_s=0.0).at_work():
            await asyncio.wait([reading])
        if self._crashed is not None:
            raise self._crashed
        if self.is_over():
            raise CannotRun(_ALL_CHANGED)
        return self._forgotten - before

    def _later(self) -> float:
        self._now += 1
        return self._now

    def _observe(self, event: Event) -> None:
        match event:
            case RecordsExpired():
                self._forgotten += event.records
            case Crashed():
                self._crashed = event.exception


def _expires(number: int) -> int:
    """At which look of the janitor."""
    return number // _STEP // _A_SWEEP + 1


def record(number: int) -> Record:
    """The completion of that number, which may expire."""
    made = rows.record(number)
    return msgspec.structs.replace(made, expires=_expires(number)) if number % _STEP == _EXPIRES else made


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
        rows.fill(database, asked.disturbed, made=record)
        rows.warm(place.folder)
        turns = asyncio.run(_turns(SqlStore(database), asked))
    finally:
        place.drop("disturb")
    measured = {
        "schema": migrate.HEAD,
        "completions": asked.disturbed,
        "seconds": asked.seconds,
        "turns": asked.turns,
        **summed_up(turns),
    }
    print(report(measured), flush=True)
    return measured


async def _turns(store: SqlStore, asked: argparse.Namespace) -> list[dict[str, Any]]:
    await store.start()
    try:
        # Each once and in no order.
        numbers = list(range(_CHANGED, asked.disturbed, _STEP))
        random.Random(1).shuffle(numbers)
        left = iter(numbers)
        expiry = Expiry(asked.disturbed)

        async def turn(name: str) -> dict[str, Any]:
            reading = asyncio.create_task(_read(store, asked.disturbed, time.perf_counter() + asked.seconds))
            try:
                changed = 0
                if name == RETENTION:
                    changed = await expiry.beside(store, reading)
                elif name in CHANGES:
                    changed = await _change(store, CHANGES[name], left, reading)
                return {"stream": name, "taken_ms": await reading, "changes": changed / asked.seconds}
            finally:
                reading.cancel()  # if it is not over, nobody waits for it any more

        await turn(ALONE)  # not counted
        return [await turn(name) for _ in range(asked.turns) for name in (ALONE, *STREAMS)]
    finally:
        await store.stop()


async def _change(store: SqlStore, change: Change, left: Iterator[int], reading: asyncio.Task[list[float]]) -> int:
    """Change one after the other until the reads end; how many."""
    changed = 0
    while not reading.done():
        number = next(left, None)
        if number is None:
            raise CannotRun(_ALL_CHANGED)
        await change(store, number)
        changed += 1
    return changed


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
    said = (
        f"Schema {measured['schema']}; {measured['completions']:,} completions, "
        f"{measured['turns']} turns of {measured['seconds']:g} s each."
    )
    head = ("reads beside", "changes/s", "reads/s", "p50 ms", "p99 ms")
    return "\n\n".join([said, table(head, lines), bars(measured["bars"])])

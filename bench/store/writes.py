"""Committed writes by 64 clients at a time, beside the same statements in ready-made batches of 64.

Both put the same completions (single turns of real text) into the same database, in turns, each round into projects
of its own. Beside it stands what the disk takes to make 4 KB and such a batch durable, in the same folder.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine, event

from bench.numbers import median, table
from bench.processes import CannotRun
from bench.store.bars import at_least
from bench.store.bars import report as bars
from bench.store.corpus import Exhausted, corpus_of
from bench.store.databases import Place
from bench.store.exchanges import ANSWER, PROMPT, SINGLE, records
from hansard.store import migrate
from hansard.store.base import Record
from hansard.store.changes import insert_records
from hansard.store.database import Database
from hansard.store.sql import SqlStore

CLIENTS: Final = 64
_SEED: Final = 2
_RECORDS_A_COMMIT: Final = 16
_AT_LEAST: Final = 0.7
_SYNCS: Final = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this bench can be told."""
    parser.add_argument("--records", type=int, default=3_200, help="written in each round, each way (default 3200)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of what takes turns (default 5)")


def run(asked: argparse.Namespace, place: Place) -> dict[str, Any]:
    """Measure, print, and return what was measured. Takes about a minute."""
    corpus = corpus_of(asked.records * (PROMPT + ANSWER), seed=_SEED)
    try:
        made = list(records(SINGLE, asked.records, corpus=corpus, seed=_SEED))
    except Exhausted as error:
        raise CannotRun(f"{error}: fewer --records need less") from error
    place.drop("writes")
    try:
        rounds = asyncio.run(_rounds(place.of("writes"), made, rounds=asked.rounds))
    finally:
        place.drop("writes")
    batch = sum(len(each.request) + len(each.reply) for each in made) * CLIENTS // len(made)
    measured = summed_up(rounds, len(made)) | {
        "schema": migrate.HEAD,
        "rounds": asked.rounds,
        "batch_bytes": batch,
        "sync_4k_ms": median(sync_ms(place.folder, 4096)),
        "sync_batch_ms": median(sync_ms(place.folder, batch)),
    }
    print(report(measured), flush=True)
    return measured


async def _rounds(database: Database, made: Sequence[Record], *, rounds: int) -> list[dict[str, float]]:
    store = SqlStore(database)
    await store.start()
    engine = database.engine_for_writing()
    measured = []
    try:
        for number in range(-1, rounds):  # the first is not counted
            ours = [msgspec.structs.replace(each, project=f"ours{number}") for each in made]
            theirs = [msgspec.structs.replace(each, project=f"batches{number}") for each in made]
            with counted_commits() as commits:
                store_s = await _through_the_store(store, ours)
            batches_s = _in_batches(engine, theirs)
            measured.append({"store_s": store_s, "batches_s": batches_s, "commits": commits[0]})
        if await store.get(ours[-1].project, ours[-1].id) != ours[-1]:
            raise CannotRun("a completion did not come back as it was stored")
    finally:
        engine.dispose()
        await store.stop()
    return measured[1:]


async def _through_the_store(store: SqlStore, made: Sequence[Record]) -> float:
    async def client(mine: Sequence[Record]) -> None:
        for each in mine:
            await store.insert(each)

    began = time.perf_counter()
    await asyncio.gather(*(client(made[number::CLIENTS]) for number in range(CLIENTS)))
    return time.perf_counter() - began


def _in_batches(engine: Engine, made: Sequence[Record]) -> float:
    began = time.perf_counter()
    for start in range(0, len(made), CLIENTS):
        with engine.begin() as connection:
            insert_records(connection, made[start : start + CLIENTS])
    return time.perf_counter() - began


@contextmanager
def counted_commits() -> Iterator[list[int]]:
    """How many transactions were committed in this block, by anybody: nobody may read meanwhile."""
    seen = [0]

    def committed(_: Connection) -> None:
        seen[0] += 1

    event.listen(Engine, "commit", committed)
    try:
        yield seen
    finally:
        event.remove(Engine, "commit", committed)


def sync_ms(folder: Path, size: int) -> list[float]:
    """What the disk takes to make so many bytes at the end of a file durable."""
    file = folder / "sync"
    taken = []
    try:
        with file.open("wb", buffering=0) as opened:
            for _ in range(_SYNCS):
                block = os.urandom(size)
                began = time.perf_counter()
                opened.write(block)
                os.fdatasync(opened)
                taken.append((time.perf_counter() - began) * 1000)
    finally:
        file.unlink(missing_ok=True)
    return taken


def summed_up(rounds: Sequence[Mapping[str, float]], count: int) -> dict[str, Any]:
    """Rates of the middle rounds, and the bars. The ratio is that within a round."""
    ratio = median([each["batches_s"] / each["store_s"] for each in rounds])
    commits = sum(each["commits"] for each in rounds)
    together = count * len(rounds) / commits if commits else 0.0
    return {
        "records": count,
        "store_rate": round(count / median([each["store_s"] for each in rounds])),
        "batches_rate": round(count / median([each["batches_s"] for each in rounds])),
        "records_a_commit": round(together, 1),
        "bars": [
            at_least(f"records a commit, {CLIENTS} clients", together, _RECORDS_A_COMMIT),
            at_least("rate against ready-made batches", ratio, _AT_LEAST),
        ],
    }


def report(measured: Mapping[str, Any]) -> str:
    """The tables."""
    lines = [
        (f"the store, {CLIENTS} clients", f"{measured['store_rate']:,}", f"{measured['records_a_commit']:.1f}"),
        (f"ready-made batches of {CLIENTS}", f"{measured['batches_rate']:,}", f"{CLIENTS}.0"),
    ]
    said = (
        f"Schema {measured['schema']}; {measured['rounds']} rounds of {measured['records']:,} completions each way. "
        f"The disk makes 4 KB durable in {measured['sync_4k_ms']:.2f} ms and the "
        f"{measured['batch_bytes'] // 1000:,} KB of a batch in {measured['sync_batch_ms']:.2f} ms."
    )
    return "\n\n".join([said, table(("written by", "records/s", "records a commit"), lines), bars(measured["bars"])])

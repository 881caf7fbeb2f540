"""A great many small completions, each made from its number alone, so that any of them can be asked for.

Each carries a pair of metadata of every selectivity twice over, independently, and one of two pairs that never meet.
They are put in by the store's own statements, in large transactions, and kept from run to run. In some databases some
took long, as streams do: they were created up to ten minutes before those with the numbers around theirs.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from hashlib import blake2b
from itertools import count as counting
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from bench.store.databases import Place, driver
from hansard.core import ids
from hansard.store import migrate, words
from hansard.store.base import Record
from hansard.store.changes import insert_records
from hansard.store.database import Database
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite
from hansard.tenancy import DEFAULT_PROJECT

VERSION: Final = 1
"""Of what is made below: rows of another one are not used again."""

SPREADS: Final = (1000, 100, 10)
"""One in so many carries a pair: 0.1, 1 and 10 %."""
FAMILIES: Final = ("a", "b")
MODELS: Final = tuple(f"model-{number}" for number in range(10))
NEVER_TOGETHER: Final = (("left", "yes"), ("right", "yes"))
"""Each half of the completions carries one of them."""

_BEGIN_S: Final = 1_790_000_000
_A_SECOND: Final = 4
_ONE_OF_SO_MANY_TOOK_LONG: Final = 50
_AT_LONGEST_S: Final = 600
_AT_ONCE: Final = 20_000
_ANSWER: Final = "That is the answer to question {}, which nobody else has asked, in a sentence or two of its own."


def completion_id(number: int) -> str:
    return ids.completion_id(_created(number) * 1000, _digest(number)[: ids.ENTROPY_BYTES])


def pair(family: str, spread: int, value: int) -> tuple[str, str]:
    """A pair of metadata that one completion in ``spread`` carries."""
    return f"{family}-{spread}", str(value % spread)


def record(number: int, *, asked: str | None = None, said: str | None = None) -> Record:
    """The completion of that number, always the same but for the texts given."""
    chance = int.from_bytes(_digest(number)[ids.ENTROPY_BYTES :])
    metadata = dict([NEVER_TOGETHER[number % 2]])
    for family in FAMILIES:
        for spread in SPREADS:
            chance, value = divmod(chance, spread)
            key, text = pair(family, spread, value)
            metadata[key] = text
    name, model = completion_id(number), MODELS[chance % len(MODELS)]
    question = {"role": "user", "content": asked or f"This is question {number}."}
    answer = {"role": "assistant", "content": said or _ANSWER.format(number), "refusal": None}
    request = {"model": model, "messages": [question], "metadata": metadata, "store": True}
    choices = [{"index": 0, "message": answer, "logprobs": None, "finish_reason": "stop"}]
    reply = {"id": name, "object": "chat.completion", "created": _created(number), "model": model, "choices": choices}
    return Record(
        project=DEFAULT_PROJECT,
        id=name,
        created=_created(number),
        model=model,
        requested_model=model,
        request_id=ids.request_id(_digest(number)),
        metadata=metadata,
        seed=number,
        request=msgspec.json.encode(request),
        reply=msgspec.json.encode(reply),
        engine="bench",
        total_ms=1,
    )


def late(number: int) -> Record:
    """The same completion; of those that took long created so much earlier."""
    plain = record(number)
    chance, took_s = divmod(int.from_bytes(_digest(number)[-4:]), _AT_LONGEST_S)
    if chance % _ONE_OF_SO_MANY_TOOK_LONG:
        return plain
    created = plain.created - took_s
    reply = msgspec.json.decode(plain.reply)
    return msgspec.structs.replace(plain, created=created, reply=msgspec.json.encode({**reply, "created": created}))


def _created(number: int) -> int:
    return _BEGIN_S + number // _A_SECOND


def _digest(number: int) -> bytes:
    return blake2b(number.to_bytes(8), digest_size=ids.ENTROPY_BYTES + 16).digest()


def filled(place: Place, count: int) -> Database:
    """A database with so many of them: that of an earlier run, if it had the same schema and the same rows."""
    return kept(place, f"rows_{count}", [migrate.HEAD, VERSION, count], partial(fill, count=count))


def filled_late(place: Place, count: int) -> Database:
    """One in which some took long."""
    return kept(place, f"late_{count}", [migrate.HEAD, VERSION, count], partial(fill, count=count, made=late))


def kept(place: Place, name: str, whole: list[object], fill_it: Callable[[Database], None]) -> Database:
    """The database of that name, filled unless an earlier run has filled it with the same ``whole``."""
    mark = place.folder / f"{name}.json"
    if mark.exists() and json.loads(mark.read_text()) == whole:
        return place.of(name)
    mark.unlink(missing_ok=True)
    place.drop(name)
    database = place.of(name)
    began = time.monotonic()
    fill_it(database)
    print(f"{name}: {database.place} filled in {time.monotonic() - began:.0f} s", flush=True)
    mark.write_text(json.dumps(whole))
    return database


def fill(database: Database, count: int, *, made: Callable[[int], Record] = record, is_searched: bool = False) -> None:
    """Put so many into an empty database, and leave it as its own upkeep would: folded in, or vacuumed.

    ``is_searched``: with an index of their words.
    """
    database.make()
    engine = database.engine_for_writing()
    engine.update_execution_options(**{words.KEPT: is_searched})
    with engine.begin() as connection:
        migrate.create(connection)
        words.prepare(connection, on=is_searched)
    if isinstance(database, Sqlite):
        # On the engine's one connection, which goes back to it. A fill that is cut short is done again.
        with closing(engine.raw_connection()) as pooled:
            pooled.cursor().execute("PRAGMA synchronous = OFF")
            pooled.cursor().execute("PRAGMA cache_size = -400000")
    rows = map(made, counting())
    for start in range(0, count, _AT_ONCE):
        some: Sequence[Record] = list(islice(rows, min(_AT_ONCE, count - start)))
        with engine.begin() as connection:
            insert_records(connection, some)
    with ThreadPoolExecutor(1) as thread:  # whoever fills may have an event loop already
        thread.submit(asyncio.run, _tended(database, is_searched=is_searched)).result()
    with driver(engine) as connection:
        upkeep = (
            ("PRAGMA wal_checkpoint(TRUNCATE)",) if isinstance(database, Sqlite) else ("VACUUM ANALYZE", "CHECKPOINT")
        )
        for statement in upkeep:
            connection.execute(statement)


async def _tended(database: Database, *, is_searched: bool) -> None:
    """Its bitmaps made, as a server's janitor makes them, without the pauses."""
    store = SqlStore(database, search=is_searched)
    await store.start()
    try:
        while [took_s async for took_s in store.tend()]:
            pass
    finally:
        await store.stop()


_THROUGH: Final = (
    "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off",
    "SET max_parallel_workers_per_gather = 0",
    "SELECT count(number) FROM (SELECT number FROM labels ORDER BY project, key, value, created, number) _",
    *(
        f"SELECT count({column}) FROM (SELECT * FROM {table} ORDER BY project, {key}) _"
        for table, column, key in (
            ("completions", "model", "number"),
            ("completions", "model", "id"),
            ("completions", "number", "created, number"),
            ("bodies", "content", "number"),
        )
    ),
)


def warm_buffers(database: Database) -> None:
    """Have PostgreSQL read its tables by their indexes once: a scan would leave next to nothing in its buffers."""
    if isinstance(database, Sqlite):
        return
    with driver(database.engine_for_writing()) as connection:
        for statement in _THROUGH:
            connection.execute(statement)


def warm(folder: Path) -> None:
    """Read every file there once, so that the system holds it in memory."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb", buffering=0) as opened:
                while opened.read(2**20):
                    pass

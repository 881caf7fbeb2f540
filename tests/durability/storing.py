"""Takes completions through their histories, several at a time, and marks each step once it is acknowledged.

Run by ``test_power_loss`` as a process of its own, with the shim below it:
``python -m tests.durability.storing FILE LOG FIRST LAST [PRAGMA ...]``.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, event

from hansard.errors import StartupError, StoreUnavailable
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite
from tests.durability.histories import History, history, take
from tests.durability.shim import mark

AT_ONCE = 8
STARTS = 9


@dataclass(frozen=True)
class Changed(Sqlite):
    """A database whose writer is told something else than the product tells it."""

    pragmas: tuple[str, ...] = ()

    def engine_for_writing(self) -> Engine:
        engine = super().engine_for_writing()

        @event.listens_for(engine, "connect")
        def change(connection: sqlite3.Connection, _: object) -> None:
            for pragma in self.pragmas:
                connection.execute(f"PRAGMA {pragma}")

        return engine


async def bring_about(told: History, store: SqlStore, log: int) -> None:
    for step in range(1, len(told.states)):
        with suppress(StoreUnavailable):
            await take(step, store, told)
            os.write(log, mark(f"{told.name} {step}"))
            continue
        return  # refused, so nothing follows


async def work(names: Iterator[str], store: SqlStore, log: int) -> None:
    for name in names:
        await bring_about(history(name), store, log)


async def started(database: Changed) -> SqlStore:
    """A store that runs; on a disk that fails now and then it may need a few starts, as a server does."""
    for _ in range(STARTS):
        store = SqlStore(database)
        with suppress(StartupError):
            await store.start()
            return store
    raise AssertionError("it did not start")


async def main(path: Path, log_file: Path, numbers: range, pragmas: tuple[str, ...]) -> None:
    store = await started(Changed(path, pragmas=pragmas))
    log = os.open(log_file, os.O_WRONLY | os.O_APPEND)
    names = (f"h{number}" for number in numbers)
    await asyncio.gather(*(work(names, store, log) for _ in range(AT_ONCE)))
    await store.stop()


if __name__ == "__main__":
    place, written, first, last, *changed = sys.argv[1:]
    asyncio.run(main(Path(place), Path(written), range(int(first), int(last)), tuple(changed)))

"""Inserts without end, 16 at a time, and prints each id once it is acknowledged. Run to be killed."""

from __future__ import annotations

import asyncio
import sys
import zlib
from itertools import count

from hansard.store.base import Record
from hansard.store.database import database
from hansard.store.sql import SqlStore
from tests.store.records import record


def numbered(name: str) -> Record:
    """The record of that name, always the same; some reach over several pages of the file."""
    size = zlib.crc32(name.encode()) % 20_000
    return record(name, metadata={"name": name, "round": name.split(".")[0]}, reply=b"x" * size)


async def insert_for_ever(store: SqlStore, names: count[int], prefix: str) -> None:
    for number in names:
        await store.insert(numbered(f"{prefix}.{number}"))
        print(f"{prefix}.{number}", flush=True)


async def main(url: str, prefix: str) -> None:
    store = SqlStore(database(url))
    await store.start()
    names = count()
    await asyncio.gather(*(insert_for_ever(store, names, prefix) for _ in range(16)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

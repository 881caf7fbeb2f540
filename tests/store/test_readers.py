"""readers.py: reads are few at a time, bounded, and end with their transaction."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, exc, text

from hansard.errors import InternalError, StoreUnavailable
from hansard.store.database import Database
from hansard.store.outage import Outage
from hansard.store.readers import Readers

pytestmark = pytest.mark.anyio


@pytest.fixture
async def readers(database: Database) -> AsyncIterator[Readers]:
    database.make()
    engine = database.engine_for_reading(connections=1)
    readers = Readers(engine, threads=1, limit=2, outage=Outage(bound_s=0))
    readers.start()
    yield readers
    await readers.stop()
    engine.dispose()


async def test_those_who_wait_are_bounded_and_go_on(readers: Readers) -> None:
    go = threading.Event()
    running = asyncio.create_task(readers.read(lambda _: go.wait(30)))
    waiting = asyncio.create_task(readers.read(lambda _: "second"))
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match=r"^The store is unavailable: too many reads are waiting\.$"):
        await readers.read(lambda _: "third")
    go.set()
    assert [await running, await waiting] == [True, "second"]
    assert await readers.read(lambda _: "fourth") == "fourth"


async def test_a_cancelled_read_makes_room(readers: Readers) -> None:
    go = threading.Event()
    running = asyncio.create_task(readers.read(lambda _: go.wait(30)))
    waiting = asyncio.create_task(readers.read(lambda _: "second"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    third = asyncio.create_task(readers.read(lambda _: "third"))
    await asyncio.sleep(0)
    go.set()
    assert [await running, await third] == [True, "third"]


async def test_a_read_cannot_write(readers: Readers) -> None:
    def write(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))

    with pytest.raises(StoreUnavailable, match="cannot be written"):
        await readers.read(write)


async def test_a_bug_is_an_internal_error_with_its_cause(readers: Readers) -> None:
    with pytest.raises(InternalError) as caught:
        await readers.read(lambda connection: connection.execute("no statement"))  # type: ignore[call-overload]
    assert isinstance(caught.value.__cause__, exc.ObjectNotExecutableError)


async def test_nothing_is_read_once_stopped(readers: Readers) -> None:
    await readers.stop()
    with pytest.raises(StoreUnavailable, match=r"^The store is unavailable: it is stopped\.$"):
        await readers.read(lambda _: "late")

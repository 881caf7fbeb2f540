"""readers.py: reads are few at a time, bounded, and end with their transaction."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import psycopg
import pytest
from sqlalchemy import Connection, exc, text

from hansard.errors import InternalError, StoreUnavailable
from hansard.store.database import Database
from hansard.store.outage import Outage
from hansard.store.postgresql import Postgresql
from hansard.store.readers import Readers
from hansard.store.sql import SqlStore
from tests.postgres import PostgresServer

pytestmark = pytest.mark.anyio


T = TypeVar("T")

LATE = r"^The store is unavailable: the database took too long\.$"


@asynccontextmanager
async def reading(database: Database, *, threads: int = 1, waits_s: float = 30.0) -> AsyncIterator[Readers]:
    """Readers by themselves, running."""
    database.make()
    engine = database.engine_for_reading(connections=threads)
    readers = Readers(engine, threads=threads, limit=2, outage=Outage(bound_s=0), waits_s=waits_s)
    readers.start()
    yield readers
    await readers.stop()
    for each in readers._threads:
        await asyncio.to_thread(each.join)  # also those that it did not wait for


@pytest.fixture
async def readers(database: Database) -> AsyncIterator[Readers]:
    async with reading(database) as readers:
        yield readers


async def once_it_goes_on(read: Callable[[], Awaitable[T]]) -> T:
    """What it gives as soon as it is not refused any more."""
    async with asyncio.timeout(5):
        while True:
            try:
                return await read()
            except StoreUnavailable:
                await asyncio.sleep(0.001)


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


async def test_who_waits_too_long_is_refused_and_others_at_once_until_a_thread_comes_back(database: Database) -> None:
    go = threading.Event()
    async with reading(database, waits_s=0.1) as readers:
        hanging = asyncio.create_task(readers.read(lambda _: go.wait(30)))
        waiting = asyncio.create_task(readers.read(lambda _: "never read"))
        for late in (hanging, waiting):
            with pytest.raises(StoreUnavailable, match=LATE):
                await late
        refused = asyncio.create_task(readers.read(lambda _: "not even begun"))
        await asyncio.sleep(0)
        assert isinstance(refused.exception(), StoreUnavailable)
        go.set()

        assert await once_it_goes_on(lambda: readers.read(lambda _: "read")) == "read"


async def test_one_that_hangs_holds_up_nobody_while_another_thread_is_there(database: Database) -> None:
    go = threading.Event()
    async with reading(database, threads=2, waits_s=0.1) as readers:
        with pytest.raises(StoreUnavailable, match=LATE):
            await readers.read(lambda _: go.wait(30))

        assert [await readers.read(lambda _: "read") for _ in range(3)] == ["read"] * 3
        go.set()


async def test_what_nobody_waits_for_may_take_longer(database: Database) -> None:
    go = threading.Event()
    async with reading(database, threads=2, waits_s=0.05) as readers:
        patient = asyncio.create_task(readers.read(lambda _: go.wait(30), is_bounded=False))
        with pytest.raises(StoreUnavailable, match=LATE):
            await readers.read(lambda _: go.wait(30))
        go.set()

        assert await patient is True


async def test_the_end_waits_no_longer_than_it_is_told_for_one_that_hangs(database: Database) -> None:
    go = threading.Event()
    async with reading(database) as readers:
        hanging = asyncio.create_task(readers.read(lambda _: go.wait(30)))
        await asyncio.sleep(0)
        readers.end(within_s=0.05)
        async with asyncio.timeout(5):
            await readers.stop()
        with pytest.raises(StoreUnavailable, match=LATE):
            await hanging
        go.set()


async def test_the_end_waits_for_a_read_that_goes_on(database: Database) -> None:
    go = threading.Event()
    async with reading(database) as readers:
        running = asyncio.create_task(readers.read(lambda _: go.wait(30)))
        await asyncio.sleep(0)
        stopping = asyncio.create_task(readers.stop())
        await asyncio.sleep(0)
        go.set()
        await stopping

        assert await running is True


async def test_a_read_that_waits_for_a_lock_is_ended_in_postgresql_as_well(postgres: PostgresServer) -> None:
    with postgres.lent_database() as url:
        store = SqlStore(Postgresql(url), readers=1, waits_s=0.2)
        await store.start()
        with psycopg.connect(url) as other:
            other.execute("LOCK TABLE completions IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(StoreUnavailable, match=LATE):
                await store.get("p", "chatcmpl-a")
            # Its thread is free, and its session waits for nothing: what is not locked can be read.
            assert await once_it_goes_on(store.tenants.keys) == []
        assert await store.get("p", "chatcmpl-a") is None
        await store.stop()

"""What a primary with a synchronous standby acknowledges has reached the standby, whatever happens to the commit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import psycopg
import pytest

from hansard.core.paging import ListQuery
from hansard.store.postgresql import Postgresql
from hansard.store.sql import SqlStore
from tests.postgres import PostgresServer, primary_and_standby
from tests.store.conftest import Start
from tests.store.records import outcome, record

pytestmark = pytest.mark.anyio

Pair: TypeAlias = tuple[PostgresServer, PostgresServer]
Change: TypeAlias = Callable[[SqlStore], Awaitable[None]]

# What somebody may do to a commit that waits for a standby which is away. PostgreSQL has then committed it all the
# same, and says so: of a cancelled one with a warning, of the other one to whoever looks.
ENDS = {"cancelled": "SELECT pg_cancel_backend(%s)", "ended": "SELECT pg_terminate_backend(%s)"}


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with primary_and_standby() as pair:
        yield pair


@pytest.fixture
def database(pair: Pair) -> Postgresql:
    return Postgresql(pair[0].new_database())


async def remembered(store: SqlStore) -> None:
    assert await store.remember(outcome("k"), record("b")) == outcome("k")


async def inserted(store: SqlStore) -> None:
    await store.insert(record("b"))


async def deleted(store: SqlStore) -> None:
    assert await store.delete("p", "chatcmpl-old") is True


@contextlib.asynccontextmanager
async def away(standby: PostgresServer) -> AsyncIterator[None]:
    """It does not run meanwhile."""
    await asyncio.to_thread(standby.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(standby.start)


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize(
    ("change", "expected"), [(inserted, {"old", "b"}), (remembered, {"old", "b"}), (deleted, set())]
)
async def test_a_commit_that_did_not_wait_is_not_acknowledged(
    start: Start, pair: Pair, change: Change, expected: set[str], how: str
) -> None:
    primary, standby = pair
    store = await start()
    await store.insert(record("old"))
    async with away(standby), await psycopg.AsyncConnection.connect(primary.url("postgres"), autocommit=True) as other:
        changing = asyncio.create_task(change(store))
        first = await waiting(other, changing)
        await other.execute(ENDS[how].encode(), [first])
        await waiting(other, changing, beside=first)
        acknowledged = changing.done()

    await changing
    assert not acknowledged
    page = await store.page("p", ListQuery(), after=None, limit=9)
    assert {each.id.removeprefix("chatcmpl-") for each in page} == expected


async def test_a_repeat_gets_no_completion_that_the_standby_lacks(start: Start, pair: Pair) -> None:
    primary, standby = pair
    one, two, three = [await start() for _ in range(3)]
    async with away(standby), await psycopg.AsyncConnection.connect(primary.url("postgres"), autocommit=True) as other:
        making = asyncio.create_task(remembered(one))
        first = await waiting(other, making)
        await other.execute(ENDS["ended"].encode(), [first])
        await waiting(other, making, beside=first)
        repeats = [
            asyncio.create_task(two.recall("p", "k", now=outcome("k").created)),
            asyncio.create_task(three.remember(outcome("k", of="c"), record("c"))),
        ]
        while not any(each.done() for each in repeats) and len(await waiters(other)) < 3:
            await asyncio.sleep(0.02)
        acknowledged = [each.done() for each in repeats]

    assert await asyncio.gather(*repeats) == [outcome("k")] * 2
    await making
    assert acknowledged == [False, False]


async def waiting(connection: psycopg.AsyncConnection, task: asyncio.Task[Any], *, beside: int = 0) -> int | None:
    """The process whose commit waits for the standby; None once the task is done."""
    while not task.done():
        if found := await waiters(connection) - {beside}:
            return found.pop()
        await asyncio.sleep(0.02)
    return None


async def waiters(connection: psycopg.AsyncConnection) -> set[int]:
    rows = await connection.execute(b"SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
    return {pid for (pid,) in await rows.fetchall()}

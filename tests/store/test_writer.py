"""writer.py: who shares a commit, who fails alone, and what happens when the database is away or slow."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event

from hansard.core.paging import ListQuery
from hansard.errors import Conflict, InternalError, StoreUnavailable
from hansard.store.sql import SqlStore
from hansard.store.sqlite import engine_for_writing
from hansard.store.writer import Writer
from tests.store.records import record, write_lock

pytestmark = pytest.mark.anyio

Begun = list[asyncio.Task[None]]


async def begun(store: SqlStore, *names: str) -> Begun:
    """Inserts that have all reached the writer's line, but go no further while the lock is held."""
    tasks = [asyncio.create_task(store.insert(record(name))) for name in names]
    await asyncio.sleep(0)
    return tasks


async def stored(store: SqlStore) -> set[str]:
    page = await store.page("p", ListQuery(), after=None, limit=1000)
    return {each.id.removeprefix("chatcmpl-") for each in page}


@pytest.fixture
async def start(path: Path) -> AsyncIterator[Callable[..., object]]:
    """Starts a store with other settings, and stops it in the end."""
    stores: list[SqlStore] = []

    async def start(**settings: float) -> SqlStore:
        store = SqlStore(path=path, **settings)  # type: ignore[arg-type]
        await store.start()
        stores.append(store)
        return store

    yield start
    for store in stores:
        await store.stop()


async def test_those_who_come_together_share_a_commit(store: SqlStore, path: Path, commits: list[Connection]) -> None:
    commits.clear()
    names = [str(number) for number in range(100)]
    with write_lock(path):
        tasks = await begun(store, *names)
    await asyncio.gather(*tasks)
    assert len(commits) == 1
    assert await stored(store) == set(names)


async def test_those_who_come_together_share_statements_too(store: SqlStore, path: Path) -> None:
    tables: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("INSERT INTO "):
            tables.append(statement.split()[2])

    event.listen(Engine, "after_cursor_execute", note)
    try:
        with write_lock(path):
            tasks = await begun(store, *(str(number) for number in range(100)))
        await asyncio.gather(*tasks)
    finally:
        event.remove(Engine, "after_cursor_execute", note)

    # 64 rows a statement: 100 records, and three labels for each.
    assert [tables.count(name) for name in ("completions", "bodies", "labels")] == [2, 2, 5]


async def test_a_transaction_takes_no_more_than_256(store: SqlStore, path: Path, commits: list[Connection]) -> None:
    commits.clear()
    with write_lock(path):
        tasks = await begun(store, *(str(number) for number in range(600)))
    await asyncio.gather(*tasks)
    assert len(commits) == 3
    assert len(await stored(store)) == 600


async def test_nothing_is_acknowledged_before_its_commit(store: SqlStore, path: Path) -> None:
    with write_lock(path):
        (task,) = await begun(store, "a")
        assert await store.get("p", "chatcmpl-a") is None
        assert not task.done()
    await task
    assert await store.get("p", "chatcmpl-a") == record("a")


async def test_one_that_fails_does_not_fail_its_neighbours(
    store: SqlStore, path: Path, commits: list[Connection]
) -> None:
    await store.insert(record("twice"))
    commits.clear()
    with write_lock(path):
        tasks = await begun(store, "a", "twice", "b")
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), Conflict, type(None)]
    assert str(outcomes[1]) == "This completion is already stored."
    assert len(commits) == 1
    assert await stored(store) == {"twice", "a", "b"}


async def test_one_that_fails_leaves_nothing_behind(store: SqlStore) -> None:
    await store.insert(record("a", metadata={"tier": "tin"}))
    with pytest.raises(Conflict):
        await store.insert(record("a", metadata={"tier": "gold"}))
    assert await store.page("p", ListQuery(metadata=(("tier", "gold"),)), after=None, limit=1) == []
    assert await store.get("p", "chatcmpl-a") == record("a", metadata={"tier": "tin"})


async def test_the_same_id_may_exist_in_two_projects(store: SqlStore) -> None:
    await store.insert(record("a", project="p"))
    await store.insert(record("a", project="q"))
    assert await store.delete("q", "chatcmpl-a")
    assert await store.get("p", "chatcmpl-a") == record("a")


async def test_cancelling_one_neither_loses_nor_blocks_others(store: SqlStore, path: Path) -> None:
    with write_lock(path):
        tasks = await begun(store, "a", "b", "c")
        tasks[1].cancel()
        await asyncio.gather(tasks[1], return_exceptions=True)
    await asyncio.gather(tasks[0], tasks[2])
    assert tasks[1].cancelled()
    assert await stored(store) >= {"a", "c"}
    await store.insert(record("d"))


async def test_the_line_is_bounded(path: Path, start: Callable[..., object]) -> None:
    store = await start(queue_limit=3)  # type: ignore[misc]
    with write_lock(path):
        tasks = await begun(store, "a", "b", "c")
        assert await store.ready() is False
        with pytest.raises(
            StoreUnavailable, match=r"^The store is unavailable: too many writes are waiting\.$"
        ) as caught:
            await store.insert(record("d"))
    await asyncio.gather(*tasks)
    assert caught.value.retry_after_s == 1
    assert await store.ready() is True
    assert await stored(store) == {"a", "b", "c"}


async def test_the_line_is_bounded_in_bytes_too_but_one_always_fits(path: Path, start: Callable[..., object]) -> None:
    store = await start(queue_limit_bytes=1000)  # type: ignore[misc]
    with write_lock(path):
        big = asyncio.create_task(store.insert(record("a", request=b"x" * 2000)))
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable):
            await store.insert(record("b"))
    await big
    await store.insert(record("b"))
    assert await stored(store) == {"a", "b"}


async def test_a_lock_held_too_long_refuses_everybody_once(path: Path, start: Callable[..., object]) -> None:
    store = await start(patience_s=0.05)  # type: ignore[misc]
    with write_lock(path):
        outcomes = await asyncio.gather(*await begun(store, "a", "b", "c"), return_exceptions=True)
        assert await store.ready() is False
    assert {str(outcome) for outcome in outcomes} == {
        "The store is unavailable: another process keeps the database locked."
    }
    assert await store.ready() is True
    await store.insert(record("a"))
    assert await stored(store) == {"a"}


async def test_reads_do_not_wait_for_the_writer(store: SqlStore, path: Path) -> None:
    await store.insert(record("a"))
    with write_lock(path):
        tasks = await begun(store, "b")
        assert await store.get("p", "chatcmpl-a") == record("a")
        assert await store.locate("p", "chatcmpl-a") is not None
        assert await stored(store) == {"a"}
    await asyncio.gather(*tasks)


async def test_statements_run_on_named_threads_only(store: SqlStore) -> None:
    seen: set[tuple[str, str]] = set()

    def executed(_c: object, _cursor: object, statement: str, *_: object) -> None:
        seen.add((statement.split()[0], threading.current_thread().name.rstrip("0123456789")))

    event.listen(Engine, "before_cursor_execute", executed)
    try:
        await store.insert(record("a"))
        await store.get("p", "chatcmpl-a")
        await store.ready()
    finally:
        event.remove(Engine, "before_cursor_execute", executed)
    assert seen == {
        ("BEGIN", "hansard-store-writer"),
        ("INSERT", "hansard-store-writer"),
        ("BEGIN", "hansard-store-reader_"),
        ("SELECT", "hansard-store-reader_"),
    }


async def test_stop_commits_what_waits(path: Path) -> None:
    store = SqlStore(path=path)
    await store.start()
    tasks = await begun(store, "a", "b")
    await store.stop()
    await asyncio.gather(*tasks)
    again = SqlStore(path=path)
    await again.start()
    assert await stored(again) == {"a", "b"}
    await again.stop()


async def test_a_stopped_store_refuses(path: Path) -> None:
    store = SqlStore(path=path)
    await store.start()
    await store.stop()
    with pytest.raises(StoreUnavailable):
        await store.insert(record("a"))
    assert await store.ready() is False


async def test_a_bug_fails_alone_and_with_its_cause(path: Path) -> None:
    engine = engine_for_writing(path, patience_s=1)
    writer = Writer(engine, limit=10, limit_bytes=10)
    writer.start()
    with pytest.raises(InternalError) as caught:
        await writer.write(lambda _: 1 // 0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert writer.healthy
    assert await writer.write(lambda _: "next") == "next"
    await writer.stop()
    engine.dispose()

"""writer.py: who shares a commit, who fails alone, and what happens when the database is away or slow."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Connection

from hansard.core.paging import ListQuery
from hansard.errors import Conflict, InternalError, StoreUnavailable
from hansard.observe import Committed, Event
from hansard.store.database import Database
from hansard.store.driver import run
from hansard.store.outage import Outage
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite
from hansard.store.writer import Writer
from tests.store.conftest import Start, impatient
from tests.store.records import record, write_lock
from tests.store.statements import of_new_connections

pytestmark = pytest.mark.anyio

Begun = list[asyncio.Task[None]]


async def begun(store: SqlStore, *names: str) -> Begun:
    """Inserts that have all reached the writer's line, but go no further while the lock is held."""
    tasks = [asyncio.create_task(store.insert(record(name))) for name in names]
    await asyncio.sleep(0)
    return tasks


def alone(database: Database) -> int:
    """How many commits the first in ``begun`` may have for itself: PostgreSQL does not wait for a lock to begin."""
    return 0 if isinstance(database, Sqlite) else 1


@asynccontextmanager
async def writing(database: Database, *, gathered_s: float = 0.0, waits_s: float = 30.0) -> AsyncIterator[Writer]:
    """A writer by itself, running."""
    database.make()
    engine = database.engine_for_writing()
    writer = Writer(
        engine,
        guard=lambda _: None,
        limit=100,
        limit_bytes=100,
        outage=Outage(bound_s=0),
        gathered_s=gathered_s,
        waits_s=waits_s,
    )
    writer.start()
    yield writer
    await writer.stop()
    engine.dispose()


async def after(turns: int, writer: Writer) -> None:
    """A write that comes so many turns of the loop later."""
    for _ in range(turns):
        await asyncio.sleep(0)
    await writer.write(lambda _: None)


async def stored(store: SqlStore) -> set[str]:
    page = await store.page("p", ListQuery(), after=None, limit=1000)
    return {each.id.removeprefix("chatcmpl-") for each in page}


async def test_those_who_come_together_share_a_commit(
    store: SqlStore, database: Database, commits: list[Connection]
) -> None:
    commits.clear()
    names = [str(number) for number in range(100)]
    with write_lock(database):
        tasks = await begun(store, *names)
    await asyncio.gather(*tasks)
    assert 1 <= len(commits) <= 1 + alone(database)
    assert await stored(store) == set(names)


async def test_those_who_come_together_share_statements_too(store: SqlStore, database: Database) -> None:
    tables: list[str] = []

    def note(statement: str, _: object) -> None:
        if statement.startswith("INSERT INTO "):
            tables.append(statement.split()[2])

    with of_new_connections(note):
        with write_lock(database):
            tasks = await begun(store, *(str(number) for number in range(100)))
        await asyncio.gather(*tasks)

    # 64 rows a statement: 100 records, and two labels for each.
    counts = {name: tables.count(name) for name in ("completions", "bodies", "labels")}
    one = 0 if counts["completions"] == 2 else alone(database)
    assert counts == {"completions": 2 + one, "bodies": 2 + one, "labels": 4 + one}


async def test_a_transaction_takes_no_more_than_256(
    store: SqlStore, database: Database, commits: list[Connection]
) -> None:
    commits.clear()
    with write_lock(database):
        tasks = await begun(store, *(str(number) for number in range(600)))
    await asyncio.gather(*tasks)
    assert 3 <= len(commits) <= 3 + alone(database)
    assert len(await stored(store)) == 600


async def test_those_who_come_in_turns_of_the_loop_that_follow_each_other_share_a_commit(
    database: Database, commits: list[Connection]
) -> None:
    async with writing(database, gathered_s=60) as writer:
        await asyncio.gather(*(after(turns, writer) for turns in range(20)))
        assert len(commits) == 1
        await asyncio.gather(*(after(turns, writer) for turns in range(20)))
        assert len(commits) == 2


async def test_others_are_not_let_come_for_ever(database: Database) -> None:
    async with writing(database, gathered_s=0) as writer:
        first = asyncio.create_task(writer.write(lambda _: None))
        others = []
        while not first.done():
            others.append(asyncio.create_task(writer.write(lambda _: None)))
            await asyncio.sleep(0)
        outcomes = await asyncio.gather(*others, return_exceptions=True)

        assert first.exception() is None
        assert None in outcomes, "nobody who came meanwhile was served"


async def test_nothing_is_acknowledged_before_its_commit(store: SqlStore, database: Database) -> None:
    with write_lock(database):
        (task,) = await begun(store, "a")
        assert await store.get("p", "chatcmpl-a") is None
        assert not task.done()
    await task
    assert await store.get("p", "chatcmpl-a") == record("a")


async def test_one_that_fails_does_not_fail_its_neighbours(
    store: SqlStore, database: Database, commits: list[Connection]
) -> None:
    await store.insert(record("twice"))
    commits.clear()
    with write_lock(database):
        tasks = await begun(store, "a", "twice", "b")
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), Conflict, type(None)]
    assert str(outcomes[1]) == "This completion is already stored."
    assert 1 <= len(commits) <= 1 + alone(database)
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


async def test_cancelling_one_neither_loses_nor_blocks_others(store: SqlStore, database: Database) -> None:
    with write_lock(database):
        tasks = await begun(store, "a", "b", "c")
        tasks[1].cancel()
        await asyncio.gather(tasks[1], return_exceptions=True)
    await asyncio.gather(tasks[0], tasks[2])
    assert tasks[1].cancelled()
    assert await stored(store) >= {"a", "c"}
    await store.insert(record("d"))


async def test_the_line_is_bounded(database: Database, start: Start) -> None:
    store = await start(queue_limit=3)
    with write_lock(database):
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


async def test_the_line_is_bounded_in_bytes_too_but_one_always_fits(database: Database, start: Start) -> None:
    store = await start(queue_limit_bytes=1000)
    with write_lock(database):
        big = asyncio.create_task(store.insert(record("a", request=b"x" * 2000)))
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable):
            await store.insert(record("b"))
    await big
    await store.insert(record("b"))
    assert await stored(store) == {"a", "b"}


async def test_a_lock_held_too_long_refuses_everybody_once(database: Database, start: Start) -> None:
    store = await start(database=impatient(database))
    with write_lock(database):
        outcomes = await asyncio.gather(*await begun(store, "a", "b", "c"), return_exceptions=True)
        assert await store.ready() is False
    assert {str(outcome) for outcome in outcomes} == {
        "The store is unavailable: another process keeps the database locked."
    }
    assert await store.ready() is True
    await store.insert(record("a"))
    assert await stored(store) == {"a"}


async def test_reads_do_not_wait_for_the_writer(store: SqlStore, database: Database) -> None:
    await store.insert(record("a"))
    with write_lock(database):
        tasks = await begun(store, "b")
        assert await store.get("p", "chatcmpl-a") == record("a")
        assert await store.locate("p", "chatcmpl-a") is not None
        assert await stored(store) == {"a"}
    await asyncio.gather(*tasks)


async def test_statements_run_on_named_threads_only(store: SqlStore, database: Database) -> None:
    seen: set[tuple[str, str]] = set()

    def note(statement: str, _: object) -> None:
        seen.add((statement.split()[0], threading.current_thread().name.rstrip("0123456789")))

    with of_new_connections(note):
        await store.insert(record("a"))
        await store.get("p", "chatcmpl-a")
        await store.ready()
    guard = set() if isinstance(database, Sqlite) else {("SELECT", "hansard-store-writer")}
    ours = {"BEGIN", "INSERT", "SELECT"}  # others are of the drivers, and of opening
    assert {(word.rstrip(";"), thread) for word, thread in seen if word.rstrip(";") in ours} == guard | {
        ("BEGIN", "hansard-store-writer"),
        ("INSERT", "hansard-store-writer"),
        ("BEGIN", "hansard-store-reader_"),
        ("SELECT", "hansard-store-reader_"),
    }


async def test_each_commit_tells_how_long_it_took_and_who_shared_it(database: Database) -> None:
    told: list[Event] = []
    store = SqlStore(database, observer=told.append)
    await store.start()
    try:
        with write_lock(database):
            tasks = await begun(store, "a", "b", "c")
            assert store.waiting == 3
            await asyncio.sleep(0.05)  # what they wait is to be seen
        await asyncio.gather(*tasks)
    finally:
        await store.stop()

    commits = [event for event in told if isinstance(event, Committed)]
    assert sum(commit.writes for commit in commits) == 3
    assert store.waiting == 0
    assert sum(commit.queue_s + commit.duration_s for commit in commits) >= 0.05


async def test_one_that_has_not_written_for_long_is_asked_by_a_write(database: Database) -> None:
    told: list[Event] = []
    store = SqlStore(database, observer=told.append)
    await store.start()
    try:
        assert await store.ready() is True
        assert await store.ready() is True
    finally:
        await store.stop()

    # The first had nothing to go by; the second had the first.
    assert [type(event) for event in told] == [Committed]


async def test_stop_commits_what_waits(database: Database, start: Start) -> None:
    store = SqlStore(database)
    await store.start()
    tasks = await begun(store, "a", "b")
    await store.stop()
    await asyncio.gather(*tasks)
    again = await start()
    assert await stored(again) == {"a", "b"}


async def test_a_stopped_store_refuses(database: Database) -> None:
    store = SqlStore(database)
    await store.start()
    await store.stop()
    with pytest.raises(StoreUnavailable):
        await store.insert(record("a"))
    assert await store.ready() is False


async def test_who_waits_too_long_for_a_commit_is_refused_and_others_at_once_until_it_comes(database: Database) -> None:
    gate = threading.Event()
    async with writing(database, waits_s=0.1) as writer:
        said = r"^The store is unavailable: the database took too long\.$"
        first = asyncio.create_task(writer.write(lambda _: gate.wait()))
        second = asyncio.create_task(writer.write(lambda _: "second"))
        for each in (first, second):
            with pytest.raises(StoreUnavailable, match=said):
                await each
        assert not writer.has_room()
        with pytest.raises(StoreUnavailable, match=said):
            await writer.write(lambda _: "third")
        gate.set()
        while not writer.has_room():
            await asyncio.sleep(0.01)
        assert await writer.write(lambda _: "fourth") == "fourth"


async def test_a_commit_that_never_comes_does_not_hold_up_the_end(database: Database) -> None:
    gate = threading.Event()
    async with writing(database, waits_s=0.1) as writer:
        hanging = asyncio.create_task(writer.write(lambda _: gate.wait()))
        await asyncio.wait_for(writer.stop(), timeout=10)
        with pytest.raises(StoreUnavailable):
            await hanging
        gate.set()
        (thread,) = (each for each in threading.enumerate() if each.name == "hansard-store-writer")
        await asyncio.to_thread(thread.join)


async def test_a_bug_fails_alone_and_with_its_cause(database: Database) -> None:
    database.make()
    engine = database.engine_for_writing()
    writer = Writer(engine, guard=lambda _: None, limit=10, limit_bytes=10, outage=Outage(bound_s=0))
    writer.start()
    with pytest.raises(InternalError) as caught:
        await writer.write(lambda _: 1 // 0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert writer.healthy
    assert await writer.write(lambda _: "next") == "next"
    await writer.stop()
    engine.dispose()


async def test_what_is_done_between_two_transactions_keeps_its_place_and_is_in_none(database: Database) -> None:
    done: list[tuple[str, bool]] = []

    def step(name: str) -> Callable[[Connection], None]:
        return lambda connection: done.append((name, connection.in_transaction()))

    async with writing(database) as writer:
        await asyncio.gather(
            writer.write(step("before")), writer.between(step("between")), writer.write(step("behind"))
        )

    assert done == [("before", True), ("between", False), ("behind", True)]


async def test_what_fails_between_two_transactions_is_told_and_nobody_else_notices(database: Database) -> None:
    async with writing(database) as writer:
        outcomes = await asyncio.gather(
            writer.write(lambda _: "before"),
            writer.between(lambda connection: run(connection, "no statement")),
            writer.write(lambda _: "behind"),
            return_exceptions=True,
        )

    assert [type(outcome) for outcome in outcomes] == [str, StoreUnavailable, str]

"""outcomes.py: what lies in the table, what is cleared away, and the memory of a server that writes nothing down.

What every place promises is in test_base.py.
"""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection, func, select

from hansard.errors import Conflict
from hansard.store import changes, outcomes, schema
from hansard.store.outcomes import InMemory
from hansard.store.sql import SqlStore
from tests.store.conftest import Start
from tests.store.plans import scans
from tests.store.records import outcome, record

pytestmark = pytest.mark.anyio


def lying(connection: Connection) -> list[tuple[str, int | None, bytes | None]]:
    columns = schema.outcomes.c
    rows = connection.execute(select(columns.key, columns.number, columns.reply).order_by(columns.key))
    return [tuple(row) for row in rows]


def count(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(schema.outcomes)) or 0


def test_the_reply_of_a_stored_completion_lies_there_once(connection: Connection) -> None:
    outcomes.keep(connection, outcome("k", of="a"), record("a"))
    outcomes.keep(connection, outcome("l", of="b"), None)
    assert lying(connection) == [("k", 1, None), ("l", None, record("b").reply)]


def test_a_deleted_completion_leaves_no_row(connection: Connection) -> None:
    outcomes.keep(connection, outcome("k", of="a"), record("a"))
    changes.delete_record(connection, "p", "chatcmpl-a")
    assert lying(connection) == []


def test_each_new_outcome_clears_away_some_that_expired(connection: Connection) -> None:
    for number in range(40):
        outcomes.keep(connection, outcome(f"old-{number}"), None)
    late = outcome("new", created=1_700_001_100, expires=1_700_002_100)
    outcomes.keep(connection, late, None)
    assert count(connection) == 40 + 1 - 32
    outcomes.keep(connection, outcome("newer", created=1_700_001_100, expires=1_700_002_100), None)
    assert [key for key, _, _ in lying(connection)] == ["new", "newer"]


async def test_a_start_clears_away_all_that_expired(start: Start) -> None:
    store = await start()
    await store.remember(outcome("long ago"))
    await store.remember(outcome("for long", expires=2**40))
    await store.stop()

    again = await start()

    assert await again.recall("p", "long ago", now=0) is None
    assert await again.recall("p", "for long", now=0) is not None


async def test_two_processes_on_one_database_agree_who_was_first(start: Start) -> None:
    stores = [await start() for _ in range(4)]
    kept = await asyncio.gather(
        *(store.remember(outcome("k", of=str(n)), record(str(n))) for n, store in enumerate(stores))
    )
    found = [await store.get("p", f"chatcmpl-{n}") for n, store in enumerate(stores)]
    [winner] = [record for record in found if record is not None]
    assert {each.reply for each in kept} == {winner.reply}


async def test_neighbours_with_one_key_in_one_commit_agree_as_well(store: SqlStore) -> None:
    kept = await asyncio.gather(*(store.remember(outcome("k", of=str(n)), record(str(n))) for n in range(8)))
    assert {each.reply for each in kept} == {record("0").reply}


async def test_a_record_that_cannot_be_inserted_leaves_no_outcome(store: SqlStore) -> None:
    await store.insert(record("a"))
    with pytest.raises(Conflict):
        await store.remember(outcome("k", of="a"), record("a"))
    assert await store.recall("p", "k", now=0) is None


def test_a_key_is_found_by_its_index(connection: Connection) -> None:
    find = outcomes._FIND.compile(connection)
    asked = {"of_project": "p", "of_key": "k", "now": 0}
    parameters = tuple(asked[name] for name in find.positiontup) if find.positiontup else asked
    assert not scans(connection, str(find), parameters)


async def test_memory_remembers_until_it_expires() -> None:
    memory = InMemory()
    assert await memory.remember(outcome("k", of="a")) == outcome("k", of="a")
    assert await memory.remember(outcome("k", of="b")) == outcome("k", of="a")
    assert await memory.recall("p", "k", now=1_700_001_099) == outcome("k", of="a")
    assert await memory.recall("theirs", "k", now=0) is None
    assert await memory.recall("p", "k", now=1_700_001_100) is None
    later = outcome("k", of="b", created=1_700_001_100, expires=1_700_002_100)
    assert await memory.remember(later) == later


async def test_memory_keeps_no_more_than_its_limits_and_nothing_that_expired() -> None:
    few, small = InMemory(limit=2), InMemory(limit_bytes=100)
    for key in "abc":
        await few.remember(outcome(key))
        await small.remember(outcome(key, reply=b"x" * 40))
    for memory in (few, small):
        found = [key for key in "abc" if await memory.recall("p", key, now=0)]
        assert found == ["b", "c"]
    await few.remember(outcome("d", created=1_700_001_100, expires=1_700_002_100))
    assert [key for key in "abcd" if await few.recall("p", key, now=0)] == ["d"]


async def test_memory_does_not_keep_what_is_larger_than_all_of_it() -> None:
    memory = InMemory(limit_bytes=100)
    await memory.remember(outcome("k", reply=b"x" * 101))
    assert await memory.recall("p", "k", now=0) is None

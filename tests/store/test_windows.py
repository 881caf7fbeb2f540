"""windows.py and indexing.py: when windows close, what changes of labels do to them, and when they go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, delete, select, text

from hansard.core.paging import ListQuery
from hansard.store import changes, migrate, missed, ranks, windows
from hansard.store.bits import unpacked
from hansard.store.database import Database
from hansard.store.postgresql import Postgresql
from hansard.store.ranges import Stretch
from hansard.store.schema import TABLES, bitmaps, completions
from hansard.store.schema import windows as windows_table
from hansard.store.sql import SqlStore
from hansard.store.windows import Sizes
from tests.postgres import PostgresServer
from tests.store.conftest import Start
from tests.store.records import record
from tests.store.tended import closed, listed, tended

pytestmark = pytest.mark.anyio

SHORT = Sizes(numbers=8, listed=1, few=0, worth_it_from=0)
BOTH = {"a": "yes", "b": "yes"}
WANTED = ListQuery(metadata=tuple(BOTH.items()))


def kept(connection: Connection) -> dict[tuple[str, str, int], list[int]]:
    """The numbers that have each label of project p, by its key and value and the first number of the window."""
    of_window = {row.first_number: row for row in connection.execute(select(windows_table)) if row.project == "p"}
    found = {}
    for row in connection.execute(select(bitmaps).where(bitmaps.c.project == "p")):
        window = of_window[row.first_number]
        span = window.last_number - window.first_number + 1
        bits = unpacked(row.bits, span)
        if window.slack:
            stretch = Stretch(window.first_number, window.last_number, 0, 0)
            ranked = ranks.all_of(connection, "p", stretch).items()
            found[row.key, row.value, row.first_number] = sorted(number for number, rank in ranked if rank in bits)
        else:
            found[row.key, row.value, row.first_number] = [row.first_number + bit for bit in bits]
    return found


def bounds(connection: Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(select(windows_table).order_by("project", "first_number"))]


def test_windows_have_what_was_given_a_number_and_close_with_their_last(connection: Connection) -> None:
    seconds = [5, 9, 7, 8, 3, 10, 11, 12, 30, 28]
    put = [record(str(n), created=second, project="pq"[n == 4]) for n, second in enumerate(seconds)]
    changes.insert_records(connection, put)

    closed(connection, SHORT)

    assert bounds(connection) == [
        ("p", 1, 8, 5, 12, 2, None),
        ("p", 9, 16, 28, 30, 2, 0),
        ("q", 1, 8, 3, 3, 0, None),
    ]
    assert kept(connection)["model", "tiny", 1] == [1, 2, 3, 4, 6, 7, 8]
    assert list(missed.names(connection)) == []


def test_a_window_is_the_same_however_often_it_was_listed(connection: Connection) -> None:
    for n, second in enumerate([5, 9, 7, 8, 3, 10, 11]):
        changes.insert_record(connection, record(str(n), created=second))
        listed(connection, SHORT._replace(numbers=1))
        connection.execute(delete(windows_table))
    windows.forget(connection)
    changes.insert_record(connection, record("8", created=10))
    listed(connection, SHORT)
    assert bounds(connection) == [("p", 1, 8, 3, 11, 6, 0)]


def test_nothing_is_listed_before_there_are_enough_for_a_window(connection: Connection) -> None:
    changes.insert_records(connection, [record(str(n)) for n in range(7)])
    listed(connection, SHORT)
    assert bounds(connection) == []


def test_a_label_that_few_carry_has_no_bitmap(connection: Connection) -> None:
    changes.insert_records(connection, [record(str(n), metadata={"a": str(n // 3)}) for n in range(8)])
    closed(connection, SHORT._replace(few=2))
    assert {(key, value) for key, value, _ in kept(connection)} == {
        ("metadata[a]", "0"),
        ("metadata[a]", "1"),
        ("model", "tiny"),
        ("model", "tiny-2026"),
    }


def test_labels_that_change_change_bitmaps(connection: Connection) -> None:
    changes.insert_records(connection, [record(str(n), metadata={"a": "yes"}) for n in range(8)])
    closed(connection, SHORT)

    changes.set_metadata(connection, "p", "chatcmpl-3", {"b": "yes"})
    changes.delete_record(connection, "p", "chatcmpl-5")

    assert kept(connection)["metadata[a]", "yes", 1] == [1, 2, 3, 5, 6, 7, 8]  # 6 is gone, and no harm
    assert ("metadata[b]", "yes", 1) not in kept(connection)  # few carry it
    assert kept(connection)["", "", 1] == [6]
    assert list(missed.names(connection)) == []


def test_a_label_that_many_have_come_to_carry_has_a_bitmap(connection: Connection) -> None:
    changes.insert_records(connection, [record(str(n)) for n in range(20)])
    closed(connection, Sizes(numbers=20, listed=1))
    for n in range(17):
        changes.set_metadata(connection, "p", f"chatcmpl-{n}", BOTH)
        assert (("metadata[a]", "yes", 1) in kept(connection)) == (n >= 15)
    assert kept(connection)["metadata[b]", "yes", 1] == list(range(1, 18))


@pytest.mark.parametrize("late", [0, 3])
def test_what_is_deleted_is_noted_in_each_window_that_is_done(connection: Connection, late: int) -> None:
    put = [record(str(n), created=10 + n - late * (n % 3 == 1), metadata={"a": "yes"}) for n in range(28)]
    changes.insert_records(connection, put)
    closed(connection, SHORT)
    those = completions.c.id.in_([f"chatcmpl-{n}" for n in (26, 3, 9, 4, 12, 20)])

    changes.delete_records(connection, "p", connection.execute(select(completions).where(those)).all())
    changes.delete_record(connection, "p", "chatcmpl-5")

    gone = {first: those for (key, _, first), those in kept(connection).items() if key == ""}
    assert gone == {1: [4, 5, 6], 9: [10, 13], 17: [21]}  # what is in no finished window leaves nothing
    assert list(missed.names(connection)) == []


def test_who_makes_bitmaps_begins_again_if_a_label_changes_meanwhile(connection: Connection) -> None:
    changes.insert_records(connection, [record(str(n), metadata={"a": "yes"}) for n in range(8)])
    listed(connection, SHORT)
    [due] = windows.look(connection, now_us=10**15).due
    ours = windows.take(connection, due, now_us=10**15)
    assert ours is not None
    windows.read(connection, ours, windows.Carried(), after=0)

    changes.set_metadata(connection, "p", "chatcmpl-3", {"b": "yes"})

    assert not windows.write(connection, ours, [(("metadata[a]", "yes"), b"\xff")])
    assert not windows.finish(connection, ours)
    closed(connection, SHORT)
    assert kept(connection)["metadata[a]", "yes", 1] == [1, 2, 3, 5, 6, 7, 8]


def test_a_window_is_one_servers_until_that_was_not_heard_of_for_long(connection: Connection) -> None:
    changes.insert_records(connection, [record(str(n)) for n in range(8)])
    listed(connection, SHORT)
    now_us = 10**15
    [due] = windows.look(connection, now_us=now_us).due
    assert windows.take(connection, due, now_us=now_us) is not None

    assert windows.take(connection, due, now_us=now_us + 1) is None
    assert windows.look(connection, now_us=now_us + 599_000_000).due == []
    assert len(windows.look(connection, now_us=now_us + 601_000_000).due) == 1


def test_two_who_list_the_same_do_it_once(connection: Connection) -> None:
    changes.insert_records(connection, [record(str(n)) for n in range(12)])
    listed(connection, SHORT)
    found = windows.survey(connection, 8, 12)
    assert not windows.add(connection, found, listed=8, until=12, sizes=SHORT)
    assert not windows.add(connection, found, listed=0, until=8, sizes=SHORT)


def test_the_oldest_window_goes_with_its_last_completion(connection: Connection) -> None:
    changes.insert_records(connection, [record(str(n)) for n in range(16)])
    closed(connection, SHORT)
    for n in range(8):
        windows.drop_empty(connection, listed=16)
        assert [first for _, first, *_ in bounds(connection)] == [1, 9]
        changes.delete_record(connection, "p", f"chatcmpl-{n}")
    windows.drop_empty(connection, listed=16)
    assert [first for _, first, *_ in bounds(connection)] == [9]
    assert {first for *_, first in kept(connection)} == {9}


@pytest.mark.parametrize(
    ("damage", "names"),
    [
        ("UPDATE bitmaps SET bits = '\\x7f' WHERE key = 'metadata[a]'", ["number 8"]),
        ("INSERT INTO bitmaps VALUES ('p', '', '', 1, '\\x03')", ["number 1", "number 5"]),
        ("UPDATE ranks SET numbers = '\\x00000400020003000100050006000700'", ["number 1"]),
        ("DELETE FROM ranks", [f"number {n + 1}" for n in range(8)]),
        ("UPDATE windows SET last_created = 4", ["chatcmpl-0", *(f"chatcmpl-{n}" for n in range(1, 8) if n != 4)]),
        ("UPDATE windows SET slack = 3", ["chatcmpl-4"]),
        ("DELETE FROM windows", [f"chatcmpl-{n}" for n in range(8)]),
    ],
)
def test_a_check_finds_what_they_miss(connection: Connection, damage: str, names: list[str]) -> None:
    seconds = [5, 9, 7, 8, 3, 10, 11, 12]
    put = [record(str(n), created=second, metadata={"a": "yes"}) for n, second in enumerate(seconds)]
    changes.insert_records(connection, put)
    closed(connection, SHORT)
    in_sqlite = damage.replace("'\\x", "X'")
    connection.execute(text(in_sqlite if connection.dialect.name == "sqlite" else damage))
    assert sorted(set(missed.names(connection))) == names


async def test_a_store_makes_them_in_rounds(start: Start) -> None:
    store = await start(windows=SHORT)
    for n in range(12):
        await store.insert(record(str(n), metadata=BOTH))
    assert [await tended(store) > 0 for _ in range(3)] == [True, True, False]
    assert len(await store.page("p", WANTED, after=None, limit=20)) == 12


async def test_nothing_of_a_project_that_leaves_stays(start: Start, database: Database) -> None:
    store = await start(windows=SHORT)
    for n in range(12):
        await store.insert(record(str(n), metadata=BOTH))
    for _ in range(2):
        await tended(store)
    while await store.clear_some("p"):
        pass
    engine = database.engine_for_reading(connections=1)
    with engine.begin() as connection:
        left = {
            name
            for name, table in TABLES.tables.items()
            if "project" in table.c
            and connection.scalar(select(table.c.project).where(table.c.project == "p").limit(1))
        }
    engine.dispose()
    assert left == set()


# Two servers' transactions at once. The first number was that of the store's self-check.


@contextmanager
def transaction(database: Database) -> Iterator[Connection]:
    """As a server's writer has it."""
    engine = database.engine_for_serving()
    try:
        with engine.begin() as connection:
            database.guard(connection, version=migrate.HEAD)
            yield connection
    finally:
        engine.dispose()


@pytest.fixture
async def server(postgres: PostgresServer) -> Any:
    with postgres.lent_database() as url:
        store = SqlStore(Postgresql(url), windows=SHORT)
        await store.start()
        yield store, Postgresql(url)
        await store.stop()


async def test_no_window_closes_over_a_number_that_was_given_and_may_still_come(server: Any) -> None:
    store, database = server
    with transaction(database) as other:
        changes.insert_record(other, record("late", metadata=BOTH))
        for n in range(7):
            await store.insert(record(str(n), metadata=BOTH))
        round_of_it = asyncio.create_task(tended(store))
        done, _ = await asyncio.wait([round_of_it], timeout=0.3)
        assert not done  # it waits for the other's end
    assert await round_of_it
    await tended(store)

    found = await store.page("p", WANTED, after=None, limit=20)
    assert len(found) == 8
    with transaction(database) as connection:
        assert kept(connection)["metadata[a]", "yes", 1] == list(range(2, 9))


async def test_a_label_that_comes_while_its_window_is_read_is_not_missed(server: Any) -> None:
    store, database = server
    for n in range(8):
        await store.insert(record(str(n), metadata={"a": "yes"} if n else {}))
    await tended(store)  # all are listed; bitmaps come in the next round
    with transaction(database) as other:
        changes.set_metadata(other, "p", "chatcmpl-0", BOTH)
        round_of_it = asyncio.create_task(tended(store))
        done, _ = await asyncio.wait([round_of_it], timeout=0.3)
        assert not done
    assert await round_of_it

    assert [each.id for each in await store.page("p", WANTED, after=None, limit=20)] == ["chatcmpl-0"]
    with transaction(database) as connection:
        assert kept(connection)["metadata[a]", "yes", 1] == list(range(2, 9))
        assert list(missed.names(connection)) == []


async def test_two_labels_that_come_to_one_bitmap_at_once_are_both_there(server: Any) -> None:
    store, database = server
    for n in range(8):
        await store.insert(record(str(n), metadata={"a": "yes"} if n > 1 else {}))
    for _ in range(2):
        await tended(store)
    with transaction(database) as other:
        changes.set_metadata(other, "p", "chatcmpl-0", {"a": "yes"})
        change = asyncio.create_task(store.set_metadata("p", "chatcmpl-1", {"a": "yes"}))
        done, _ = await asyncio.wait([change], timeout=0.3)
        assert not done  # it waits for the window
    await change
    with transaction(database) as connection:
        assert kept(connection)["metadata[a]", "yes", 1] == list(range(2, 9))

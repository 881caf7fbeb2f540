"""retention.py: what has expired is forgotten, a bounded part at a time, and leaves everything else as it was."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, func, select

from hansard.core.paging import ListQuery
from hansard.store import changes, facets, outcomes, queries, retention, schema
from hansard.store.base import Expired, Record
from hansard.store.check import Findings, check
from hansard.store.database import Database
from hansard.store.postgresql import Postgresql
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite
from tests.postgres import PostgresServer
from tests.store.conftest import Start
from tests.store.plans import plan
from tests.store.records import noise, outcome, record
from tests.store.sound import CONVERSATION, sound_record
from tests.store.statements import listen

pytestmark = pytest.mark.anyio

NOW = 1_700_000_500
NOTHING = Expired()


def expired(connection: Connection, *, now: int = NOW, most: int = 64, project: str = "p") -> tuple[int, int]:
    done = retention.expire(connection, project, now=now, most=most)
    return done.records, done.bodies


def ids(connection: Connection, table: str = "completions") -> str:
    names = connection.scalars(select(schema.TABLES.tables[table].c.id))
    return "".join(sorted(name[-1] for name in names))


def count(connection: Connection, table: str) -> int:
    return connection.scalar(select(func.count()).select_from(schema.TABLES.tables[table])) or 0


def found(connection: Connection) -> list[tuple[str, tuple[str, ...]]]:
    """What a check finds; the last thing that this connection is asked, since it makes rows come by and by."""
    findings = Findings()
    check(connection, findings, lambda *_: None)
    return [(finding.kind, finding.ids) for finding in findings.all()]


def conversation(name: str, **changes: Any) -> Record:
    """One whose request has pieces."""
    return sound_record(name, request=CONVERSATION, **changes)


# Whole completions


def test_a_completion_goes_in_the_second_in_which_it_expires(connection: Connection) -> None:
    changes.insert_records(connection, [record("a", expires=NOW), record("b", expires=NOW + 1), record("c")])

    assert retention.due(connection, NOW - 1) == []
    assert expired(connection, now=NOW - 1) == (0, 0)
    assert retention.due(connection, NOW) == ["p"]
    assert expired(connection, now=NOW) == (1, 0)
    assert ids(connection) == "bc"
    assert expired(connection, now=NOW) == (0, 0)
    assert expired(connection, now=2**40) == (1, 0)
    assert ids(connection) == "c"


def test_those_that_expired_first_go_first(connection: Connection) -> None:
    changes.insert_records(connection, [record(name, expires=NOW - 10 * ord(name)) for name in "badc"])

    gone = []
    while expired(connection, most=1) == (1, 0):
        gone.append(ids(connection))

    assert gone == ["abc", "ab", "a", ""]


def test_no_more_go_at_once_than_are_allowed(connection: Connection) -> None:
    changes.insert_records(connection, [record(f"{number}", expires=NOW) for number in range(5)])
    assert [expired(connection, most=2) for _ in range(4)] == [(2, 0), (2, 0), (1, 0), (0, 0)]


def test_large_ones_go_by_few(connection: Connection) -> None:
    large = noise(7_000_000)  # of which three quarters are left, compressed
    changes.insert_records(connection, [record(name, expires=NOW, request=large) for name in "ab"])
    changes.insert_records(connection, [record("c", expires=NOW + 1, request=noise(100))])
    assert [expired(connection, now=NOW + 1) for _ in range(3)] == [(1, 0), (2, 0), (0, 0)]


def test_one_that_is_larger_than_all_together_goes_alone(connection: Connection) -> None:
    changes.insert_records(
        connection, [record("a", expires=NOW - 1, request=noise(12_000_000)), record("b", expires=NOW)]
    )
    assert [expired(connection) for _ in range(3)] == [(1, 0), (1, 0), (0, 0)]


def test_it_leaves_what_a_delete_leaves(connection: Connection) -> None:
    outcomes.keep(connection, outcome("k", of="a"), conversation("a", metadata={"tier": "tin"}, expires=NOW))
    changes.insert_record(connection, conversation("b", metadata={"tier": "tin"}))

    assert expired(connection) == (1, 0)

    assert ids(connection, "tombstones") == "a"
    assert [count(connection, table) for table in ("completions", "bodies", "outcomes")] == [1, 1, 0]
    assert facets.values(connection, "p", "metadata[tier]", most=9) == [("tin", 1)]
    assert facets.values(connection, "p", facets.FINISH_REASON, most=9) == [("stop", 1)]
    assert found(connection) == []


def test_the_last_one_takes_its_pieces_along(connection: Connection) -> None:
    changes.insert_records(connection, [conversation("a", expires=NOW), conversation("b", expires=NOW + 1)])
    pieces = count(connection, "pieces")
    assert expired(connection) == (1, 0)
    assert count(connection, "pieces") == pieces > 1
    assert expired(connection, now=NOW + 1) == (1, 0)
    assert [count(connection, table) for table in ("pieces", "labels", "facets", "bodies")] == [0] * 4


def test_a_project_is_asked_for_its_own(connection: Connection) -> None:
    names = ("p", "q", "r", "s")
    for project, more in zip(names, ({"expires": NOW}, {"body_expires": NOW}, {"expires": NOW + 1}, {}), strict=True):
        changes.insert_record(connection, sound_record("a", project=project, **more))

    assert retention.due(connection, NOW) == ["p", "q"]
    assert expired(connection, project="p") == (1, 0)
    assert retention.due(connection, NOW) == ["q"]
    assert expired(connection, project="q") == (0, 1)
    assert retention.due(connection, NOW) == []
    assert count(connection, "completions") == 3


# What was said


def test_what_was_said_goes_and_the_record_stays(connection: Connection) -> None:
    changes.insert_record(connection, conversation("a", metadata={"tier": "tin"}, body_expires=NOW))

    assert expired(connection, now=NOW - 1) == (0, 0)
    assert expired(connection) == (0, 1)
    assert expired(connection, now=2**40) == (0, 0)

    [kept] = queries_all(connection)
    assert list(queries.page(connection, "p", ListQuery(), after=None, limit=99)) == [kept]
    assert kept.body_expires is None
    assert kept.metadata == {"tier": "tin"}
    assert kept.finish_reason == "stop"
    request = json.loads(kept.request)
    assert request["messages"] == []
    assert request["tools"] == json.loads(CONVERSATION)["tools"]
    assert json.loads(kept.reply)["choices"][0]["message"]["content"] is None
    assert facets.values(connection, "p", "metadata[tier]", most=9) == [("tin", 1)]
    assert found(connection) == []


def queries_all(connection: Connection) -> list[Record]:
    return list(queries.page(connection, "p", ListQuery(), after=None, limit=99, whole=True))


def test_others_keep_the_pieces_they_share(connection: Connection) -> None:
    changes.insert_records(connection, [conversation("a", body_expires=NOW), conversation("b")])
    pieces = count(connection, "pieces")

    assert expired(connection) == (0, 1)

    assert count(connection, "pieces") == pieces
    assert [each.request == CONVERSATION for each in queries_all(connection)] == [False, True]
    assert found(connection) == []


def test_only_its_tools_stay_of_the_pieces(connection: Connection) -> None:
    changes.insert_record(connection, conversation("a", body_expires=NOW))
    assert expired(connection) == (0, 1)
    assert count(connection, "pieces") == 1


def test_a_repeat_of_its_request_is_not_given_what_is_left(connection: Connection) -> None:
    outcomes.keep(connection, outcome("k", of="a", expires=2**40), sound_record("a", body_expires=NOW))
    assert outcomes.find(connection, "p", "k", now=NOW) is not None
    assert expired(connection) == (0, 1)
    assert outcomes.find(connection, "p", "k", now=NOW) is None
    assert found(connection) == []


def test_first_what_was_said_then_the_rest(connection: Connection) -> None:
    changes.insert_record(connection, conversation("a", body_expires=NOW, expires=NOW + 1))
    assert expired(connection) == (0, 1)
    assert expired(connection, now=NOW + 1) == (1, 0)
    assert [count(connection, table) for table in ("completions", "pieces", "bodies")] == [0] * 3
    assert found(connection) == []


def test_what_goes_whole_need_not_be_stripped_before(connection: Connection) -> None:
    changes.insert_record(connection, conversation("a", body_expires=NOW, expires=NOW))
    assert expired(connection) == (1, 0)
    assert expired(connection) == (0, 0)


def test_both_kinds_together_are_no_more_than_allowed(connection: Connection) -> None:
    changes.insert_records(connection, [sound_record(name, expires=NOW) for name in "ab"])
    changes.insert_records(connection, [sound_record(name, body_expires=NOW) for name in "cd"])
    assert [expired(connection, most=3) for _ in range(3)] == [(2, 1), (0, 1), (0, 0)]


def test_new_metadata_do_not_bring_back_what_was_said(connection: Connection) -> None:
    changes.insert_record(connection, conversation("a", body_expires=NOW))
    expired(connection)
    changed = changes.set_metadata(connection, "p", "chatcmpl-a", {"tier": "gold"})
    assert changed is not None
    assert json.loads(changed.request)["messages"] == []
    assert found(connection) == []


def test_a_damaged_body_goes_in_its_time(connection: Connection) -> None:
    changes.insert_records(
        connection, [conversation("a", body_expires=NOW), conversation("b", body_expires=NOW + 9, expires=NOW)]
    )
    connection.execute(schema.bodies.update().values(content=b"\x01damaged"))

    assert expired(connection) == (1, 1)

    assert ids(connection) == "a"
    assert count(connection, "pieces") == 0
    assert found(connection) == []


def test_a_check_still_wants_messages_of_what_has_not_expired(connection: Connection) -> None:
    bare = sound_record("a", request=b'{"model":"tiny","messages":[]}')
    changes.insert_record(connection, bare)
    assert found(connection) == [("request", ("chatcmpl-a",))]


# Outcomes


def test_an_outcome_goes_in_the_second_in_which_it_expires(connection: Connection) -> None:
    """Also that of what was not stored, whose reply lies in it."""
    outcomes.keep(connection, outcome("unstored", expires=NOW), None)
    outcomes.keep(connection, outcome("stored", expires=NOW), record("b"))
    outcomes.keep(connection, outcome("later", expires=NOW + 1), None)

    assert retention.due(connection, NOW - 1) == []
    assert retention.due(connection, NOW) == ["p"]
    assert retention.expire(connection, "p", now=NOW, most=64) == Expired(outcomes=2)
    assert connection.scalars(select(schema.outcomes.c.key)).all() == ["later"]
    assert ids(connection) == "b"
    assert retention.due(connection, NOW) == []


def test_outcomes_are_among_those_of_which_some_go_at_a_time(connection: Connection) -> None:
    changes.insert_records(connection, [record("a", expires=NOW), conversation("b", body_expires=NOW)])
    for number in range(3):
        outcomes.keep(connection, outcome(str(number), expires=NOW), None)

    assert retention.expire(connection, "p", now=NOW, most=4) == Expired(records=1, bodies=1, outcomes=2)
    assert retention.expire(connection, "p", now=NOW, most=4) == Expired(outcomes=1)


def test_large_replies_of_outcomes_go_some_at_a_time(connection: Connection) -> None:
    for number in range(5):
        outcomes.keep(connection, outcome(str(number), reply=b"x" * 3 * 1024 * 1024, expires=NOW), None)

    gone = [retention.expire(connection, "p", now=NOW, most=64).outcomes for _ in range(4)]

    assert gone == [2, 2, 1, 0]  # at most 8 MB


# How it is found


def test_what_never_expires_is_not_looked_at(connection: Connection) -> None:
    changes.insert_records(connection, [record(f"{number}") for number in range(64)])
    changes.insert_record(connection, conversation("a", expires=NOW))
    changes.insert_record(connection, conversation("b", body_expires=NOW))
    if connection.dialect.name == "postgresql":  # a table of a page it would read whole, if it may
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    said: list[tuple[str, Any]] = []

    def note(statement: str, parameters: Any) -> None:
        if not statement.startswith("INSERT"):
            said.append((statement, parameters))

    listen(connection.connection.driver_connection, note)
    outcomes.keep(connection, outcome("k", expires=NOW), None)
    said.clear()
    retention.due(connection, NOW)
    assert retention.expire(connection, "p", now=NOW, most=64) == Expired(records=1, bodies=1, outcomes=1)

    looked = [line for statement, parameters in said[:] for line in plan(connection, statement, parameters)]
    for index in ("completions_by_expiry", "completions_by_body_expiry"):
        # Which project, that there is no other, whether in that one, and which ones.
        assert sum(f"{index} " in f"{line} " for line in looked) == 4
    avoided = ("SCAN", "Seq Scan", "TEMP B-TREE", "Sort")
    assert [line for line in looked if any(word in line for word in avoided)] == []
    # Whether in that project, and which ones.
    assert sum("outcomes_by_expiry " in f"{line} " and "(project=? AND expires<?)" in line for line in looked) == 2 * (
        connection.dialect.name == "sqlite"
    )
    assert [line for line in looked if "completions_by_id" in line or "autoindex_completions" in line] == []


# With a server's store


async def test_cursors_page_on_over_what_expired(store: SqlStore) -> None:
    for name in "abcd":
        await store.insert(record(name, expires=NOW if name in "bc" else None))
    assert await store.expire("p", now=NOW, most=64) != NOTHING
    cursor = await store.locate("p", "chatcmpl-b")
    page = await store.page("p", ListQuery(), after=cursor, limit=9)
    assert [each.id[-1] for each in page] == ["d"]
    assert await store.get("p", "chatcmpl-c") is None


async def test_the_times_are_kept_with_the_record(store: SqlStore) -> None:
    kept = record("a", expires=NOW, body_expires=NOW - 1)
    await store.insert(kept)
    assert await store.get("p", "chatcmpl-a") == kept


async def test_a_page_sees_one_moment_of_it(store: SqlStore) -> None:
    """Each page has every completion whole, stripped or not at all, whatever goes on meanwhile."""
    for number in range(60):
        await store.insert(conversation(f"{number:02}", body_expires=NOW, expires=NOW + 1))
    pages: list[list[Record]] = []
    done = asyncio.Event()

    async def read() -> None:
        while not done.is_set():
            pages.append(list(await store.page("p", ListQuery(), after=None, limit=99)))

    async def forget() -> None:
        for now in (NOW, NOW + 1):
            while (await store.expire("p", now=now, most=4)).took_s and (await store.due(now=now)):
                pass
        done.set()

    await asyncio.gather(read(), read(), forget())
    seen = [[json.loads(each.reply)["choices"][0]["message"]["content"] for each in page] for page in pages]
    assert {said for page in seen for said in page} <= {"Aye.", None}
    # What expires in one transaction is seen in one: by fours.
    assert {len(page) % 4 for page in seen} == {0}
    assert {page.count(None) % 4 for page in seen} == {0}
    assert await store.page("p", ListQuery(), after=None, limit=9) == []


async def test_a_store_that_was_stopped_goes_on(start: Start) -> None:
    store = await start()
    for name in "abc":
        await store.insert(record(name, expires=NOW))
    await store.expire("p", now=NOW, most=1)
    await store.stop()
    store = await start()
    assert await store.due(now=NOW) == ["p"]
    assert msgspec.structs.replace(await store.expire("p", now=NOW, most=9), took_s=0.0) == Expired(records=2)


async def test_a_file_shrinks_by_what_was_forgotten(path: Any) -> None:
    store = SqlStore(Sqlite(path))
    await store.start()
    for number in range(40):
        await store.insert(record(f"{number}", expires=NOW, request=noise(100_000)))
    while (await store.expire("p", now=NOW, most=9)).records:
        pass

    given_back = [await store.give_back() for _ in range(20)]
    await store.stop()

    assert max(given_back) == 256 * 4096  # no more in one transaction
    assert given_back[-1] == 0
    # Three quarters of each are left, compressed; a megabyte is left free for the rows to come.
    assert sum(given_back) > 40 * 75_000 - 1_100_000
    assert path.stat().st_size < 1_500_000


async def test_two_servers_share_the_work(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    one, other = SqlStore(Postgresql(url)), SqlStore(Postgresql(url))
    await one.start()
    await other.start()
    names = [f"{number:03}" for number in range(200)]
    for name in names:
        await one.insert(conversation(name, expires=NOW + 1, body_expires=NOW))

    async def forget(store: SqlStore, now: int) -> Expired:
        records = bodies = 0
        while await store.due(now=now):
            done = await store.expire("p", now=now, most=7)
            records, bodies = records + done.records, bodies + done.bodies
        return Expired(records=records, bodies=bodies)

    stripped = await asyncio.gather(forget(one, NOW), forget(other, NOW))
    gone = await asyncio.gather(forget(one, NOW + 1), forget(other, NOW + 1))
    await one.stop()
    await other.stop()

    assert sum(each.bodies for each in stripped) == 200
    assert sum(each.records for each in gone) == 200
    engine = Postgresql(url).engine_for_reading(connections=1)
    with engine.begin() as connection:
        assert found(connection) == []
        assert count(connection, "tombstones") == 200
        assert count(connection, "pieces") == 0
    engine.dispose()


async def test_one_under_the_hands_of_another_is_left_to_it(postgres: PostgresServer) -> None:
    database: Database = Postgresql(postgres.new_database())
    store = SqlStore(database)
    await store.start()
    await store.insert(record("a", expires=NOW))
    await store.insert(record("b", expires=NOW))
    engine = database.engine_for_writing()
    with engine.begin() as other:
        assert changes.set_metadata(other, "p", "chatcmpl-a", {"tier": "gold"}) is not None
        assert (await store.expire("p", now=NOW, most=9)).records == 1
    engine.dispose()
    assert (await store.expire("p", now=NOW, most=9)).records == 1
    await store.stop()

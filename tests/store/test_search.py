"""search.py: what is found, page by page; that the index follows every change; that it is caught up; and the plans."""

from __future__ import annotations

import asyncio
import gc
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Connection

from hansard.core.paging import SearchQuery
from hansard.core.words import terms
from hansard.errors import SearchIsOff
from hansard.observe import Event, SearchIndexed
from hansard.store import changes, maintenance, search, words
from hansard.store.base import Found, Record
from hansard.store.database import Database
from hansard.store.postgresql import Postgresql
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite
from tests.postgres import PostgresServer
from tests.store.conftest import Start
from tests.store.plans import plan
from tests.store.records import record
from tests.store.statements import of_transactions

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(start: Start) -> SqlStore:
    return await start(search=True)


def said(name: str, asked: str, answer: str = "Aye.", **changes: Any) -> Record:
    """A completion with a question and an answer."""
    plain = record(name, **changes)
    choice = {"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
    head = {"object": "chat.completion", "id": plain.id, "created": plain.created, "model": plain.model}
    request = json.dumps({"model": "tiny", "messages": [{"role": "user", "content": asked}]}).encode()
    reply = json.dumps({**head, "choices": [choice]}).encode()
    return record(name, **{"request": request, "reply": reply, "finish_reason": "stop", **changes})


async def found(store: SqlStore, asked: str, *, project: str = "p", **filters: Any) -> list[str]:
    """The names of all that is found, newest first, page by page."""
    names: list[str] = []
    after = None
    while True:
        query = SearchQuery(terms=terms(asked), **filters)
        page = await store.search(project, query, after=after)
        names += [hit.id.removeprefix("chatcmpl-") for hit in page.hits]
        assert page.has_more == (page.next_after is not None)
        if page.next_after is None:
            assert page.is_complete
            return names
        after = await store.locate(project, page.next_after)


async def caught_up(store: SqlStore) -> None:
    """Once all that was stored before is in the index."""
    assert store._catching_up is not None
    await store._catching_up


async def test_messages_and_answers_are_found(store: SqlStore) -> None:
    await store.insert(said("a", "What is the capital of France?", "Paris."))
    await store.insert(said("b", "And of Österreich?", "Wien, the capital."))
    assert await found(store, "capital") == ["b", "a"]
    assert await found(store, "PARIS") == ["a"]
    assert await found(store, "osterreich wien") == ["b"]
    assert await found(store, "paris wien") == []
    assert await found(store, '"capital of france"') == ["a"]
    assert await found(store, '"france capital"') == []
    assert await found(store, "öster*") == ["b"]
    assert await found(store, "öster") == []


async def test_a_hit_says_what_it_is_and_where(store: SqlStore) -> None:
    kept = said("a", "x " * 100 + "needle", metadata={"team": "red"}, finish_reason="length")
    await store.insert(kept)
    page = await store.search("p", SearchQuery(terms=terms("needle")), after=None)
    [hit] = page.hits
    assert (hit.id, hit.created, hit.model, hit.finish_reason) == (kept.id, kept.created, kept.model, "length")
    assert (hit.metadata, hit.snippet) == ({"team": "red"}, f"…{'x ' * 29}needle")


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"model": "tiny"}, ["c", "b", "a"]),
        ({"model": "other"}, ["c"]),
        ({"metadata": (("team", "red"),)}, ["b", "a"]),
        ({"metadata": (("team", "red"), ("run", "2"))}, ["b"]),
        ({"metadata": (("team", "red"),), "model": "other"}, []),
        ({"finish_reason": "length"}, ["b"]),
        ({"created_after": 1_700_000_001}, ["c"]),
        ({"created_before": 1_700_000_001}, ["a"]),
        ({"created_after": 1_700_000_000, "created_before": 1_700_000_002}, ["b"]),
    ],
)
async def test_filters_are_combined_with_words(
    store: SqlStore, filters: dict[str, Any], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.insert(said("a", "word", metadata={"team": "red", "run": "1"}))
    await store.insert(
        said("b", "word", metadata={"team": "red", "run": "2"}, created=1_700_000_001, finish_reason="length")
    )
    await store.insert(said("c", "word", metadata={"team": "blue"}, created=1_700_000_002, model="other"))
    await store.insert(said("d", "else", metadata={"team": "red", "run": "2"}, created=1_700_000_002))
    assert await found(store, "word", **filters) == expected
    monkeypatch.setattr(search, "_FEW", 0)
    assert await found(store, "word", **filters) == expected


def test_a_search_and_a_deletion_leave_nothing_to_the_garbage_collector(connection: Connection) -> None:
    """It comes after hundreds of them, and what a statement is built of is hundreds of objects."""
    words.prepare(connection, on=True)
    connection.execution_options(**{words.KEPT: True})
    changes.insert_records(connection, [said(name, "word", metadata={"team": "red"}) for name in "abcdef"])
    query = SearchQuery(terms=terms("word"), limit=1, metadata=(("team", "red"),), created_after=1)

    def both(name: str) -> None:
        assert search.find(connection, "p", query, after=None, budget_s=10).hits
        assert changes.delete_record(connection, "p", f"chatcmpl-{name}")

    both("a")
    gc.collect()
    gc.disable()
    try:
        for name in "bcde":
            both(name)
        assert gc.collect() == 0
    finally:
        gc.enable()


async def test_pages_follow_each_other_while_completions_come_and_go(store: SqlStore) -> None:
    for number in range(10):
        await store.insert(said(str(number), "word"))
    first = await store.search("p", SearchQuery(terms=terms("word"), limit=4), after=None)
    assert [hit.id for hit in first.hits] == ["chatcmpl-9", "chatcmpl-8", "chatcmpl-7", "chatcmpl-6"]
    await store.insert(said("10", "word"))
    await store.delete("p", "chatcmpl-6")
    assert first.next_after is not None
    after = await store.locate("p", first.next_after)
    second = await store.search("p", SearchQuery(terms=terms("word"), limit=4), after=after)
    assert [hit.id for hit in second.hits] == ["chatcmpl-5", "chatcmpl-4", "chatcmpl-3", "chatcmpl-2"]


@pytest.mark.parametrize("few", [0, 5_000])
async def test_each_is_found_once_whatever_the_windows(
    store: SqlStore, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_FEW", few)
    monkeypatch.setattr(search, "_WINDOWS", dict.fromkeys(("sqlite", "postgresql"), search._Windows(1, 4)))
    monkeypatch.setattr(search, "_LOOKED_UP_AT_ONCE", 2)
    for number in range(20):
        await store.insert(said(str(number), "even" if number % 2 == 0 else "odd"))
    assert await found(store, "even", limit=3) == [str(number) for number in range(18, -1, -2)]


async def test_nothing_of_another_project_is_found(store: SqlStore) -> None:
    await store.insert(said("a", "secret"))
    await store.insert(said("b", "secret plans", project="q"))
    assert await found(store, "secret") == ["a"]
    assert await found(store, "plans") == []
    assert await found(store, "secret", project="q") == ["b"]
    mark = words.mark("q")
    assert await found(store, mark) == []


async def test_a_project_may_be_called_anything(store: SqlStore) -> None:
    name = '\' OR "x" \\ & | !\x00'
    await store.insert(said("a", "word", project=name))
    assert await found(store, "word", project=name) == ["a"]


@pytest.mark.parametrize(
    "signs", ['"', "a' b", "NEAR(a b)", "a:b", "a & | ! <-> bcd:*", "\\", "-a", "{x} : y", "\x00a\x01"]
)
async def test_nothing_is_syntax(store: SqlStore, signs: str) -> None:
    await store.insert(said("a", f"x {signs} y word"))
    asked = f"{signs.replace(chr(34), '')} word"
    assert await found(store, asked) == ["a"]


async def test_any_text_can_be_stored(store: SqlStore) -> None:
    text = "".join(map(chr, (*range(0x3000), 0x1F600, 0x10FFFF))) + " end"
    await store.insert(said("a", text))
    assert await found(store, "end") == ["a"]
    await store.delete("p", "chatcmpl-a")
    assert await found(store, "end") == []


async def test_a_long_text_of_different_words_can_be_stored(store: SqlStore) -> None:
    await store.insert(said("a", " ".join(str(number) for number in range(200_000))))
    await store.insert(said("b", "ab " * 300_000))
    assert await found(store, "777") == ["a"]
    assert await found(store, '"ab ab"') == ["b"]


def indexed(database: Database) -> int:
    """How many are in the index itself."""
    engine = database.engine_for_reading(connections=1)
    table = "search_words_docsize" if isinstance(database, Sqlite) else "search_words"
    with engine.begin() as connection:
        count = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
    engine.dispose()
    assert isinstance(count, int)
    return count


async def test_the_deleted_are_not_in_the_index(store: SqlStore, database: Database) -> None:
    await store.insert(said("a", "word"))
    await store.insert(said("b", "word"))
    await store.delete("p", "chatcmpl-a")
    assert await found(store, "word") == ["b"]
    assert indexed(database) == 1


async def test_to_take_one_out_twice_is_to_take_it_out_once(store: SqlStore, database: Database) -> None:
    await store.insert(said("a", "word"))
    await store.insert(said("b", "word"))
    for _ in range(2):
        await store._writer.write(lambda connection: words.remove(connection, "p", [2]))
    assert indexed(database) == 1
    assert await found(store, "word") == ["b"] or await found(store, "word") == ["a"]


async def test_what_was_said_is_not_found_once_it_has_expired(
    start: Start, store: SqlStore, database: Database
) -> None:
    await store.insert(said("bare", "marmalade on toast", body_expires=10))
    await store.insert(said("gone", "marmalade in jars", expires=10))
    await store.insert(said("kept", "marmalade again"))
    await store.expire("p", now=10, most=9)
    assert await found(store, "marmalade") == ["kept"]
    assert await store.delete("p", "chatcmpl-bare")
    await store.insert(said("later", "marmalade at last"))
    assert await found(store, "marmalade") == ["later", "kept"]
    if isinstance(database, Sqlite):
        await store.stop()
        assert maintenance.examine(database.path, tell=lambda *_: None).is_sound


async def test_what_has_expired_goes_from_an_index_that_nobody_keeps(postgres: PostgresServer) -> None:
    """PostgreSQL's stays there while search is off."""
    database = Postgresql(postgres.new_database())
    with_search, without = SqlStore(database, search=True), SqlStore(database)
    await with_search.start()
    await with_search.insert(said("bare", "marmalade on toast", body_expires=10))
    await with_search.stop()
    await without.start()
    await without.expire("p", now=10, most=9)
    await without.stop()
    engine = database.engine_for_reading(connections=1)
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM search_words").scalar() == 0
    engine.dispose()


async def test_metadata_can_change_without_the_index(store: SqlStore) -> None:
    await store.insert(said("a", "word", metadata={"team": "red"}))
    await store.set_metadata("p", "chatcmpl-a", {"team": "blue"})
    assert await found(store, "word", metadata=(("team", "blue"),)) == ["a"]
    assert await found(store, "word", metadata=(("team", "red"),)) == []


async def test_off_it_says_so_and_keeps_nothing(start: Start, database: Database) -> None:
    store = await start()
    await store.insert(said("a", "word"))
    with pytest.raises(SearchIsOff):
        await store.search("p", SearchQuery(terms=terms("word")), after=None)
    engine = database.engine_for_reading(connections=1)
    with engine.begin() as connection:
        assert not words.exists(connection)
    engine.dispose()


async def test_what_was_stored_before_is_caught_up(start: Start) -> None:
    told: list[Event] = []
    before = await start()
    for number in range(70):
        await before.insert(said(str(number), "word", project="pq"[number % 2]))
    await before.stop()
    store = await start(search=True, observer=told.append)
    await caught_up(store)
    await store.insert(said("70", "word"))
    assert await found(store, "word") == [str(number) for number in range(70, -1, -2)]
    assert await found(store, "word", project="q") == [str(number) for number in range(69, 0, -2)]
    assert [event for event in told if isinstance(event, SearchIndexed)] == [
        SearchIndexed(completions=32, is_complete=False),
        SearchIndexed(completions=70, is_complete=True),
    ]


async def test_an_index_that_is_behind_says_so_and_goes_on_where_it_stopped(
    start: Start, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "_INDEXED_AT_ONCE", 2)
    before = await start()
    for number in range(6):
        await before.insert(said(str(number), "word"))
    await before.stop()
    with monkeypatch.context() as patch:
        never = asyncio.Event()
        patch.setattr(SqlStore, "_catch_up", lambda _store: never.wait())
        behind = await start(search=True)
        places = await behind._readers.read(lambda connection: words.missing(connection, None))
        await behind._writer.write(lambda connection: words.catch_up(connection, places))
        page: Found = await behind.search("p", SearchQuery(terms=terms("word")), after=None)
        assert ([hit.id for hit in page.hits], page.is_complete) == (["chatcmpl-5", "chatcmpl-4"], False)
        await behind.delete("p", "chatcmpl-1")
        await behind.delete("p", "chatcmpl-4")
        await behind.stop()
    assert indexed(database) == 1
    store = await start(search=True)
    await caught_up(store)
    assert await found(store, "word") == ["5", "3", "2", "0"]


async def test_what_changed_while_it_was_off_is_neither_missed_nor_a_ghost(start: Start, database: Database) -> None:
    on = await start(search=True)
    await on.insert(said("a", "word"))
    await on.insert(said("b", "word"))
    await on.stop()
    off = await start()
    await off.delete("p", "chatcmpl-a")
    await off.insert(said("c", "word"))
    await off.stop()
    store = await start(search=True)
    await caught_up(store)
    assert await found(store, "word") == ["c", "b"]
    assert indexed(database) == 2


async def test_an_index_made_by_other_rules_is_made_anew(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(words, "VERSION", 0)
        patch.setattr(words, "words_of", lambda *_: ["otherwise"])
        old = await start(search=True)
        await old.insert(said("a", "word"))
        await old.stop()
    store = await start(search=True)
    await caught_up(store)
    assert (await found(store, "word"), await found(store, "otherwise")) == (["a"], [])


async def test_when_the_time_is_over_the_page_says_where_to_go_on(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_FEW", 0)
    monkeypatch.setattr(search, "_WINDOWS", dict.fromkeys(("sqlite", "postgresql"), search._Windows(3, 3)))
    store = await start(search=True, search_budget_s=0.0)
    for number in range(8):
        await store.insert(said(str(number), "even" if number % 2 == 0 else "odd"))
    query = SearchQuery(terms=terms("even"))
    first = await store.search("p", query, after=None)
    assert [hit.id for hit in first.hits] == ["chatcmpl-6"]
    assert (first.has_more, first.is_complete, first.next_after) == (True, False, "chatcmpl-5")
    second = await store.search("p", query, after=await store.locate("p", "chatcmpl-5"))
    assert [hit.id for hit in second.hits] == ["chatcmpl-4", "chatcmpl-2"]
    assert (second.is_complete, second.next_after) == (False, "chatcmpl-2")
    third = await store.search("p", query, after=await store.locate("p", "chatcmpl-2"))
    assert [hit.id for hit in third.hits] == ["chatcmpl-0"]
    assert (third.has_more, third.is_complete, third.next_after) == (False, True, None)


async def test_a_project_without_completions_has_nothing_to_find(store: SqlStore) -> None:
    assert await found(store, "word", project="empty") == []


Executed = list[tuple[str, Any]]


@pytest.fixture
def executed(database: Database) -> Iterator[Executed]:
    seen: Executed = []

    def note(statement: str, parameters: Any) -> None:
        if statement.startswith("SELECT") and "set_config" not in statement:
            seen.append((" ".join(statement.split()), parameters))

    with of_transactions(database, note):
        yield seen


FILTERS: dict[str, Any] = {
    "model": "tiny",
    "metadata": (("team", "red"),),
    "created_after": 1,
    "finish_reason": "stop",
}


@pytest.mark.parametrize("filters", [{}, FILTERS])
async def test_the_newest_are_walked_in_the_order_of_the_index(
    store: SqlStore, database: Database, executed: Executed, filters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_FEW", 0)
    for number in range(30):
        await store.insert(said(str(number), "word", metadata={"team": "red"}))
    executed.clear()
    await store.search("p", SearchQuery(terms=terms("word"), **filters), after=None)
    [walk] = [each for each in executed if "BETWEEN" in each[0] or "ORDER BY search_words." in each[0]]
    engine = database.engine_for_reading(connections=1)
    with engine.begin() as connection:
        lines = plan(connection, *walk)
    engine.dispose()
    if isinstance(database, Sqlite):
        # FTS5's word for MATCH (M) between two rowids, in descending order of rowid (64 + 128): fts5_main.c
        assert lines[0] == "SCAN search_words VIRTUAL TABLE INDEX 192:M2><"
        assert lines[1] == "SEARCH completions USING INTEGER PRIMARY KEY (rowid=?)"
        assert not [line for line in lines[1:] if "SCAN" in line.replace("SCALAR", "") or "TEMP B-TREE" in line]
    else:
        assert any("using search_words_pkey on search_words" in line for line in lines)
        assert not [line for line in lines if "Seq Scan" in line or "Sort" in line or "Hash" in line]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_few_matches_are_found_in_the_index_of_words_alone(
    store: SqlStore, database: Database, executed: Executed
) -> None:
    for number in range(30):
        await store.insert(said(str(number), "word"))
    executed.clear()
    await store.search("p", SearchQuery(terms=terms("word"), finish_reason="stop"), after=None)
    listing, passing = (
        each for each in executed if "@@" in each[0] or ("LATERAL" in each[0] and "content" not in each[0])
    )
    engine = database.engine_for_reading(connections=1)
    with engine.begin() as connection:
        search._set(connection, enable_bitmapscan="on", enable_indexscan="off", enable_indexonlyscan="off")
        lines = plan(connection, *listing)
        assert any(line.startswith("->  Bitmap Index Scan on search_words_by_word") for line in lines)
        assert not [line for line in lines if "pkey" in line or "Seq Scan" in line]
    with engine.begin() as connection:
        lines = plan(connection, *passing)
        assert any("using completions_pkey on completions" in line for line in lines)
        assert not [line for line in lines if "Seq Scan" in line]
    engine.dispose()


async def test_a_check_finds_what_the_index_misses_and_ghosts(path: Any) -> None:
    store = SqlStore(Sqlite(path), search=True)
    await store.start()
    await store.insert(said("a", "word"))
    await store.insert(said("b", "word"))
    await store.stop()
    assert maintenance.examine(path, tell=lambda *_: None).is_sound
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "UPDATE search_words_docsize SET id = 99 WHERE id = (SELECT max(id) FROM search_words_docsize)"
        )
    [finding] = maintenance.examine(path, tell=lambda *_: None).findings
    assert (finding.kind, finding.ids) == ("search", ("chatcmpl-b", "number 99"))

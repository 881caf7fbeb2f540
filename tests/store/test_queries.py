"""queries.py and changes.py: every statement a user waits for is served by an index, and names the project."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import msgspec
import pytest

from hansard.core.paging import ListQuery, Order
from hansard.store.base import Cursor, Record
from hansard.store.database import Database
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite
from hansard.store.windows import Sizes
from tests.store.conftest import Start
from tests.store.plans import laborious, plan
from tests.store.records import noise, record
from tests.store.statements import of_transactions
from tests.store.tended import tended

pytestmark = pytest.mark.anyio

Executed = list[tuple[str, Any]]


@pytest.fixture
def executed(database: Database) -> Iterator[Executed]:
    """Statements there with their parameters, of one execution each."""
    seen: Executed = []

    def note(statement: str, parameters: Any) -> None:
        if statement.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "SET", "WITH"):
            seen.append((" ".join(statement.split()), parameters))

    with of_transactions(database, note):
        yield seen


@pytest.fixture
def planned(database: Database) -> Iterator[Callable[[str, Any], list[str]]]:
    """The plan of a statement with its parameters. Settings have none: they hold for those that follow."""
    engine = database.engine_for_reading(connections=1)
    with engine.begin() as connection:

        def planned(statement: str, parameters: Any) -> list[str]:
            if not statement.startswith("SET "):
                return plan(connection, statement, parameters)
            connection.exec_driver_sql(statement)
            return []

        yield planned
    engine.dispose()


RANGE = "SEARCH labels USING PRIMARY KEY (project=? AND key=? AND value=?"
# SQLite has the number at the end of each index, and holds completions of the very second against it.
WALK = {
    (order, past): f"SEARCH completions USING COVERING INDEX completions_by_place (project=?{bound if past else ''})"
    for order, bound in (("asc", " AND created>?"), ("desc", " AND created<?"))
    for past in (False, True)
}
LOOKUP = "USING PRIMARY KEY (project=? AND key=? AND value=? AND created=? AND number=?)"
POSTGRES_RANGE = re.compile(r"Index Cond: \(\(project = [^)]*\) AND \(key = [^)]*\) AND \(value = [^)]*\)")
POSTGRES_WALK = re.compile(r"Index Cond: \(\(?project = ")
POSTGRES_LOOKUP = "(created = labels.created) AND (number = labels.number)"
TWO = (("tier", "gold"), ("run", "7"))
RARE = (("run", "7"), ("one", "1"))


@pytest.mark.parametrize(
    ("query", "merged", "lookups"),
    [
        (ListQuery(), 0, 0),
        (ListQuery(model="tiny"), 1, 0),
        (ListQuery(metadata=TWO[:1]), 1, 0),
        (ListQuery(metadata=TWO), 2, 0),
        (ListQuery(model="tiny", metadata=TWO), 3, 0),
        (ListQuery(model="tiny", metadata=RARE[1:]), 1, 1),
        (ListQuery(model="tiny", metadata=(*RARE, TWO[0])), 1, 3),
    ],
)
@pytest.mark.parametrize(
    ("order", "after", "past"),
    [
        ("asc", None, ")"),
        ("desc", None, ")"),
        ("asc", Cursor(5, 5), " AND (created,number)>(?,?))"),
        ("desc", Cursor(2_000_000_000, 5), " AND (created,number)<(?,?))"),
    ],
)
async def test_a_page_is_one_range_of_one_index(
    store: SqlStore,
    database: Database,
    planned: Callable[[str, Any], list[str]],
    executed: Executed,
    query: ListQuery,
    merged: int,
    lookups: int,
    order: Order,
    after: Cursor | None,
    past: str,
) -> None:
    rare = (record(f"one{number}", metadata=dict((*TWO, *RARE))) for number in range(2))
    await insert_all(store, chain(rare, (record(str(number), metadata=dict(TWO)) for number in range(50))))
    executed.clear()
    page = await store.page("p", msgspec.structs.replace(query, order=order), after=after, limit=21)
    assert len(page) == (2 if RARE[1] in query.metadata else 21)
    *counts, numbers, records = filter(None, [planned(*each) for each in executed[:]])
    filtered = query.model is not None or bool(query.metadata)
    assert len(counts) == (merged + lookups > 1)
    if isinstance(database, Sqlite):
        searches = [line for line in numbers if line.startswith("SEARCH")]
        assert (
            searches[:merged] == [RANGE + past] * merged if filtered else searches == [WALK[order, after is not None]]
        )
        assert [LOOKUP in line for line in searches[merged or 1 :]] == [True] * lookups
        assert not [line for line in numbers if "TEMP B-TREE" in line]
        assert sorted(records) == [
            "SEARCH bodies USING INTEGER PRIMARY KEY (rowid=?)",
            "SEARCH completions USING INTEGER PRIMARY KEY (rowid=?)",
        ]
        of_counts = {line for count in counts for line in count if not line.startswith("SCALAR SUBQUERY")}
        assert of_counts <= {
            "SEARCH facets USING PRIMARY KEY (project=? AND key=? AND value=?)",
            "SEARCH revisions USING INDEX sqlite_autoindex_revisions_1 (name=?)",
            "SCAN CONSTANT ROW",
        }
    else:
        conditions = [line for line in numbers if line.startswith("Index Cond")]
        found = [line for line in conditions if POSTGRES_LOOKUP not in line]
        sign = {"asc": ">", "desc": "<"}[order]
        assert len(found) == max(merged, 1)
        assert all((POSTGRES_RANGE if filtered else POSTGRES_WALK).match(line) for line in found)
        assert [f"(ROW(created, number) {sign} ROW(" in line for line in found] == [after is not None] * len(found)
        assert len(conditions) - len(found) == lookups
        assert len([line for line in numbers if "Merge Join" in line]) == max(merged - 1, 0)
        assert sum("number = " in line for line in records if line.startswith("Index Cond: ((project = ")) == 2
        assert all(any(map(POSTGRES_RANGE.match, count)) for count in counts)
        assert laborious([*numbers, *records, *chain.from_iterable(counts)]) == []


# What a page of bitmaps asks, each of which SQLite answers by a search. PostgreSQL words them otherwise.
BY_BITMAPS = {
    "asc": "SEARCH windows USING INDEX windows_by_first (project=?",
    "desc": "SEARCH windows USING INDEX windows_by_last (project=?",
}
BITS = "SEARCH bitmaps USING PRIMARY KEY (project=? AND key=? AND value=? AND first_number=?)"
BY_NUMBER = "SEARCH completions USING INTEGER PRIMARY KEY (rowid>?)"


@pytest.fixture
async def windowed(start: Start) -> SqlStore:
    """One that has 41 completions, of which 32 are in windows that are closed, and one is in none."""
    store = await start(windows=Sizes(numbers=16, listed=1, few=0, worth_it_from=0))
    for number in range(40):
        await store.insert(record(str(number), created=1_700_000_000 + number, metadata=dict(TWO)))
    for _ in range(2):
        await tended(store)
    await store.insert(record("40", created=1_700_000_040, metadata=dict(TWO)))
    return store


@pytest.mark.parametrize(
    ("order", "after", "count"),
    [("asc", None, 41), ("desc", None, 41), ("asc", "chatcmpl-18", 22), ("desc", "chatcmpl-18", 18)],
)
async def test_a_page_of_bitmaps_is_searched_for_and_not_sorted(
    windowed: SqlStore,
    database: Database,
    planned: Callable[[str, Any], list[str]],
    executed: Executed,
    order: Order,
    after: str | None,
    count: int,
) -> None:
    cursor = None if after is None else await windowed.locate("p", after)
    executed.clear()

    page = await windowed.page("p", ListQuery(metadata=TWO, order=order), after=cursor, limit=100)

    assert len(page) == count
    lines = [line for each in executed[:] for line in planned(*each)]
    if isinstance(database, Sqlite):
        assert BY_BITMAPS[order] in "".join(lines)
        assert lines.count(BITS) >= len(TWO)
        assert BY_NUMBER in lines
    assert [line for line in lines if "windows" in line] != []
    avoided = ("TEMP B-TREE", "SCAN completions", "SCAN windows", "SCAN bitmaps", "SCAN labels", "Seq Scan", "Sort")
    assert not [line for line in lines if any(word in line for word in avoided)]


@pytest.fixture
async def out_of_order(start: Start) -> SqlStore:
    """With two windows that have ranks, and some behind them."""
    store = await start(windows=Sizes(numbers=16, listed=1, few=0, worth_it_from=0))
    for n in range(40):
        await store.insert(record(str(n), created=1_700_000_000 + n - 9 * (n % 3), metadata=dict(TWO)))
    for _ in range(2):
        await tended(store)
    return store


async def test_what_windows_out_of_order_are_asked_searches_and_names_the_project(
    out_of_order: SqlStore, planned: Callable[[str, Any], list[str]], executed: Executed
) -> None:
    store = out_of_order
    executed.clear()
    orders: tuple[Order, ...] = ("asc", "desc")
    for order in orders:
        place = await store.locate("p", "chatcmpl-20")
        assert await store.page("p", ListQuery(metadata=TWO, order=order), after=place, limit=9)
    await store.set_metadata("p", "chatcmpl-4", {"tier": "gold"})
    await store.delete("p", "chatcmpl-5")

    of_ranks = [each for each in executed if " FROM ranks " in each[0]]
    assert len(of_ranks) >= 6
    for statement, parameters in of_ranks:
        assert "ranks.project = " in statement
        lines = planned(statement, parameters)
        assert not [line for line in lines if any(word in line for word in ("TEMP", "SCAN ranks", "Seq Scan", "Sort"))]


async def insert_all(store: SqlStore, records: Iterable[Record]) -> None:
    await asyncio.gather(*(store.insert(each) for each in records))


async def test_the_rarest_label_leads(store: SqlStore, executed: Executed) -> None:
    await insert_all(store, (record(str(i), metadata={"a": "common", "z": str(i % 100)}) for i in range(600)))
    executed.clear()
    await store.page("p", ListQuery(model="tiny", metadata=(("a", "common"), ("z", "7"))), after=None, limit=21)
    statement, parameters = executed[-2]
    assert " FROM labels " in statement
    told = str(parameters or statement)  # SQLite's has them in its text
    assert told.index("metadata[z]") < min(told.index("metadata[a]"), told.index("tiny"))


async def test_a_full_page_is_found_with_two_statements(store: SqlStore, executed: Executed) -> None:
    await insert_all(store, (record(str(number)) for number in range(30)))
    executed.clear()
    await store.page("p", ListQuery(model="tiny"), after=None, limit=21)
    numbers, records = (statement for statement, _ in executed)
    assert " FROM labels WHERE " in numbers
    assert " FROM completions JOIN bodies " in records


async def test_every_statement_searches_and_names_the_project(
    store: SqlStore, planned: Callable[[str, Any], list[str]], executed: Executed
) -> None:
    await store.insert(record("a", metadata={"tier": "tin"}))
    await store.get("p", "chatcmpl-a")
    await store.locate("p", "chatcmpl-a")
    await store.page("p", ListQuery(model="tiny", metadata=TWO), after=None, limit=21)
    await store.set_metadata("p", "chatcmpl-a", {"tier": "gold"})
    await store.delete("p", "chatcmpl-a")
    assert {statement.split()[0] for statement, _ in executed} - {"SET"} == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    of_no_project = ("SET LOCAL enable_", "SELECT pg_advisory_xact_lock_shared(")
    for statement, parameters in executed[:]:
        if statement.startswith(of_no_project):
            continue
        assert "project" in statement
        avoided = ("TEMP B-TREE", "SCAN c", "Seq Scan", "Sort")
        assert not [line for line in planned(statement, parameters) if any(word in line for word in avoided)]


async def test_a_conversation_is_put_together_by_the_names_of_its_pieces(
    store: SqlStore, database: Database, planned: Callable[[str, Any], list[str]], executed: Executed
) -> None:
    said = [{"role": role, "content": f"{turn} {role} " * 40} for turn in range(5) for role in ("user", "assistant")]
    kept = record("a", request=msgspec.json.encode({"model": "tiny", "messages": said}))
    await store.insert(kept)
    executed.clear()
    assert await store.get("p", "chatcmpl-a") == kept
    (chain_of_pieces,) = (planned(*each) for each in executed[:] if "RECURSIVE" in each[0])
    if isinstance(database, Sqlite):
        found = [line for line in chain_of_pieces if "pieces" in line]
        assert found == ["SEARCH pieces USING INDEX sqlite_autoindex_pieces_1 (project=? AND digest=?)"] * 2
    else:
        found = [line for line in chain_of_pieces if line.startswith("Index Cond")]
        assert [("project = " in line, "digest = " in line) for line in found] == [(True, True)] * 2
        assert not [line for line in chain_of_pieces if "Seq Scan" in line]


@pytest.mark.parametrize(("query", "whole"), [(ListQuery(metadata=TWO), False), (ListQuery(), True)])
async def test_a_page_ends_where_its_bytes_are_enough(start: Start, query: ListQuery, whole: bool) -> None:
    store = await start(windows=Sizes(numbers=8, listed=1, few=0, worth_it_from=0))
    large = [record(f"large-{n}", metadata=dict(TWO), reply=noise(7_000_000)) for n in range(4)]
    small = [record(f"small-{n}", metadata=dict(TWO), reply=b"{}") for n in range(12)]
    for each in (*small[:4], *large, *small[4:]):
        await store.insert(each)
    for _ in range(2):
        await tended(store)

    first = await store.page("p", query, after=None, limit=101, whole=whole)
    assert [each.id for each in first] == [each.id for each in (*small[:4], *large[:3])]
    assert first[-1] == (large[2] if whole else msgspec.structs.replace(large[2], request=first[-1].request))
    rest = await store.page("p", query, after=await store.locate("p", first[-1].id), limit=101, whole=whole)
    assert [each.id for each in rest] == [each.id for each in (large[3], *small[4:])]


async def test_candidates_are_told_apart_without_their_bodies(start: Start, executed: Executed) -> None:
    store = await start(windows=Sizes(numbers=64, listed=1, few=0, worth_it_from=0))
    for n in range(64):
        await store.insert(record(str(n), created=1_700_000_000 - n % 7, metadata=dict(TWO)))
    for _ in range(2):
        await tended(store)
    place = await store.locate("p", "chatcmpl-40")
    executed.clear()

    assert len(await store.page("p", ListQuery(metadata=TWO), after=place, limit=5)) == 5
    ((statement, parameters),) = [each for each in executed if "bodies" in each[0]]
    if "numbers" in parameters:
        asked = set(parameters["numbers"])
    else:
        asked = set(re.findall(r"[0-9]+", statement.partition(" IN ")[2]))
    assert len(asked) == 5


async def test_hostile_text_is_text(store: SqlStore) -> None:
    hostile = "'; DROP TABLE completions; --"
    kept = record("a", model=hostile, metadata={hostile: hostile, "%_": "\x00", '"': "\\"})
    await store.insert(kept)
    query = ListQuery(model=hostile, metadata=((hostile, hostile), ("%_", "\x00"), ('"', "\\")))
    assert await store.page("p", query, after=None, limit=1) == [kept]
    assert await store.get(hostile, hostile) is None
    assert await store.page("p", ListQuery(metadata=(("%_", ""),)), after=None, limit=1) == []

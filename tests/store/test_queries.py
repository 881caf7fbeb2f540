"""queries.py and changes.py: every statement a user waits for is served by an index, and names the project."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, event

from hansard.core.paging import ListQuery, Order
from hansard.store.base import Cursor, Record
from hansard.store.sql import SqlStore
from tests.store.records import record

pytestmark = pytest.mark.anyio

Executed = list[tuple[str, Any]]


@pytest.fixture
def executed() -> Iterator[Executed]:
    """Statements with their parameters, of one execution each."""
    seen: Executed = []

    def note(_c: object, _cursor: object, statement: str, parameters: Any, _context: object, many: bool) -> None:
        if statement.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            seen.append((" ".join(statement.split()), parameters[0] if many else parameters))

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


def plan(path: Path, statement: str, parameters: Any) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    finally:
        connection.close()


RANGE = "SEARCH labels USING PRIMARY KEY (project=? AND key=? AND value=?"
LOOKUP = "USING PRIMARY KEY (project=? AND key=? AND value=? AND created=? AND number=?)"
TWO = (("tier", "gold"), ("run", "7"))


@pytest.mark.parametrize(
    ("query", "lookups"),
    [
        (ListQuery(), 0),
        (ListQuery(model="tiny"), 0),
        (ListQuery(metadata=TWO[:1]), 0),
        (ListQuery(metadata=TWO), 1),
        (ListQuery(model="tiny", metadata=TWO), 2),
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
    path: Path,
    executed: Executed,
    query: ListQuery,
    lookups: int,
    order: Order,
    after: Cursor | None,
    past: str,
) -> None:
    await insert_all(store, (record(str(number), metadata=dict(TWO)) for number in range(50)))
    executed.clear()
    assert len(await store.page("p", msgspec.structs.replace(query, order=order), after=after, limit=21)) == 21
    *counts, numbers, records = (plan(path, *each) for each in executed)
    assert numbers[0] == RANGE + past
    assert [LOOKUP in line for line in numbers[1:] if "SUBQUERY" not in line] == [True] * lookups
    assert sorted(records) == [
        "SEARCH bodies USING INTEGER PRIMARY KEY (rowid=?)",
        "SEARCH completions USING INTEGER PRIMARY KEY (rowid=?)",
    ]
    assert all(f"{RANGE})" in count for count in counts)


async def insert_all(store: SqlStore, records: Iterable[Record]) -> None:
    await asyncio.gather(*(store.insert(each) for each in records))


async def test_the_rarest_label_leads(store: SqlStore, executed: Executed) -> None:
    await insert_all(store, (record(str(i), metadata={"a": "common", "z": str(i % 100)}) for i in range(600)))
    executed.clear()
    await store.page("p", ListQuery(model="tiny", metadata=(("a", "common"), ("z", "7"))), after=None, limit=21)
    _, parameters = executed[-2]
    assert parameters[:3] == ("p", "metadata[z]", "7")


async def test_a_full_page_is_found_with_two_statements(store: SqlStore, executed: Executed) -> None:
    await insert_all(store, (record(str(number)) for number in range(30)))
    executed.clear()
    await store.page("p", ListQuery(model="tiny"), after=None, limit=21)
    assert [statement.split(" FROM ")[1].split()[0] for statement, _ in executed] == ["labels", "completions"]


async def test_every_statement_searches_and_names_the_project(store: SqlStore, path: Path, executed: Executed) -> None:
    await store.insert(record("a", metadata={"tier": "tin"}))
    await store.get("p", "chatcmpl-a")
    await store.locate("p", "chatcmpl-a")
    await store.page("p", ListQuery(model="tiny", metadata=TWO), after=None, limit=21)
    await store.set_metadata("p", "chatcmpl-a", {"tier": "gold"})
    await store.delete("p", "chatcmpl-a")
    assert {statement.split()[0] for statement, _ in executed} == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    for statement, parameters in executed:
        # A body has no project of its own: it is reached by the number of a completion just found by project.
        assert "project" in statement or "bodies" in statement
        assert not [line for line in plan(path, statement, parameters) if "TEMP B-TREE" in line or "SCAN c" in line]


async def test_hostile_text_is_text(store: SqlStore) -> None:
    hostile = "'; DROP TABLE completions; --"
    kept = record("a", model=hostile, metadata={hostile: hostile, "%_": "\x00", '"': "\\"})
    await store.insert(kept)
    query = ListQuery(model=hostile, metadata=((hostile, hostile), ("%_", "\x00"), ('"', "\\")))
    assert await store.page("p", query, after=None, limit=1) == [kept]
    assert await store.get(hostile, hostile) is None
    assert await store.page("p", ListQuery(metadata=(("%_", ""),)), after=None, limit=1) == []

"""Pages are read from indexes and in their order, at the settings of those who read, whatever the planner believes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import product
from typing import Any

import msgspec
import psycopg
import pytest
from sqlalchemy import Connection

from hansard.core.paging import ListQuery
from hansard.store.base import Cursor
from hansard.store.database import Database
from hansard.store.postgresql import Postgresql
from hansard.store.sql import SqlStore
from tests.postgres import PostgresServer, postgres_server
from tests.store.plans import laborious, plan
from tests.store.records import record
from tests.store.statements import of_transactions

pytestmark = pytest.mark.anyio

COMMON = (("tier", "gold"), ("run", "7"))
RARE = (("one", "1"),)
QUERIES = (
    ListQuery(),
    ListQuery(model="tiny"),
    ListQuery(metadata=COMMON),
    ListQuery(model="tiny", metadata=COMMON),
    ListQuery(model="tiny", metadata=RARE),
    ListQuery(model="tiny", metadata=(*RARE, *COMMON)),
)
CURSORS = (None, Cursor(1_700_000_200, 300))
AVOIDED = ("enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_hashjoin")


@pytest.fixture(scope="module")
def forgetful() -> Iterator[PostgresServer]:
    """It gathers statistics only when it is told to."""
    with postgres_server(autovacuum="off") as server:
        yield server


@pytest.fixture
async def filled(forgetful: PostgresServer, statistics: str) -> AsyncIterator[tuple[Postgresql, SqlStore]]:
    """1,200 completions, and statistics of none of them, of the first 40, or of all."""
    database = Postgresql(forgetful.new_database())
    store = SqlStore(database)
    await store.start()
    for numbers in (range(40), range(40, 640), range(640, 1200)):
        await asyncio.gather(*(store.insert(some(number)) for number in numbers))
        if statistics == "old" and numbers[0] == 0:
            analyze(database)
    if statistics == "new":
        analyze(database)
    yield database, store
    await store.stop()


def some(number: int) -> Any:
    """A completion; half carry the one pair, two thirds the other, and two a third one."""
    pairs = {"tier": "gold"} if number % 2 else {}
    pairs |= {"run": "7"} if number % 3 else {}
    pairs |= dict(RARE) if number % 700 == 3 else {}
    return record(str(number), created=1_700_000_000 + number // 3, metadata=pairs)


def analyze(database: Postgresql) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("ANALYZE")


async def asked(database: Database, store: SqlStore) -> list[list[tuple[str, Any]]]:
    """The statements of each kind of page."""
    pages: list[list[tuple[str, Any]]] = []
    orders: tuple[Any, ...] = ("asc", "desc")
    with of_transactions(database, lambda *told: pages[-1].append(told)):
        for query, order, after in product(QUERIES, orders, CURSORS):
            pages.append([])
            await store.page("p", msgspec.structs.replace(query, order=order), after=after, limit=21)
    return pages


def planned(connection: Connection, page: list[tuple[str, Any]]) -> list[str]:
    """How all of a page is found; its settings hold for what follows them."""
    lines: list[str] = []
    for statement, parameters in page:
        if statement.startswith("SET "):
            connection.exec_driver_sql(statement)
        elif statement.split()[0] in ("SELECT", "WITH"):
            lines += plan(connection, statement, parameters)
    return lines


@pytest.mark.parametrize("statistics", ["none", "old", "new"])
async def test_no_statistics_make_a_page_sort_or_read_a_whole_table(filled: tuple[Postgresql, SqlStore]) -> None:
    database, store = filled
    pages = await asked(database, store)
    at_usual_settings: list[str] = []
    engine = database.engine_for_reading(connections=1)
    for page in pages:
        with engine.begin() as connection:
            lines = planned(connection, page)
        assert lines
        assert laborious(lines) == []
        with engine.begin() as connection:
            for name in AVOIDED:
                connection.exec_driver_sql(f"SET LOCAL {name} = on")
            at_usual_settings += laborious(planned(connection, page))
    engine.dispose()
    # Or the settings are not needed here, and this would pass without them.
    assert at_usual_settings


def test_pages_are_read_with_all_of_that_switched_off(postgres: PostgresServer) -> None:
    """Each alone would often do: what is sorted was mostly read out of order before."""
    engine = Postgresql(postgres.url("postgres")).engine_for_reading(connections=1)
    with engine.begin() as connection:
        assert [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in AVOIDED] == ["off"] * len(AVOIDED)
    engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT id FROM completions WHERE project = 'p' ORDER BY request_id",
        "SELECT id FROM completions WHERE request_id = 'req_1'",
        "SELECT project FROM labels ORDER BY created",
    ],
)
async def test_a_statement_without_an_index_is_seen(store: SqlStore, database: Database, statement: str) -> None:
    engine = database.engine_for_reading(connections=1)
    with engine.begin() as connection:
        assert laborious(plan(connection, statement, ()))
    engine.dispose()

"""pieces.py: what requests share lies there once, goes with the last that has it, and never earlier."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from hansard.core.paging import ListQuery
from hansard.core.pieces import SHORTEST
from hansard.store import changes, queries
from hansard.store.base import Record
from hansard.store.database import Database
from hansard.store.postgresql import Postgresql
from hansard.store.schema import pieces
from hansard.store.sql import SqlStore
from tests.postgres import PostgresServer
from tests.store.plans import plan, scans
from tests.store.records import record
from tests.store.statements import listen

pytestmark = pytest.mark.anyio

TOOLS = [{"type": "function", "function": {"name": "f", "description": "." * SHORTEST}}]


def message(role: str, name: str) -> dict[str, Any]:
    return {"role": role, "content": f"{name} {'.' * SHORTEST}"}


def turn(number: int, *, of: str = "talk", project: str = "p", **more: Any) -> Record:
    """The request of one turn of a conversation, with all before it."""
    said = [message("system", "system")]
    for each in range(number):
        said += [message("user", f"{of} asks {each}"), message("assistant", f"{of} says {each}")]
    document = {"model": "tiny", "messages": [*said, message("user", f"{of} asks {number}")], **more}
    return record(f"{of}-{number}", project=project, request=json.dumps(document).encode())


def count(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(pieces)) or 0


def insert(connection: Connection, *records: Record) -> None:
    for each in records:
        changes.insert_record(connection, each)


def test_a_conversation_is_kept_once(connection: Connection) -> None:
    turns = [turn(number) for number in range(5)]
    insert(connection, *turns)
    # The instructions, and then a piece for each turn but the last question of the first request, which came again.
    assert count(connection) == 1 + 5
    for each in turns:
        assert queries.get(connection, "p", each.id) == each


def test_records_that_come_together_share_too(connection: Connection) -> None:
    turns = [turn(number, tools=TOOLS) for number in range(3)]
    changes.insert_records(connection, turns)
    assert count(connection) == 1 + 3 + 1
    for each in turns:
        assert queries.get(connection, "p", each.id) == each


def test_projects_share_nothing(connection: Connection) -> None:
    insert(connection, turn(1), turn(1, project="q"))
    assert count(connection) == 2 * (1 + 2)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_pieces_go_with_the_last_that_has_them(connection: Connection, order: list[int]) -> None:
    kept = {number: turn(number, tools=TOOLS) for number in range(3)}
    insert(connection, *kept.values(), turn(0, of="other"))
    for number in order:
        assert changes.delete_record(connection, "p", kept.pop(number).id)
        for each in kept.values():
            assert queries.get(connection, "p", each.id) == each
    assert count(connection) == 1  # the instructions, for the other one
    changes.delete_record(connection, "p", "chatcmpl-other-0")
    assert count(connection) == 0


def test_a_page_has_its_records_without_messages_or_whole(connection: Connection) -> None:
    kept = turn(1, tools=TOOLS)
    insert(connection, kept)
    [bare] = queries.page(connection, "p", ListQuery(), after=None, limit=1)
    assert json.loads(bare.request) == {**json.loads(kept.request), "messages": []}
    assert queries.page(connection, "p", ListQuery(), after=None, limit=1, whole=True) == [kept]


def test_a_long_conversation_comes_back_in_order(connection: Connection) -> None:
    kept = turn(300)
    insert(connection, kept)
    assert queries.get(connection, "p", kept.id) == kept


def test_a_chain_is_found_without_reading_all(connection: Connection) -> None:
    insert(connection, *(turn(2, of=str(number)) for number in range(20)))
    seen: list[tuple[str, Any]] = []

    listen(connection.connection.driver_connection, lambda *statement: seen.append(statement))
    queries.get(connection, "p", "chatcmpl-7-2")
    changes.delete_record(connection, "p", "chatcmpl-8-2")
    if connection.dialect.name == "postgresql":
        # Of so few rows it would rather read all; the question is whether it need not.
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    asked = [(text, parameters) for text, parameters in seen if "pieces" in text]
    assert len(asked) >= 3
    for text, parameters in asked:
        assert [line for line in scans(connection, text, parameters) if "chain" not in line.lower()] == []


def test_those_that_are_there_are_found_by_their_digests(connection: Connection) -> None:
    insert(connection, *(turn(2, of=str(number)) for number in range(20)))
    seen: list[tuple[str, Any]] = []
    listen(connection.connection.driver_connection, lambda *statement: seen.append(statement))
    insert(connection, turn(3, of="7"))
    [asked] = [(text, parameters) for text, parameters in seen if text.startswith("SELECT digest")]
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
    searched = [line for line in plan(connection, *asked) if line.startswith(("SEARCH", "Index Cond"))]
    assert len(searched) == 1
    assert "digest" in searched[0]


async def test_servers_on_one_database_add_and_drop_the_same_pieces_at_once(postgres: PostgresServer) -> None:
    """Whoever comes second waits, sees what the first has made of it, and does the rest."""
    database = Postgresql(postgres.new_database())
    stores = [SqlStore(database) for _ in range(3)]
    for store in stores:
        await store.start()
    for again in range(3):
        conversations = [[turn(number, of=f"{again}-{who}") for number in range(4)] for who in range(3)]
        shared = [turn(number, of=f"{again}") for number in range(4)]
        twins = [[_named(each, f"{each.id}-twin-{who}") for each in shared] for who in range(3)]
        both = [[*own, *twin] for own, twin in zip(conversations, twins, strict=True)]
        await asyncio.gather(*(s.insert(r) for s, records in zip(stores, both, strict=True) for r in records))
        deleted = [r for records in both for r in records if not r.id.endswith("3-0")]
        await asyncio.gather(*(stores[i % 3].delete("p", r.id) for i, r in enumerate(deleted)))
        left = [r for records in both for r in records if r not in deleted]
        for each in left:
            assert await stores[0].get("p", each.id) == each
        await asyncio.gather(*(stores[i % 3].delete("p", r.id) for i, r in enumerate(left)))
    assert _left(database) == 0
    for store in stores:
        await store.stop()


def _named(of: Record, name: str) -> Record:
    return record(name.removeprefix("chatcmpl-"), request=of.request)


def _left(database: Database) -> int:
    engine = database.engine_for_reading(connections=1)
    with engine.begin() as connection:
        found = count(connection)
    engine.dispose()
    return found

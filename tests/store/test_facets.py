"""facets.py: the counts are those of the completions there are, whatever was changed."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from sqlalchemy import Connection, select

from hansard.core.paging import SearchQuery
from hansard.core.words import terms
from hansard.store import changes, facets
from hansard.store.database import Database
from hansard.store.postgresql import Postgresql
from hansard.store.schema import facets as table
from hansard.store.sql import SqlStore
from tests.postgres import PostgresServer
from tests.store.conftest import Start
from tests.store.records import record
from tests.store.sound import examined, sound_record

pytestmark = pytest.mark.anyio


def counted(connection: Connection, key: str, *, project: str = "p") -> dict[str, int]:
    return dict(facets.values(connection, project, key, most=100))


def test_each_label_and_each_end_is_counted(connection: Connection) -> None:
    changes.insert_records(
        connection,
        [
            record("a", metadata={"tier": "tin"}, finish_reason="stop"),
            record("b", metadata={"tier": "gold"}, finish_reason="stop"),
            record("c", metadata={"tier": "tin"}, model="tiny", finish_reason="length"),
            record("d", project="q", metadata={"tier": "tin"}),
        ],
    )
    assert counted(connection, "metadata[tier]") == {"tin": 2, "gold": 1}
    assert counted(connection, "model") == {"tiny": 3, "tiny-2026": 2}
    assert counted(connection, facets.FINISH_REASON) == {"stop": 2, "length": 1}
    assert counted(connection, "") == {"": 3}
    assert counted(connection, "", project="q") == {"": 1}
    assert dict(facets.keys(connection, "q", most=9)) == {"metadata[tier]": 1, "model": 2}


def test_the_most_frequent_comes_first(connection: Connection) -> None:
    changes.insert_records(connection, [record(str(n), metadata={"k": str(n % 3)}) for n in range(7)])
    assert facets.values(connection, "p", "metadata[k]", most=2) == [("0", 3), ("1", 2)]


def test_counts_follow_the_metadata(connection: Connection) -> None:
    changes.insert_record(connection, record("a", metadata={"tier": "tin", "run": "7"}))
    changes.set_metadata(connection, "p", "chatcmpl-a", {"tier": "gold", "run": "7"})
    assert counted(connection, "metadata[tier]") == {"gold": 1}
    assert counted(connection, "metadata[run]") == {"7": 1}


def test_nothing_is_left_of_what_is_gone(connection: Connection) -> None:
    changes.insert_record(connection, record("a", metadata={"tier": "tin"}, finish_reason="stop"))
    changes.delete_record(connection, "p", "chatcmpl-a")
    assert connection.execute(select(table)).all() == []


async def test_servers_on_one_database_count_together(postgres: PostgresServer) -> None:
    database = Postgresql(postgres.new_database())
    stores = [SqlStore(database) for _ in range(3)]
    for store in stores:
        await store.start()
    names = [str(number) for number in range(60)]
    await asyncio.gather(*(stores[i % 3].insert(record(name, metadata={"k": "v"})) for i, name in enumerate(names)))
    await asyncio.gather(*(stores[(i + 1) % 3].delete("p", f"chatcmpl-{name}") for i, name in enumerate(names[:20])))
    engine = database.engine_for_reading(connections=1)
    with engine.begin() as connection:
        assert counted(connection, "metadata[k]") == {"v": 40}
        assert counted(connection, "") == {"": 40}
    engine.dispose()
    for store in stores:
        await store.stop()


async def test_keys_and_values_are_counted(store: SqlStore) -> None:
    await store.insert(record("a", metadata={"team": "red"}, finish_reason="stop"))
    await store.insert(record("b", metadata={"team": "blue"}, finish_reason="stop"))
    await store.insert(record("c", metadata={"team": "blue"}))
    await store.insert(record("d", metadata={"team": "green", "else": "x"}, project="q"))
    assert list(await store.facets("p", None, limit=9)) == [("finish_reason", 2), ("metadata[team]", 3), ("model", 6)]
    assert list(await store.facets("p", "metadata[team]", limit=9)) == [("blue", 2), ("red", 1)]
    assert list(await store.facets("p", "model", limit=1)) == [("tiny", 3)]
    assert list(await store.facets("p", None, limit=1)) == [("finish_reason", 2)]


async def test_what_is_changed_and_deleted_is_counted_no_longer(store: SqlStore) -> None:
    await store.insert(record("a", metadata={"team": "red"}))
    await store.insert(record("b", metadata={"team": "red"}))
    await store.set_metadata("p", "chatcmpl-a", {"team": "blue"})
    await store.delete("p", "chatcmpl-b")
    assert list(await store.facets("p", "metadata[team]", limit=9)) == [("blue", 1)]
    await store.delete("p", "chatcmpl-a")
    assert list(await store.facets("p", None, limit=9)) == []


async def test_a_very_long_reason_to_end_counts_under_its_digest(database: Database, start: Start) -> None:
    """An upstream says it, and an index of PostgreSQL's holds some 2,700 bytes."""
    store = await start(search=True)
    long = "".join(chr(0x4E00 + (number * 7919) % 20_000) for number in range(5_000))

    await store.insert(sound_record("a", finish_reason=long))

    digest = f"sha256:{hashlib.sha256(long.encode()).hexdigest()}"
    assert list(await store.facets("p", "finish_reason", limit=9)) == [(digest, 1)]
    assert await store.get("p", "chatcmpl-a") == sound_record("a", finish_reason=digest)
    for asked in (long, digest):
        query = SearchQuery(terms=terms("well"), finish_reason=asked)
        assert [hit.id for hit in (await store.search("p", query, after=None)).hits] == ["chatcmpl-a"]
    assert examined(database).findings == ()
    await store.delete("p", "chatcmpl-a")
    assert list(await store.facets("p", "finish_reason", limit=9)) == []

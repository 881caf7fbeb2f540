"""migrate.py: a new database, an old one, a newer one, and several processes at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

import hansard.store.migrations
from hansard.core.paging import ListQuery, SearchQuery
from hansard.core.pieces import cut
from hansard.core.words import terms
from hansard.errors import StartupError
from hansard.observe import Event, StoreUpgraded
from hansard.store import facets, migrate
from hansard.store.base import Cursor, Tally
from hansard.store.database import Database
from hansard.store.postgresql import Postgresql
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite
from hansard.store.tenants import State
from hansard.store.windows import Sizes
from tests.postgres import PostgresServer
from tests.store.conftest import Start
from tests.store.older import KEY, OF_0003, SHOP, TALK, written_by
from tests.store.records import outcome, record
from tests.store.sound import CONVERSATION, examined, sound_record
from tests.store.tended import tended

pytestmark = pytest.mark.anyio


def done(database: Database, *statements: str) -> None:
    """Each in a transaction of its own, as some other program would."""
    database.make()
    engine = database.engine_for_writing()
    for statement in statements:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
    engine.dispose()


def schema(database: Database) -> dict[str, str]:
    """What defines each table, index, column and constraint, by its name."""
    engine = database.engine_for_reading(connections=1)
    with engine.begin() as connection:
        rows = connection.exec_driver_sql(CATALOGUE[connection.dialect.name]).all()
    engine.dispose()
    return {name: " ".join(text.replace('"', "").split()) for name, text in rows}


CATALOGUE = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'",
    "postgresql": """
        SELECT relname || '.' || attname || ' storage', attstorage::text
        FROM pg_attribute a JOIN pg_class t ON t.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
        UNION ALL SELECT relname || '.' || conname, pg_get_constraintdef(c.oid)
        FROM pg_constraint c JOIN pg_class t ON t.oid = conrelid WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT table_name || '.' || column_name, concat_ws(' ', data_type, is_nullable, column_default)
        FROM information_schema.columns WHERE table_schema = 'public'
    """,
}


def set_version(database: Database, version: str | None) -> None:
    done(
        database,
        "CREATE TABLE IF NOT EXISTS alembic_version "
        "(version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))",
        "DELETE FROM alembic_version",
        *([] if version is None else [f"INSERT INTO alembic_version VALUES ('{version}')"]),
    )


async def once(database: Database) -> None:
    store = SqlStore(database)
    await store.start()
    await store.stop()


def test_the_head_is_the_newest_version() -> None:
    scripts = ScriptDirectory(str(Path(hansard.store.migrations.__file__).parent))
    assert scripts.get_heads() == [migrate.HEAD]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_the_versions_make_the_same_tables_as_a_new_database(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    new: Database
    climbed: Database
    if kind == "sqlite":
        new, climbed = (Sqlite(tmp_path / name) for name in ("new.db", "climbed.db"))
    else:
        server = request.getfixturevalue("postgres")
        new, climbed = (Postgresql(server.new_database()) for _ in range(2))
    set_version(climbed, None)
    await once(new)
    await once(climbed)
    expected = schema(new)
    indexes = {"completions_by_id", "outcomes_by_expiry", "outcomes_by_number"} - {
        kind == "sqlite" and "completions_by_id"
    }
    assert indexes < expected.keys()
    assert schema(climbed) == expected


async def test_the_project_leads_every_key_on_postgresql(postgres: PostgresServer) -> None:
    database = Postgresql(postgres.new_database())
    await once(database)
    defined = {name: text for name, text in schema(database).items() if "(" in text and "alembic" not in name}
    # By these a project or a key is found, and the log of all projects is read.
    apart = {
        "projects_by_name",
        "keys_by_digest",
        "keys_by_id",
        "audit_by_time",
        "revisions_pkey",
        "revisions.revisions_pkey",
    }
    keys = [text for name, text in defined.items() if "nextval" not in text and name not in apart]
    assert len(keys) >= 12
    assert [
        text for text in keys if "(project, " not in text and "(project)" not in text and "NOT NULL" not in text
    ] == []


async def test_a_second_start_goes_on_with_the_first_ones_records(start: Start, store: SqlStore) -> None:
    await store.insert(record("a"))
    await store.stop()
    again = await start()
    assert await again.get("p", "chatcmpl-a") == record("a")


async def test_what_the_first_version_wrote_is_all_there_after_the_climb(database: Database) -> None:
    written_by("0001", database)
    assert "outcomes" not in schema(database)
    kept = record("a", metadata={"tier": "tin"})

    store = SqlStore(database)
    await store.start()

    assert await store.get("p", kept.id) == kept
    assert await store.page("p", ListQuery(metadata=(("tier", "tin"),)), after=None, limit=2) == [kept]
    assert await store.locate("p", "chatcmpl-gone") == Cursor(1_699_999_999, 6)
    await store.remember(outcome("k"), record("b"))
    assert await store.recall("p", "k", now=outcome("k").created) == outcome("k")
    place = await store.locate("p", "chatcmpl-b")
    assert place is not None
    assert place.number > 7
    await store.stop()


@pytest.mark.parametrize("version", ["0002", "0003"])
async def test_what_the_second_and_the_third_version_wrote_is_all_there_after_the_climb(
    database: Database, version: str
) -> None:
    written_by(version, database)
    assert "pieces.content" not in schema(database)

    store = SqlStore(database)
    await store.start()

    metadata = {"tier": "tin"}
    kept = [
        sound_record(name, project=project, metadata=metadata, request=CONVERSATION) for project, _, name in OF_0003
    ]
    for each in kept:
        assert await store.get(each.project, each.id) == each
    found = await store.page("p", ListQuery(model="tiny", metadata=(("tier", "tin"),)), after=None, limit=9)
    assert [each.id for each in found] == ["chatcmpl-a", "chatcmpl-b"]
    assert [each.finish_reason for each in found] == ["stop", "stop"]
    for key in ("stored", "unstored"):
        assert await store.recall("p", key, now=1) == outcome(key, expires=4_000_000_000, reply=kept[1].reply)
    assert await store.locate("p", "chatcmpl-gone") == Cursor(1_699_999_999, 12)
    assert counts(database, "p") == {
        "": [("", 2)],
        "finish_reason": [("stop", 2)],
        "metadata[tier]": [("tin", 2)],
        "model": [("tiny", 2), ("tiny-2026", 2)],
    }
    report = examined(database)
    assert report.findings == ()
    parts = cut(CONVERSATION)
    assert report.looked_at["pieces"] == 2 * (len(parts.turns) + 1)

    await store.insert(record("new"))
    place = await store.locate("p", "chatcmpl-new")
    assert place is not None
    assert place.number > 12
    await store.stop()


async def test_what_the_fourth_version_wrote_is_all_there_after_the_climb(database: Database) -> None:
    written_by("0004", database)
    assert "keys" not in " ".join(schema(database))

    store = SqlStore(database, search=True)
    await store.start()

    await sound_after_the_climb(store, database)
    assert store._catching_up is not None
    await store._catching_up
    found = await store.search("default", SearchQuery(terms=terms("standing orders")), after=None)
    assert [hit.id for hit in found.hits] == ["chatcmpl-a"]
    await store.delete("default", "chatcmpl-a")
    assert counts(database, "default") == {"": []}
    assert examined(database).looked_at["pieces"] == 0
    await store.stop()


async def test_what_the_fifth_version_wrote_is_all_there_after_the_climb(database: Database) -> None:
    written_by("0005", database)
    assert "tallies" not in " ".join(schema(database))

    store = SqlStore(database)
    await store.start()

    await sound_after_the_climb(store, database)
    assert await store.tenants.holders([KEY.digest]) == {KEY.digest: (KEY, SHOP)}
    assert [each.name for each in await store.tenants.projects()] == ["default", "shop"]
    (entry,) = await store.tenants.audit(project="proj_1", after=None, limit=9)
    assert (entry.at, entry.act, entry.target, entry.details) == (10**15, "key.created", "key_1", {"name": "till"})
    assert await store.tenants.state() == State(revision=1, has_keys=True)
    assert await store.tally([Tally("proj_1", "key_1", "requests", 1.0)]) == [1.0]
    await store.stop()


async def sound_after_the_climb(store: SqlStore, database: Database) -> None:
    """What 0004 and 0005 wrote of a conversation with tools, in bodies and pieces of their own bytes."""
    kept = sound_record("a", project="default", metadata={"tier": "tin"}, request=TALK)
    assert await store.get("default", "chatcmpl-a") == kept
    query = ListQuery(model="tiny", metadata=(("tier", "tin"),))
    (listed,) = await store.page("default", query, after=None, limit=2)
    assert (listed.id, listed.reply) == (kept.id, kept.reply)
    assert counts(database, "default") == {
        "": [("", 1)],
        "finish_reason": [("stop", 1)],
        "metadata[tier]": [("tin", 1)],
        "model": [("tiny", 1), ("tiny-2026", 1)],
    }
    report = examined(database)
    assert report.findings == ()
    assert report.looked_at["pieces"] == 4


async def test_what_the_sixth_version_wrote_comes_into_windows_after_the_climb(database: Database) -> None:
    written_by("0006", database)
    assert not [name for name in schema(database) if name.startswith(("windows", "bitmaps"))]

    store = SqlStore(database, windows=Sizes(numbers=8, listed=1, few=0, worth_it_from=0))
    await store.start()
    query = ListQuery(model="tiny", metadata=(("tier", "tin"),))

    before = await store.page("p", query, after=None, limit=2)
    assert [await tended(store) > 0 for _ in range(3)] == [True, True, False]
    assert await store.page("p", query, after=None, limit=2) == before
    assert [each.id for each in before] == ["chatcmpl-a"]
    await store.stop()


async def test_bitmaps_of_the_seventh_version_are_made_anew(database: Database) -> None:
    written_by("0007", database)
    store = SqlStore(database, windows=Sizes(numbers=8, listed=1, few=0, worth_it_from=0))
    await store.start()
    query = ListQuery(model="tiny", metadata=(("tier", "tin"),))

    for made in (True, False):
        assert [each.id for each in await store.page("p", query, after=None, limit=2)] == ["chatcmpl-b", "chatcmpl-a"]
        assert (await tended(store) > 0) == made
    assert windows_without_bitmaps(database) == 1  # the one that is being filled
    await store.stop()


def windows_without_bitmaps(database: Database) -> int:
    engine = database.engine_for_reading(connections=1)
    with engine.begin() as connection:
        found = connection.scalar(text("SELECT count(*) FROM windows WHERE work IS NOT NULL"))
    engine.dispose()
    return int(found or 0)


def counts(database: Database, project: str) -> dict[str, list[tuple[str, int]]]:
    """Of each key how many completions have each value."""
    engine = database.engine_for_reading(connections=1)
    with engine.begin() as connection:
        found = {
            key: list(facets.values(connection, project, key, most=9))
            for key in [facets.ALL[0], *(key for key, _ in facets.keys(connection, project, most=9))]
        }
    engine.dispose()
    return found


async def test_an_upgrade_is_told_once(database: Database) -> None:
    written_by("0001", database)
    told: list[Event] = []

    for _ in range(2):
        store = SqlStore(database, observer=told.append)
        await store.start()
        await store.stop()

    assert told == [StoreUpgraded(before="0001", now=migrate.HEAD)]


async def test_a_new_database_is_no_upgrade(database: Database) -> None:
    told: list[Event] = []
    store = SqlStore(database, observer=told.append)
    await store.start()
    await store.stop()
    assert told == []


async def test_a_newer_database_is_left_alone(database: Database) -> None:
    await once(database)
    set_version(database, "9999")
    with pytest.raises(StartupError) as caught:
        await SqlStore(database).start()
    assert caught.value.problems == (
        f"{database.place}: a newer Hansard wrote this database (its schema is 9999, this version knows "
        f"{migrate.HEAD}). Install that version or a later one, or choose another place with --data or --db.",
    )


async def test_somebody_elses_database_is_left_alone(database: Database) -> None:
    done(database, "CREATE TABLE recipes (name TEXT)")
    before = schema(database)
    with pytest.raises(StartupError) as caught:
        await SqlStore(database).start()
    assert caught.value.problems == (
        f"{database.place}: this database is not Hansard's. Choose another place with --data or --db.",
    )
    assert schema(database) == before


@pytest.mark.parametrize("how", ["new", "old"])
async def test_several_that_start_at_once_migrate_once(database: Database, how: str) -> None:
    if how == "old":
        set_version(database, None)
    stores = [SqlStore(database) for _ in range(6)]
    await asyncio.gather(*(store.start() for store in stores))
    await asyncio.gather(*(store.insert(record(str(number))) for number, store in enumerate(stores)))
    for number, store in enumerate(stores):
        assert await store.get("p", f"chatcmpl-{5 - number}") == record(str(5 - number))
        await store.stop()


def test_a_start_pays_neither_for_alembic_nor_for_a_driver_it_does_not_need(path: Path) -> None:
    program = f"""
import asyncio, pathlib, sys
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite
from hansard.store.tenants import State
async def main():
    for _ in range(2):
        store = SqlStore(Sqlite(pathlib.Path({str(path)!r})))
        await store.start()
        await store.stop()
asyncio.run(main())
sys.exit("alembic" in sys.modules or "psycopg" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

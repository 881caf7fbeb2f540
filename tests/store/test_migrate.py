"""migrate.py: a new database, an old one, a newer one, and several processes at once."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

import hansard.store.migrations
from hansard.core.paging import ListQuery
from hansard.errors import StartupError
from hansard.observe import Event, StoreUpgraded
from hansard.store import migrate, sqlite
from hansard.store.base import Cursor
from hansard.store.sql import SqlStore
from tests.store.records import outcome, record

pytestmark = pytest.mark.anyio


def schema(path: Path) -> dict[str, str]:
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    finally:
        connection.close()
    return {name: " ".join(sql.split()) for name, sql in rows}


def set_version(path: Path, version: str | None) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL)")
    connection.execute("DELETE FROM alembic_version")
    if version is not None:
        connection.execute("INSERT INTO alembic_version VALUES (?)", (version,))
    connection.commit()
    connection.close()


def written_by(version: str, path: Path) -> None:
    """A database as that version leaves it, with one completion of project ``p``."""
    sqlite.make_file(path)
    engine = sqlite.engine_for_writing(path, patience_s=1)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(hansard.store.migrations.__file__).parent))
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        for statement in ROWS:
            connection.exec_driver_sql(statement)
    engine.dispose()


# What 0001 had for `record("a", metadata={"tier": "tin"})`, in its own columns.
ROWS = [
    "INSERT INTO completions VALUES (7, 'p', 'chatcmpl-a', 1700000000, 'tiny-2026', 'tiny', 'req_a', "
    """'{"tier":"tin"}', 2147483647, 'echo', 'chatcmpl-7', 12, 345)""",
    """INSERT INTO bodies VALUES (7, CAST('{"model": "tiny", "temperature": 1.0}' AS BLOB), """
    """CAST('{"id":"chatcmpl-a"}' AS BLOB))""",
    "INSERT INTO labels VALUES ('p', '', '', 1700000000, 7), ('p', 'metadata[tier]', 'tin', 1700000000, 7), "
    "('p', 'model', 'tiny', 1700000000, 7), ('p', 'model', 'tiny-2026', 1700000000, 7)",
    "INSERT INTO tombstones VALUES ('p', 'chatcmpl-gone', 1699999999, 6)",
]


async def once(path: Path) -> None:
    store = SqlStore(path=path)
    await store.start()
    await store.stop()


def test_the_head_is_the_newest_version() -> None:
    scripts = ScriptDirectory(str(Path(hansard.store.migrations.__file__).parent))
    assert scripts.get_heads() == [migrate.HEAD]


async def test_the_versions_make_the_same_tables_as_a_new_database(tmp_path: Path) -> None:
    new, climbed = tmp_path / "new.db", tmp_path / "climbed.db"
    set_version(climbed, None)
    await once(new)
    await once(climbed)
    expected = schema(new)
    assert {"completions", "bodies", "labels", "tombstones", "outcomes", "outcomes_by_expiry"} < expected.keys()
    del expected["alembic_version"]
    made = schema(climbed)
    del made["alembic_version"]
    assert made == expected


async def test_a_second_start_goes_on_with_the_first_ones_records(path: Path, store: SqlStore) -> None:
    await store.insert(record("a"))
    await store.stop()
    again = SqlStore(path=path)
    await again.start()
    assert await again.get("p", "chatcmpl-a") == record("a")
    await again.stop()


async def test_what_the_first_version_wrote_is_all_there_after_the_climb(path: Path) -> None:
    written_by("0001", path)
    assert "outcomes" not in schema(path)
    kept = record("a", metadata={"tier": "tin"})

    store = SqlStore(path=path)
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


async def test_an_upgrade_is_told_once(path: Path) -> None:
    written_by("0001", path)
    told: list[Event] = []

    for _ in range(2):
        store = SqlStore(path=path, observer=told.append)
        await store.start()
        await store.stop()

    assert told == [StoreUpgraded(before="0001", now=migrate.HEAD)]


async def test_a_new_database_is_no_upgrade(path: Path) -> None:
    told: list[Event] = []
    store = SqlStore(path=path, observer=told.append)
    await store.start()
    await store.stop()
    assert told == []


async def test_a_newer_database_is_left_alone(path: Path) -> None:
    await once(path)
    set_version(path, "9999")
    with pytest.raises(StartupError) as caught:
        await SqlStore(path=path).start()
    assert caught.value.problems == (
        f"{path}: a newer Hansard wrote this database (its schema is 9999, this version knows 0002). "
        "Install that version or a later one, or choose another place with --data or --db.",
    )


async def test_somebody_elses_database_is_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    with pytest.raises(StartupError) as caught:
        await SqlStore(path=path).start()
    assert caught.value.problems == (
        f"{path}: this database is not Hansard's. Choose another place with --data or --db.",
    )
    assert list(schema(path)) == ["recipes"]


@pytest.mark.parametrize("how", ["new", "old"])
async def test_several_that_start_at_once_migrate_once(path: Path, how: str) -> None:
    if how == "old":
        set_version(path, None)
    stores = [SqlStore(path=path) for _ in range(6)]
    await asyncio.gather(*(store.start() for store in stores))
    await asyncio.gather(*(store.insert(record(str(number))) for number, store in enumerate(stores)))
    for number, store in enumerate(stores):
        assert await store.get("p", f"chatcmpl-{5 - number}") == record(str(5 - number))
        await store.stop()


def test_a_start_without_migration_does_not_pay_for_alembic(path: Path) -> None:
    program = f"""
import asyncio, pathlib, sys
from hansard.store.sql import SqlStore
async def main():
    for _ in range(2):
        store = SqlStore(path=pathlib.Path({str(path)!r}))
        await store.start()
        await store.stop()
asyncio.run(main())
sys.exit("alembic" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

"""server.py: a PostgreSQL database is upgraded and looked at as a SQLite file is. The kinds: ``test_check``."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from hansard.errors import StartupError
from hansard.store import migrate, server
from hansard.store.database import Database
from hansard.store.postgresql import Postgresql
from hansard.store.sql import SqlStore
from tests.postgres import PostgresServer, postgres_server
from tests.store.sound import examined, sound_record
from tests.store.test_check import LONG, NUMBERS, TOOLS, TURNS, A, B, fill, found
from tests.store.test_migrate import set_version, written_by

pytestmark = pytest.mark.anyio


@pytest.fixture
def empty(postgres: PostgresServer) -> Iterator[Postgresql]:
    with postgres.lent_database() as url:
        yield Postgresql(url)


@pytest.fixture
async def full(empty: Postgresql) -> Postgresql:
    await fill(SqlStore(empty))
    return empty


def damage(database: Database, *statements: str) -> None:
    engine = database.engine_for_writing()
    try:
        with engine.begin() as connection:
            for statement in statements:
                assert connection.execute(text(statement), NUMBERS).rowcount != 0, f"nothing was damaged: {statement}"
    finally:
        engine.dispose()


def refusal(database: Database) -> str:
    with pytest.raises(StartupError) as caught:
        examined(database)
    return str(caught.value)


async def test_what_a_store_leaves_is_sound(full: Postgresql) -> None:
    report = examined(full)
    assert report.findings == ()
    assert report.version == migrate.HEAD
    assert report.looked_at == {
        "completions": 4,
        "pieces": len(TURNS) + 1,
        "labels": 2 + 1 + 2 + 2 + 2,
        "tombstones": 1,
        "outcomes": 2,
    }


async def test_a_database_without_rows_is_sound(empty: Postgresql) -> None:
    assert server.upgrade(empty) is None
    assert examined(empty).is_sound


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DELETE FROM bodies WHERE number = :a", {"body": (A,)}),
        ("UPDATE bodies SET content = substr(content, 1, length(content) - 1) WHERE number = :a", {"body": (A,)}),
        ("UPDATE bodies SET content = (SELECT content FROM bodies WHERE number = :a) WHERE number = :b",
         {"reply": (B,)}),
        ("UPDATE bodies SET turns = NULL WHERE number = :long", {"request": (LONG,), "piece": (TURNS[-1],)}),
        (f"UPDATE pieces SET content = (SELECT content FROM pieces WHERE digest = '\\x{TOOLS}') "
         f"WHERE digest = '\\x{TURNS[0]}'", {"request": (LONG,), "piece": (TURNS[0],)}),
        ("UPDATE completions SET metadata = '[]' WHERE number = :a", {"metadata": (A,)}),
        ("UPDATE facets SET count = count + 1 WHERE key = 'finish_reason'", {"facet": ("finish_reason stop",)}),
        ("DELETE FROM labels WHERE number = :a AND key = 'metadata[tier]'",
         {"label_missing": (A,), "facet": ("metadata[tier] tin",)}),
        ("INSERT INTO labels VALUES ('p', 'metadata[a]', 'b', 1700000000, :b)",
         {"label_surplus": (B,), "facet": ("metadata[a] b",)}),
        ("INSERT INTO tombstones VALUES ('p', 'chatcmpl-x', 1700000000, :a)", {"tombstone": ("chatcmpl-x",)}),
        ("UPDATE outcomes SET number = NULL WHERE key = 'k'", {"outcome": ("k",)}),
        ("SELECT setval('completions_number_seq', 3)", {"counter": ("it stands at 3, and 6 was given",)}),
        ("UPDATE alembic_version SET version_num = '0001'", {"version": (f"0001, not {migrate.HEAD}",)}),
    ],
)  # fmt: skip
async def test_damage_is_found_and_named(
    full: Postgresql, statement: str, expected: dict[str, tuple[str, ...]]
) -> None:
    damage(full, statement)
    assert found(examined(full)) == expected


async def test_a_check_beside_a_store_sees_one_moment(full: Postgresql) -> None:
    """Each table is told of when it is begun: what comes then belongs to another moment."""
    engine = full.engine_for_writing()

    def tell(_what: str, _done: int, _total: int | None) -> None:
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM labels"))

    assert server.examine(full, tell=tell).findings == ()
    engine.dispose()
    assert not examined(full).is_sound


def test_an_upgrade_from_the_first_version(empty: Postgresql) -> None:
    written_by("0001", empty)
    assert found(examined(empty)) == {"version": (f"0001, not {migrate.HEAD}",)}
    assert server.upgrade(empty) == "0001"
    assert server.upgrade(empty) == migrate.HEAD
    assert examined(empty).looked_at["completions"] == 1


async def test_newer_other_and_no_databases_are_left_alone(full: Postgresql, postgres: PostgresServer) -> None:
    set_version(full, "9999")
    assert f"a newer Hansard wrote this database (its schema is 9999, this version knows {migrate.HEAD})" in refusal(
        full
    )
    with pytest.raises(StartupError, match=r"^Not upgraded from nothing to .*: a newer Hansard"):
        server.upgrade(full)
    assert "this database is not Hansard's" in refusal(Postgresql(postgres.new_database()))
    said = refusal(Postgresql(postgres.url("nowhere", user="postgres:sEcret")))
    assert "the database cannot be reached" in said
    assert "sEcret" not in said


# SQLAlchemy does not close the cursor of a connection that is gone.
@pytest.mark.filterwarnings("ignore:.*was deleted while still open:ResourceWarning")
async def test_a_server_that_ends_meanwhile_is_one_line() -> None:
    with postgres_server() as own:
        database = Postgresql(own.new_database())
        store = SqlStore(database)
        await store.start()
        await store.insert(sound_record("a"))
        await store.stop()

        def tell(what: str, _done: int, _total: int | None) -> None:
            if what == "labels":
                own.stop()

        with pytest.raises(StartupError, match="the database cannot be reached"):
            server.examine(database, tell=tell)
    gc.collect()

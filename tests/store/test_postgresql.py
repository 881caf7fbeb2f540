"""postgresql.py, outage.py and what only a database server does: it goes away, comes back, and has other writers."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from hansard.core.paging import ListQuery
from hansard.errors import StartupError, StoreUnavailable
from hansard.store.database import Database
from hansard.store.database import database as make_database
from hansard.store.postgresql import Postgresql, escaped, unescaped
from hansard.store.sql import SqlStore
from tests.postgres import PostgresServer, postgres_server
from tests.store.conftest import Start
from tests.store.heard import heard
from tests.store.records import outcome, record

pytestmark = pytest.mark.anyio


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Postgresql]:
    with postgres.lent_database() as url:
        yield Postgresql(url)


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    with postgres_server() as server:
        yield server


async def problem(url: str) -> str:
    """What the operator reads when the store does not start."""
    with pytest.raises(StartupError) as caught:
        await SqlStore(Postgresql(url)).start()
    (only,) = caught.value.problems
    return only


# What a text column cannot hold

ODD = st.text(st.characters(codec=None) | st.sampled_from("\x00\x01\ud800\udfff01d"), max_size=8)


@given(ODD, ODD)
def test_every_text_is_kept_and_no_two_become_one(one: str, other: str) -> None:
    assert unescaped(escaped(one)) == one
    assert (escaped(one) == escaped(other)) == (one == other)
    escaped(one).encode()
    assert "\x00" not in escaped(one)


async def test_odd_texts_are_found_again_wherever_they_stand(store: SqlStore) -> None:
    odd = "a\x00b\x01c"
    kept = record(
        odd, model=odd, requested_model="\x00", request_id=odd, upstream_id=odd, metadata={odd: odd, "k": "\x00"}
    )
    await store.insert(kept)
    assert await store.get("p", kept.id) == kept
    assert await store.page("p", ListQuery(model=odd, metadata=((odd, odd),)), after=None, limit=9) == [kept]
    assert await store.page("p", ListQuery(metadata=(("k", ""),)), after=None, limit=9) == []
    assert await store.get("p", "chatcmpl-\udfff") is None
    assert await store.set_metadata("p", kept.id, {"k": odd}) is not None
    assert await store.page("p", ListQuery(metadata=(("k", odd),)), after=None, limit=9) != []
    assert await store.delete("p", kept.id) is True


# Start


async def test_a_server_that_is_not_there(tmp_path: object) -> None:
    said = await problem(f"postgresql://me:hush@/d?host={tmp_path}")
    assert said.startswith(f"PostgreSQL at {tmp_path}, database d: the database cannot be reached (")
    assert said.endswith("Start it, and check its address, user and password, or choose another with --db.")
    assert "hush" not in said


async def test_a_url_that_libpq_cannot_read() -> None:
    with pytest.raises(StartupError, match=r"^--db: libpq cannot read this URL\.$") as caught:
        Postgresql("postgresql://me:wo%zzrd@h/d")
    assert caught.value.__cause__ is None


def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "hansard.store.postgresql")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StartupError) as caught:
        make_database("postgresql://h/d")
    assert caught.value.problems == (
        "PostgreSQL needs its driver, which is not installed here: pip install 'hansard[postgres]'",
    )


async def test_a_database_in_another_encoding(postgres: PostgresServer) -> None:
    said = await problem(postgres.new_database(encoding="'LATIN1'"))
    assert said.endswith(
        "the database is encoded in LATIN1, which does not hold every text. Make it with ENCODING 'UTF8'."
    )


async def test_a_server_that_does_not_sync() -> None:
    with postgres_server(fsync="off") as server:
        said = await problem(server.new_database())
    assert said.endswith("the server runs with fsync = off, so what it commits may be lost. Turn fsync on.")


@pytest.mark.parametrize("who", ["DATABASE", "ROLE"])
async def test_a_commit_waits_for_the_disk_whoever_says_otherwise(
    postgres: PostgresServer, start: Start, who: str
) -> None:
    """Every COMMIT that writes: of the start, of records, changes, deletions and outcomes."""
    postgres.execute("CREATE ROLE hasty LOGIN SUPERUSER")
    parts = psycopg.conninfo.conninfo_to_dict(postgres.new_database())
    url = postgres.url(str(parts["dbname"]), user="hasty")
    name = "hasty" if who == "ROLE" else parts["dbname"]
    seen: list[str] = []

    def committed(connection: Connection) -> None:
        if connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "off":
            seen.append(connection.exec_driver_sql("SHOW synchronous_commit").scalar_one())

    database = Postgresql(url)
    try:
        with heard(database, "commit", committed):
            for told, expected in (
                ("off", "on"),
                ("local", "on"),
                ("remote_write", "on"),
                ("remote_apply", "remote_apply"),
            ):
                postgres.execute(f"ALTER {who} {name} SET synchronous_commit = {told}")
                seen.clear()
                store = await start(database=database)
                await store.insert(record(told))
                await store.remember(outcome(told, of=f"{told} with a key"), record(f"{told} with a key"))
                await store.set_metadata("p", f"chatcmpl-{told}", {"tier": "gold"})
                await store.delete("p", f"chatcmpl-{told}")
                await store.stop()
                assert seen == [expected] * 5
    finally:
        postgres.execute(f"DROP DATABASE {parts['dbname']} WITH (FORCE)")
        postgres.execute("DROP ROLE hasty")


# Outages


async def test_a_restart_is_ridden_out_by_writes_and_reads(own_server: PostgresServer, start: Start) -> None:
    store = await start(database=Postgresql(own_server.new_database()))
    await store.insert(record("before"))
    own_server.stop(how=signal.SIGQUIT)
    writing = asyncio.create_task(store.insert(record("during")))
    reading = asyncio.create_task(store.get("p", "chatcmpl-before"))
    while store.healthy:  # until it is missed, so that nothing is generated meanwhile
        await asyncio.sleep(0.01)
    await asyncio.to_thread(own_server.start)
    await writing
    assert await reading == record("before")
    assert await store.get("p", "chatcmpl-during") == record("during")
    assert store.healthy


async def test_an_outage_beyond_the_bound_is_refused_and_then_at_once(own_server: PostgresServer, start: Start) -> None:
    store = await start(database=Postgresql(own_server.new_database(), rides_out_s=0.3))
    own_server.stop()
    for ask in (store.insert(record("a")), store.get("p", "chatcmpl-a"), store.delete("p", "chatcmpl-a")):
        with pytest.raises(StoreUnavailable, match=r"^The store is unavailable: the database cannot be reached\.$"):
            await ask
    assert await store.ready() is False
    await asyncio.to_thread(own_server.start)
    assert await store.ready() is True
    await store.insert(record("a"))
    assert store.healthy


async def test_reads_that_get_through_do_not_keep_a_write_waiting(postgres: PostgresServer, start: Start) -> None:
    """As of a primary that has become a standby, to which reads are welcome."""
    url = postgres.new_database()
    store = await start(database=Postgresql(url, rides_out_s=0.5))
    await store.insert(record("a"))
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    writing = asyncio.create_task(store.insert(record("b")))
    while not writing.done():
        assert await store.get("p", "chatcmpl-a") == record("a")

    with pytest.raises(StoreUnavailable, match=r"^The store is unavailable: the database cannot be written\.$"):
        await writing
    assert not store.healthy
    postgres.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    await store.insert(record("c"))
    assert store.healthy


async def test_a_write_that_gets_through_ends_the_outage_of_reads_as_well(
    own_server: PostgresServer, start: Start
) -> None:
    store = await start(database=Postgresql(own_server.new_database(), rides_out_s=0.1))
    own_server.stop()
    with pytest.raises(StoreUnavailable):
        await store.get("p", "chatcmpl-a")
    assert not store.healthy
    await asyncio.to_thread(own_server.start)

    await store.insert(record("a"))

    assert store.healthy


@pytest.mark.parametrize("committed", [True, False])
async def test_a_commit_whose_answer_is_lost_is_kept_once(start: Start, database: Database, committed: bool) -> None:
    store = await start()
    await store.insert(record("old"))
    cut = threading.Event()

    def cut_off(connection: Connection) -> None:
        if connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "on" or cut.is_set():
            return
        cut.set()
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        if committed:
            driver.execute("COMMIT")
        driver.close()

    with heard(database, "commit", cut_off):
        jobs = [store.insert(record("a")), store.insert(record("b")), store.delete("p", "chatcmpl-old")]
        assert await asyncio.gather(*jobs) == [None, None, True]
    assert cut.is_set()
    page = await store.page("p", ListQuery(), after=None, limit=9)
    assert page == [record("a"), record("b")]


# Other writers


async def test_several_writers_change_and_delete_the_same_completions(start: Start) -> None:
    stores = [await start() for _ in range(3)]
    names = [f"chatcmpl-{number}" for number in range(12)]
    await asyncio.gather(*(stores[0].insert(record(str(number))) for number in range(12)))

    def shuffled(number: int) -> list[str]:
        return names if number % 2 else names[::-1]

    await asyncio.gather(
        *(store.set_metadata("p", name, {"by": str(n)}) for n, store in enumerate(stores) for name in shuffled(n))
    )
    kept = await stores[0].page("p", ListQuery(), after=None, limit=100)
    found = [await stores[0].page("p", ListQuery(metadata=(("by", str(n)),)), after=None, limit=100) for n in range(3)]
    assert sorted(each.id for page in found for each in page) == sorted(each.id for each in kept)
    deleted = await asyncio.gather(*(store.delete("p", name) for n, store in enumerate(stores) for name in shuffled(n)))
    assert sorted(deleted) == [False] * 24 + [True] * 12


async def test_a_server_writes_nothing_into_tables_that_another_version_has_upgraded(
    start: Start, database: Postgresql
) -> None:
    store = await start()
    await store.insert(record("a"))
    upgrading = database.engine_for_writing()
    with upgrading.begin() as upgrade:
        database.claim(upgrade)
        waiting = asyncio.create_task(store.insert(record("b")))
        waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        while not upgrade.scalar(waits):
            await asyncio.sleep(0.01)
        upgrade.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    upgrading.dispose()
    said = r"^The store is unavailable: another version of Hansard has upgraded the database\.$"
    with pytest.raises(StoreUnavailable, match=said) as caught:
        await waiting
    assert caught.value.retry_after_s == 60
    assert await store.ready() is False
    assert await store.get("p", "chatcmpl-a") == record("a")
    assert await store.get("p", "chatcmpl-b") is None


async def test_every_replica_sees_what_any_of_them_has_acknowledged(start: Start) -> None:
    one, other = await start(), await start()
    for number in range(5):
        await one.insert(record(str(number)))
        assert await other.get("p", f"chatcmpl-{number}") == record(str(number))
    assert await other.delete("p", "chatcmpl-0") is True
    assert await one.get("p", "chatcmpl-0") is None
    assert await one.locate("p", "chatcmpl-0") is not None


async def test_a_page_that_went_by_is_never_changed_by_a_commit_behind_it(start: Start) -> None:
    """What comes later in the order is seen by whoever pages on; what comes before a cursor is not shown late."""
    one, other = await start(), await start()
    await one.insert(record("b", created=20))
    cursor = await other.locate("p", "chatcmpl-b")
    await other.insert(record("a", created=10))
    await one.insert(record("c", created=20))
    after = await other.page("p", ListQuery(), after=cursor, limit=9)
    assert [each.id for each in after] == ["chatcmpl-c"]

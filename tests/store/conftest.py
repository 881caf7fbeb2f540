"""Fixtures of the store's tests. Whatever asks for ``database`` runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from sqlalchemy import Connection

from hansard.store import migrate
from hansard.store.database import Database
from hansard.store.postgresql import Postgresql
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite
from tests.postgres import PostgresServer, postgres_server
from tests.store.heard import heard

Start: TypeAlias = Callable[..., Awaitable[SqlStore]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all of them; it is not to be stopped. Deadlocks, which writers bring about, end soon in it."""
    with postgres_server(deadlock_timeout="50ms") as server:
        yield server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hansard.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty one."""
    with database_of(request) as database:
        yield database


@contextmanager
def database_of(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty one of the kind that the fixture's parameter names."""
    if request.param == "sqlite":
        yield Sqlite(request.getfixturevalue("path"))
    else:
        with request.getfixturevalue("postgres").lent_database() as url:
            yield Postgresql(url)


def impatient(database: Database) -> Database:
    """The same one, for a store that gives up on locks and outages soon."""
    if isinstance(database, Sqlite):
        return Sqlite(database.path, patience_s=0.05)
    assert isinstance(database, Postgresql)
    return Postgresql(database.url, lock_s=0.05, rides_out_s=0.2)


@pytest.fixture
async def start(database: Database) -> AsyncIterator[Start]:
    """Starts a store with other settings, and stops it in the end."""
    stores: list[SqlStore] = []

    async def start(**settings: Any) -> SqlStore:
        store = SqlStore(settings.pop("database", database), **settings)
        await store.start()
        stores.append(store)
        return store

    yield start
    for store in stores:
        await store.stop()


@pytest.fixture
async def store(start: Start) -> SqlStore:
    return await start()


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    """In a transaction that writes, on a database with tables and nothing in them."""
    engine = database.engine_for_writing()
    database.make()
    with engine.begin() as connection:
        migrate.create(connection)
        yield connection
    engine.dispose()


@pytest.fixture
def commits(database: Database) -> Iterator[list[Connection]]:
    """Grows by one with each COMMIT of a writer there; readers commit nothing, but end the same way."""
    seen: list[Connection] = []

    def committed(connection: Connection) -> None:
        asked = "PRAGMA query_only" if connection.dialect.name == "sqlite" else "SHOW transaction_read_only"
        if connection.exec_driver_sql(asked).scalar() in (0, "off"):
            seen.append(connection)

    with heard(database, "commit", committed):
        yield seen

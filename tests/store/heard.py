"""What is heard of one database: other tests' servers run in this process too, and have statements of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import Connection as PostgresConnection
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, Engine, event

from hansard.store.database import Database
from hansard.store.postgresql import Postgresql
from hansard.store.sqlite import Sqlite


@contextmanager
def heard(database: Database, name: str, listener: Callable[..., None]) -> Iterator[None]:
    """Calls ``listener`` at each event of this name whose connection leads to ``database``, whoever opened it."""
    here = _place(database)

    def hear(connection: Connection, *rest: Any) -> None:
        if _leads_to(connection) == here:
            listener(connection, *rest)

    event.listen(Engine, name, hear)
    try:
        yield
    finally:
        event.remove(Engine, name, hear)


def _place(database: Database) -> tuple[str, str]:
    if isinstance(database, Sqlite):
        return "sqlite", database.path.absolute().as_uri()
    assert isinstance(database, Postgresql)
    parts = conninfo_to_dict(database.url)
    return str(parts["host"]), str(parts["dbname"])


def _leads_to(connection: Connection) -> tuple[str, str]:
    driver = connection.connection.driver_connection
    if isinstance(driver, PostgresConnection):
        return driver.info.host, driver.info.dbname
    return "sqlite", str(connection.engine.url.database)

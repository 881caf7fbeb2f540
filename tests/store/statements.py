"""What drivers are told, by whomever: events of SQLAlchemy's miss what goes past it (``store.driver``)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
from sqlalchemy import Engine, event

from hansard.store.database import Database
from tests.store.heard import heard

Note: TypeAlias = Callable[[str, Any], None]


def listen(driver: Any, note: Note) -> None:
    """From now on ``note`` gets each statement of this connection, and its values if they are not in its text."""
    if isinstance(driver, sqlite3.Connection):
        driver.set_trace_callback(lambda text: note(text, ()))
        return

    class Noting(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            note(query, params)
            return super().execute(query, params, **options)

        def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
            note(query, params_seq[0])
            super().executemany(query, params_seq, **options)

    driver.cursor_factory = Noting


@contextmanager
def of_transactions(database: Database, note: Note) -> Iterator[None]:
    """As ``listen``, to every connection to ``database`` on which a transaction begins meanwhile."""
    with heard(database, "begin", lambda connection: listen(connection.connection.driver_connection, note)):
        yield


@contextmanager
def of_new_connections(note: Note) -> Iterator[None]:
    """As ``listen``, to every connection that is opened meanwhile."""

    def connected(driver: Any, _: object) -> None:
        listen(driver, note)

    event.listen(Engine, "connect", connected)
    try:
        yield
    finally:
        event.remove(Engine, "connect", connected)

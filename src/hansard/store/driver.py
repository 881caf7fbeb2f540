"""Statements by the driver itself, where each request waits for them.

What SQLAlchemy adds to a statement (contexts, results, events) takes the processor as long as SQLite takes to insert
ten rows. What fails is told as by any other statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, exc


def run(connection: Connection, text: str, values: Sequence[object] = (), *, returns: bool = False) -> list[Any]:
    """The rows of the statement, which is in the driver's own spelling, if it ``returns`` some."""
    driver: Any = connection.connection.driver_connection
    try:
        cursor = driver.execute(text, values) if values else driver.execute(text)
        return cursor.fetchall() if returns else []
    except connection.dialect.loaded_dbapi.Error as error:
        raise _told(connection, text, error) from error


def _told(connection: Connection, text: str, error: Any) -> BaseException:
    """The error as SQLAlchemy tells it, and the connection given up if it is no more."""
    dialect = connection.dialect
    is_gone = dialect.is_disconnect(error, connection.connection, None)
    told = exc.DBAPIError.instance(
        text, None, error, dialect.loaded_dbapi.Error, connection_invalidated=is_gone, dialect=dialect
    )
    if is_gone:
        connection.invalidate(error)
    return told  # type: ignore[no-any-return]  # its own signature says nothing

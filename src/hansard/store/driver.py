"""Statements by the driver itself, where each request waits for them.

What SQLAlchemy adds to a statement (contexts, results, events) takes the processor as long as SQLite takes to insert
ten rows. What fails is told as by any other statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, exc
from sqlalchemy.sql import ClauseElement


class _Spelled(NamedTuple):
    text: str
    names: Sequence[str] | None
    """Of the values in the order of their marks; None where the driver takes them by name."""
    constants: Mapping[str, object]


def fetch(connection: Connection, statement: ClauseElement, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
    """The rows of a statement of SQLAlchemy's, which is put into words once and kept: not one that is made each time.

    Values go to the driver and come from it as they are: what a column's type would make of them is the caller's to do.
    """
    return _tell(connection, statement, values, returns=True)


def tell(connection: Connection, statement: ClauseElement, values: Mapping[str, object]) -> None:
    """As ``fetch``, of a statement without rows."""
    _tell(connection, statement, values, returns=False)


def _tell(
    connection: Connection, statement: ClauseElement, values: Mapping[str, object], *, returns: bool
) -> list[tuple[Any, ...]]:
    spelled = _spelled(statement, type(connection.dialect))  # type: ignore[arg-type]  # a class has its hash
    named = {**spelled.constants, **values}
    in_order = named if spelled.names is None else [named[name] for name in spelled.names]
    return run(connection, spelled.text, in_order, returns=returns)


@cache
def _spelled(statement: ClauseElement, dialect: type[Dialect]) -> _Spelled:
    compiled: Any = statement.compile(dialect=dialect())
    constants = {name: value for name, value in compiled.params.items() if value is not None}
    return _Spelled(str(compiled), compiled.positiontup, constants)


def run(
    connection: Connection,
    text: str,
    values: Sequence[object] | Mapping[str, object] = (),
    *,
    returns: bool = False,
) -> list[Any]:
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

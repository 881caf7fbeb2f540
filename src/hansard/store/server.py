"""What an operator does to a PostgreSQL database by ``hansard db``: upgrade it, and look at everything in it.

For the rest a database server has tools of its own. As in ``maintenance``, whatever is wrong is a ``StartupError``
that says what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine, exc, inspect

from hansard.errors import StartupError
from hansard.store import migrate, numbers
from hansard.store.check import Findings, Report, Tell, check
from hansard.store.database import Database
from hansard.store.failures import is_damage, trouble

_NOT_LOOKED_AT: Final = "what comes after it was not looked at"


def upgrade(database: Database) -> str | None:
    """Take the tables to the newest version; which one was found there, None if there were no tables."""
    before = None
    try:
        with _engine(database, database.engine_for_writing()) as engine, engine.begin() as connection:
            database.claim(connection)
            if inspect(connection).get_table_names():
                before = migrate.version(connection, place=database.place)
            migrate.upgrade(connection, place=database.place)
    except StartupError as error:
        raise StartupError(f"Not upgraded from {before or 'nothing'} to {migrate.HEAD}: {error}") from error
    return before


def examine(database: Database, *, tell: Tell) -> Report:
    """Look at everything in the database of this moment. Reads only."""
    findings = Findings()
    looked_at: dict[str, int] = {}
    # Not the one for walking: of each completion something is looked up, which must come from an index.
    with _engine(database, database.engine_for_reading(connections=1)) as engine, engine.connect() as connection:
        version = migrate.version(connection, place=database.place)
        if version != migrate.HEAD:
            findings.add("version", f"{version}, not {migrate.HEAD}")
            return Report(version=version, looked_at={}, findings=findings.all())
        try:
            _check_counter(connection, findings)
            looked_at = check(connection, findings, tell)
        except exc.DBAPIError as error:
            if not is_damage(error):
                raise
            findings.add("file", f"{trouble(error).what}: {_NOT_LOOKED_AT}")
    return Report(version=version, looked_at=looked_at, findings=findings.all())


def _check_counter(connection: Connection, findings: Findings) -> None:
    counter, highest = numbers.counter(connection), numbers.highest(connection)
    if counter < highest:
        findings.add("counter", f"it stands at {counter}, and {highest} was given")


@contextmanager
def _engine(database: Database, engine: Engine) -> Iterator[Engine]:
    try:
        yield engine
    except (OSError, exc.DBAPIError) as error:
        raise database.startup_error(error) from error
    finally:
        engine.dispose()

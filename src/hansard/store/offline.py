"""Projects, keys and the audit log for a command: no server is needed, and one may run beside it.

Whatever is wrong is a ``StartupError`` that says what to do about it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection, exc, inspect

from hansard.errors import StartupError
from hansard.store import migrate, tenants_sql
from hansard.store.database import Database
from hansard.store.failures import Outdated
from hansard.store.tenants import Tenants

T = TypeVar("T")


@contextmanager
def tenants_in(database: Database) -> Iterator[Tenants]:
    """Those in this database, which is made if it is not there. One of another version is left as it is."""
    engine = database.engine_for_commands()

    async def run(work: Callable[[Connection], T]) -> T:
        with engine.begin() as connection:
            database.guard(connection, version=migrate.HEAD)
            return work(connection)

    try:
        database.make()
        with engine.begin() as connection:
            is_empty = not inspect(connection).get_table_names()
        with engine.begin() as connection:
            _prepare(connection, database, is_empty=is_empty)
        yield tenants_sql.SqlTenants(read=run, write=run)
    except (OSError, exc.DBAPIError) as error:
        raise database.startup_error(error) from error
    except Outdated as error:
        raise StartupError(f"{database.place}: its tables have just been upgraded by another Hansard.") from error
    finally:
        engine.dispose()


def _prepare(connection: Connection, database: Database, *, is_empty: bool) -> None:
    if is_empty:
        database.claim(connection)  # or another makes the same tables meanwhile; who serves there is not held up
    if is_empty and not inspect(connection).get_table_names():
        migrate.create(connection)
    elif (found := migrate.version(connection, place=database.place)) != migrate.HEAD:
        raise StartupError(
            f"{database.place}: its tables are at {found}, not {migrate.HEAD}. "
            "Stop the server and run `hansard db upgrade` first."
        )
    tenants_sql.prepare(connection, now=int(time.time()))

"""failures.py: no failure of a driver or of SQLite is without a row."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import exc

from hansard.errors import Conflict, InternalError, StoreUnavailable
from hansard.store import failures
from hansard.store.whereabouts import Moved

# Every primary result code for an error: https://sqlite.org/rescode.html, section 3.
RESULT_CODES = (
    *("ABORT", "AUTH", "BUSY", "CANTOPEN", "CONSTRAINT", "CORRUPT", "EMPTY", "ERROR", "FORMAT", "FULL", "INTERNAL"),
    *("INTERRUPT", "IOERR", "LOCKED", "MISMATCH", "MISUSE", "NOLFS", "NOMEM", "NOTADB", "NOTFOUND", "PERM"),
    *("PROTOCOL", "RANGE", "READONLY", "SCHEMA", "TOOBIG"),
)
NEVER_RETURNED = {"EMPTY", "FORMAT"}
ONE_REQUESTS_OWN = {"CONSTRAINT", "MISMATCH", "TOOBIG"}


def classes(base: type[exc.DBAPIError]) -> Iterator[type[exc.DBAPIError]]:
    yield base
    for child in base.__subclasses__():
        yield from classes(child)


def failed(kind: type[exc.DBAPIError], code: str | None = None) -> exc.DBAPIError:
    cause = sqlite3.OperationalError("the text is not looked at")
    if code is not None:
        cause.sqlite_errorname = code
    return kind("INSERT", {}, cause)


def test_every_result_code_has_a_row() -> None:
    assert all(hasattr(sqlite3, f"SQLITE_{name}") for name in RESULT_CODES)
    expected = {f"SQLITE_{name}" for name in RESULT_CODES if name not in NEVER_RETURNED | ONE_REQUESTS_OWN}
    assert failures.SQLITE.keys() == expected


def test_every_class_of_a_driver_is_one_requests_own_or_an_outage() -> None:
    assert {kind.__name__: failures.is_outage(failed(kind)) for kind in classes(exc.DBAPIError)} == {
        "DBAPIError": True,
        "InterfaceError": True,
        "DatabaseError": True,
        "DataError": False,
        "OperationalError": True,
        "IntegrityError": False,
        "InternalError": True,
        "ProgrammingError": True,
        "NotSupportedError": True,
    }


@pytest.mark.parametrize(
    ("code", "text", "retry_after_s"),
    [
        ("SQLITE_FULL", "The store is unavailable: the disk is full.", 10),
        ("SQLITE_BUSY", "The store is unavailable: another process keeps the database locked.", 1),
        ("SQLITE_BUSY_SNAPSHOT", "The store is unavailable: another process keeps the database locked.", 1),
        ("SQLITE_IOERR_FSYNC", "The store is unavailable: the disk failed to read or write.", 10),
        ("SQLITE_READONLY_DBMOVED", "The store is unavailable: the database cannot be written.", 10),
        ("SQLITE_CORRUPT", "The store is unavailable: the database file is damaged.", 60),
        ("SQLITE_OF_THE_FUTURE", "The store is unavailable: the database failed.", 10),
        (None, "The store is unavailable: the database failed.", 10),
    ],
)
def test_an_outage_is_told_by_its_code(code: str | None, text: str, retry_after_s: int) -> None:
    refusal = failures.refusal(failed(exc.OperationalError, code))
    assert isinstance(refusal, StoreUnavailable)
    assert (str(refusal), refusal.retry_after_s) == (text, retry_after_s)


def refused_by_postgresql(kind: type[psycopg.Error]) -> exc.DBAPIError:
    """As SQLAlchemy raises it."""
    name = next(one.__name__ for one in kind.__mro__ if hasattr(exc, one.__name__))
    wrapped: type[exc.DBAPIError] = getattr(exc, name)
    return wrapped("INSERT", {}, kind("the text is not looked at"))


@pytest.mark.parametrize(
    ("kind", "what", "away", "collision"),
    [
        (psycopg.OperationalError, "the database cannot be reached", True, False),
        (errors.AdminShutdown, "the database cannot be reached", True, False),
        (errors.CannotConnectNow, "the database cannot be reached", True, False),
        (errors.TooManyConnections, "the database cannot be reached", True, False),
        (errors.ConnectionException, "the database cannot be reached", True, False),
        (errors.ReadOnlySqlTransaction, "the database cannot be written", True, False),
        (errors.InsufficientPrivilege, "the database cannot be written", False, False),
        (errors.LockNotAvailable, "another process keeps the database locked", False, False),
        (errors.QueryCanceled, "the database took too long", False, False),
        (errors.DiskFull, "the disk is full", False, False),
        (errors.DataCorrupted, "the database file is damaged", False, False),
        (errors.DeadlockDetected, "others changed the same rows at the same time", False, True),
        (errors.SerializationFailure, "others changed the same rows at the same time", False, True),
        (errors.UndefinedTable, "the database failed", False, False),
    ],
)
def test_an_outage_of_postgresql_is_told_by_its_code(
    kind: type[psycopg.Error], what: str, away: bool, collision: bool
) -> None:
    error = refused_by_postgresql(kind)
    assert str(failures.refusal(error)) == f"The store is unavailable: {what}."
    assert (failures.is_away(error), failures.is_collision(error)) == (away, collision)


def test_every_code_of_postgresql_is_an_outage_but_for_one_requests_own() -> None:
    own = set()
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, psycopg.Error) and kind.sqlstate:
            error = refused_by_postgresql(kind)
            assert failures.trouble(error).what
            if not failures.is_outage(error):
                own.add(kind.sqlstate[:2])
    # Data, integrity, and more than a row, an index or a statement can hold.
    assert own == {"22", "23", "54"}


def test_one_requests_own_failure_is_told_to_it_alone() -> None:
    assert type(failures.refusal(failed(exc.IntegrityError))) is Conflict
    assert type(failures.refusal(failed(exc.DataError))) is InternalError
    assert type(failures.refusal(TypeError("a bug"))) is InternalError


def test_a_file_that_is_not_in_its_place_is_an_outage_that_is_not_waited_for() -> None:
    assert failures.is_outage(Moved())
    assert not failures.is_away(Moved())
    assert str(failures.refusal(Moved())) == "The store is unavailable: the database file was moved or removed."


def test_a_reader_that_gets_no_connection_is_an_outage() -> None:
    assert type(failures.refusal(exc.TimeoutError())) is StoreUnavailable


def test_only_locks_are_worth_another_try_at_once() -> None:
    assert failures.is_locked(failed(exc.OperationalError, "SQLITE_BUSY_RECOVERY"))
    assert failures.is_locked(failed(exc.OperationalError, "SQLITE_LOCKED"))
    assert not failures.is_locked(failed(exc.OperationalError, "SQLITE_FULL"))
    assert not failures.is_locked(OSError(errno.EBUSY, "busy"))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.EROFS, "the file system is read-only. Mount it for writing"),
        (errno.ENOSPC, "the disk is full. Make room there"),
        (errno.EMFILE, "the disk failed to read or write. Check the disk and its file system"),
    ],
)
def test_the_operator_reads_one_line(number: int, text: str) -> None:
    error = failures.startup_error(OSError(number, ""), Path("/d/h.db"))
    assert error.problems == (f"/d/h.db: {text}, or choose another place with --data or --db.",)

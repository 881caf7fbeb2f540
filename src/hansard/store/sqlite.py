"""One SQLite file: made private to its owner, and opened once for writing and once for reading.

Everything that only SQLite needs is here: the file, the PRAGMAs, and the statement that begins
a transaction. Facts: https://sqlite.org/pragma.html and https://sqlite.org/wal.html.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import URL, Connection, Engine, create_engine, event

from hansard.errors import StartupError
from hansard.store import failures
from hansard.store.driver import run

# RETURNING came with it: https://sqlite.org/lang_returning.html
_OLDEST: Final = (3, 35)

_PRIVATE_DIRECTORY: Final = 0o700
_PRIVATE_FILE: Final = 0o600

_COPIED_AT_ONCE_BYTES: Final = 1024 * 1024

_FOR_WRITING: Final = (
    "auto_vacuum = INCREMENTAL",  # must come before the first table; lets a later clean-up give space back
    "foreign_keys = ON",
    "synchronous = FULL",  # in WAL mode every COMMIT then waits for the disk
    "fullfsync = ON",  # on macOS fsync alone does not reach the disk; elsewhere this does nothing
    "checkpoint_fullfsync = ON",
    "secure_delete = ON",  # what is deleted is overwritten, not only unlinked
    "journal_size_limit = 67108864",
)
_INCREMENTAL: Final = 2

# A megabyte in one transaction of a few milliseconds, and a megabyte that the rows to come will want anyway.
_PAGES_FREED_AT_ONCE: Final = 256
_PAGES_LEFT_FREE: Final = 256

_FOR_READING: Final = (
    "query_only = ON",
    # KB for each connection, taken as pages are read: SQLite's 2 MB do not hold the upper pages of a million
    # completions' labels. Not mmap_size: a file that another program cuts short would end the process (SIGBUS).
    "cache_size = -8192",
)


@dataclass(frozen=True)
class Sqlite:
    """A ``Database`` in one file; ``patience_s`` is how long another process may hold it before we refuse.

    ``library`` is the version of SQLite itself.
    """

    path: Path
    patience_s: float = 5.0
    library: tuple[int, ...] = sqlite3.sqlite_version_info

    @property
    def rides_out_s(self) -> float:
        return 0.0  # a file does not go away for a while

    @property
    def place(self) -> str:
        return str(self.path.absolute())

    @property
    def locked_for_s(self) -> float:
        return self.patience_s

    def engine_for_writing(self) -> Engine:
        return engine_for_writing(self.path.absolute(), patience_s=self.patience_s)

    def engine_for_reading(self, *, connections: int) -> Engine:
        return engine_for_reading(self.path.absolute(), patience_s=self.patience_s, connections=connections)

    def engine_for_walking(self) -> Engine:
        return self.engine_for_reading(connections=1)

    def make(self) -> None:
        if self.library < _OLDEST:
            found, needed = (".".join(map(str, version)) for version in (self.library, _OLDEST))
            raise StartupError(
                f"{self.place}: this Python's SQLite is {found}, and Hansard needs {needed} or newer. "
                "Use a newer Python, or PostgreSQL: --db postgresql://..."
            )
        make_file(self.path.absolute())

    def claim(self, connection: Connection) -> None:
        """A transaction that writes has the file to itself from its beginning."""

    @property
    def has_copies(self) -> bool:
        return False

    def confirm(self, connection: Connection) -> None:
        """There is only the file."""

    def give_back(self, connection: Connection) -> int:
        before = _ask(connection, "freelist_count")
        if before <= _PAGES_LEFT_FREE or _ask(connection, "auto_vacuum") != _INCREMENTAL:
            return 0
        # One page each: the driver takes the first step of a statement without columns only, and a script of it
        # would end the transaction.
        for _ in range(min(_PAGES_FREED_AT_ONCE, before - _PAGES_LEFT_FREE)):
            connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
        return (before - _ask(connection, "freelist_count")) * _ask(connection, "page_size")

    def startup_error(self, error: BaseException) -> StartupError:
        return failures.startup_error(error, self.path.absolute())


def make_file(path: Path) -> None:
    """The directory (0700) and an empty file (0600), unless they are there. Raises OSError."""
    path.parent.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    if path.exists():
        return
    # SQLite gives its -wal and -shm files the mode of this one.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, _PRIVATE_FILE))
    if os.name == "posix":
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)  # or a power cut may take the file's name away, with all that is in it
        finally:
            os.close(directory)


def engine_for_writing(path: Path, *, patience_s: float) -> Engine:
    """One connection. A transaction takes the write lock as it begins, so it cannot fail half-way for want of it."""
    engine = _engine(path, patience_s=patience_s, connections=1)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        _set(connection, *_FOR_WRITING)
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StartupError(
                f"{path}: this file system cannot share memory. Choose a local disk with --data or --db."
            )
        # The log may end in a commit whose sync failed, and what a sync failed to write is not written by the next one.
        # Whatever is appended to it, or taken from it into the file, would go to pieces when the power fails: so it is
        # brought to the disk, and begun anew.
        _write_log_again(connection, path.with_name(f"{path.name}-wal"))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        run(connection, "BEGIN IMMEDIATE")

    return engine


def engine_for_reading(path: Path, *, patience_s: float, connections: int) -> Engine:
    """At most ``connections``, none of which can write. A transaction sees the database of one moment."""
    engine = _engine(path, patience_s=patience_s, connections=connections)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        _set(connection, *_FOR_READING)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        run(connection, "BEGIN")

    return engine


def _engine(path: Path, *, patience_s: float, connections: int) -> Engine:
    return create_engine(
        URL.create("sqlite", database=str(path)),
        pool_size=connections,
        max_overflow=0,
        # The standard driver would begin transactions when it sees fit; with None it leaves that to us.
        connect_args={"isolation_level": None, "timeout": patience_s},
        json_serializer=_to_json,
        json_deserializer=msgspec.json.decode,
    )


def _write_log_again(connection: sqlite3.Connection, log: Path) -> None:
    """What can be read of the log, which need not be on the disk, to the disk. Raises OSError."""
    connection.execute("BEGIN IMMEDIATE")  # so that nobody writes there meanwhile
    try:
        if not log.exists():
            return
        with log.open("r+b", buffering=0) as file:
            while some := file.read(_COPIED_AT_ONCE_BYTES):
                file.seek(-len(some), os.SEEK_CUR)
                file.write(some)
            os.fsync(file.fileno())
    finally:
        connection.execute("ROLLBACK")


def _set(connection: sqlite3.Connection, *pragmas: str) -> None:
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def _ask(connection: Connection, pragma: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one())


def _to_json(metadata: Mapping[str, Any]) -> str:
    return msgspec.json.encode(dict(metadata)).decode()

"""One SQLite file: made private to its owner, and opened once for writing and once for reading.

Everything that only SQLite needs is here: the file, the PRAGMAs, and the statement that begins
a transaction. Facts: https://sqlite.org/pragma.html and https://sqlite.org/wal.html.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import URL, Connection, Engine, create_engine, event

from hansard.errors import StartupError
from hansard.store import failures
from hansard.store.driver import run
from hansard.store.whereabouts import Whereabouts

# RETURNING came with it: https://sqlite.org/lang_returning.html
_OLDEST: Final = (3, 35)

_PRIVATE_DIRECTORY: Final = 0o700
_PRIVATE_FILE: Final = 0o600

_COPIED_AT_ONCE_BYTES: Final = 1024 * 1024

_FOR_WRITING: Final = (
    "foreign_keys = ON",
    "recursive_triggers = ON",  # or REPLACE would take rows of the audit log away past their trigger
    "synchronous = FULL",  # in WAL mode every COMMIT then waits for the disk
    "fullfsync = ON",  # on macOS fsync alone does not reach the disk; elsewhere this does nothing
    "checkpoint_fullfsync = ON",
    "secure_delete = ON",  # what is deleted is overwritten, not only unlinked
    "journal_size_limit = 67108864",
)

# Must come before the first table; lets a later clean-up give space back. SQLite writes it at each opening.
_VACUUM: Final = "auto_vacuum = INCREMENTAL"
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

# As SQLite moves rows from page to page, copies of them stay in what is then unused of a page, and ``secure_delete``
# does not overwrite those. To write the file anew does away with them; it holds up all who write, for half a second
# with so much, and takes as much memory.
_WRITTEN_ANEW_BYTES: Final = 64 * 1024 * 1024

# Whoever empties the log holds up all who write while it waits for those who read.
_HOLDS_UP_MS: Final = 50

# SQLite has no queue for its lock: whoever waits looks ten times a second whether it is free just then. Beside a server
# that commits without a pause, seconds pass.
_PATIENCE_OF_COMMANDS_S: Final = 60.0


@dataclass(frozen=True)
class Sqlite:
    """A ``Database`` in one file; ``patience_s`` is how long another process may hold it before we refuse.

    ``library`` is the version of SQLite itself.
    """

    path: Path
    patience_s: float = 5.0
    library: tuple[int, ...] = sqlite3.sqlite_version_info
    whereabouts: Whereabouts = field(default_factory=Whereabouts, init=False, repr=False, compare=False)

    @property
    def file(self) -> Path:
        """Where it lies in the end: SQLite puts the log beside that, and not beside a symbolic link."""
        return Path(os.path.realpath(self.path))

    @property
    def rides_out_s(self) -> float:
        return 0.0  # a file does not go away for a while

    @property
    def place(self) -> str:
        return str(self.path.absolute())  # as it was named

    @property
    def locked_for_s(self) -> float:
        return self.patience_s

    def engine_for_writing(self) -> Engine:
        return self._writing(patience_s=self.patience_s)

    def engine_for_serving(self) -> Engine:
        engine = self.engine_for_writing()

        @event.listens_for(engine, "connect")
        def prepare(connection: sqlite3.Connection, _: object) -> None:
            # What a statement would need to undo itself: as much as a batch writes to the log, and else in a file.
            _set(connection, "temp_store = MEMORY")

        return engine

    def engine_for_commands(self) -> Engine:
        return self._writing(patience_s=_PATIENCE_OF_COMMANDS_S)

    def engine_for_reading(self, *, connections: int) -> Engine:
        return self._of_one_file(engine_for_reading(self.file, patience_s=self.patience_s, connections=connections))

    def engine_for_walking(self) -> Engine:
        return engine_for_walking(self.file, patience_s=self.patience_s)

    def interrupt(self, connection: sqlite3.Connection) -> None:
        with suppress(sqlite3.Error):  # it was closed meanwhile
            connection.interrupt()

    def make(self) -> None:
        if self.library < _OLDEST:
            found, needed = (".".join(map(str, version)) for version in (self.library, _OLDEST))
            raise StartupError(
                f"{self.place}: this Python's SQLite is {found}, and Hansard needs {needed} or newer. "
                "Use a newer Python, or PostgreSQL: --db postgresql://..."
            )
        if (log := _log_left_alone(self.file)) is not None:
            raise StartupError(
                f"{self.place}: there is no database here, but a log of one beside it, which may hold what was "
                f"acknowledged. Put the file back; or, to begin with another one, move {log} away first."
            )
        self.whereabouts.forget()
        make_file(self.file)

    def claim(self, connection: Connection) -> None:
        """A transaction that writes has the file to itself from its beginning."""

    def guard(self, connection: Connection, *, version: str) -> None:
        """One server at a time has the file, and it upgrades before it serves (``lock``)."""
        self.look()

    def look(self) -> None:
        self.whereabouts.check()

    def under_way(self, connection: Connection) -> frozenset[str]:
        """Who reads sees all that was given a number so far, and whoever writes next sees what he saw."""
        return frozenset()

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

    def write_anew(self, connection: Connection) -> None:
        if self.path.stat().st_size <= _WRITTEN_ANEW_BYTES:
            run(connection, "PRAGMA temp_store = MEMORY")  # nothing of it is to lie in a file elsewhere meanwhile
            run(connection, "VACUUM")

    def empty_log(self, connection: Connection) -> bool:
        try:
            run(connection, f"PRAGMA busy_timeout = {_HOLDS_UP_MS}")
            [(is_held, *_)] = run(connection, "PRAGMA wal_checkpoint(TRUNCATE)", returns=True)
        finally:
            run(connection, f"PRAGMA busy_timeout = {round(self.patience_s * 1000)}")
        return not is_held

    def startup_error(self, error: BaseException) -> StartupError:
        return failures.startup_error(error, self.path.absolute())

    def _writing(self, *, patience_s: float) -> Engine:
        engine = self._of_one_file(engine_for_writing(self.file, patience_s=patience_s))

        @event.listens_for(engine, "connect")
        def note(*_: object) -> None:
            self.whereabouts.note(self.path.absolute())

        return engine

    def _of_one_file(self, engine: Engine) -> Engine:
        """It opens no other than the first, whatever lies there meanwhile, and makes none where there is none."""

        @event.listens_for(engine, "do_connect")
        def look(*_: object) -> None:
            self.look()

        return engine


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
        if _log(path).exists():
            with _left_as_it_is(connection, path, patience_s=patience_s):
                _begin_log_anew(connection, _log(path))
        _set(connection, _VACUUM)
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StartupError(
                f"{path}: this file system cannot share memory. Choose a local disk with --data or --db."
            )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        run(connection, "BEGIN IMMEDIATE")

    return engine


def engine_for_reading(path: Path, *, patience_s: float, connections: int) -> Engine:
    """At most ``connections``, none of which can write, not even as it closes (``_begin_log_anew`` says why).

    A transaction sees the database of one moment.
    """
    engine = _engine(path, patience_s=patience_s, connections=connections, read_only=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        _set(connection, *_FOR_READING)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        run(connection, "BEGIN")

    return engine


def engine_for_walking(path: Path, *, patience_s: float) -> Engine:
    """For a program that only reads, and may be the only one: it leaves no files behind that it did not find."""
    engine = engine_for_reading(path, patience_s=patience_s, connections=1)
    if not _log(path).exists():

        @event.listens_for(engine, "engine_disposed")
        def tidy(_: Engine) -> None:
            # SQLite does it, as the last one who could write closes.
            with suppress(sqlite3.Error), closing(sqlite3.connect(_address(path, "rw"), uri=True)) as last:
                last.execute("PRAGMA schema_version").fetchone()

    return engine


def _engine(path: Path, *, patience_s: float, connections: int, read_only: bool = False) -> Engine:
    return create_engine(
        URL.create("sqlite", database=path.as_uri(), query={"uri": "true", "mode": "ro" if read_only else "rwc"}),
        pool_size=connections,
        max_overflow=0,
        # The standard driver would begin transactions when it sees fit; with None it leaves that to us.
        connect_args={"isolation_level": None, "timeout": patience_s},
        json_serializer=_to_json,
        json_deserializer=msgspec.json.decode,
    )


def _begin_log_anew(connection: sqlite3.Connection, log: Path) -> None:
    """Bring the log to the disk, and all that is in it into the file. Raises OSError, sqlite3.OperationalError.

    It may end in a commit whose sync failed, and what a sync failed to write is not written by the next one, though
    everybody still reads it. What were appended to such a log, or taken from it into the file, would go to pieces when
    the power fails. So this comes before all else.
    """
    connection.execute("BEGIN IMMEDIATE")  # so that nobody writes there meanwhile
    try:
        with suppress(FileNotFoundError), log.open("r+b", buffering=0) as file:
            while some := file.read(_COPIED_AT_ONCE_BYTES):
                file.seek(-len(some), os.SEEK_CUR)
                file.write(some)
            os.fsync(file.fileno())
    finally:
        connection.execute("ROLLBACK")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


@contextmanager
def _left_as_it_is(connection: sqlite3.Connection, path: Path, *, patience_s: float) -> Iterator[None]:
    """If what is done here fails, the connection is closed, and the log is still there for the next one to begin anew.

    SQLite takes the log into the file when the last connection closes, unless that one can only read.
    """
    with closing(sqlite3.connect(_address(path, "ro"), uri=True, timeout=patience_s)) as other:
        other.execute("PRAGMA schema_version").fetchone()  # opens the file, which connecting alone does not
        try:
            yield
        except BaseException:
            connection.close()
            raise


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _log_left_alone(path: Path) -> Path | None:
    """The log of this database, if there is something in it, and no database. SQLite would delete it."""
    log = _log(path)
    has_file, has_log = (each.exists() and each.stat().st_size > 0 for each in (path, log))
    return log if has_log and not has_file else None


def _address(path: Path, mode: str) -> str:
    return f"{path.as_uri()}?mode={mode}"


def _set(connection: sqlite3.Connection, *pragmas: str) -> None:
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def _ask(connection: Connection, pragma: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one())


def _to_json(metadata: Mapping[str, Any]) -> str:
    return msgspec.json.encode(dict(metadata)).decode()

"""What an operator does to a database file: upgrade, check, back up, vacuum. A server may run, but for an upgrade.

Everything here is SQLite's own; what is asked of the rows is in ``check``. Facts: https://sqlite.org/backup.html,
https://sqlite.org/pragma.html and https://sqlite.org/wal.html. Whatever is wrong is a ``StartupError`` that says
what to do about it.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, exc, inspect, text

from hansard.errors import StartupError
from hansard.store import migrate, sqlite, words
from hansard.store.check import Findings, Report, Tell, check
from hansard.store.failures import startup_error, trouble
from hansard.store.lock import alone

# How long another process may hold the database before we give up, or it does.
_PATIENCE_S: Final = 5.0

_PAGES_COPIED_AT_ONCE: Final = 256

# Four megabytes, in one transaction of some ten milliseconds: so long do a server's commits wait for it. A pause
# behind each lets them through, as whoever waits for SQLite's lock looks for it every 100 ms.
_PAGES_FREED_AT_ONCE: Final = 1000
_PAUSE_S: Final = 0.12

# The same, of the index of words.
_PAGES_MERGED_AT_ONCE: Final = 256

_CHECKPOINT_PATIENCE_MS: Final = 200

_INCREMENTAL: Final = 2

# What SQLite puts beside a file: its name and one of these.
_BESIDE: Final = ("-journal", "-wal", "-shm")


class Freed(NamedTuple):
    """Sizes of the file with its log. ``is_waiting``: some of it is given back once those who read have ended."""

    before_bytes: int
    after_bytes: int
    is_waiting: bool


def upgrade(path: Path) -> str | None:
    """Take the tables to the newest version; which one was found there, None if there were no tables.

    Not beside a running server: it knows the older tables only.
    """
    with _reading(path) as connection:
        tables = inspect(connection).get_table_names()
        before = migrate.version(connection, place=str(path)) if tables else None
    if before == migrate.HEAD:
        return before
    try:
        with alone(path), _writing(path) as engine, engine.begin() as connection:
            return migrate.upgrade(connection, place=str(path)) or before
    except StartupError as error:
        raise StartupError(f"Not upgraded from {before or 'nothing'} to {migrate.HEAD}: {error}") from error


def examine(path: Path, *, tell: Tell) -> Report:
    """Look at everything in the database of this moment. Reads only."""
    findings = Findings()
    looked_at: dict[str, int] = {}
    with _reading(path) as connection:
        version = migrate.version(connection, place=str(path))
        # A text that is no UTF-8 is a finding of whoever looks at it, and no reason to stop.
        _driver(connection).text_factory = lambda raw: raw.decode("utf-8", "replace")
        try:
            _check_file(connection, findings, tell)
            if version == migrate.HEAD:
                looked_at = check(connection, findings, tell)
            else:
                findings.add("version", f"{version}, not {migrate.HEAD}")
        except exc.DBAPIError as error:
            findings.add("file", f"{trouble(error).what}: what comes after it was not looked at")
    return Report(version=version, looked_at=looked_at, findings=findings.all())


def back_up(path: Path, file: Path, *, force: bool = False, tell: Tell) -> int:
    """Copy the database of this moment to ``file``, sound and on the disk; its size in bytes.

    It comes into place whole, or not at all. ``force``: in the place of a file that is there.
    """
    with ExitStack() as until_done:
        with _reading(path) as source:
            migrate.version(source, place=str(path))  # also the read that begins the snapshot
            with _writing_to(file, path):
                _refuse_to_overwrite(file, path, force=force)
                copy = until_done.enter_context(_partial(file))
                _copy(source, copy, tell)
        # An older version is no fault of a copy: it may be what comes before an upgrade.
        found = [finding.kind for finding in examine(copy, tell=tell).findings if finding.kind != "version"]
        if found:
            kinds = ", ".join(found)
            raise StartupError(
                f"{file}: not written. The copy is not sound ({kinds}), because {path} is not: ask `hansard db check`."
            )
        with _writing_to(file, path):
            _put_in_place(copy, file, force=force)
    return file.stat().st_size


def vacuum(path: Path, *, tell: Tell) -> Freed:
    """Give the room of what was deleted back to the file system."""
    with _reading(path) as found:
        migrate.version(found, place=str(path))
        has_words = words.exists(found)
    before = _size(path)
    with _writing(path) as engine, closing(engine.raw_connection()) as pooled:
        connection = pooled.driver_connection
        assert isinstance(connection, sqlite3.Connection)
        if has_words:
            _merge_in_steps(connection, tell)
        if _ask(connection, "auto_vacuum") == _INCREMENTAL:
            _free_in_steps(connection, tell)
        else:
            _rebuild(connection, path)
        # It holds up all who write while it waits for those who read.
        connection.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_PATIENCE_MS}")
        is_waiting, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return Freed(before, _size(path), bool(is_waiting))


def must_be_there(path: Path) -> None:
    """Before SQLite opens it, and makes an empty file where there is none."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "")
        there = path.exists()
    except OSError as error:
        raise startup_error(error, path) from error
    if not there:
        raise StartupError(f"{path}: no database is there. Name its directory with --data, or the file with --db.")


def _check_file(connection: Connection, findings: Findings, tell: Tell) -> None:
    """What SQLite itself can tell of its file: pages, indexes, references, and the counter behind our numbers."""
    tell("file", 0, None)
    for (said,) in connection.execute(text("PRAGMA integrity_check")):
        if said != "ok":
            findings.add("file", said)
    for table, rowid, *_ in connection.execute(text("PRAGMA foreign_key_check")):
        findings.add("reference", f"{table} row {rowid}")
    counter = (
        connection.scalar(text("SELECT CAST(seq AS INTEGER) FROM sqlite_sequence WHERE name = 'completions'")) or 0
    )
    highest = connection.scalar(text("SELECT max(CAST(number AS INTEGER)) FROM tombstones")) or 0
    if counter < highest:
        findings.add("counter", f"it stands at {counter}, and {highest} was given")


@contextmanager
def _partial(file: Path) -> Iterator[Path]:
    """An empty file beside it, for its owner only, and gone at the end with all that SQLite puts beside it."""
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".partial", dir=file.parent)
    os.close(handle)
    copy = Path(name)
    try:
        yield copy
    finally:
        for suffix in ("", *_BESIDE):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)


def _copy(source: Connection, copy: Path, tell: Tell) -> None:
    """The pages of one moment. The transaction that ``source`` is in keeps SQLite from starting anew at each write."""

    def progress(_status: int, left: int, total: int) -> None:
        tell("copy", total - left, total)

    with closing(sqlite3.connect(copy, isolation_level=None)) as target:
        _driver(source).backup(target, pages=_PAGES_COPIED_AT_ONCE, progress=progress)
        # So that it can be read where nothing can be written. A server that starts on it turns its log on again.
        target.execute("PRAGMA journal_mode = DELETE")


def _refuse_to_overwrite(file: Path, path: Path, *, force: bool) -> None:
    if file.is_dir():
        raise StartupError(f"{file}: this is a directory. Name a file in it.")
    if file.exists() and file.samefile(path):
        raise StartupError(f"{file}: this is the database itself. Name another file for its backup.")
    if file.exists() and not force:
        raise FileExistsError(errno.EEXIST, "")
    beside = [file.name + suffix for suffix in _BESIDE if file.with_name(file.name + suffix).exists()]
    if beside:  # SQLite would take what is in them for changes of the new file
        raise StartupError(f"{file}: {beside[0]} belongs to a database in use, or left unclean. Name another file.")
    if file.with_name(f"{file.name}.lock").exists():
        with alone(file):
            pass  # nobody has it now


def _put_in_place(copy: Path, file: Path, *, force: bool) -> None:
    _sync(copy, os.O_RDWR)
    if force:
        copy.replace(file)
    else:
        try:
            os.link(copy, file)  # unlike a rename this overwrites nothing
        except FileExistsError:
            raise
        except OSError:  # a file system without such links
            copy.rename(file)
    if os.name == "posix":
        _sync(file.parent, os.O_RDONLY)


def _sync(place: Path, mode: int) -> None:
    opened = os.open(place, mode)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _merge_in_steps(connection: sqlite3.Connection, tell: Tell) -> None:
    """Write the index of words without what was deleted from it."""
    is_more, done = True, 0
    while is_more:
        is_more = words.merge_some(connection, anew=not done, pages=_PAGES_MERGED_AT_ONCE)
        done += _PAGES_MERGED_AT_ONCE
        tell("index pages", done, None)
        time.sleep(_PAUSE_S)


def _free_in_steps(connection: sqlite3.Connection, tell: Tell) -> None:
    total = _ask(connection, "freelist_count")
    tell("free pages", 0, total)
    for done in range(_PAGES_FREED_AT_ONCE, total + _PAGES_FREED_AT_ONCE, _PAGES_FREED_AT_ONCE):
        # As a script: execute() would take the first step of it only, which is one page.
        connection.executescript(f"PRAGMA incremental_vacuum({_PAGES_FREED_AT_ONCE})")
        tell("free pages", min(done, total), total)
        if done < total:
            time.sleep(_PAUSE_S)


def _rebuild(connection: sqlite3.Connection, path: Path) -> None:
    """Of a file that some other program made anew: it cannot shrink in steps, until it is written once as a whole."""
    try:
        with alone(path):
            connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
            connection.execute("VACUUM")
    except StartupError as error:
        raise StartupError(
            f"This database must be written anew to shrink, which takes it for itself: {error}"
        ) from error


def _ask(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _size(path: Path) -> int:
    log = path.with_name(f"{path.name}-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


@contextmanager
def _reading(path: Path) -> Iterator[Connection]:
    """A transaction on the file, which must be there. It ends by a rollback, which a damaged file allows as well."""
    must_be_there(path)
    engine = sqlite.engine_for_walking(Path(os.path.realpath(path)), patience_s=_PATIENCE_S)
    with _used(engine, path), engine.connect() as connection:
        yield connection


@contextmanager
def _writing(path: Path) -> Iterator[Engine]:
    engine = sqlite.engine_for_writing(Path(os.path.realpath(path)), patience_s=_PATIENCE_S)
    with _used(engine, path):
        yield engine


@contextmanager
def _used(engine: Engine, path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error, exc.DBAPIError) as error:
        raise startup_error(error, path) from error
    finally:
        engine.dispose()


@contextmanager
def _writing_to(file: Path, path: Path) -> Iterator[None]:
    """Say of what fails here that it was the backup."""
    try:
        yield
    except FileExistsError as error:
        raise StartupError(f"{file} is there already. Name another file, or overwrite it with --force.") from error
    except FileNotFoundError as error:
        raise StartupError(f"{file}: there is no such directory. Make it, or name another file.") from error
    except (OSError, sqlite3.Error) as error:
        what, advice, _ = trouble(error)
        raise StartupError(f"{file}: {what}, as {path} was copied there. {advice}, or name another file.") from error

"""What a database says when it fails, and what we say then: two tables and the three questions asked of them.

A failure belongs either to the database (an outage: nobody can be served) or to one request
alone. SQLite's result codes: https://sqlite.org/rescode.html. Nothing here looks at a message text.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from sqlalchemy import exc

from hansard.errors import Conflict, HansardError, InternalError, StartupError, StoreUnavailable


class Trouble(NamedTuple):
    """What is wrong, for whoever waits for an answer; what to do about it, for whoever starts the server."""

    what: str
    advice: str
    retry_after_s: int = 1


_BROKEN = Trouble("the database failed", "Look at the cause above; restore a backup if it stays", 10)
_FULL = Trouble("the disk is full", "Make room there", 10)
_READ_ONLY = Trouble("the database cannot be written", "Give this user the right to write there", 10)
_DISK = Trouble("the disk failed to read or write", "Check the disk and its file system", 10)
_LOCKED = Trouble("another process keeps the database locked", "Stop that process")
_DAMAGED = Trouble("the database file is damaged", "Restore a backup", 60)
_FOREIGN = Trouble("the file is not a SQLite database", "Move it away", 60)
_MEMORY = Trouble("memory has run out", "Give this process more memory", 10)

# By primary result code. Left out: CONSTRAINT, MISMATCH and TOOBIG, which are one request's own.
SQLITE: Final[Mapping[str, Trouble]] = MappingProxyType(
    {
        "SQLITE_ERROR": _BROKEN,  # also a table that somebody dropped
        "SQLITE_INTERNAL": _BROKEN,
        "SQLITE_PERM": _READ_ONLY,
        "SQLITE_ABORT": _BROKEN,
        "SQLITE_BUSY": _LOCKED,
        "SQLITE_LOCKED": _LOCKED,
        "SQLITE_NOMEM": _MEMORY,
        "SQLITE_READONLY": _READ_ONLY,
        "SQLITE_INTERRUPT": _BROKEN,
        "SQLITE_IOERR": _DISK,
        "SQLITE_CORRUPT": _DAMAGED,
        "SQLITE_NOTFOUND": _BROKEN,
        "SQLITE_FULL": _FULL,
        "SQLITE_CANTOPEN": _READ_ONLY,
        "SQLITE_PROTOCOL": _LOCKED,  # a race for the locks of the write-ahead log, lost too often
        "SQLITE_SCHEMA": _BROKEN,
        "SQLITE_MISUSE": _BROKEN,
        "SQLITE_NOLFS": _DISK,
        "SQLITE_AUTH": _BROKEN,
        "SQLITE_RANGE": _BROKEN,
        "SQLITE_NOTADB": _FOREIGN,
    }
)

# Of the operating system, met while the directory and the file are made.
SYSTEM: Final[Mapping[int, Trouble]] = MappingProxyType(
    {
        errno.EACCES: _READ_ONLY,
        errno.EPERM: _READ_ONLY,
        errno.EROFS: Trouble("the file system is read-only", "Mount it for writing"),
        errno.ENOSPC: _FULL,
        errno.EDQUOT: Trouble("the disk quota is used up", "Make room there"),
        errno.EIO: _DISK,
        errno.EISDIR: Trouble("this is a directory, not a database file", "Name a file in it"),
        errno.ENOTDIR: Trouble("a parent of it is not a directory", "Name a place under a directory"),
        errno.EEXIST: Trouble("a parent of it is not a directory", "Name a place under a directory"),
        errno.ENAMETOOLONG: Trouble("the name is too long", "Use a shorter one"),
        errno.ELOOP: Trouble("its symbolic links go round in a circle", "Remove one of them"),
    }
)

# One request's own failure, and what to answer. Every other class a driver raises is an outage.
OWN: Final[Mapping[type[exc.DBAPIError], type[HansardError]]] = MappingProxyType(
    {
        exc.IntegrityError: Conflict,  # ids are drawn at random: seen only if one is stored twice
        exc.DataError: InternalError,  # more than a row can hold: the server limits bodies far below
    }
)


def is_outage(error: BaseException) -> bool:
    """Whether the database failed, rather than the request that met it."""
    return isinstance(error, exc.DBAPIError | exc.TimeoutError | exc.DisconnectionError) and type(error) not in OWN


def is_locked(error: BaseException) -> bool:
    """Whether trying again soon may help."""
    return trouble(error) is _LOCKED


def refusal(error: BaseException) -> HansardError:
    """The answer to a request that met ``error``."""
    if is_outage(error):
        what, _, retry_after_s = trouble(error)
        return StoreUnavailable(f"The store is unavailable: {what}.", retry_after_s=retry_after_s)
    if isinstance(error, exc.IntegrityError):
        return Conflict("This completion is already stored.")
    return InternalError()


def startup_error(error: BaseException, path: Path) -> StartupError:
    """One line for the operator: which file, what is wrong, what to do."""
    what, advice, _ = trouble(error)
    return StartupError(f"{path}: {what}. {advice}, or choose another place with --data or --db.")


def trouble(error: BaseException) -> Trouble:
    """What is wrong, of an error of the database, its driver or the operating system."""
    if isinstance(error, OSError):
        return SYSTEM.get(error.errno or 0, _DISK)
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    name = getattr(cause, "sqlite_errorname", "")
    return SQLITE.get("_".join(name.split("_")[:2]), _BROKEN)

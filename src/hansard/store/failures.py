"""What a database says when it fails, and what we say then: three tables and the questions asked of them.

A failure belongs either to the database (an outage: nobody can be served) or to one request
alone. SQLite's result codes: https://sqlite.org/rescode.html; PostgreSQL's:
https://www.postgresql.org/docs/current/errcodes-appendix.html. Nothing here looks at a message text.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from sqlalchemy import exc

from hansard.errors import Conflict, HansardError, InternalError, ProjectGone, StartupError, StoreUnavailable
from hansard.store.whereabouts import Moved


class Trouble(NamedTuple):
    """What is wrong, for whoever waits for an answer; what to do about it, for whoever starts the server."""

    what: str
    advice: str
    retry_after_s: int = 1


class Outdated(Exception):
    """The tables are of another version than this program's."""


_BROKEN = Trouble("the database failed", "Restore a backup if it stays", 10)
_FULL = Trouble("the disk is full", "Make room there", 10)
_READ_ONLY = Trouble("the database cannot be written", "Give this user the right to write there", 10)
_DISK = Trouble("the disk failed to read or write", "Check the disk and its file system", 10)
_LOCKED = Trouble("another process keeps the database locked", "Stop that process")
_DAMAGED = Trouble("the database file is damaged", "Restore a backup", 60)
_FOREIGN = Trouble("the file is not a SQLite database", "Move it away", 60)
_MEMORY = Trouble("memory has run out", "Give this process more memory", 10)
_AWAY = Trouble("the database cannot be reached", "Start it, and check its address, user and password")
_STANDBY = Trouble("the database cannot be written", "Name the primary; a standby takes no writes")
_FORBIDDEN = Trouble("the database cannot be written", "Give this user the rights to its tables", 10)
_COLLISION = Trouble("others changed the same rows at the same time", "Try again")
_OUTDATED = Trouble("another version of Hansard has upgraded the database", "Run that version", 60)
_MOVED = Trouble("the database file was moved or removed", "Put it back", 10)
_SLOW = Trouble("the database took too long", "Look for what keeps it busy")

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

# By SQLSTATE, or by the class that its first two characters are: the longer one counts. None is a connection that
# failed, of which libpq tells no code; whatever else an operator may have to do about it is in its text.
POSTGRESQL: Final[Mapping[str | None, Trouble]] = MappingProxyType(
    {
        None: _AWAY,
        "08": _AWAY,  # connection exception; a pooler says so too
        "25006": _STANDBY,  # read-only: the primary has become a standby
        "28": _AWAY,  # this user may not connect, from now on
        "3D": _AWAY,  # no such database
        "40": _COLLISION,  # a deadlock, or transactions that could not follow one another
        "42501": _FORBIDDEN,
        "53": _BROKEN,
        "53100": _FULL,
        "53200": Trouble("memory has run out", "Give the server more memory", 10),
        "53300": _AWAY,  # too many connections
        "55P03": _LOCKED,
        "57": _AWAY,  # shut down, crashed, starting
        "57014": _SLOW,  # cancelled, mostly by a statement_timeout
        "58": _DISK,
        "XX001": _DAMAGED,
        "XX002": _DAMAGED,
    }
)

# Classes of it that are one request's own: more than an index, a row or a statement can hold.
_OWN_CLASSES: Final = ("54",)

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
    if isinstance(error, exc.DBAPIError) and (_sqlstate(error) or "").startswith(_OWN_CLASSES):
        return False
    foreign = Outdated | Moved | OSError | exc.DBAPIError | exc.TimeoutError | exc.DisconnectionError
    return isinstance(error, foreign) and type(error) not in OWN


def is_locked(error: BaseException) -> bool:
    """Whether trying again soon may help."""
    return trouble(error) is _LOCKED


def is_away(error: BaseException) -> bool:
    """Whether the database is gone, and may be back soon: a restart, a failover."""
    return is_outage(error) and trouble(error) in (_AWAY, _STANDBY)


def is_damage(error: BaseException) -> bool:
    """Whether what was asked for lies in the database, and cannot be read."""
    return trouble(error) is _DAMAGED


def is_collision(error: BaseException) -> bool:
    """Whether the same transaction may well succeed if it is done again."""
    return is_outage(error) and trouble(error) is _COLLISION


def refusal(error: BaseException) -> HansardError:
    """The answer to a request that met ``error``."""
    if is_outage(error):
        what, _, retry_after_s = trouble(error)
        return StoreUnavailable(f"The store is unavailable: {what}.", retry_after_s=retry_after_s)
    if isinstance(error, exc.IntegrityError):
        return Conflict("This completion is already stored.")
    if isinstance(error, ProjectGone):
        return ProjectGone(error.project)
    return InternalError()


def startup_error(error: BaseException, path: Path) -> StartupError:
    """One line for the operator: which file, what is wrong, what to do."""
    what, advice, _ = trouble(error)
    return StartupError(f"{path}: {what}{said(error)}. {advice}, or choose another place with --data or --db.")


def said(error: BaseException) -> str:
    """Of a failure that has no name here what the driver says of it, in brackets; else nothing."""
    if trouble(error) is not _BROKEN or not isinstance(error, exc.DBAPIError):
        return ""
    return f" ({str(error.orig).partition(chr(10))[0]})"  # the lines behind it may have what was in a row


def trouble(error: BaseException) -> Trouble:
    """What is wrong, of an error of the database, its driver or the operating system."""
    if isinstance(error, OSError):
        return SYSTEM.get(error.errno or 0, _DISK)
    if isinstance(error, Outdated):
        return _OUTDATED
    if isinstance(error, Moved):
        return _MOVED
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    if cause is not None and hasattr(cause, "sqlstate"):
        code = None if _takes_all_down(cause) else cause.sqlstate
        return POSTGRESQL.get(code) or POSTGRESQL.get(code and code[:2], _BROKEN)
    name = getattr(cause, "sqlite_errorname", "")
    return SQLITE.get("_".join(name.split("_")[:2]), _BROKEN)


def _takes_all_down(cause: BaseException) -> bool:
    """PostgreSQL ends all its connections, and starts anew by itself if it can: whatever the reason, it is away."""
    return getattr(getattr(cause, "diag", None), "severity_nonlocalized", None) == "PANIC"


def _sqlstate(error: exc.DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)

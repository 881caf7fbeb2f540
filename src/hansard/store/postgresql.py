"""One PostgreSQL database, by psycopg: what its connections are told, and what it must be to keep the promise.

Made to work behind PgBouncer in transaction mode: no prepared statements, and nothing is set but for one transaction.
The URL is libpq's own, so all that libpq knows holds: several hosts, ``sslmode``, ``PGPASSWORD``, ``~/.pgpass``,
``service``. Facts: https://www.postgresql.org/docs/current/libpq-connect.html and .../wal-async-commit.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import msgspec
import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import TransactionResolutionUnknown
from psycopg.rows import tuple_row
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg.types.string import StrDumperUnknown, TextLoader
from sqlalchemy import Connection, Engine, create_engine, event, text

from hansard.errors import StartupError
from hansard.store.aside import thread
from hansard.store.failures import Outdated, said, trouble

# So that a host that no longer answers is noticed within the time an outage is ridden out. Of the client's own:
# the server, or a pooler before it, is asked nothing.
_USUAL: Final = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "fallback_application_name": "hansard",
}

# A connection of its own is made for it, to a server that answers slowly, or not at all.
_CANCELS_WITHIN_S: Final = 5.0

# `remote_apply` promises more than `on`, so it stays where somebody chose it. A lock of somebody else's is waited
# for as long as SQLite's would be.
_BEGIN_WRITING: Final = (
    "BEGIN; SET LOCAL lock_timeout = {lock_timeout_ms}; SELECT set_config('synchronous_commit', "
    "CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)"
)
# A page is found by two statements, which must see the same completions. Every one of ours is answered from an index,
# in its order: with old statistics, or none, the planner has been seen to read or sort whole tables instead.
_AVOIDED: Final = ("enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_hashjoin", "enable_mergejoin", "jit")
_BEGIN_READING: Final = "; ".join(
    ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", *(f"SET LOCAL {name} = off" for name in _AVOIDED)]
)

# A walk through whole tables, as a copy makes it, is no such query: the planner may choose for it, and nobody is to
# end it half-way.
_FOR_WALKING: Final = {
    "cursor_tuple_fraction": "1",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
_BEGIN_WALKING: Final = "; ".join(
    [
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        *(f"SET LOCAL {name} = {value}" for name, value in _FOR_WALKING.items()),
    ]
)

# Any number that is ours: the bytes of "hansard".
_UPGRADING: Final = int.from_bytes(b"hansard", "big")

# Two statements in one message, since the second must see what was committed while the first one waited.
_GUARD: Final = f"SELECT pg_advisory_xact_lock_shared({_UPGRADING}); TABLE alembic_version"

# Not in the snapshot of who asks. A virtual transaction has its name before it has written anything.
_UNDER_WAY: Final = (
    "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "  # noqa: S608
    f"AND classid = {_UPGRADING >> 32} AND objid = {_UPGRADING & 0xFFFFFFFF} "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)

# What a `text` of PostgreSQL cannot hold, and the mark that stands for it there.
_MARK: Final = "\x01"
_UNFIT: Final = re.compile("[\x00\x01\ud800-\udfff]")
_MARKED: Final = re.compile("\x01(0|1|d[0-9a-f]{3})")


class Postgresql:
    """A ``Database`` at a URL of libpq's.

    ``lock_s`` is how long a transaction of somebody else's may hold what a write needs.
    """

    def __init__(self, url: str, *, rides_out_s: float = 15.0, lock_s: float = 5.0) -> None:
        try:
            self._options = {**_USUAL, **conninfo_to_dict(url)}
        except psycopg.ProgrammingError:
            # Not its cause: that quotes the URL, and with it perhaps the password.
            raise StartupError("--db: libpq cannot read this URL.") from None
        self.url = url
        self.rides_out_s = rides_out_s
        self.locked_for_s = lock_s
        self._adapters = _adapters()

    @property
    def place(self) -> str:
        host, name = self._options.get("host"), self._options.get("dbname")
        return f"PostgreSQL at {host or 'its usual place'}, database {name or 'of this user'}"

    def engine_for_writing(self) -> Engine:
        begin = _BEGIN_WRITING.format(lock_timeout_ms=round(self.locked_for_s * 1000))
        return self._engine(begin, connections=1)

    def engine_for_serving(self) -> Engine:
        return self.engine_for_writing()

    def engine_for_commands(self) -> Engine:
        return self.engine_for_writing()  # locks are had in the order they were asked for

    def engine_for_reading(self, *, connections: int) -> Engine:
        return self._engine(_BEGIN_READING, connections=connections)

    def engine_for_walking(self) -> Engine:
        return self._engine(_BEGIN_WALKING, connections=1)

    def interrupt(self, connection: psycopg.Connection[Any]) -> None:
        thread("hansard-store-interrupt", partial(_cancel, connection)).start()

    def make(self) -> None:
        """A database is made by its administrator."""

    def claim(self, connection: Connection) -> None:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADING})
        encoding, fsync, commit = (
            connection.scalar(text(f"SELECT current_setting('{name}')"))
            for name in ("server_encoding", "fsync", "synchronous_commit")
        )
        if encoding != "UTF8":
            raise StartupError(
                f"{self.place}: the database is encoded in {encoding}, which does not hold every text. "
                "Make it with ENCODING 'UTF8'."
            )
        if fsync != "on":
            raise StartupError(
                f"{self.place}: the server runs with fsync = off, so what it commits may be lost. Turn fsync on."
            )
        if commit not in ("on", "remote_apply"):
            raise StartupError(
                f"{self.place}: synchronous_commit stays {commit}, so what is committed may be lost. "
                "Let this role set it to on."
            )

    def guard(self, connection: Connection, *, version: str) -> None:
        asked = connection.exec_driver_sql(_GUARD).cursor
        asked.nextset()
        if asked.fetchone() != (version,):
            raise Outdated

    def under_way(self, connection: Connection) -> frozenset[str]:
        return frozenset(connection.exec_driver_sql(_UNDER_WAY).scalars())

    @property
    def has_copies(self) -> bool:
        """A commit that was on its way when the server or its session ended can be seen before a standby has it."""
        return True

    def look(self) -> None:
        """There is no such thing: who cannot be reached says so."""

    def confirm(self, connection: Connection) -> None:
        # A COMMIT of what has written nothing waits for no standby, and an empty message is the least there is.
        connection.exec_driver_sql("SELECT pg_logical_emit_message(true, 'hansard', '')")

    def give_back(self, connection: Connection) -> int:
        """Its own autovacuum frees what was deleted, for the rows to come."""
        return 0

    def write_anew(self, connection: Connection) -> None:
        """Its autovacuum overwrites what was deleted, with the rows to come."""

    def empty_log(self, connection: Connection) -> bool:
        """Its log is its server's, which keeps and archives it as it is set up."""
        return True

    def startup_error(self, error: BaseException) -> StartupError:
        what, advice, _ = trouble(error)
        libpq = _said(error)
        cause = f" ({libpq})" if libpq else said(error)
        return StartupError(f"{self.place}: {what}{cause}. {advice}, or choose another with --db.")

    def _engine(self, begin: str, *, connections: int) -> Engine:
        engine = create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            pool_size=connections,
            max_overflow=0,
            use_native_hstore=False,
            json_serializer=_to_json,
        )

        @event.listens_for(engine, "begin")
        def begun(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        return engine

    def _connect(self) -> psycopg.Connection[Any]:
        return _Connection.connect(
            **self._options,  # type: ignore[arg-type]  # texts all, which is what libpq reads
            autocommit=True,  # it is we who begin
            prepare_threshold=None,
            context=self._adapters,
            client_encoding="utf8",
        )


class _Connection(psycopg.Connection[Any]):
    """Believes a COMMIT only if nothing was wrong with it.

    One that waits for a synchronous standby can be cancelled. It succeeds all the same, with a warning that the
    standby may not have it: https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION-HA
    """

    def __init__(self, pgconn: psycopg.pq.abc.PGconn, row_factory: Any = tuple_row) -> None:
        super().__init__(pgconn, row_factory)
        self._was_warned = False
        self.add_notice_handler(self._noticed)

    def commit(self) -> None:
        self._was_warned = False
        super().commit()
        if self._was_warned:
            raise TransactionResolutionUnknown("the commit was not confirmed by the standby")

    def _noticed(self, notice: psycopg.errors.Diagnostic) -> None:
        self._was_warned |= notice.severity_nonlocalized == "WARNING"


def _cancel(connection: psycopg.Connection[Any]) -> None:
    with suppress(psycopg.Error):  # it has gone, or the server does not even hear this
        connection.cancel_safe(timeout=_CANCELS_WITHIN_S)


def escaped(value: str) -> str:
    """The text as PostgreSQL can hold it: without NUL and lone surrogates. Equal texts stay equal, others differ."""
    return _UNFIT.sub(_escape, value)


def unescaped(value: str) -> str:
    """What ``escaped`` was given."""
    return _MARKED.sub(_unescape, value) if _MARK in value else value


def _escape(found: re.Match[str]) -> str:
    match found[0]:
        case "\x00":
            return f"{_MARK}0"
        case "\x01":
            return f"{_MARK}1"
    return f"{_MARK}{ord(found[0]):04x}"


def _unescape(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))


class _Dumper(StrDumperUnknown):
    def dump(self, obj: str) -> Any:
        return escaped(obj).encode()


class _Loader(TextLoader):
    def load(self, data: Any) -> Any:
        return unescaped(bytes(data).decode())


def _adapters() -> AdaptersMap:
    adapters = AdaptersMap(psycopg.adapters)
    adapters.register_dumper(str, _Dumper)
    adapters.register_loader("text", _Loader)
    set_json_loads(msgspec.json.decode, adapters)
    set_json_dumps(_to_json, adapters)
    return adapters


def _to_json(metadata: Mapping[str, Any]) -> str:
    return msgspec.json.encode(dict(metadata)).decode()


def _said(error: BaseException) -> str:
    """What libpq says of a connection that failed, in one line; it never names the password."""
    cause = getattr(error, "orig", None)
    if not isinstance(cause, psycopg.OperationalError) or cause.sqlstate is not None:
        return ""
    return " ".join(str(cause).split())

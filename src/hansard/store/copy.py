"""All rows of one database put into another one, SQLite or PostgreSQL, and compared row by row in the end.

Each table is walked in the order of its key and committed in batches, so what a copy that was killed has left is the
beginning of each table, and the next one goes on behind it. Pieces alone have another order: the one before, first.
Nothing is packed anew. Whatever is wrong is a ``StartupError`` that says what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Final, TypeAlias

import msgspec
from sqlalchemy import Connection, CursorResult, Engine, exc, inspect

from hansard.errors import StartupError
from hansard.store import migrate, numbers, parts, windows
from hansard.store.check import Tell
from hansard.store.database import Database
from hansard.store.lock import alone
from hansard.store.maintenance import must_be_there
from hansard.store.parts import PARTS, Key, Part
from hansard.store.rows import insert_rows
from hansard.store.sqlite import Sqlite

Row: TypeAlias = tuple[Any, ...]

# A transaction takes as much as this before it is committed, and never less than a row.
_ROWS_AT_ONCE: Final = 1000
_BYTES_AT_ONCE: Final = 4 * 1024 * 1024

# More rows that differ are counted, but not named.
_NAMED: Final = 100

MISSING: Final = "missing"
SURPLUS: Final = "surplus"
OTHER: Final = "other"


class Difference(msgspec.Struct, frozen=True):
    """A row that is ``missing`` in the target, ``surplus`` there, or has ``other`` values; ``key`` is its key there."""

    kind: str
    table: str
    key: Key

    @property
    def where(self) -> str:
        return " ".join(each.hex() if isinstance(each, bytes) else str(each) for each in self.key)


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows of the source were compared, ``content_bytes`` long in all, and how many of them came just now."""

    name: str
    rows: int
    copied: int
    content_bytes: int


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """What was copied. ``differ`` counts the rows that differ, the first hundred of which are ``differences``."""

    tables: tuple[Table, ...]
    differ: int
    differences: tuple[Difference, ...]


def copy(source: Database, target: Database, *, tell: Tell) -> Copied:
    """Copy what the target does not have yet, then compare all of it."""
    _refuse_itself(source, target)
    if isinstance(source, Sqlite):
        must_be_there(source.path)
    with _held(source), _held(target):
        with _walking(source) as from_, _writing(target) as to:
            copied = _copy(from_, to, tell)
        # In new transactions: what somebody has written to the source meanwhile is a difference.
        with _walking(source) as from_, _walking(target) as there:
            return _compared(from_, there, copied, tell=tell)


def _refuse_itself(source: Database, target: Database) -> None:
    if isinstance(source, Sqlite) and isinstance(target, Sqlite):
        is_same = source.path.exists() and target.path.exists() and source.path.samefile(target.path)
        if is_same or source.place == target.place:
            raise StartupError(f"{target.place}: this is the database itself. Name another place for its copy.")


def _held(database: Database) -> AbstractContextManager[None]:
    """Without a server on it, as far as that can be had: of a PostgreSQL it cannot."""
    return alone(database.path) if isinstance(database, Sqlite) else nullcontext()


def _copy(source: _Side, target: _Target, tell: Tell) -> dict[str, int]:
    """How many rows of each table were copied."""
    found = migrate.version(source.connection, place=source.database.place)
    if found != migrate.HEAD:
        raise StartupError(
            f"{source.database.place}: its tables are at {found}, not {migrate.HEAD}. "
            "Run `hansard db upgrade` on it first."
        )
    with target.transaction() as connection:
        _make_tables(connection, target.database)
    with _walking(target.database) as there:
        begun = {part.name: _begun(part, source, there, tell=tell) for part in PARTS}
    with target.transaction() as connection:
        # First of all, so that not even a server on a copy that is not done gives a number again.
        numbers.raise_to(connection, max(source.ask(numbers.counter), source.ask(numbers.highest)))
    copied = {part.name: _copy_part(part, source, target, begun=begun[part.name], tell=tell) for part in PARTS}
    with target.transaction() as connection:
        # Such a server may have made them of what was not all there.
        windows.forget(connection)
    return copied


def _make_tables(connection: Connection, target: Database) -> None:
    target.claim(connection)
    if not inspect(connection).get_table_names():
        migrate.create(connection)
    elif (found := migrate.version(connection, place=target.place)) != migrate.HEAD:
        raise StartupError(
            f"{target.place}: its tables are at {found}, not {migrate.HEAD}: they were not made by this version's "
            "copy. Copy to an empty database."
        )


# What the target has already


class _Begun(msgspec.Struct, frozen=True):
    """How many rows there are, and the key of the last one in order."""

    rows: int
    last: Key | None


def _begun(part: Part, source: _Side, target: _Side, *, tell: Tell) -> _Begun:
    """What a copy before this one has left. Raises StartupError if it is anything but the beginning of this source."""
    if (last := target.last(part)) is None:
        return _Begun(0, None)
    # Pieces come in another order, so those there can be any.
    until, allowed = (None, {MISSING}) if part.has_parents else (last, set())
    plain = part.without_content()
    ours = source.rows(plain, until=until)
    theirs = _told(target.rows(plain), f"look {part.name}", target.count(part), tell)
    for difference in _differences(part, ours, theirs):
        if difference.kind not in allowed:
            raise StartupError(
                f"{target.database.place}: its {part.name} are not those of {source.database.place} "
                f"(the first that differs: {difference.where}). Copy to an empty database."
            )
    return _Begun(target.count(part), last)


# Copying


def _copy_part(part: Part, source: _Side, target: _Target, *, begun: _Begun, tell: Tell) -> int:
    """How many rows were copied."""
    total = source.count(part)
    rows = _new_pieces(source, target, begun=begun) if part.has_parents else source.rows(part, after=begun.last)
    done = begun.rows
    tell(part.name, done, total)
    for batch in _batches(rows):
        target.insert(part, batch, of=source.database)
        done += len(batch)
        tell(part.name, done, total)
    return done - begun.rows


def _new_pieces(source: _Side, target: _Target, *, begun: _Begun) -> Iterator[Row]:
    """Those that the target has not, each behind the one it stands on."""
    for (project, _), same in groupby(source.tree(), key=itemgetter(0, 1)):
        while some := [digest for *_, digest in islice(same, parts.LOOKED_UP_AT_ONCE)]:
            known = target.known(project, some) if begun.rows else ()
            yield from source.pieces(project, [digest for digest in some if digest not in known])


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size_bytes = 0
    for row in rows:
        batch.append(row)
        size_bytes += _content_bytes(row)
        if len(batch) >= _ROWS_AT_ONCE or size_bytes >= _BYTES_AT_ONCE:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


def _content_bytes(row: Row) -> int:
    return sum(len(each) for each in row if isinstance(each, bytes))


# Comparing


def _compared(source: _Side, target: _Side, copied: Mapping[str, int], *, tell: Tell) -> Copied:
    tables = []
    named: list[Difference] = []
    differ = 0
    for part in PARTS:
        counted = _Counted()
        ours = counted.through(_told(source.rows(part), f"compare {part.name}", source.count(part), tell))
        for difference in _differences(part, ours, target.rows(part)):
            differ += 1
            if len(named) < _NAMED:
                named.append(difference)
        tables.append(
            Table(name=part.name, rows=counted.rows, copied=copied[part.name], content_bytes=counted.content_bytes)
        )
    return Copied(tables=tuple(tables), differ=differ, differences=tuple(named))


class _Counted:
    def __init__(self) -> None:
        self.rows = 0
        self.content_bytes = 0

    def through(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            self.rows += 1
            self.content_bytes += _content_bytes(row)
            yield row


def _differences(part: Part, ours: Iterator[Row], theirs: Iterator[Row]) -> Iterator[Difference]:
    """Two streams in the order of their key, walked side by side."""
    one, other = next(ours, None), next(theirs, None)
    while one is not None or other is not None:
        if one == other:
            one, other = next(ours, None), next(theirs, None)
        elif other is None or (one is not None and part.key_of(one) < part.key_of(other)):
            assert one is not None
            yield Difference(MISSING, part.name, part.key_of(one))
            one = next(ours, None)
        elif one is None or part.key_of(other) < part.key_of(one):
            yield Difference(SURPLUS, part.name, part.key_of(other))
            other = next(theirs, None)
        else:
            yield Difference(OTHER, part.name, part.key_of(one))
            one, other = next(ours, None), next(theirs, None)


def _told(rows: Iterator[Row], what: str, total: int, tell: Tell) -> Iterator[Row]:
    tell(what, 0, total)
    for done, row in enumerate(rows, 1):
        yield row
        if done % _ROWS_AT_ONCE == 0:
            tell(what, done, total)
    tell(what, total, total)


# The two databases, each of which tells its own failures


class _Side:
    """One that is read, as it is at one moment."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self.database = database
        self.connection = connection
        self._streams: set[CursorResult[Any]] = set()

    def rows(self, part: Part, *, after: Key | None = None, until: Key | None = None) -> Iterator[Row]:
        return self._stream(part.ordered(self.connection, after=after, until=until), at_once=part.at_once)

    def tree(self) -> Iterator[Row]:
        """Of each piece how far it stands from the first of its chain, in that order, its project and its digest."""
        return self._stream(parts.TREE, at_once=_ROWS_AT_ONCE)

    def pieces(self, project: str, digests: Sequence[bytes]) -> Iterator[Row]:
        if not digests:
            return iter(())
        return self._stream(parts.PIECES, {"of_project": project, "digests": digests}, at_once=parts.CONTENTS_AT_ONCE)

    def count(self, part: Part) -> int:
        with _failing(self.database):
            return self.connection.scalar(part.counted()) or 0

    def last(self, part: Part) -> Key | None:
        with _failing(self.database):
            row = self.connection.execute(part.last(self.connection)).one_or_none()
        return None if row is None else part.key_of(tuple(row))

    def ask(self, question: Any) -> Any:
        with _failing(self.database):
            return question(self.connection)

    def _stream(self, rows: Any, values: dict[str, Any] | None = None, *, at_once: int) -> Iterator[Row]:
        with _failing(self.database):
            stream = self.connection.execute(rows, values or {}, execution_options={"yield_per": at_once})
            self._streams.add(stream)
            for row in stream:
                yield tuple(row)
            self._streams.discard(stream)

    def close(self) -> None:
        """Give up what was not read to its end."""
        for stream in self._streams:
            with suppress(exc.DBAPIError):  # it may be the database's end that ends us
                stream.close()


class _Target:
    """The one that is written, in short transactions."""

    def __init__(self, database: Database, engine: Engine) -> None:
        self.database = database
        self._engine = engine

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with _failing(self.database), self._engine.begin() as connection:
            yield connection

    def known(self, project: str, digests: Sequence[bytes]) -> set[bytes]:
        with self.transaction() as connection:
            return set(connection.scalars(parts.KNOWN, {"of_project": project, "digests": digests}))

    def insert(self, part: Part, rows: Sequence[Row], *, of: Database) -> None:
        try:
            with self.transaction() as connection:
                insert_rows(connection, part.table, part.columns, [part.inserted(row) for row in rows])
        except (exc.IntegrityError, exc.DataError, UnicodeEncodeError) as error:
            raise StartupError(
                f"{self.database.place}: it does not take all of the {part.name} of {of.place}. "
                "Either somebody else writes to it, or that one is not sound: ask `hansard db check` there."
            ) from error


@contextmanager
def _walking(database: Database) -> Iterator[_Side]:
    engine = database.engine_for_walking()
    try:
        with _failing(database), engine.connect() as connection, connection.begin():
            side = _Side(database, connection)
            try:
                yield side
            finally:
                side.close()
    finally:
        engine.dispose()


@contextmanager
def _writing(database: Database) -> Iterator[_Target]:
    with _failing(database):
        database.make()
    engine = database.engine_for_writing()
    try:
        yield _Target(database, engine)
    finally:
        with _failing(database):
            engine.dispose()


@contextmanager
def _failing(database: Database) -> Iterator[None]:
    """Tell an error as this database's. What the rows themselves are to blame for is left to the caller."""
    try:
        yield
    except (exc.IntegrityError, exc.DataError):
        raise
    except (OSError, exc.DBAPIError) as error:
        raise database.startup_error(error) from error

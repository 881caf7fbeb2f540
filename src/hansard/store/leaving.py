"""A project that leaves: all it has written out, then all of it deleted, some at a time, and a look at what is left.

First it is closed: its keys and its own row go, so that nobody is let in and nothing more is written for it
(``closing``). What is deleted after that can only become less. The audit log stays; it holds no content.

The functions run inside the caller's transaction, but for ``opened`` and what it gives.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine, Table, delete, exc, func, literal, select, text, tuple_

from hansard.core.paging import ListQuery
from hansard.errors import StartupError
from hansard.store import changes, migrate, queries, tenants_sql, words
from hansard.store.base import Cursor, Left, Record
from hansard.store.database import Database
from hansard.store.schema import (
    TABLES,
    audit,
    bitmaps,
    bodies,
    completions,
    facets,
    keys,
    labels,
    outcomes,
    pieces,
    projects,
    ranks,
    tallies,
    tombstones,
    windows,
)
from hansard.store.tenants import Entry, Project

T = TypeVar("T")

# A transaction takes some 10 ms with so many, and holds up whoever writes for as long.
AT_ONCE: Final = 64
_ROWS_AT_ONCE: Final = 1000

# How long a command waits for those who read, and how often it looks: each time it holds up all who write for a moment.
_PATIENCE_S: Final = 60.0
_AGAIN_S: Final = 0.2

CLOSED: Final = "project.deleted"
"""What the log says of one that is closed."""

# Behind the completions: what of them is left only if something was damaged, and what was never theirs.
_BEHIND: Final = (outcomes, tombstones, labels, facets, windows, bitmaps, ranks, bodies, tallies)


def close(connection: Connection, project: str, entry: Entry) -> bool:
    """Take the project's keys and its own row away; False if there was none. Waits for who writes for it."""
    if connection.scalar(select(projects.c.project).where(projects.c.project == project).with_for_update()) is None:
        return False
    connection.execute(delete(keys).where(keys.c.project == project))
    connection.execute(delete(projects).where(projects.c.project == project))
    tenants_sql.keep(connection, [], [entry])
    return True


def close_once(connection: Connection, project: str, entry: Entry) -> bool:
    """The same, and True as well if it is this very entry's closing that was done before: its commit was not told."""
    if close(connection, project, entry):
        return True
    return tenants_sql.is_noted(connection, entry) and tenants_sql.keep(connection, [], [entry])


def closed(connection: Connection) -> Sequence[str]:
    """The projects that were closed and have something left."""
    found: set[str] = set()
    for table in (completions, *_BEHIND, pieces):
        found.update(connection.scalars(text(_WITHOUT_ROW.format(table=table.name))))
    return [project for project in sorted(found) if _was_closed(connection, project)]


def departure(connection: Connection, project: str) -> Left | None:
    """What a closed project has left; None of one that is not closed."""
    if not _was_closed(connection, project):
        return None
    count = connection.scalar(select(func.count()).select_from(completions).where(completions.c.project == project))
    behind = (
        connection.scalar(select(literal(1)).where(table.c.project == project).limit(1)) for table in (*_BEHIND, pieces)
    )
    return Left(completions=count or 0, anything=bool(count) or any(behind))


def clear(connection: Connection, project: str, *, most: int = AT_ONCE) -> Mapping[str, int]:
    """Delete some of what is left of a closed project: how many rows of which tables. Nothing: there is no more."""
    rows = connection.execute(
        select(completions)
        .where(completions.c.project == project)
        .order_by(completions.c.created)
        .limit(most)
        .with_for_update(skip_locked=True)
    ).all()
    if rows:
        changes.delete_records(connection, project, rows)
        # It keeps the places of what is deleted, which have to go as well.
        gone = tombstones.c.id.in_([row.id for row in rows])
        connection.execute(delete(tombstones).where(tombstones.c.project == project, gone))
        return {completions.name: len(rows)}
    for table in _BEHIND:
        if count := _delete_some(connection, table, project):
            return {table.name: count}
    count = connection.execute(delete(pieces).where(pieces.c.project == project)).rowcount
    return {pieces.name: count} if count else {}


def left(connection: Connection, project: str) -> Mapping[str, int]:
    """How many rows of which tables are the project's still; the audit log is not looked at."""
    found = {}
    for name, table in TABLES.tables.items():
        if "project" in table.c and table is not audit:
            found[name] = connection.scalar(select(func.count()).where(table.c.project == project)) or 0
    if words.exists(connection):
        asked = _INDEXED[connection.dialect.name]
        found["search_words"] = connection.scalar(asked, _indexed_by(connection, project)) or 0
    return {name: count for name, count in found.items() if count}


# Each project once, by its place in the table's key, and not row by row.
_WITHOUT_ROW: Final = """
WITH RECURSIVE found(project) AS (
    SELECT min(project) FROM {table}
    UNION ALL
    SELECT (SELECT min(project) FROM {table} WHERE {table}.project > found.project) FROM found WHERE project IS NOT NULL
)
SELECT project FROM found
WHERE project IS NOT NULL AND NOT EXISTS (SELECT 1 FROM projects WHERE projects.project = found.project)
"""


def _was_closed(connection: Connection, project: str) -> bool:
    """By the log as well: rows whose project was lost in another way are nothing to delete."""
    if connection.scalar(select(literal(1)).where(projects.c.project == project)):
        return False
    noted = select(literal(1)).where(audit.c.project == project, audit.c.act == CLOSED)
    return connection.scalar(noted.order_by(audit.c.at.desc()).limit(1)) is not None


class Leaver:
    """Does all this in a database, each step in a transaction of its own. ``tell`` is told what is done."""

    def __init__(self, database: Database, engine: Engine, *, patience_s: float = _PATIENCE_S) -> None:
        self._database = database
        self._patience_s = patience_s
        self._engine = engine

    def find(self, wanted: str) -> Project | None:
        """The project of that id or name."""
        known = self._do(tenants_sql.all_projects)
        return next((each for each in known if wanted == each.id), None) or next(
            (each for each in known if wanted == each.name), None
        )

    def records(self, project: str, *, after: str | None = None) -> Iterator[Record]:
        """All its completions, the oldest first; behind the one of that id. LookupError if there never was one."""
        place: Cursor | None = None
        if after is not None:
            place = self._place(project, after)
            if place is None:
                raise LookupError(after)
        while some := self._page(project, place):
            yield from some
            place = self._place(project, some[-1].id)

    def count(self, project: str) -> int:
        """How many completions it has."""
        counted = select(func.count()).select_from(completions).where(completions.c.project == project)
        return self._do(lambda connection: connection.scalar(counted)) or 0

    def close(self, project: str, entry: Entry) -> bool:
        return self._do(lambda connection: close(connection, project, entry))

    def clear(self, project: str, tell: Callable[[int], None]) -> Mapping[str, int]:
        """Delete all that is left of it: how many rows of which tables. ``tell`` is told how many so far."""
        total: Counter[str] = Counter()
        while some := self._do(lambda connection: clear(connection, project)):
            total.update(some)
            tell(total.total())
        self._scrub()
        return total

    def _scrub(self) -> None:
        """Take it out of the files as well, also what an interrupted deletion has left there."""
        anew = True
        while self._do(partial(words.merge, anew=anew)):
            anew = False
        with self._engine.connect() as connection:
            self._database.write_anew(connection)
            until = time.monotonic() + self._patience_s
            while not self._database.empty_log(connection):
                if time.monotonic() > until:
                    raise StartupError(
                        f"{self._database.place}: all of it is deleted, but a program that reads there (a backup, a "
                        "check) keeps it in the log beside the file. Run `hansard db vacuum` once that has ended."
                    )
                time.sleep(_AGAIN_S)

    def left(self, project: str) -> Mapping[str, int]:
        return self._do(lambda connection: left(connection, project))

    def _place(self, project: str, completion_id: str) -> Cursor | None:
        return self._do(lambda connection: queries.locate(connection, project, completion_id))

    def _page(self, project: str, after: Cursor | None) -> list[Record]:
        query = ListQuery(order="asc")
        return self._do(
            lambda connection: list(queries.page(connection, project, query, after=after, limit=AT_ONCE, whole=True))
        )

    def _do(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            self._database.guard(connection, version=migrate.HEAD)
            # What is deleted has to leave the index of words as well, whoever keeps it.
            return work(connection.execution_options(**{words.KEPT: words.is_current(connection)}))


@contextmanager
def opened(database: Database) -> Iterator[Leaver]:
    """The database, as it is. Whatever is wrong is a ``StartupError`` that says what to do about it."""
    engine = database.engine_for_commands()
    try:
        with engine.begin() as connection:
            found = migrate.version(connection, place=database.place)
            if found != migrate.HEAD:
                raise StartupError(
                    f"{database.place}: its tables are at {found}, not {migrate.HEAD}. Run `hansard db upgrade` first."
                )
        yield Leaver(database, engine)
    except (OSError, exc.DBAPIError) as error:
        raise database.startup_error(error) from error
    finally:
        engine.dispose()


def _delete_some(connection: Connection, table: Table, project: str) -> int:
    """In the order of its key, which leads to them."""
    key = tuple(table.primary_key)
    some = select(*key).where(table.c.project == project).limit(_ROWS_AT_ONCE)
    return connection.execute(delete(table).where(tuple_(*key).in_(some))).rowcount


# Each database is asked the way its index is.
_INDEXED: Final = {
    "sqlite": text("SELECT count(*) FROM search_words WHERE search_words MATCH :mark"),
    "postgresql": text("SELECT count(*) FROM search_words WHERE project = :project"),
}


def _indexed_by(connection: Connection, project: str) -> Mapping[str, str]:
    return {"mark": f"project:{words.mark(project)}"} if connection.dialect.name == "sqlite" else {"project": project}

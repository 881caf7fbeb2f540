"""The store over SQL: which statements run where. ``sqlite`` and ``postgresql`` have what is only theirs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import Connection, exc, literal, select

from hansard.core.paging import ListQuery, SearchQuery
from hansard.errors import SearchIsOff, StartupError, StoreUnavailable
from hansard.observe import Observer, SearchIndexed, StoreUpgraded, ignore
from hansard.store import (
    bitmaps,
    changes,
    facets,
    leaving,
    migrate,
    outcomes,
    queries,
    retention,
    search,
    tallies,
    tenants_sql,
    words,
)
from hansard.store.aside import aside
from hansard.store.base import Cursor, Expired, Found, Left, Outcome, Record, Tally
from hansard.store.database import Database
from hansard.store.failures import is_locked
from hansard.store.indexing import Indexing
from hansard.store.outage import WAITS_S, Outage
from hansard.store.pace import Pace
from hansard.store.readers import Readers
from hansard.store.scrubbing import Scrubbing
from hansard.store.tenants import Entry, Tenants
from hansard.store.whereabouts import Moved
from hansard.store.windows import Sizes
from hansard.store.writer import Writer

_PAUSE_S: Final = 0.02
_PAUSE_IN_OUTAGE_S: Final = 1.0

# Whoever asks whether writes are taken is answered by the last commit, if it is no older: asking writes.
_SURE_S: Final = 10.0

# Completions that are put into the index between two lines of the log.
_TOLD_EVERY: Final = 10_000

T = TypeVar("T")
D = TypeVar("D", bound=tuple[Any, ...])


class SqlStore:
    """A ``Store`` in one SQL database.

    At most ``queue_limit`` writes, of ``queue_limit_bytes`` together, wait for the disk. With ``search`` an index of
    words is kept; a search looks at as much as it can in ``search_budget_s``. ``windows`` tells how large they are.
    Whoever has waited ``waits_s`` for the database is refused.
    """

    def __init__(
        self,
        database: Database,
        *,
        readers: int = 4,
        queue_limit: int = 1024,
        queue_limit_bytes: int = 256 * 1024 * 1024,
        search: bool = False,
        search_budget_s: float = 1.0,
        windows: Sizes = Sizes(),  # noqa: B008 - it never changes
        waits_s: float = WAITS_S,
        observer: Observer = ignore,
    ) -> None:
        self._observer = observer
        self._searches = search
        self._search_budget_s = search_budget_s
        self._catching_up: asyncio.Task[None] | None = None
        self._database = database
        self._opening = database.engine_for_writing()
        self._writing = database.engine_for_serving()
        for engine in (self._opening, self._writing):
            engine.update_execution_options(**{words.KEPT: search})
        self._reading = database.engine_for_reading(connections=readers)
        self._reading.update_execution_options(**{bitmaps.WORTH_IT_FROM: windows.worth_it_from})
        of_readers = Outage(bound_s=database.rides_out_s)
        self._outage = Outage(bound_s=database.rides_out_s, of_readers=of_readers)
        self._writer = Writer(
            self._writing,
            guard=partial(database.guard, version=migrate.HEAD),
            limit=queue_limit,
            limit_bytes=queue_limit_bytes,
            outage=self._outage,
            observer=observer,
            waits_s=waits_s,
        )
        self._readers = Readers(
            self._reading,
            threads=readers,
            limit=queue_limit,
            outage=of_readers,
            interrupt=database.interrupt,
            waits_s=waits_s,
        )
        self._pace = Pace(reads=lambda: self._readers.begun)
        # Beside the writer where others count too: a transaction of many things would hold their counts for long. It is
        # not interrupted, or what it counts might be counted twice.
        self._counting = database.engine_for_serving()
        self._counters = Readers(self._counting, threads=1, limit=queue_limit, outage=self._outage, waits_s=waits_s)
        self._indexing = Indexing(
            read=self._look, write=self._writer.write, under_way=database.under_way, sizes=windows
        )
        self._scrubbing = Scrubbing(database, write=self._writer.write, between=self._writer.between)
        self.tenants: Tenants = tenants_sql.SqlTenants(read=self._readers.read, write=self._writer.write)

    async def start(self) -> None:
        before = await aside(self._open)
        if before is not None:
            self._observer(StoreUpgraded(before=before, now=migrate.HEAD))
        self._writer.start()
        self._readers.start()
        self._counters.start()
        if self._searches:
            self._catching_up = asyncio.create_task(self._catch_up())  # ends with the store at the latest

    async def stop(self) -> None:
        if self._catching_up is not None:
            self._catching_up.cancel()
            await asyncio.wait([self._catching_up])
        await asyncio.gather(self._counters.stop(), self._readers.stop())
        for engine in (self._counting, self._reading):
            engine.dispose()
        await self._writer.stop()  # closes last, so that SQLite folds its log into the file

    def end(self, *, within_s: float) -> None:
        """What still waits then for a database that hangs is refused, and ``stop`` waits no longer."""
        for threads in (self._counters, self._readers, self._writer):
            threads.end(within_s=within_s)

    @property
    def healthy(self) -> bool:
        return self._writer.healthy and not self._outage.lasts and self._writer.has_room()

    @property
    def waiting(self) -> int:
        return self._writer.waiting

    async def ready(self) -> bool:
        if not self._writer.has_room():
            return False
        try:
            if self.healthy and self._writer.has_committed_within(_SURE_S):
                return await self._readers.read(self._answers)
            return await self._writer.write(changes.works)
        except StoreUnavailable:
            return False

    def _answers(self, connection: Connection) -> bool:
        try:
            self._database.look()
        except Moved:  # what is open goes on being read: perhaps it is to be saved
            return False
        return connection.scalar(select(literal(1))) == 1

    async def insert(self, record: Record) -> None:
        size_bytes = len(record.request) + len(record.reply)
        await self._writer.write_with_others(
            changes.insert_records, record, was_done=self._was_inserted, size_bytes=size_bytes
        )

    async def get(self, project: str, completion_id: str) -> Record | None:
        return await self._readers.read(partial(queries.get, project=project, completion_id=completion_id))

    async def locate(self, project: str, completion_id: str) -> Cursor | None:
        return await self._readers.read(partial(queries.locate, project=project, completion_id=completion_id))

    async def page(
        self, project: str, query: ListQuery, *, after: Cursor | None, limit: int, whole: bool = False
    ) -> Sequence[Record]:
        return await self._readers.read(
            partial(queries.page, project=project, query=query, after=after, limit=limit, whole=whole)
        )

    async def search(self, project: str, query: SearchQuery, *, after: Cursor | None) -> Found:
        if not self._searches:
            raise SearchIsOff
        budget_s = self._search_budget_s
        return await self._readers.read(
            partial(search.find, project=project, query=query, after=after, budget_s=budget_s)
        )

    async def facets(self, project: str, key: str | None, *, limit: int) -> Sequence[tuple[str, int]]:
        if key is None:
            return await self._readers.read(partial(facets.keys, project=project, most=limit))
        return await self._readers.read(partial(facets.values, project=project, key=key, most=limit))

    async def set_metadata(self, project: str, completion_id: str, metadata: Mapping[str, str]) -> Record | None:
        change = partial(changes.set_metadata, project=project, completion_id=completion_id, metadata=metadata)
        async with self._pace.kept():
            return await self._writer.write(change)

    async def delete(self, project: str, completion_id: str, entry: Entry | None = None) -> bool:
        def delete(connection: Connection) -> bool:
            done = changes.delete_record(connection, project, completion_id)
            if done and entry is not None:
                tenants_sql.note(connection, entry)
            return done

        def was_done(connection: Connection) -> tuple[()] | tuple[bool]:
            return self._confirmed(connection, changes.is_deleted(connection, project, completion_id))

        async with self._pace.kept():
            return await self._writer.write(delete, was_done=was_done)

    async def recall(self, project: str, key: str, *, now: int) -> Outcome | None:
        found = await self._readers.read(partial(outcomes.find, project=project, key=key, now=now))
        if found is not None and self._database.has_copies:
            await self._writer.write(self._database.confirm)
        return found

    async def remember(self, outcome: Outcome, record: Record | None = None) -> Outcome:
        size_bytes = len(outcome.reply) + (0 if record is None else len(record.request) + len(record.reply))
        return await self._writer.write(partial(self._keep, outcome=outcome, record=record), size_bytes=size_bytes)

    def _keep(self, connection: Connection, outcome: Outcome, record: Record | None) -> Outcome:
        in_force = outcomes.keep(connection, outcome, record)
        if in_force is not outcome:
            self._database.confirm(connection)
        return in_force

    def _was_inserted(self, connection: Connection, record: Record) -> tuple[()] | tuple[None]:
        return self._confirmed(connection, changes.is_inserted(connection, record))

    def _confirmed(self, connection: Connection, done: D) -> D:
        """What is found done is acknowledged, and so must be in every copy as if it had been done now."""
        if done:
            self._database.confirm(connection)
        return done

    async def due(self, *, now: int) -> Sequence[str]:
        return await self._readers.read(partial(retention.due, now=now))

    async def expire(self, project: str, *, now: int, most: int) -> Expired:
        def timed(connection: Connection) -> Expired:
            started = time.monotonic()
            expired = retention.expire(connection, project, now=now, most=most)
            return msgspec.structs.replace(expired, took_s=time.monotonic() - started)

        return await self._writer.write(timed)

    async def tend(self) -> AsyncGenerator[float, None]:
        for work in (self._indexing, self._scrubbing):
            async with aclosing(work.steps()) as steps:
                async for took_s in steps:
                    yield took_s

    async def scrub(self) -> None:
        await self._scrubbing.scrub()

    async def close_project(self, project: str, entry: Entry) -> bool:
        return await self._writer.write(partial(leaving.close_once, project=project, entry=entry))

    async def closed_projects(self) -> Sequence[str]:
        return await self._readers.read(leaving.closed)

    async def left_of(self, project: str) -> Left | None:
        return await self._readers.read(partial(leaving.departure, project=project))

    async def clear_some(self, project: str) -> int:
        async with self._pace.kept():
            return sum((await self._writer.write(partial(leaving.clear, project=project))).values())

    async def give_back(self) -> int:
        return await self._writer.write(self._database.give_back)

    @property
    def is_shared(self) -> bool:
        return self._writing.dialect.name != "sqlite"

    async def tally(self, changes: Sequence[Tally]) -> Sequence[float]:
        def counted(connection: Connection) -> Sequence[float]:
            self._database.guard(connection, version=migrate.HEAD)
            return tallies.add(connection, changes)

        if self.is_shared:
            return await self._counters.read(counted)
        return await self._writer.write(partial(tallies.add, changes=changes))

    async def tallied(self, what: str, *, within_s: float | None = None) -> Sequence[Tally]:
        return await self._readers.read(partial(tallies.of, what=what, within_s=within_s))

    async def _look(self, work: Callable[[Connection], T]) -> T:
        """A read of ours, for which nobody waits."""
        return await self._readers.read(work, is_bounded=False)

    async def _catch_up(self) -> None:
        """Put what was stored without an index into it, some at a time, so that nobody waits long for the writer."""
        before: words.Place | None = None
        indexed = 0
        while True:
            try:
                places = await self._look(partial(words.missing, before=before))
                await self._writer.write(partial(words.catch_up, places=places))
            except StoreUnavailable:
                await asyncio.sleep(_PAUSE_IN_OUTAGE_S)
                continue
            indexed += len(places)
            if not places:
                break
            if before is None or indexed % _TOLD_EVERY < len(places):
                self._observer(SearchIndexed(completions=indexed, is_complete=False))
            before = places[-1]
        if indexed:
            self._observer(SearchIndexed(completions=indexed, is_complete=True))

    def _open(self) -> str | None:
        deadline = time.monotonic() + self._database.locked_for_s
        while True:
            try:
                return self._prepare()
            except (OSError, exc.DBAPIError) as error:
                if not is_locked(error) or time.monotonic() > deadline:
                    raise self._database.startup_error(error) from error
            finally:
                self._opening.dispose()
            # SQLite does not always wait by itself: not while another process turns the log on.
            time.sleep(_PAUSE_S)

    def _prepare(self) -> str | None:
        """The version of the tables that it upgraded, if they were older."""
        place = self._database.place
        self._database.make()
        with self._opening.begin() as connection:
            self._database.claim(connection)
            before = migrate.upgrade(connection, place=place)
            outcomes.clear(connection, now=int(time.time()))
            tenants_sql.prepare(connection, now=int(time.time()))
            words.prepare(connection, on=self._searches)
            if not changes.works(connection):
                raise StartupError(f"{place}: a record written there did not come back. Restore a backup.")
        return before

"""The few threads that read: never the event loop, never the writer.

A read sees one moment of the database, and everything whose write was acknowledged before it. One that the database
does not answer is refused in time, and asked to end; where none of the threads comes back, others are refused at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from itertools import takewhile
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine

from hansard.errors import HansardError, StoreUnavailable
from hansard.store.aside import LEAST_S, Ending, tell, thread
from hansard.store.failures import is_away, is_outage, refusal
from hansard.store.outage import ENDS_S, TOO_LONG, WAITS_S, Outage
from hansard.store.whereabouts import Moved

T = TypeVar("T")

_STOPPED: Final = "The store is unavailable: it is stopped."


class _Job:
    """Something to read, and who waits for it. ``connection`` is the driver's, while it is used for it."""

    __slots__ = ("connection", "future", "has_begun", "holds_a_thread", "is_bounded", "is_late", "since", "work")

    def __init__(
        self, work: Callable[[Connection], Any], *, future: asyncio.Future[Any], since: float, is_bounded: bool
    ) -> None:
        self.work = work
        self.future = future
        self.since = since
        self.is_bounded = is_bounded
        self.connection: Any = None
        self.has_begun = False
        self.is_late = False
        self.holds_a_thread = False  # and is late


class _Failed:
    """What to raise in the awaiter of a job."""

    def __init__(self, error: HansardError) -> None:
        self.error = error


class Readers:
    """``threads`` reads at a time; ``limit`` bounds those that wait or run, and ``waits_s`` how long one may.

    ``interrupt`` asks the database to end what it does on a connection of the driver's. Belongs to the event loop that
    starts it.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        threads: int,
        limit: int,
        outage: Outage,
        interrupt: Callable[[Any], None] = lambda _: None,
        waits_s: float = WAITS_S,
    ) -> None:
        self._engine = engine
        self._outage = outage
        self._interrupt = interrupt
        self._limit = limit
        self._waits_s = waits_s
        self._line: SimpleQueue[_Job | None] = SimpleQueue()  # None: a thread ends
        self._threads = [thread(f"hansard-store-reader_{number}", self._serve) for number in range(threads)]
        self._leaving = threading.Lock()
        self._serving = threads
        # Touched on the event loop only, hence without a lock.
        self._accepting = False
        self._reading = 0
        self._unsettled: dict[_Job, None] = {}  # in the order in which they came
        self._held = 0  # threads from which a late read has not come back
        self._hangs = False  # it was given up
        self._ending = Ending(give_up=self._give_up)
        self._watch: asyncio.TimerHandle | None = None
        self.begun = 0
        """Reads so far."""

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._accepting = True
        self._ending.start(self._threads)

    async def stop(self) -> None:
        """Return once the reads that wait or run are done, or have been waited for long enough."""
        if self._accepting:
            self._accepting = False
            for _ in self._threads:
                self._line.put(None)
            for job in self._unsettled:
                if job.future.done():
                    self._ask_to_end(job)
            self.end(within_s=ENDS_S)
            if not self._hangs:
                await self._ending.wait()
        if self._watch is not None:
            self._watch.cancel()

    def end(self, *, within_s: float) -> None:
        """Whoever waits still then is refused, whoever comes later soon, and ``stop`` waits no longer."""
        self._ending.within(within_s)

    async def read(self, work: Callable[[Connection], T], *, is_bounded: bool = True) -> T:
        """Do ``work`` in a transaction that ends with it. If not ``is_bounded`` it may take as long as it takes."""
        if not self._accepting:
            raise StoreUnavailable(_STOPPED)
        if self._hangs or self._held >= len(self._threads):
            raise StoreUnavailable(TOO_LONG)
        if self._reading >= self._limit:
            raise StoreUnavailable("The store is unavailable: too many reads are waiting.")
        future: asyncio.Future[T] = self._loop.create_future()
        job = _Job(work, future=future, since=self._loop.time(), is_bounded=is_bounded)
        self._unsettled[job] = None
        self._line.put(job)
        if self._watch is None:
            self._watch = self._loop.call_later(self._waits_s, self._refuse_late)
        self._reading += 1
        self.begun += 1
        try:
            return await future
        finally:
            self._reading -= 1

    def _refuse_late(self) -> None:
        """One timer for all: it looks again when whoever has waited longest by then would be late."""
        last = self._loop.time() - self._waits_s
        on_time = next((job for job in self._unsettled if job.since > last), None)
        for job in takewhile(lambda job: job is not on_time, self._unsettled):
            if not job.is_late:
                self._be_late(job)
        self._watch = None
        if on_time is not None:
            self._watch = self._loop.call_at(on_time.since + self._waits_s, self._refuse_late)

    def _be_late(self, job: _Job) -> None:
        job.is_late = True
        if job.has_begun:
            job.holds_a_thread = True
            self._held += 1
        if job.is_bounded:
            _refuse(job)
            self._ask_to_end(job)

    def _ask_to_end(self, job: _Job) -> None:
        if (connection := job.connection) is not None:
            self._interrupt(connection)

    def _give_up(self) -> None:
        self._waits_s = LEAST_S
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        for job in self._unsettled:
            self._hangs = True
            _refuse(job)

    def _serve(self) -> None:
        try:
            while (job := self._line.get()) is not None:
                job.has_begun = True
                outcome = None if job.future.done() else self._outcome(job)
                if not tell(self._loop, self._settle, job, outcome):
                    break
                del job, outcome  # or they were kept until somebody reads again
        finally:
            with self._leaving:
                self._serving -= 1
                # Whoever stops us may have gone on without us. Not before the last: what the others give back to
                # connections that are closed already stays open.
                if not self._serving:
                    self._engine.dispose()
            self._ending.one_has_ended()

    def _outcome(self, job: _Job) -> object:
        try:
            return self._perform(job)
        except Exception as error:  # noqa: BLE001 - the edge of the thread: it must live on, the awaiter be told
            failed = refusal(error)
            failed.__cause__ = error
            return _Failed(failed)

    def _perform(self, job: _Job) -> object:
        while True:
            try:
                with self._engine.connect() as connection:
                    result = self._transaction(job, connection)
            except Exception as error:
                if is_outage(error) and not isinstance(error, Moved):  # that one is never opened again
                    self._engine.dispose()  # the next read opens the database anew
                if is_away(error) and self._outage.is_ridden_out():
                    continue
                raise
            self._outage.ended()
            return result

    def _transaction(self, job: _Job, connection: Connection) -> object:
        job.connection = connection.connection.driver_connection
        try:
            with connection.begin():
                return job.work(connection)
        finally:
            job.connection = None
            if job.is_late or self._hangs:
                # That it should end may reach the database only now, and is not to end somebody else's read. Nor may
                # there be anybody any more who closes it.
                connection.invalidate()

    def _settle(self, job: _Job, outcome: object) -> None:
        del self._unsettled[job]
        self._held -= job.holds_a_thread
        if job.future.done():
            return  # its awaiter was cancelled, or refused
        if isinstance(outcome, _Failed):
            job.future.set_exception(outcome.error)
        else:
            job.future.set_result(outcome)


def _refuse(job: _Job) -> None:
    if not job.future.done():
        job.future.set_exception(StoreUnavailable(TOO_LONG))

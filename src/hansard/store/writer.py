"""The one thread that writes, and how requests share its commits.

Whoever arrives while a commit is under way waits in a bounded line; the next transaction takes
them all, so the disk is waited for once for many. It begins once a turn of the event loop has brought nobody new.
An awaiter goes on only after its COMMIT.
If one request fails for a reason of its own, the others commit without it. A database that is away for a short while
is waited for, and what had been under way is done again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby, takewhile
from queue import SimpleQueue
from typing import Any, Final, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine, exc

from hansard.errors import StoreUnavailable
from hansard.observe import Committed, Observer, ignore
from hansard.store.aside import LEAST_S, Ending, tell, thread
from hansard.store.failures import is_away, is_collision, is_outage, refusal
from hansard.store.outage import ENDS_S, TOO_LONG, WAITS_S, Outage

T = TypeVar("T")
Item = TypeVar("Item")

# One transaction takes no more than this: whoever came first should not wait for ever more others.
_MOST_AT_ONCE: Final = 256

# Nor does it wait longer for others: about what a disk takes for a commit.
_GATHERED_S: Final = 0.005

# Two writers that lock the same rows in another order can collide again, but hardly so often.
_MOST_COLLISIONS: Final = 10
_LONGEST_PAUSE_S: Final = 0.2


class _Failed:
    """What to raise in the awaiter of a job."""

    def __init__(self, cause: Exception) -> None:
        self.error = refusal(cause)
        self.error.__cause__ = cause


_Outcome: TypeAlias = object | _Failed
_Work: TypeAlias = Callable[[Connection, Sequence[Any]], Sequence[object]]
_Guard: TypeAlias = Callable[[Connection], None]
_WasDone: TypeAlias = Callable[[Connection, Any], "tuple[()] | tuple[object]"]


class _Job:
    """Something to do in a transaction, and who waits for it. Its result may be anything.

    ``work`` takes the items of all neighbours with the same work, and gives a result for each. A job is in doubt
    when the database went away from its commit; ``was_done`` then tells its result, in a tuple, if it was committed.
    One that ``is_between`` comes into no transaction.
    """

    __slots__ = ("future", "in_doubt", "is_between", "item", "since", "size_bytes", "was_done", "work")

    def __init__(
        self,
        work: _Work,
        item: object,
        was_done: _WasDone | None,
        *,
        future: asyncio.Future[Any],
        since: float,
        size_bytes: int,
        is_between: bool = False,
    ) -> None:
        self.work = work
        self.is_between = is_between
        self.item = item
        self.was_done = was_done
        self.in_doubt = False
        self.future = future
        self.since = since
        self.size_bytes = size_bytes


class Writer:
    """Belongs to the event loop that starts it.

    ``guard`` comes first in each transaction, and raises where nothing may be written. ``limit`` and ``limit_bytes``
    bound the line; ``gathered_s`` is how long at most others are let come before a transaction begins; ``waits_s`` how
    long a caller waits for its commit. What is not committed by then may still be.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        guard: _Guard,
        limit: int,
        limit_bytes: int,
        outage: Outage,
        observer: Observer = ignore,
        gathered_s: float = _GATHERED_S,
        waits_s: float = WAITS_S,
    ) -> None:
        self._engine = engine
        self._guard = guard
        self._outage = outage
        self._observer = observer
        self._committed_at = float("-inf")
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._gathered_s = gathered_s
        self._waits_s = waits_s
        self._line: deque[_Job] = deque()
        self._turns: SimpleQueue[bool] = SimpleQueue()  # True: the line is the thread's to take; False: to its end
        self._connection: Connection | None = None  # the thread's
        self._thread = thread("hansard-store-writer", self._serve)
        # Touched on the event loop only, hence without a lock.
        self._accepting = False
        self._idle = True  # nothing is under way, nor about to be
        self._unsettled: deque[_Job] = deque()
        self._waiting_bytes = 0
        self._watch: asyncio.TimerHandle | None = None
        self._hangs = False  # somebody has waited too long, and nothing was committed since
        self._ending = Ending(give_up=self._give_up)
        self.healthy = True

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._accepting = True
        self._ending.start([self._thread])

    async def stop(self) -> None:
        """Return once everything in the line is committed or refused, or has been waited for long enough."""
        if self._accepting:
            self._accepting = False
            self._turns.put(False)  # noqa: FBT003
            self.end(within_s=ENDS_S)
            if not self._hangs:
                await self._ending.wait()
        if self._watch is not None:
            self._watch.cancel()

    def end(self, *, within_s: float) -> None:
        """Whoever waits still then is refused, whoever comes later soon, and ``stop`` waits no longer."""
        self._ending.within(within_s)

    @property
    def waiting(self) -> int:
        """How many jobs are not settled yet, those under way included."""
        return len(self._unsettled)

    def has_committed_within(self, seconds: float) -> bool:
        """Whether the last transaction that was committed is no older."""
        return time.monotonic() - self._committed_at <= seconds

    def has_room(self, size_bytes: int = 0) -> bool:
        """Whether a job of that size would be taken. An empty line takes any."""
        waiting = len(self._unsettled)
        few = waiting < self._limit and self._waiting_bytes + size_bytes <= self._limit_bytes
        return self._accepting and not self._hangs and (few or not waiting)

    async def write(
        self,
        work: Callable[[Connection], T],
        *,
        was_done: Callable[[Connection], tuple[()] | tuple[T]] | None = None,
        size_bytes: int = 0,
    ) -> T:
        """Do ``work`` in a transaction; return once it is committed.

        Cancelling the caller does not undo it: what was taken into the line is written.
        ``work`` runs on the writer's thread, again if a neighbour failed, and once more if its commit was not
        answered: unless ``was_done`` says, with its result in a tuple, that it took place. Without one it must be
        the same to do it twice.
        """
        return await self.write_with_others(
            lambda connection, _: [work(connection)],
            None,
            was_done=None if was_done is None else lambda connection, _: was_done(connection),
            size_bytes=size_bytes,
        )

    async def write_with_others(
        self,
        work: Callable[[Connection, Sequence[Item]], Sequence[T]],
        item: Item,
        *,
        was_done: Callable[[Connection, Item], tuple[()] | tuple[T]] | None = None,
        size_bytes: int = 0,
    ) -> T:
        """As ``write``, but neighbours with the same ``work`` are done by one call of it, each item in its order."""
        future: asyncio.Future[T] = self._future(size_bytes)
        self._put(_Job(work, item, was_done, future=future, since=self._loop.time(), size_bytes=size_bytes))
        return await future

    async def between(self, work: Callable[[Connection], T]) -> T:
        """Do ``work`` between two transactions, by the driver: SQLAlchemy would begin one."""

        def alone(connection: Connection, _: Sequence[object]) -> Sequence[object]:
            return [work(connection)]

        future: asyncio.Future[T] = self._future(0)
        self._put(_Job(alone, None, None, future=future, since=self._loop.time(), size_bytes=0, is_between=True))
        return await future

    def _future(self, size_bytes: int) -> asyncio.Future[Any]:
        """Of a job that there is room for."""
        if not self._accepting:
            raise StoreUnavailable("The store is unavailable: it is stopped.")
        if self._hangs:
            raise StoreUnavailable(TOO_LONG)
        if not self.has_room(size_bytes):
            raise StoreUnavailable("The store is unavailable: too many writes are waiting.")
        return self._loop.create_future()

    def _put(self, job: _Job) -> None:
        self._waiting_bytes += job.size_bytes
        self._unsettled.append(job)
        self._line.append(job)
        if self._watch is None:
            self._watch = self._loop.call_later(self._waits_s, self._refuse_late)
        if self._idle:
            self._gather()

    def _gather(self) -> None:
        self._idle = False
        self._loop.call_soon(self._look, 0, time.monotonic() + self._gathered_s)

    def _look(self, before: int, until: float) -> None:
        """Begin, unless the last turn of the loop brought others: then more may be about to come.

        A transaction takes the processor as long as ten records in it. Who is alone waits for a turn of a loop that
        has little else to do.
        """
        waiting = len(self._unsettled)
        if before < waiting < _MOST_AT_ONCE and time.monotonic() < until:
            self._loop.call_soon(self._look, waiting, until)
        else:
            self._turns.put(True)  # noqa: FBT003

    def _refuse_late(self) -> None:
        """One timer for all: it looks again when whoever has waited longest by then would be late."""
        last = self._loop.time() - self._waits_s
        on_time = next((job for job in self._unsettled if job.since > last), None)
        for job in takewhile(lambda job: job is not on_time, self._unsettled):
            self._refuse(job)
        self._watch = None
        if on_time is not None:
            self._watch = self._loop.call_at(on_time.since + self._waits_s, self._refuse_late)

    def _refuse(self, job: _Job) -> None:
        self._hangs = True
        if not self._accepting:
            self._ending.abandon()
        if not job.future.done():
            job.future.set_exception(StoreUnavailable(TOO_LONG))

    def _give_up(self) -> None:
        self._waits_s = LEAST_S
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        for job in self._unsettled:
            self._refuse(job)

    def _serve(self) -> None:
        try:
            while self._turns.get() and self._take_turn():
                pass
            while self._line and self._take_turn():
                pass
        finally:
            self._disconnect()
            self._ending.one_has_ended()

    def _take_turn(self) -> bool:
        """Commit the head of the line; False if the loop was closed without stop(): then nobody waits any more."""
        jobs: list[_Job] = []
        self._join(jobs, most=1)
        began = time.monotonic()
        outcomes, healthy = self._outside(jobs[0]) if jobs[0].is_between else self._commit(jobs)
        took_s = time.monotonic() - began
        return tell(self._loop, self._settle, jobs, outcomes, healthy, took_s)

    def _commit(self, jobs: list[_Job]) -> tuple[Sequence[_Outcome], bool]:
        """Perform these and whoever waits behind them: their outcomes, and whether the database works."""
        collisions, together = 0, True
        while True:
            try:
                outcomes = self._transaction(jobs, _together if together else _apart)
            except Exception as error:  # noqa: BLE001 - the edge of the thread: it must live on, the awaiters be told
                if together and not is_outage(error):
                    together = False
                    continue
                if is_collision(error) and collisions < _MOST_COLLISIONS:
                    collisions += 1
                    # Not at once and not together, or they only collide again.
                    time.sleep(random.random() * _LONGEST_PAUSE_S * collisions / _MOST_COLLISIONS)  # noqa: S311
                    continue
                self._disconnect()  # the next transaction opens the database anew
                if is_away(error) and self._outage.is_ridden_out():
                    together = not any(job.in_doubt for job in jobs)
                    continue
                self._join(jobs)  # rather than let each of them wait out the same failure
                return [_Failed(error) for _ in jobs], not is_outage(error)
            self._outage.ended()
            return outcomes, True

    def _outside(self, job: _Job) -> tuple[Sequence[_Outcome], bool]:
        try:
            return job.work(self._connected(), [job.item]), True
        except Exception as error:  # noqa: BLE001 - the edge of the thread, as in ``_commit``
            self._disconnect()
            return [_Failed(error)], not is_outage(error)

    def _transaction(
        self, jobs: list[_Job], perform: Callable[[Connection, Sequence[_Job]], Sequence[_Outcome]]
    ) -> Sequence[_Outcome]:
        connection = self._connected()
        with connection.begin():
            self._guard(connection)
            self._join(jobs, most=_MOST_AT_ONCE)  # those who came while the lock was awaited share it
            outcomes = perform(connection, jobs)
            for job in jobs:
                job.in_doubt = True  # until its COMMIT is answered
            return outcomes

    def _connected(self) -> Connection:
        """The one connection, kept: to take it from the engine and give it back takes as long as two statements."""
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._engine.dispose()

    def _join(self, jobs: list[_Job], *, most: int | None = None) -> None:
        """Move the line, or its head, behind ``jobs``; of those between two transactions only the first in it."""
        while self._line and (most is None or len(jobs) < most) and not (jobs and self._line[0].is_between):
            jobs.append(self._line.popleft())

    def _settle(
        self,
        jobs: Sequence[_Job],
        outcomes: Sequence[_Outcome],
        healthy: bool,  # noqa: FBT001
        took_s: float,
    ) -> None:
        self.healthy = healthy
        self._hangs = False
        if not all(isinstance(outcome, _Failed) for outcome in outcomes):
            self._committed_at = time.monotonic()
            queue_s = max(self._loop.time() - jobs[0].since - took_s, 0.0)
            self._observer(Committed(writes=len(jobs), queue_s=queue_s, duration_s=took_s))
        for job, outcome in zip(jobs, outcomes, strict=True):
            self._unsettled.popleft()  # the line is taken in its order
            self._waiting_bytes -= job.size_bytes
            if job.future.done():
                continue  # its awaiter was cancelled, or refused
            if isinstance(outcome, _Failed):
                job.future.set_exception(outcome.error)
            else:
                job.future.set_result(outcome)
        if self._line:
            self._gather()
        else:
            self._idle = True


def _together(connection: Connection, jobs: Sequence[_Job]) -> Sequence[_Outcome]:
    outcomes: list[_Outcome] = []
    for work, neighbours in groupby(jobs, key=lambda job: job.work):
        outcomes += work(connection, [job.item for job in neighbours])
    return outcomes


def _apart(connection: Connection, jobs: Sequence[_Job]) -> Sequence[_Outcome]:
    """Each job in a savepoint, so that one that fails leaves nothing behind."""
    return [_alone(connection, job) for job in jobs]


def _alone(connection: Connection, job: _Job) -> _Outcome:
    try:
        return _saved(connection, job)
    except exc.IntegrityError:
        # Another server was first, perhaps with the very same thing: what it has committed can be seen now.
        return _once_more(connection, job)
    except Exception as error:
        if is_outage(error):
            raise
        return _Failed(error)


def _once_more(connection: Connection, job: _Job) -> _Outcome:
    try:
        return _saved(connection, job)
    except Exception as error:
        if is_outage(error):
            raise
        return _Failed(error)


def _saved(connection: Connection, job: _Job) -> _Outcome:
    with connection.begin_nested():
        if job.in_doubt and job.was_done is not None and (done := job.was_done(connection, job.item)):
            return done[0]
        return job.work(connection, [job.item])[0]

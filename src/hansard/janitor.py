"""Who forgets what has expired while the server runs, and tends the store: a little at a time, so that nobody waits.

When something expires is ``core.lifetimes``; how it is forgotten is the store's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Final

import msgspec

from hansard.errors import StoreUnavailable
from hansard.observe import Crashed, Observer, RecordsExpired
from hansard.store.base import Expired, Expiring

_LOOKS_EVERY_S: Final = 1.0
_TENDS_EVERY_S: Final = 1.0

# So long a batch should hold the writer; how many completions that takes is tried out.
_BATCH_S: Final = 0.01
_MOST_AT_ONCE: Final = 64

# For each second of work so many for everybody else: of a hundred reads beside it one at most should meet it. Where
# more expires than is forgotten so, reads are slowed rather than the disk filled.
_REST: Final = 24.0
_REST_IF_BEHIND: Final = 4.0
_SHORTEST_REST_S: Final = 0.01
_LONGEST_REST_S: Final = 0.5

# A long clean-up is told of as it goes on, and is behind.
_TELLS_EVERY_S: Final = 10.0

_WHERE: Final = "janitor"


class _Tally(msgspec.Struct):
    """What one sweep has done so far."""

    records: int = 0
    bodies: int = 0
    outcomes: int = 0
    freed_bytes: int = 0


class Janitor:
    """Sweeps every second, or on and on while there is something left. ``clock`` gives unix seconds."""

    def __init__(
        self,
        *,
        store: Expiring,
        observer: Observer,
        clock: Callable[[], float] = time.time,
        looks_every_s: float = _LOOKS_EVERY_S,
        tells_every_s: float = _TELLS_EVERY_S,
        tends_every_s: float = _TENDS_EVERY_S,
    ) -> None:
        self._store = store
        self._observer = observer
        self._clock = clock
        self._looks_every_s = looks_every_s
        self._tells_every_s = tells_every_s
        self._tends_every_s = tends_every_s
        self._most = _MOST_AT_ONCE
        self._is_behind = False

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Sweep meanwhile, and tend; at the end what is under way is still committed, or was not begun."""
        # Not in a task group: it would wrap what whoever runs beside it raises, and these tasks raise nothing.
        loop = asyncio.get_running_loop()
        tasks = [
            loop.create_task(self._again_and_again(work, every_s=every_s), name=f"hansard-janitor-{name}")
            for name, work, every_s in (
                ("sweeps", self.sweep, self._looks_every_s),
                ("tends", self.tend, self._tends_every_s),
            )
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def sweep(self) -> bool:
        """Forget what has expired by now, and tell of it; whether something may be left."""
        started = time.monotonic()
        now = int(self._clock())
        tally = _Tally()
        is_late = False
        try:
            projects = list(await self._store.due(now=now))
            while projects and not is_late:  # each in its turn, so that none waits for all of another's
                projects = [project for project in projects if await self._batch(project, now, tally)]
                is_late = time.monotonic() - started > self._tells_every_s
            if tally.records or tally.bodies or tally.outcomes:
                await self._give_back(tally)
        finally:
            if tally.records or tally.bodies:
                self._observer(
                    RecordsExpired(
                        records=tally.records,
                        bodies=tally.bodies,
                        freed_bytes=tally.freed_bytes,
                        duration_s=time.monotonic() - started,
                    )
                )
        self._is_behind = is_late
        return is_late

    async def tend(self) -> bool:
        """See to what makes reads quick; whether something may be left, which is never said."""
        async with aclosing(self._store.tend()) as steps:
            async for took_s in steps:
                await self._rest(took_s)
        return False

    async def _again_and_again(self, work: Callable[[], Awaitable[bool]], *, every_s: float) -> None:
        while True:
            is_more = False
            try:
                with suppress(StoreUnavailable):  # those who store are told so, and there is time
                    is_more = await work()
            except Exception as error:  # noqa: BLE001 - the edge of this task: a bug here must not end the server
                self._observer(Crashed(request_id=_WHERE, exception=error))
            if not is_more:
                await asyncio.sleep(every_s)

    async def _batch(self, project: str, now: int, tally: _Tally) -> bool:
        """Whether there was something to forget."""
        expired = await self._store.expire(project, now=now, most=self._most)
        tally.records += expired.records
        tally.bodies += expired.bodies
        tally.outcomes += expired.outcomes
        self._pace(expired)
        if not (expired.records or expired.bodies or expired.outcomes):
            return False
        await self._rest(expired.took_s)
        return True

    def _pace(self, expired: Expired) -> None:
        if expired.took_s > 2 * _BATCH_S:
            self._most = max(1, self._most // 2)
        elif expired.took_s < _BATCH_S:
            self._most = min(_MOST_AT_ONCE, self._most + 4)

    async def _give_back(self, tally: _Tally) -> None:
        while True:
            started = time.monotonic()
            freed_bytes = await self._store.give_back()
            if not freed_bytes:
                return
            tally.freed_bytes += freed_bytes
            await self._rest(time.monotonic() - started)

    async def _rest(self, took_s: float) -> None:
        rest_s = took_s * (_REST_IF_BEHIND if self._is_behind else _REST)
        await asyncio.sleep(min(max(_SHORTEST_REST_S, rest_s), _LONGEST_REST_S))

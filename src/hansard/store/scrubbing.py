"""Who takes what was deleted out of SQLite's files, little by little, beside everybody else: words out of the index,
where it has them still, and then all of it out of the log beside the file.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Final

from hansard.store import words
from hansard.store.database import Database
from hansard.store.indexing import Do

# All of the index is written, 7 MB in 0.2 s of the writer's time: not for each completion that is deleted.
EVERY_S: Final = 24 * 3600.0
FIRST_S: Final = 3600.0
"""After the start, since nobody knows what was deleted before it."""

# For each second of the writer's so many for everybody else.
_REST: Final = 4.0

# A reader may hold the log for minutes: a backup, a check. Each look holds up all who write for a moment.
_AGAIN_S: Final = 1.0


class Scrubbing:
    """Belongs to one event loop. ``between`` does ``work`` between two transactions."""

    def __init__(
        self, database: Database, *, write: Do, between: Do, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._write = write
        self._between = between
        self._clock = clock
        self._due_at = clock() + FIRST_S
        self._turn = asyncio.Lock()

    async def steps(self) -> AsyncGenerator[float, None]:
        """If it is due, do what takes a moment at a time, and tell after each step how many seconds it took."""
        if self._clock() < self._due_at:
            return
        async with self._turn, aclosing(self._merged()) as merged:
            async for took_s in merged:
                yield took_s
            began = self._clock()
            await self._between(self._database.empty_log)
            yield self._clock() - began
            self._due_at = self._clock() + EVERY_S

    async def scrub(self) -> None:
        """Return once it is done, however long somebody who reads keeps it from that."""
        async with self._turn, aclosing(self._merged()) as merged:
            async for took_s in merged:
                await asyncio.sleep(_REST * took_s)
            await self._between(self._database.write_anew)
            is_empty = await self._between(self._database.empty_log)
            while not is_empty:
                await asyncio.sleep(_AGAIN_S)
                is_empty = await self._between(self._database.empty_log)
            self._due_at = self._clock() + EVERY_S

    async def _merged(self) -> AsyncGenerator[float, None]:
        anew = is_more = True
        while is_more:
            began = self._clock()
            is_more = await self._write(partial(words.merge, anew=anew))
            anew = False
            yield self._clock() - began

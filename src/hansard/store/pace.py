"""How changes give way to reads that go on beside them.

On SQLite who writes and who reads share one interpreter, and a client that changes completions one after the other, as
fast as it can, would take half of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

# For each second of a change so many for reads, which it holds up for some two as the interpreter goes to and fro. But
# not what a slow disk takes: that is no time of the interpreter's.
_REST: Final = 4.0
_LONGEST_REST_S: Final = 0.02


class Pace:
    """Of changes that are not urgent. ``reads`` tells how many reads there were; belongs to one event loop."""

    def __init__(
        self,
        *,
        reads: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._reads = reads
        self._clock = clock
        self._pause = pause
        self._seen = reads()
        self._rests_until = clock()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Around one change: it begins after a rest if somebody has read since the last one began."""
        rest_s = self._rests_until - self._clock()
        if rest_s > 0 and self._reads() != self._seen:
            await self._pause(rest_s)
        self._seen = self._reads()
        began = self._clock()
        try:
            yield
        finally:
            ended = self._clock()
            self._rests_until = ended + min(_REST * (ended - began), _LONGEST_REST_S)

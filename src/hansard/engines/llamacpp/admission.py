"""The waiting line in front of an engine's slots: first come, first served, and not too long.

The engine is never given more than it can work on, because what waits inside it cannot be
cancelled. No HTTP and no engine here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hansard.errors import EngineBusy, HansardError

RETRY_AFTER_S = 1


class Admission:
    """``slots`` may work at once and ``queue_limit`` may wait; who comes later is refused."""

    def __init__(self, *, slots: int, queue_limit: int) -> None:
        self._free = slots
        self._queue_limit = queue_limit
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many stand in the line now."""
        return len(self._waiting)

    def check(self) -> None:
        """Refuse a new call when the line is full; raises ``EngineBusy``."""
        if self._free == 0 and len(self._waiting) >= self._queue_limit:
            text = f"{len(self._waiting)} requests wait already. Please try again later."
            raise EngineBusy(text, retry_after_s=RETRY_AFTER_S)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it. A waiter who is cancelled leaves the line."""
        await self._take()
        try:
            yield
        finally:
            self._give_back()

    def refuse_waiting(self, failure: HansardError) -> None:
        """Send everyone in the line home with ``failure``."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(failure)

    async def _take(self) -> None:
        if self._free > 0 and not self._waiting:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._give_back()  # the slot was ours already, and nobody will use it
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def _give_back(self) -> None:
        """Hand the slot to whoever waits longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

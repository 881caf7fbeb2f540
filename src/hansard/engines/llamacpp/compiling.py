"""The thread where schemas and grammars are read: they take milliseconds, and the event loop has none to spare."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from hansard.engines.llamacpp.admission import Admission
from hansard.errors import HansardError

T = TypeVar("T")


class Compiler:
    """One piece of work at a time, on a thread of its own; ``queue_limit`` more may wait."""

    def __init__(self, *, queue_limit: int) -> None:
        self._line = Admission(slots=1, queue_limit=queue_limit)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="grammars")

    async def run(self, work: Callable[[], T]) -> T:
        """What it returns or raises; raises ``EngineBusy`` when the line is full."""
        async with self.turn():
            return await self.work(work)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """For several pieces of work, with what else has to be one at a time between them; raises as ``run``."""
        self._line.check()
        async with self._line.slot():
            yield

    async def work(self, work: Callable[[], T]) -> T:
        """What it returns or raises, for who has the turn."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def refuse_waiting(self, failure: HansardError) -> None:
        """Send home who waits. What runs is finished; the thread ends with this object."""
        self._line.refuse_waiting(failure)

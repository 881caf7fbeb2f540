"""Who takes the words of what was deleted out of SQLite's index, little by little, beside everybody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Final

from hansard.store import words
from hansard.store.indexing import Do

# All of the index is written, 7 MB in 0.2 s of the writer's time: not for each completion that is deleted.
EVERY_S: Final = 24 * 3600.0
FIRST_S: Final = 3600.0
"""After the start, since nobody knows what was deleted before it."""


class Scrubbing:
    """Belongs to one event loop."""

    def __init__(self, *, write: Do, clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._due_at = clock() + FIRST_S
        self._turn = asyncio.Lock()

    async def steps(self, *, at_once: bool = False) -> AsyncGenerator[float, None]:
        """Do it if it is due, or ``at_once``, and tell after each step how many seconds it took."""
        if not at_once and self._clock() < self._due_at:
            return
        async with self._turn:
            anew = is_more = True
            while is_more:
                began = self._clock()
                is_more = await self._write(partial(words.merge, anew=anew))
                anew = False
                yield self._clock() - began
            self._due_at = self._clock() + EVERY_S

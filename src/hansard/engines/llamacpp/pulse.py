"""Whether the engine still moves: one that is held by one request holds all others, and leaving does not free it.

Its loop is asked for a sign while it works, and once more after whoever asked has left. Knows nothing of processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from hansard.errors import HansardError

EVERY_S = 5.0


class Pulse:
    """``sign`` returns once the engine's loop has come round; ``on_still`` is called when it has not for ``still_s``.

    Failures of ``sign`` say that the engine is gone, which is for others to notice.
    """

    def __init__(
        self, *, sign: Callable[[], Awaitable[object]], on_still: Callable[[], None], still_s: float, every_s: float
    ) -> None:
        self._sign = sign
        self._on_still = on_still
        self._still_s = still_s
        self._every_s = every_s
        self._at_work = 0
        self._wanted = asyncio.Event()

    @contextmanager
    def working(self) -> Iterator[None]:
        """The engine has something to do as long as this is open, and may have it afterwards."""
        self._at_work += 1
        self._wanted.set()
        try:
            yield
        finally:
            self._at_work -= 1

    async def feel(self) -> None:
        """Ask again and again, until cancelled; an engine with nothing to do is left alone."""
        while True:
            await self._wanted.wait()
            await asyncio.sleep(self._every_s)
            if not self._at_work:
                self._wanted.clear()
            try:
                async with asyncio.timeout(self._still_s):
                    with suppress(HansardError):
                        await self._sign()
            except TimeoutError:
                self._on_still()

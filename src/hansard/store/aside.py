"""Threads that nothing waits for: what a process ends with must not hang on a database, or a disk, that hangs.

So none of them is an executor's, which the interpreter joins as it ends.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

T = TypeVar("T")

LEAST_S: Final = 0.5
"""How long threads may take to end that have nothing left to do, on a machine that does much else."""


async def aside(work: Callable[[], T]) -> T:
    """What ``work`` gives, on a thread of its own. Cancelling the caller does not end it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - the edge of the thread: whoever waits is told
            tell(loop, _fail, future, error)
        else:
            tell(loop, _succeed, future, result)

    thread("hansard-store-aside", run).start()
    return await future


def thread(name: str, run: Callable[[], None]) -> threading.Thread:
    """One that ends with the process, whatever it does just then."""
    return threading.Thread(target=run, name=name, daemon=True)


def tell(loop: asyncio.AbstractEventLoop, act: Callable[..., object], *arguments: object) -> bool:
    """Have the loop do it, from another thread; False if it is closed: then nobody waits any more."""
    try:
        loop.call_soon_threadsafe(act, *arguments)
    except RuntimeError:
        return False
    return True


class Ending:
    """Of some threads, and how long it is waited for. ``give_up`` is called when that time is over.

    Belongs to the event loop on which they are started; ``one_has_ended`` is called by each of them.
    """

    def __init__(self, *, give_up: Callable[[], None]) -> None:
        self._give_up = give_up
        self._left = 0
        self._by = math.inf
        self._over = asyncio.Event()

    def start(self, threads: Sequence[threading.Thread]) -> None:
        self._loop = asyncio.get_running_loop()
        self._left = len(threads)
        for each in threads:
            each.start()

    def within(self, seconds: float) -> None:
        """From now on; if that was said before, what is over first holds."""
        if self._left:
            self._by = min(self._by, self._loop.time() + seconds)
            self._loop.call_later(seconds, self._give_up)

    async def wait(self) -> None:
        """Return once all have ended, or the time is over."""
        if self._left:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(self._by - self._loop.time(), LEAST_S)):
                    await self._over.wait()

    def abandon(self) -> None:
        """They hang, and will not end."""
        self._over.set()

    def one_has_ended(self) -> None:
        tell(self._loop, self._count)

    def _count(self) -> None:
        self._left -= 1
        if not self._left:
            self._over.set()


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)

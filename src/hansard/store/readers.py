"""The few threads that read: never the event loop, never the writer.

A read sees one moment of the database, and everything whose write was acknowledged before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine

from hansard.errors import StoreUnavailable
from hansard.store.failures import is_away, is_outage, refusal
from hansard.store.outage import Outage
from hansard.store.whereabouts import Moved

T = TypeVar("T")


class Readers:
    """``threads`` reads at a time; ``limit`` bounds those that wait or run."""

    def __init__(self, engine: Engine, *, threads: int, limit: int, outage: Outage) -> None:
        self._engine = engine
        self._outage = outage
        self._limit = limit
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="hansard-store-reader")
        # Touched on the event loop only, hence without a lock.
        self._accepting = False
        self._reading = 0
        self.begun = 0
        """Reads so far."""

    def start(self) -> None:
        self._accepting = True

    async def stop(self) -> None:
        """Return once the reads that wait or run are done."""
        self._accepting = False
        await asyncio.to_thread(self._threads.shutdown)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Do ``work`` in a transaction that ends with it."""
        if not self._accepting:
            raise StoreUnavailable("The store is unavailable: it is stopped.")
        if self._reading >= self._limit:
            raise StoreUnavailable("The store is unavailable: too many reads are waiting.")
        self._reading += 1
        self.begun += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._perform, work)
        finally:
            self._reading -= 1

    def _perform(self, work: Callable[[Connection], T]) -> T:
        while True:
            try:
                with self._engine.begin() as connection:
                    result = work(connection)
            except Exception as error:
                if is_outage(error) and not isinstance(error, Moved):  # that one is never opened again
                    self._engine.dispose()  # the next read opens the database anew
                if is_away(error) and self._outage.is_ridden_out():
                    continue
                raise refusal(error) from error
            self._outage.ended()
            return result

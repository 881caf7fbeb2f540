"""How long a reply is waited for: the limits, and one timer for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from hansard.engines.wire import Connection, Pool

T = TypeVar("T")


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait, in seconds, for each step of a call; ``None`` waits for ever.

    The first byte is the first of a reply's body, or the first event of its stream: many servers send
    the head before they begin to work.
    """

    connect_s: float | None = 5.0
    first_byte_s: float | None = 600.0
    between_chunks_s: float | None = 120.0
    total_s: float | None = None


DEFAULT_TIMEOUTS = Timeouts()


class Errand:
    """One request to one server, in however many tries: the end of its total time, and whether it may be sent again.

    ``taken_up`` is called when it has a connection; ``has_begun`` says that a byte of a reply that is no refusal has
    come: the server has done its work, or part of it.
    """

    def __init__(self, total_s: float | None, *, taken_up: Callable[[], None]) -> None:
        self.due = None if total_s is None else asyncio.get_running_loop().time() + total_s
        self.has_begun = False
        self.taken_up = taken_up

    def cap(self, step_s: float | None) -> float | None:
        """What is left for a step that may take ``step_s``."""
        if self.due is None:
            return step_s
        left_s = max(0.0, self.due - asyncio.get_running_loop().time())
        return left_s if step_s is None else min(left_s, step_s)


class Patience:
    """Waits for a connection's reply under time limits, with one timer that is moved on only when it rings.

    A timer armed and disarmed around every read costs as much as the rest of relaying a chunk. The total time
    ends the connection also while nobody reads.
    """

    def __init__(self, connection: Connection, pool: Pool, timeouts: Timeouts, errand: Errand) -> None:
        self._connection = connection
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._total_due = errand.due
        self._first_due = None if timeouts.first_byte_s is None else self._loop.time() + timeouts.first_byte_s
        self._step_s = timeouts.between_chunks_s
        self._has_begun = False
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begun(self) -> None:
        """The first byte is here: from now on the time between chunks counts."""
        self._has_begun = True

    async def over(self, step: Awaitable[T]) -> T:
        """What the step gives, if it gives it in time."""
        if not self._has_begun:
            due = self._first_due
        else:
            due = None if self._step_s is None else self._loop.time() + self._step_s
        if self._total_due is not None and (due is None or due > self._total_due):
            due = self._total_due
        if due is not None:
            self._due = due
            if self._timer is not None and self._timer.when() > due:
                self.end()
            if self._timer is None:
                self._timer = self._loop.call_at(due, self._ring)
        try:
            return await step
        finally:
            self._due = None

    def end(self) -> None:
        """Wait for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        due = self._total_due if self._due is None else self._due
        if due is None:  # nobody waits for the server now; the next step arms it again
            return
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._ring)
        else:
            self._connection.fail(TimeoutError())
            self._pool.give_back(self._connection)

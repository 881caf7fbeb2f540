"""How long a reply is waited for: the limits, and one timer for all of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final

import msgspec

from hansard.engines.wire import Connection, Pool

_NEVER: Final = math.inf


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
    """The time limits of one reply on a connection: one timer, which looks for how long it has been waited for.

    Until ``begun``, from its own beginning; then from when that wait began: to arm and disarm something around every
    read costs as much as looking at a chunk. The total time ends the connection also while nobody reads.
    """

    def __init__(self, connection: Connection, pool: Pool, timeouts: Timeouts, errand: Errand) -> None:
        self._connection = connection
        self._pool = pool
        self._loop = connection.loop
        self._total_due = _NEVER if errand.due is None else errand.due
        self._first_due = _NEVER if timeouts.first_byte_s is None else self._loop.time() + timeouts.first_byte_s
        self._step_s = _NEVER if timeouts.between_chunks_s is None else timeouts.between_chunks_s
        self._has_begun = False
        self._timer: asyncio.TimerHandle | None = None
        self._ring_at(self._first_due)

    def begun(self) -> None:
        """The first byte is here: from now on the time between chunks counts."""
        if not self._has_begun:
            self._has_begun = True
            self._ring_at(self._loop.time() + self._step_s)

    def end(self) -> None:
        """Wait for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring_at(self, due: float) -> None:
        self.end()
        due = min(due, self._total_due)
        if due != _NEVER:
            self._timer = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        now = self._loop.time()
        due = self._first_due
        if self._has_begun:
            waits_since = self._connection.waits_since
            due = (now if waits_since is None else waits_since) + self._step_s
        if now < due and now < self._total_due:
            self._ring_at(due)
        else:
            self._connection.fail(TimeoutError())
            self._pool.give_back(self._connection)

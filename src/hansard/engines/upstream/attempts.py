"""One call to one upstream as several tries: through the breaker, within the budget, each told to the observer.

All of it ends with the first byte of a reply that is no refusal: the upstream has worked for it, and the client may
have seen it. What fails later is told to the client.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hansard.engines.patience import Errand
from hansard.engines.upstream.breaker import Breaker
from hansard.engines.upstream.retries import Budget, Pauses, asked_pause_s
from hansard.errors import EngineBusy, HansardError, Unavailable, UpstreamFailed, UpstreamTimeout
from hansard.observe import EngineChanged, Observer, UpstreamTried

T = TypeVar("T")

# Such failures are an upstream's own; any other answer shows that it is there.
_OF_THE_UPSTREAM = (UpstreamFailed, UpstreamTimeout, Unavailable)


class Attempts:
    """Tries calls to one upstream; ``clock`` is any steady clock in seconds, ``chance`` a random number below 1."""

    def __init__(
        self,
        *,
        name: str,
        retries: int,
        pauses: Pauses,
        budget: Budget,
        breaker: Breaker,
        clock: Callable[[], float],
        chance: Callable[[], float],
        observer: Observer,
    ) -> None:
        self.breaker = breaker
        self._budget = budget
        self._pauses = pauses
        self._name = name
        self._retries = retries
        self._clock = clock
        self._chance = chance
        self._observer = observer

    async def first_byte(self, attempt: Callable[[], Awaitable[T]], errand: Errand) -> T:
        """What the first try that succeeds gives, or the failure of the last one; all within the errand's time."""
        self._budget.earn()
        tries = 0
        while True:
            tries += 1
            self._admit()
            try:
                return await self._once(attempt)
            except HansardError as error:
                error.has_begun = errand.has_begun
                if tries > self._retries or errand.has_begun or not self._pauses.allow(error):
                    raise
                pause_s = asked_pause_s(error) + self._pauses.after(tries, self._chance())
                if errand.cap(pause_s) != pause_s or not self._budget.spend():
                    raise
            await asyncio.sleep(pause_s)

    def _admit(self) -> None:
        now = self._clock()
        if not self.breaker.admit(now):
            raise Unavailable(
                "The model server failed several times in a row and is left alone for a moment.",
                code="upstream_unavailable",
                retry_after_s=math.ceil(self.breaker.wait_s(now)),
            )

    async def _once(self, attempt: Callable[[], Awaitable[T]]) -> T:
        started = self._clock()
        try:
            answer = await attempt()
        except EngineBusy as error:  # our own line was too long: says nothing about the upstream
            self.breaker.abandoned()
            self._tell(error.word, started)
            raise
        except HansardError as error:
            of_the_upstream = isinstance(error, _OF_THE_UPSTREAM) and error.code != "upstream_auth"
            self._judge(failed=of_the_upstream)
            self._tell(error.word, started)
            raise
        except BaseException:
            self.breaker.abandoned()
            raise
        self._judge(failed=False)
        self._tell("ok", started)
        return answer

    def _judge(self, *, failed: bool) -> None:
        """Tell the breaker, and the observer if that moved it."""
        now = self._clock()
        was_closed = self.breaker.state(now) == "closed"
        if failed:
            self.breaker.failed(now)
        else:
            self.breaker.succeeded()
        if was_closed is not (self.breaker.state(now) == "closed"):
            self._observer(EngineChanged(engine=self._name, state="left alone" if was_closed else "back"))

    def _tell(self, outcome: str, started: float) -> None:
        self._observer(UpstreamTried(upstream=self._name, outcome=outcome, duration_s=self._clock() - started))

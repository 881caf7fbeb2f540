"""Creates that come more than once under one idempotency key: the first runs, the others get what became of it.

Here is who runs and who waits, in this process; what is remembered, and where, is the recorder's (decision 22).
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from types import TracebackType

from hansard.core.idempotency import IdempotencyKey
from hansard.errors import IdempotencyKeyReused
from hansard.recorder import Recorder
from hansard.store.base import Outcome, Record
from hansard.tenancy import Principal


class Repeats:
    """Gives each key to one request at a time. A key is free again ``ttl_s`` seconds after its completion."""

    def __init__(self, *, recorder: Recorder, ttl_s: int) -> None:
        self._recorder = recorder
        self._ttl_s = ttl_s
        self._claims: dict[tuple[str, str], Claim] = {}

    async def claim(self, principal: Principal, key: IdempotencyKey, *, now: int) -> Claim | Outcome:
        """What became of the key, once that is known; or a claim, which must be entered: make it, the others wait.

        Raises what the one who was waited for raised, and IdempotencyKeyReused if the key came with another request.
        """
        place = (principal.project, key.key)
        while (other := self._claims.get(place)) is not None:
            if other.key == key:
                outcome_of_other = other.outcome
                await asyncio.wait([outcome_of_other])
                if not outcome_of_other.cancelled():
                    return outcome_of_other.result()
            elif other.is_looking:
                await other.looked.wait()  # what is remembered may be ours and not theirs
            else:
                raise IdempotencyKeyReused
        # Before anything is awaited, so that there is one.
        claim = self._claims[place] = Claim(self, principal, key)
        with ExitStack() as stack:
            stack.enter_context(claim)
            outcome = await self._recorder.recall(principal, key.key, now=now)
            if outcome is None:
                claim.looked.set()
                stack.pop_all()
                return claim
            claim.settle(outcome)
            return outcome

    async def remember(self, claim: Claim, reply: bytes, record: Record | None, *, now: int) -> Outcome:
        """Commit what became of the claim; the outcome in force is that of whoever was first."""
        outcome = Outcome(
            project=claim.project,
            key=claim.key.key,
            fingerprint=claim.key.fingerprint,
            created=now,
            expires=now + self._ttl_s,
            reply=reply,
        )
        return await self._recorder.remember(outcome, record, principal=claim.principal)

    def release(self, claim: Claim) -> None:
        """From now on the key is for others to claim."""
        del self._claims[claim.project, claim.key.key]


class Claim:
    """The right to make the one completion of a key. However its block is left, those who wait are told.

    A failure is told to those who wait and not remembered; if the block is cancelled, one of them tries instead.
    """

    def __init__(self, repeats: Repeats, principal: Principal, key: IdempotencyKey) -> None:
        self._repeats = repeats
        self.principal = principal
        self.project = principal.project
        self.key = key
        self.looked = asyncio.Event()
        """Set once it is known whether anything is remembered."""
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    @property
    def is_looking(self) -> bool:
        return not self.looked.is_set()

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.outcome.done():
            if isinstance(error, Exception):
                self.outcome.set_exception(error)
                self.outcome.exception()  # perhaps nobody waits; marking it seen keeps asyncio from reporting it
            else:
                self.outcome.cancel()
        self.looked.set()
        self._repeats.release(self)
        # It keeps an error's traceback, which leads back here: together we would wait for the garbage collector.
        del self.outcome

    async def remember(self, reply: bytes, record: Record | None, *, now: int) -> bytes:
        """Return once the completion, and its record if it has one, is committed: the reply to give.

        It is another one if somebody else, on the same database, was first.
        """
        outcome = await self._repeats.remember(self, reply, record, now=now)
        self.settle(outcome)
        return outcome.reply

    def settle(self, outcome: Outcome) -> None:
        """Tell those who wait; IdempotencyKeyReused if the outcome is that of another request."""
        if outcome.fingerprint != self.key.fingerprint:
            raise IdempotencyKeyReused
        self.outcome.set_result(outcome)

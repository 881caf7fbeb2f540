"""The policy of storing: what is checked before, what happens when a commit fails, what outlives its client.

It owns the tasks of completions that run on after their client left; nothing else here runs by itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, Final, Literal, NamedTuple, TypeVar

from hansard.contract.request import ChatRequest
from hansard.core import normalize, policies
from hansard.core.redaction import Redaction, Unknown
from hansard.core.rules import metadata_needs_store
from hansard.errors import InvalidRequest, StoreUnavailable
from hansard.observe import Observer, RecordLost
from hansard.store.base import Outcome, Outcomes, Record, Store
from hansard.store.outcomes import InMemory
from hansard.tenancy import Principal

T = TypeVar("T")

# How far the engine may be ahead of a slow reader; the rest waits where it comes from.
_AHEAD = 16

# The patterns take some 0.07 ms a KB. Before it has run for 5 ms the interpreter takes the processor from no thread
# (``sys.getswitchinterval``), so with less than this the loop would be held as long, and the way there and back to pay.
_ASIDE_BYTES: Final = 64 * 1024
# From here on it may take seconds, for which the others that go aside are not to wait.
_LONG_BYTES: Final = 1024 * 1024


class Texts(NamedTuple):
    """What was said in a completion, as JSON."""

    request: bytes
    reply: bytes

    @property
    def size(self) -> int:
        """In bytes, of both."""
        return len(self.request) + len(self.reply)


class Recorder:
    """Keeps what is to be kept, and says so when it cannot (decisions 18 to 21)."""

    def __init__(
        self,
        *,
        store: Store,
        observer: Observer,
        policy: policies.Storage = "asked",
        metadata_without_store: Literal["refuse", "accept"] = "refuse",
        patterns: Mapping[str, re.Pattern[str]] | None = None,
    ) -> None:
        self._store = store
        self._unwritten = InMemory()
        self._policy = policy
        self._patterns = patterns
        self._redactions: dict[tuple[str, ...], Redaction] = {}
        self._metadata_without_store = metadata_without_store
        self._observer = observer
        # One each, since threads take turns all the same. What waits is held by its request, so that is bounded.
        self._aside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hansard-redaction")
        self._aside_for_long = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hansard-redaction-long")
        self._running: set[asyncio.Task[Any]] = set()

    def policy(self, principal: Principal) -> policies.Storage:
        """Which completions of its are kept."""
        return policies.storage(principal.policy, principal.project_policy, of_server=self._policy)

    def wants(self, request: ChatRequest, principal: Principal) -> bool:
        """Whether the completion is to be kept; InvalidRequest for what the policy does not allow (decision 17)."""
        policy = self.policy(principal)
        if policy == "always":
            return True
        if policy == "never" and normalize.is_stored(request):
            raise InvalidRequest(
                f"Unsupported value: 'store' does not support true {self._where()}, which keeps no completions.",
                param="store",
                code="unsupported_value",
            )
        if self._metadata_without_store == "refuse":
            metadata_needs_store(request)
        return normalize.is_stored(request)

    def redaction(self, principal: Principal) -> Redaction | None:
        """What is to be blacked out of what is kept for it, if anything.

        StoreUnavailable if a pattern is not known here: what it should find must not be written down.
        """
        names = policies.redacted(principal.policy, principal.project_policy)
        if not names:
            return None
        if (known := self._redactions.get(names)) is not None:
            return known
        try:
            redaction = self._redactions[names] = Redaction(names, own=self._patterns)
        except Unknown as unknown:
            raise StoreUnavailable(
                f"The store is unavailable: what is kept in this project has to be redacted by '{unknown}', "
                "a pattern that this server does not know."
            ) from unknown
        return redaction

    def redacts_aside(self, redaction: Redaction | None, texts: Texts) -> bool:
        """Whether that takes so long that others are not to wait for it."""
        return redaction is not None and texts.size >= _ASIDE_BYTES

    async def redacted(self, redaction: Redaction | None, texts: Texts) -> Texts:
        """As they may be kept."""
        if redaction is None:
            return texts
        if not self.redacts_aside(redaction, texts):
            return _redacted(redaction, texts)
        aside = self._aside_for_long if texts.size >= _LONG_BYTES else self._aside
        return await asyncio.get_running_loop().run_in_executor(aside, _redacted, redaction, texts)

    async def check(self, principal: Principal) -> None:
        """Raise StoreUnavailable while the store is known to be down, so that no token is generated in vain.

        It is asked only if there is doubt: a question costs as much as a quarter of a stored request. And not where
        nothing is kept.
        """
        if self.policy(principal) != "never" and not self._store.healthy and not await self._store.ready():
            raise StoreUnavailable("The store is not available, so nothing was generated. Please try again.")

    async def record(self, record: Record) -> None:
        """Return once the record is committed; StoreUnavailable means that it is not acknowledged."""
        try:
            await self._store.insert(record)
        except StoreUnavailable as error:
            self._lost(record, error)
            raise

    async def recall(self, principal: Principal, key: str, *, now: int) -> Outcome | None:
        """What became of the request with this idempotency key; StoreUnavailable if that cannot be told."""
        return await self._outcomes(principal).recall(principal.project, key, now=now)

    async def remember(self, outcome: Outcome, record: Record | None, *, principal: Principal) -> Outcome:
        """As ``record``, and so that repeats get the same; the outcome in force is that of whoever was first."""
        try:
            return await self._outcomes(principal).remember(outcome, record)
        except StoreUnavailable as error:
            if record is not None:
                self._lost(record, error)
            raise

    async def outlive(self, work: Coroutine[Any, Any, T]) -> T:
        """Await ``work``; if the one who waits is cancelled, the work goes on."""
        return await asyncio.shield(self._start(work))

    async def outlive_stream(
        self, chunks: AsyncGenerator[T, None], *, ahead: int | None = _AHEAD
    ) -> AsyncGenerator[T, None]:
        """Pass the chunks on; if the one who reads leaves, they are read to their end all the same.

        At most ``ahead`` wait for a slow reader; with None all that come, so that nobody else waits for it.
        """
        read: asyncio.Queue[T | None] = asyncio.Queue(ahead or 0)
        left = False

        async def pump() -> None:
            try:
                async with aclosing(chunks):
                    async for chunk in chunks:
                        if not left:  # while somebody reads, at the reader's pace; from then on at the engine's
                            await read.put(chunk)
            finally:
                if not left:
                    await read.put(None)

        task = self._start(pump())
        try:
            while (chunk := await read.get()) is not None:
                yield chunk
            await task
        finally:
            left = True
            while not read.empty():  # which wakes a pump that waits for room
                read.get_nowait()

    async def drain(self, *, within_s: float | None = None) -> None:
        """Wait for everything that outlived its client, and cancel what takes longer than that."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def close(self) -> None:
        """Nothing more is redacted; waits for what is."""
        for aside in (self._aside, self._aside_for_long):
            aside.shutdown(cancel_futures=True)

    def _outcomes(self, principal: Principal) -> Outcomes:
        """Who wants no completion written down gets none, not even for a day."""
        return self._unwritten if self.policy(principal) == "never" else self._store

    def _where(self) -> str:
        return "on this server" if self._policy == "never" else "with this key"

    def _lost(self, record: Record, error: StoreUnavailable) -> None:
        self._observer(RecordLost(completion_id=record.id, reason=error.message))

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        # Not in a task group: one failed completion must not cancel the others. drain() waits for all of them.
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever still waits gets it; marking it seen keeps asyncio from reporting it again


def _redacted(redaction: Redaction, texts: Texts) -> Texts:
    return Texts(request=redaction.request(texts.request), reply=redaction.reply(texts.reply))

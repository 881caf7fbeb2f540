"""The engine that relays: what goes out is ``body``'s, what comes back ``reply``'s, what fails ``refusals``'s business.

The reply comes back as sent; whoever stamps it edits its id and time and nothing else.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence, Set

import msgspec

from hansard.contract import Document
from hansard.contract.request import ChatRequest
from hansard.core.accumulate import IncompleteStream
from hansard.core.spelled import Spelled
from hansard.engines.base import Call, Chunks, Health, ServedModel, Taker
from hansard.engines.client import LIMIT_BYTES, ChatClient, Events, NotAStream
from hansard.engines.patience import DEFAULT_TIMEOUTS, Errand, Timeouts
from hansard.engines.upstream import body, refusals, reply
from hansard.engines.upstream.attempts import Attempts
from hansard.engines.upstream.breaker import Breaker
from hansard.engines.upstream.listing import Listing
from hansard.engines.upstream.retries import RETRIES, Budget, Pauses
from hansard.errors import HansardError, InvalidRequest
from hansard.observe import Observer

_CHAT = "/chat/completions"
DEFAULT_PAUSES = Pauses()


class UpstreamEngine:
    """Relays to one upstream. ``unsupported`` are the fields that it does not understand.

    With ``takes_client_key`` the client's own Authorization goes there; otherwise ``key`` does, or none.
    No plain reply, and no event of a stream, may have more than ``limit_bytes``.
    """

    takes_unknown_parameters = True

    def __init__(
        self,
        *,
        name: str,
        base_url: str,
        observer: Observer,
        unix_socket: str | None = None,
        key: str | None = None,
        takes_client_key: bool = False,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        max_connections: int = 0,
        unsupported: Set[str] = frozenset(),
        retries: int = RETRIES,
        pauses: Pauses = DEFAULT_PAUSES,
        budget: Budget | None = None,
        breaker: Breaker | None = None,
        limit_bytes: int = LIMIT_BYTES,
        takes_any_model: bool = False,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.takes_any_model = takes_any_model
        self.takes_client_key = takes_client_key
        self._unsupported = unsupported
        own = {**(headers or {}), **({"Authorization": f"Bearer {key}"} if key else {})}
        self._secrets = refusals.secrets(own)
        self._client = ChatClient(
            base_url=base_url,
            unix_socket=unix_socket,
            headers=own,
            timeouts=timeouts,
            max_connections=max_connections,
            limit_bytes=limit_bytes,
        )
        self._attempts = Attempts(
            name=name,
            retries=retries,
            pauses=pauses,
            budget=budget or Budget(),
            breaker=breaker or Breaker(),
            clock=clock,
            chance=chance,
            observer=observer,
        )
        self._listing = Listing(self._client, name=name, observer=observer, takes_client_key=takes_client_key)
        self._clock = clock

    def models(self) -> Sequence[ServedModel]:
        return self._listing.models

    async def listed(self) -> Collection[str] | None:
        return await self._listing.anew()

    def health(self) -> Health:
        """The breaker knows best, since it has seen the last calls; then whoever asked for the models."""
        state = self._attempts.breaker.state(self._clock())
        if state != "closed":
            reason = f"breaker {state}: several calls in a row failed"
            return Health(ready=state == "half-open", reason=reason, elsewhere=True, state=state)
        trouble = self._listing.trouble
        reason = trouble or self._listing.remark
        return Health(ready=not trouble, reason=reason, elsewhere=True, state="failing" if trouble else "up")

    async def start(self) -> None:
        """Ask for the models once; an upstream that is down now may come up later."""
        await self._listing.start()

    async def stop(self) -> None:
        await self._listing.stop()
        await self._client.close()

    def refusals(self, request: ChatRequest) -> Iterable[InvalidRequest]:
        return ()  # its own words are not to be had without asking it

    async def complete(self, call: Call) -> Document:
        sent, headers = body.encode(call, stream=False, unsupported=self._unsupported), self._headers(call)
        errand = self._client.errand(taken_up=call.taken_up)

        async def ask() -> Document:
            answer = await self._client.post(_CHAT, sent, headers=headers, errand=errand)
            if answer.status != 200:
                raise refusals.of_reply(answer, key_is_clients=self.takes_client_key)
            return reply.completion(answer.body)

        with refusals.keeping(self._secrets):
            return await self._attempts.first_byte(ask, errand)

    async def stream(self, call: Call) -> AsyncGenerator[Chunks, None]:
        sent, headers = body.encode(call, stream=True, unsupported=self._unsupported), self._headers(call)
        errand = self._client.errand(taken_up=call.taken_up)
        with refusals.keeping(self._secrets):
            opened = await self._attempts.first_byte(lambda: self._open(sent, headers, errand), errand)
            if opened.events is None:
                yield opened.first
                return
            with opened.events as events:
                yield opened.first
                rest = _Rest(events, opened, call.taker)
                while (chunks := rest.taken()) is not None:
                    if chunks:
                        yield chunks
                    else:
                        await events.news()

    async def _open(self, sent: bytes, headers: Mapping[str, str] | None, errand: Errand) -> _Opened:
        """The first chunks: until they are here, the client has seen nothing."""
        reader = reply.Reader()
        try:
            events = await self._client.events(_CHAT, sent, headers=headers, errand=errand)
        except NotAStream as other:
            if other.reply.status != 200:
                raise refusals.of_reply(other.reply, key_is_clients=self.takes_client_key) from None
            return _Opened(first=reply.exploded(other.reply.body), failure=None, reader=reader, events=None)
        try:
            while not (payloads := events.taken()):
                if payloads is None:
                    raise IncompleteStream("The model server's stream ended before it began.")
                await events.news()
            chunks, failure = reader.chunks(payloads)
            if not chunks:
                raise failure or refusals.unreadable()
        except BaseException:
            events.close()
            raise
        return _Opened(first=chunks, failure=failure, reader=reader, events=events)

    def _headers(self, call: Call) -> Mapping[str, str] | None:
        if self.takes_client_key and call.authorization is not None:
            return {**call.headers, "Authorization": call.authorization}
        return call.headers or None


class _Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A stream whose first chunks are here; ``failure`` if they are also its last, no ``events`` if it is whole."""

    first: list[Document | Spelled]
    failure: HansardError | None
    reader: reply.Reader
    events: Events | None


class _Rest:
    """The chunks behind the first ones, to be taken; or given to ``taker`` as they come."""

    __slots__ = ("_events", "_failure", "_left", "_reader", "_taker")

    def __init__(self, events: Events, opened: _Opened, taker: Taker | None) -> None:
        self._events = events
        self._reader = opened.reader
        self._failure: Exception | None = opened.failure
        self._left: Chunks | None = None
        if taker is not None:
            self._taker = taker
            events.offer(self._given)

    def taken(self) -> Chunks | None:
        """What has come since, none if there is nothing yet; None at the end. Raises what comes behind the last."""
        if (left := self._left) is not None:
            self._left = None
            return left
        if (failure := self._failure) is not None:
            self._failure = None
            try:
                raise failure
            finally:
                del failure  # with its traceback it would lead back here, and hold all that this call leads to
        payloads = self._events.taken()
        if not payloads:
            return None if payloads is None else []
        chunks, self._failure = self._reader.chunks(payloads)
        return chunks or self.taken()

    def _given(self) -> bool:
        """Whether all that has come is with the taker, and there will be more."""
        try:
            chunks = self.taken()
            if chunks and not self._taker(chunks):
                self._left = chunks
                return False
        except Exception as failure:  # noqa: BLE001 (whoever waits for the stream raises it)
            self._failure = failure
            return False
        return chunks is not None and self._failure is None and not self._events.is_over

"""One HTTP request and its reply, over raw ASGI messages.

Starlette's own Request and StreamingResponse cost more per stream than everything else here together
(ARCHITECTURE.md has the measurement), and neither reads a body under a limit nor notices a client that leaves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from starlette.types import Message, Receive, Scope, Send

from hansard.api.bodies import Bodies
from hansard.api.leaving import Hangup, hangup_of
from hansard.api.outlet import Outlet, outlet_of
from hansard.contract import Document
from hansard.core.quota import Allowance, spelled
from hansard.core.sse import Encoder
from hansard.errors import BodyTooLarge, HansardError
from hansard.runs import Progress
from hansard.tenancy import Principal

JSON = b"application/json"
EVENTS = b"text/event-stream; charset=utf-8"
LINES = b"application/jsonl"

INNER_SLASH = "\udc2f"
"""What a percent-encoded slash is in a decoded path: half a surrogate pair, which no UTF-8 can spell."""


class ClientLeft(Exception):
    """The client closed the connection before its reply was whole."""


class Exchange:
    """What a handler is given: the request's parts, the principal, and the ways to answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, request_id: str, bodies: Bodies) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._bodies = bodies
        self._body_bytes = 0
        self._lateness: HansardError | None = None
        self._began = time.perf_counter()
        # Of several with one name the first counts.
        self._asked_headers: dict[bytes, bytes] = dict(reversed([*scope["headers"]]))
        self._headers: list[tuple[bytes, bytes]] = [(b"x-request-id", request_id.encode())]
        self.request_id = request_id
        self.principal = Principal("")
        self.progress = Progress()
        self.admitted = False
        """Whether the key was good: only then is a reply dressed as the API's (recorded)."""
        self.complete = False
        """Whether the last byte of the reply has been sent."""
        self.content_type = JSON
        """Of a stream that has begun: how an error is to be told in it."""
        self.status: int | None = None
        """The status sent, or None before the reply has begun."""

    @property
    def elapsed_ms(self) -> float:
        """Since the request came."""
        return (time.perf_counter() - self._began) * 1000

    @property
    def method(self) -> str:
        return str(self._scope["method"])

    @property
    def path(self) -> str:
        return str(self._scope["path"]).replace(INNER_SLASH, "/")

    @property
    def query(self) -> bytes:
        """The query string as it came."""
        return bytes(self._scope["query_string"])

    def param(self, name: str) -> str:
        """A part of the path, percent-decoded."""
        return str(self._scope["path_params"][name]).replace(INNER_SLASH, "/")

    def param_or(self, name: str, default: str) -> str:
        """A part of the path, if the address has one of that name."""
        return self.param(name) if name in self._scope.get("path_params", {}) else default

    def header(self, name: bytes) -> str | None:
        """A request header, by its lower-case name."""
        value = self._asked_headers.get(name)
        return None if value is None else value.decode("latin-1")

    def add_header(self, name: bytes, value: bytes) -> None:
        """A header for the reply."""
        self._headers.append((name, value))

    async def body(self) -> bytes:
        """The whole body; BodyTooLarge or TooManyBodies before more of it is read than the limits allow."""
        length = self.header(b"content-length")
        if length is not None and length.isdigit() and int(length) > self._bodies.most_bytes:
            raise BodyTooLarge(self._bodies.most_bytes)
        hangup = hangup_of(self._scope)
        if hangup is None:
            return await self._pieces()
        hangup.late = self._be_late
        try:
            return await self._pieces()
        finally:
            hangup.late = None  # it leads back here: together we would wait for the garbage collector

    async def _pieces(self) -> bytes:
        pieces: list[bytes] = []
        while True:
            message = await self._next_message()
            if self._lateness is not None:
                raise self._lateness
            piece = message.get("body", b"")
            self._body_bytes = self._bodies.grow(self._body_bytes, by=len(piece))
            pieces.append(piece)
            if not message.get("more_body"):
                return b"".join(pieces)

    def _be_late(self, error: HansardError) -> None:
        self._lateness = error

    async def counted_body(self) -> bytes:
        """The same, as one of those that its client may send at once; LimitReached before any of it is read."""
        with self._bodies.arriving(self.principal):
            return await self.body()

    def let_go(self) -> None:
        """It is over, and so its body is held no more."""
        self._bodies.let_go(self._body_bytes)
        self._body_bytes = 0

    async def reply(
        self,
        status: int,
        document: Document | bytes,
        headers: Mapping[bytes, bytes] | None = None,
        *,
        content_type: bytes = JSON,
    ) -> None:
        """Send a whole reply; a document is sent as JSON."""
        body = document if isinstance(document, bytes) else msgspec.json.encode(document)
        await self._start(status, [(b"content-length", b"%d" % len(body)), *(headers or {}).items()], content_type)
        await self._finish(body)

    async def start_stream(self, content_type: bytes = EVENTS) -> None:
        """Begin a stream, of server-sent events if not said otherwise; ``write`` and ``end`` follow."""
        self.content_type = content_type
        # A proxy in front must pass events on as they come.
        await self._start(200, [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")], content_type)

    def write(self, events: bytes) -> Awaitable[None]:
        """Send some events; waits while the client reads slower than we write."""
        return self._send({"type": "http.response.body", "body": events, "more_body": True})

    def outlet(self, encoder: Encoder) -> Outlet | None:
        """What writes chunks of a stream that has begun, with no wait; where the server has a way to."""
        return outlet_of(self._send, encoder)

    async def end(self, events: bytes) -> None:
        """Send the last events and end the stream."""
        await self._finish(events)

    def while_connected(self) -> WhileConnected:
        """Cancel what runs inside as soon as the client leaves, and raise ClientLeft in its place.

        To be entered once the body has been read.
        """
        return WhileConnected(self._receive, hangup_of(self._scope), is_over=lambda: self.complete)

    async def _finish(self, body: bytes) -> None:
        # Set first: once the reply is whole, the server reports a disconnect that is none.
        self.complete = True
        await self._send({"type": "http.response.body", "body": body})

    async def _next_message(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        return message

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]], content_type: bytes) -> None:
        self.status = status
        head = [(b"content-type", content_type), *headers, *self._headers]
        if self.admitted:
            head += ((b"openai-version", b"2020-10-01"), (b"openai-processing-ms", b"%d" % self.elapsed_ms))
        if self.progress.allowance is not None:
            head += standing_headers(self.progress.allowance)
        await self._send({"type": "http.response.start", "status": status, "headers": head})


_STANDING = {
    unit: tuple(b"x-ratelimit-" + what + b"-" + unit for what in (b"limit", b"remaining", b"reset"))
    for unit in (b"requests", b"tokens")
}
STANDING_HEADERS = tuple(name.decode() for names in _STANDING.values() for name in names)
"""Their names."""


def standing_headers(allowance: Allowance) -> list[tuple[bytes, bytes]]:
    """Of each limit that its client has, as the live API says it (dossier, section c)."""
    head: list[tuple[bytes, bytes]] = []
    for (limit, remaining, reset), standing in zip(_STANDING.values(), allowance, strict=True):
        if standing is not None:
            head += (
                (limit, b"%d" % standing.limit),
                (remaining, b"%d" % standing.remaining),
                (reset, spelled(standing.reset_s).encode()),
            )
    return head


class WhileConnected:
    """The block of ``Exchange.while_connected``; ``is_over`` says whether the reply is whole.

    A server without a ``hangup`` has to be asked. Looking begins a moment late, because many replies are whole by
    then and need no task to look.
    """

    LATE_S = 0.002

    def __init__(self, receive: Receive, hangup: Hangup | None, *, is_over: Callable[[], bool]) -> None:
        self._receive = receive
        self._hangup = hangup
        self._is_over = is_over
        self._left = False
        self._later: asyncio.TimerHandle | asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        working = asyncio.current_task(self._loop)
        assert working is not None
        self._working = working
        if self._hangup is None:
            self._later = self._loop.call_later(self.LATE_S, self._look)
        elif self._hangup.is_past:
            self._leave()
        else:
            self._hangup.act = self._leave

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Both know us: together we would wait for the garbage collector.
        if self._hangup is not None:
            self._hangup.act = None
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._left and kind is asyncio.CancelledError and self._working.uncancel() == 0:
            raise ClientLeft from None

    def _look(self) -> None:
        # A task of its own and no task group: a group would wrap every error from inside in an ExceptionGroup.
        # It ends with the block.
        self._later = self._loop.create_task(self._until_left())

    async def _until_left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()

    def _leave(self) -> None:
        if not self._is_over():
            self._left = True
            self._working.cancel()

"""The HTTP client for any chat server, over TCP or over a Unix socket.

Here live connections, time limits and the one table that turns the HTTP library's exceptions
into ours. What a reply means is the engines' business: a body goes out, bytes come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping
from typing import TypeVar

import aiohttp
import msgspec
from aiohttp.http_exceptions import HttpProcessingError

from hansard.core.sse import Decoder
from hansard.errors import HansardError, UpstreamFailed, UpstreamTimeout

T = TypeVar("T")

JSON_HEADERS = {"Content-Type": "application/json"}
# A relay forwards what it reads: a compressed reply would only be unpacked again.
DEFAULT_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "hansard"}
EVENT_STREAM = "text/event-stream"
STREAM_END = b"[DONE]"
# The most that waits here for a reader who is slower than the server: reading pauses at twice this.
READ_BUFFER_BYTES = 16 * 1024
DRAIN_S = 0.25


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait, in seconds, for each step of a call; ``None`` waits for ever."""

    connect_s: float | None = 5.0
    first_byte_s: float | None = 600.0
    between_chunks_s: float | None = 120.0
    total_s: float | None = None


DEFAULT_TIMEOUTS = Timeouts()


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A whole HTTP reply. Header names may be looked up in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NotAStream(Exception):
    """A stream was asked for and something else came: a refusal, or one whole body."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"status {reply.status}")
        self.reply = reply


class ChatClient:
    """One engine's way to its chat server. Failures are ``UpstreamFailed`` or ``UpstreamTimeout``.

    ``base_url`` is what paths are appended to; with ``unix_socket`` its host is only a name.
    ``keep_alive=False`` opens one connection per call, for servers that do not keep them well.
    Beyond ``max_connections`` (0: no limit) calls wait for one, within the time for the first byte.
    """

    def __init__(
        self,
        *,
        base_url: str,
        unix_socket: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        keep_alive: bool = True,
        max_connections: int = 0,
        limit_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._unix_socket = unix_socket
        self._headers = {**DEFAULT_HEADERS, **(headers or {})}
        self._timeouts = timeouts
        self._keep_alive = keep_alive
        self._max_connections = max_connections
        self._limit_bytes = limit_bytes
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close every connection. A later call opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, path: str) -> Reply:
        """GET ``path`` and read the whole reply, whatever its status."""
        return await self._whole("GET", path, None, None)

    async def post(self, path: str, body: bytes, *, headers: Mapping[str, str] | None = None) -> Reply:
        """POST the JSON ``body`` and read the whole reply, whatever its status."""
        return await self._whole("POST", path, body, headers)

    async def stream(
        self, path: str, body: bytes, *, headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[list[bytes], None]:
        """POST the JSON ``body`` and yield the payloads of the events up to ``[DONE]``, those of one read together.

        Closing the generator closes the connection at once, which is what cancels the work at
        the other end. Raises ``NotAStream`` when the reply is anything but a stream of events.
        """
        deadline = _Deadline(self._timeouts.total_s)
        response = await self._open("POST", path, body, headers, deadline)
        patience = _Patience(response.content, self._timeouts.between_chunks_s, deadline)
        try:
            if response.status != 200 or response.content_type != EVENT_STREAM:
                raise NotAStream(await self._read(response, patience))
            decoder, unfinished_bytes = Decoder(), 0
            while data := await patience.read():
                payloads = decoder.feed(data)
                unfinished_bytes = 0 if payloads else unfinished_bytes + len(data)
                if unfinished_bytes > self._limit_bytes:
                    raise self._too_large()
                done = STREAM_END in payloads
                if done:
                    payloads = payloads[: payloads.index(STREAM_END)]
                if payloads:
                    yield payloads
                if done:
                    await self._drain(response.content)
                    return
            if payloads := [payload for payload in decoder.flush() if payload != STREAM_END]:
                yield payloads
        finally:
            patience.end()
            response.close()

    async def _whole(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None) -> Reply:
        deadline = _Deadline(self._timeouts.total_s)
        response = await self._open(method, path, body, headers, deadline)
        patience = _Patience(response.content, self._timeouts.between_chunks_s, deadline)
        try:
            return await self._read(response, patience)
        finally:
            patience.end()
            response.release()

    async def _open(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None, deadline: _Deadline
    ) -> aiohttp.ClientResponse:
        if body is not None:
            headers = JSON_HEADERS if headers is None else {**JSON_HEADERS, **headers}
        request = self._opened_session().request(
            method, self._base_url + path, data=body, headers=headers, allow_redirects=False
        )
        return await _within(deadline.cap(self._timeouts.first_byte_s), request)

    async def _read(self, response: aiohttp.ClientResponse, patience: _Patience) -> Reply:
        body = bytearray()
        while data := await patience.read():
            body += data
            if len(body) > self._limit_bytes:
                response.close()
                raise self._too_large()
        return Reply(status=response.status, headers=response.headers, body=bytes(body))

    async def _drain(self, content: aiohttp.StreamReader) -> None:
        """Read the few bytes behind the last event, so that the connection can serve again."""
        if not self._keep_alive or content.at_eof():
            return
        try:
            async with asyncio.timeout(DRAIN_S):
                while await content.readany():
                    pass
        except FOREIGN:
            return  # The reply is complete: nobody misses what could not be read behind it.

    def _too_large(self) -> HansardError:
        text = f"The model server's reply is larger than this server accepts ({self._limit_bytes} bytes)."
        return UpstreamFailed(text, code="upstream_invalid_response")

    def _opened_session(self) -> aiohttp.ClientSession:
        """Opened at the first call, because a session belongs to the loop it is opened in."""
        if self._session is None:
            limit, force_close = self._max_connections, not self._keep_alive
            connector: aiohttp.BaseConnector
            if self._unix_socket is not None:
                connector = aiohttp.UnixConnector(path=self._unix_socket, limit=limit, force_close=force_close)
            else:
                connector = aiohttp.TCPConnector(limit=limit, force_close=force_close)
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeouts.connect_s),
                read_bufsize=READ_BUFFER_BYTES,
            )
        return self._session


class _Deadline:
    """The end of a call's total time, if it has one."""

    def __init__(self, total_s: float | None) -> None:
        self._at = None if total_s is None else asyncio.get_running_loop().time() + total_s

    def cap(self, step_s: float | None) -> float | None:
        """What is left for a step that may take ``step_s``."""
        if self._at is None:
            return step_s
        left_s = max(0.0, self._at - asyncio.get_running_loop().time())
        return left_s if step_s is None else min(left_s, step_s)


class _Patience:
    """Reads a reply under its time limits, with one timer that is moved on only when it rings.

    A timer armed and disarmed around every read costs as much as the rest of relaying a chunk.
    """

    def __init__(self, content: aiohttp.StreamReader, step_s: float | None, deadline: _Deadline) -> None:
        self._content = content
        self._step_s = step_s
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def read(self) -> bytes:
        """What has arrived, at least a byte; nothing at the end. Failures are ours."""
        wait_s = self._deadline.cap(self._step_s)
        if wait_s is not None:
            self._due = self._loop.time() + wait_s
            if self._timer is None:
                self._timer = self._loop.call_at(self._due, self._ring)
        try:
            return await self._content.readany()
        except FOREIGN as failure:
            raise translate(failure) from failure
        finally:
            self._due = None

    def end(self) -> None:
        """Wait for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        self._timer = None
        if self._due is None:  # nobody waits for the server now; the next read arms it again
            return
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._ring)
        else:
            self._content.set_exception(TimeoutError())


async def _within(seconds: float | None, step: Awaitable[T]) -> T:
    """Wait for one step of a call and speak of its failure in our words."""
    try:
        async with asyncio.timeout(seconds):
            return await step
    except FOREIGN as failure:
        raise translate(failure) from failure


UNREACHABLE = "The model server could not be reached."
TIMED_OUT = "The model server did not answer in time."
BROKEN_OFF = "The connection to the model server broke off."
UNREADABLE = "The model server's reply could not be understood."
MISADDRESSED = "The model server's address cannot be used."
UNSAFE = "A secure connection to the model server could not be made."

# First match wins, so a class stands before its bases. Left: what the HTTP library and the
# operating system raise (aiohttp 3.14, client_exceptions.py). Right: what a client is told.
TABLE: tuple[tuple[type[Exception], type[HansardError], str, str], ...] = (
    (TimeoutError, UpstreamTimeout, "upstream_timeout", TIMED_OUT),
    (aiohttp.ClientSSLError, UpstreamFailed, "upstream_unreachable", UNSAFE),
    (aiohttp.ClientConnectorError, UpstreamFailed, "upstream_unreachable", UNREACHABLE),
    (aiohttp.ServerFingerprintMismatch, UpstreamFailed, "upstream_unreachable", UNSAFE),
    (aiohttp.InvalidURL, UpstreamFailed, "upstream_unreachable", MISADDRESSED),
    (aiohttp.NonHttpUrlClientError, UpstreamFailed, "upstream_unreachable", MISADDRESSED),
    (aiohttp.ClientConnectionError, UpstreamFailed, "upstream_unreachable", BROKEN_OFF),
    (aiohttp.ClientPayloadError, UpstreamFailed, "upstream_unreachable", BROKEN_OFF),
    (aiohttp.ClientResponseError, UpstreamFailed, "upstream_invalid_response", UNREADABLE),
    (aiohttp.ClientError, UpstreamFailed, "upstream_invalid_response", UNREADABLE),
    (HttpProcessingError, UpstreamFailed, "upstream_invalid_response", UNREADABLE),
    (OSError, UpstreamFailed, "upstream_unreachable", BROKEN_OFF),
)
FOREIGN: tuple[type[Exception], ...] = tuple(foreign for foreign, *_ in TABLE)


def translate(failure: Exception) -> HansardError:
    """Our error for a foreign one; its own text stays in the chain, for the log."""
    ours, code, text = next(row[1:] for row in TABLE if isinstance(failure, row[0]))
    return ours(text, code=code)

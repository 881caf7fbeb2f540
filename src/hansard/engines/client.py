"""The HTTP client for any chat server, over TCP or over a Unix socket.

Here lives the one table that turns foreign exceptions into ours; connections are ``wire``'s, time limits
``patience``'s. What a reply means is the engines' business: a body goes out, bytes come back.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from functools import partial
from typing import Self
from urllib.parse import quote, urlsplit

import msgspec

from hansard.core.sse import Decoder
from hansard.engines.patience import DEFAULT_TIMEOUTS, Errand, Patience, Timeouts
from hansard.engines.wire import Broken, Connection, Full, Head, Pool, Unreadable, new_room
from hansard.errors import BrokenOff, EngineBusy, HansardError, UpstreamFailed, UpstreamTimeout

# A relay forwards what it reads: a compressed reply would only be unpacked again.
DEFAULT_HEADERS = {"User-Agent": "hansard", "Accept": "*/*", "Accept-Encoding": "identity"}
EVENT_STREAM = "text/event-stream"
STREAM_END = b"[DONE]"
_OBJECT = ord("{")
# How long the body may go on behind ``[DONE]`` before its connection is given up; nobody waits meanwhile.
DRAIN_S = 0.25
# A type that servers fall back to, and how a stream of events begins that has it; JSON begins with none of these.
_UNTOLD = ("", "text/plain", "application/json", "application/octet-stream")
_LIKE_EVENTS = (b"d", b"e", b":")
LIMIT_BYTES = 64 * 1024 * 1024


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


class Events:
    """The payloads of one stream's events up to ``[DONE]``, those of one read together; ``first`` was read before.

    They are taken, and waited for while there are none: another generator between a stream and its client would be
    gone through anew with each chunk. Leaving the ``with`` before their end closes the connection at once, which is
    what cancels the work at the other end. No event may have more than ``limit_bytes``.
    """

    def __init__(
        self, connection: Connection, patience: Patience, pool: Pool, *, first: bytes, limit_bytes: int
    ) -> None:
        self._connection = connection
        self._patience = patience
        self._pool = pool
        self._decoder = Decoder()
        self._first = first
        self._limit_bytes = limit_bytes
        self._unfinished_bytes = 0
        self._has_begun = self._is_complete = self.is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.taker = None
        self._patience.end()
        if self._is_complete:
            self._pool.give_back_whole(self._connection, within_s=DRAIN_S)
        else:
            self._pool.give_back(self._connection)

    def taken(self) -> list[bytes] | None:
        """What has come since, none if there is nothing yet; None at the end."""
        while not self.is_over:
            data, self._first = self._first or self._connection.taken(), b""
            if data is None:
                return []
            if payloads := self._payloads(data):
                if not self._has_begun:
                    self._patience.begun()
                    self._has_begun = True
                return payloads
        return None

    def _payloads(self, data: bytes) -> list[bytes]:
        if data:
            payloads = self._decoder.feed(data)
        else:
            payloads, self.is_over = self._decoder.flush(), True
        self._unfinished_bytes = 0 if payloads else self._unfinished_bytes + len(data)
        if self._unfinished_bytes > self._limit_bytes:
            raise _too_large(self._limit_bytes)
        # Chunks are objects, so few need a closer look.
        if payloads and (STREAM_END in payloads or payloads[-1][0] != _OBJECT) and _cut_at_end(payloads):
            self._is_complete = self.is_over = True
        return payloads

    def offer(self, taker: Callable[[], bool]) -> None:
        """From now on call it, while ``news`` are waited for, when some may be there: whether it has taken them all."""
        self._connection.taker = taker

    def news(self) -> Awaitable[None]:
        """Done once there may be something to take; fails with what ended the stream."""
        try:
            return self._connection.news()
        except FOREIGN as failure:
            raise translate(failure) from failure


class ChatClient:
    """One engine's way to its chat server. Failures are ``UpstreamFailed``, ``UpstreamTimeout`` or ``EngineBusy``.

    ``base_url`` is what paths are appended to; with ``unix_socket`` its host is only a name.
    ``keep_alive=False`` opens one connection per call, for servers that do not keep them well.
    Beyond ``max_connections`` (0: no limit) calls wait for one, as long as for a first byte, then it is ``EngineBusy``.
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
        limit_bytes: int = LIMIT_BYTES,
    ) -> None:
        self._address = urlsplit(base_url.rstrip("/"))
        self._unix_socket = unix_socket
        self._headers = {**DEFAULT_HEADERS, **(headers or {})}
        self._timeouts = timeouts
        self._limit_bytes = limit_bytes
        self._connection = partial(Connection, new_room())
        self._pool = Pool(self._connect, limit=max_connections, keep=keep_alive)
        self._tls: ssl.SSLContext | None = None
        self._starts: dict[tuple[str, str], bytes] = {}

    async def close(self) -> None:
        """Close every connection. A later call opens new ones."""
        self._pool.close()

    def errand(self, *, taken_up: Callable[[], None] = lambda: None) -> Errand:
        """For all tries of one request, whose total time begins now."""
        return Errand(self._timeouts.total_s, taken_up=taken_up)

    async def get(self, path: str) -> Reply:
        """GET ``path`` and read the whole reply, whatever its status."""
        return await self._whole(self._request("GET", path, b"", None), self.errand())

    async def post(
        self, path: str, body: bytes, *, headers: Mapping[str, str] | None = None, errand: Errand | None = None
    ) -> Reply:
        """POST the JSON ``body`` and read the whole reply, whatever its status."""
        return await self._whole(self._request("POST", path, body, headers), errand or self.errand())

    async def stream(self, path: str, body: bytes) -> AsyncGenerator[list[bytes], None]:
        """As ``events``: the payloads of each read that completed some. Closing the generator closes them."""
        with await self.events(path, body) as events:
            while (payloads := events.taken()) is not None:
                if payloads:
                    yield payloads
                else:
                    await events.news()

    async def events(
        self, path: str, body: bytes, *, headers: Mapping[str, str] | None = None, errand: Errand | None = None
    ) -> Events:
        """POST the JSON ``body``; the events of its reply. Raises ``NotAStream`` when the reply is anything else."""
        errand = errand or self.errand()
        connection, patience, head = await self._asked(self._request("POST", path, body, headers), errand)
        try:
            first = await self._first_of_stream(head, connection, patience)
        except BaseException as failure:
            patience.end()
            self._pool.give_back(connection)
            if isinstance(failure, FOREIGN):
                raise translate(failure) from failure
            raise
        return Events(connection, patience, self._pool, first=first, limit_bytes=self._limit_bytes)

    async def _whole(self, request: bytes, errand: Errand) -> Reply:
        connection, patience, head = await self._asked(request, errand)
        try:
            return await self._read(head, connection, patience)
        except FOREIGN as failure:
            raise translate(failure) from failure
        finally:
            patience.end()
            self._pool.give_back(connection)

    async def _asked(self, request: bytes, errand: Errand) -> tuple[Connection, Patience, Head]:
        """The head of the reply, and where the rest comes from; a kept connection may be found closed, once."""
        if (kept := self._pool.take_idle()) is not None:
            try:
                return await self._ask(request, kept, errand)
            except ConnectionError as failure:
                if kept.has_begun:
                    raise translate(failure) from failure
                self._pool.let_go()  # the others are older
            except FOREIGN as failure:
                raise translate(failure) from failure
        try:
            await self._pool.room(errand.cap(self._timeouts.first_byte_s))
            async with asyncio.timeout(errand.cap(None)):
                connection = await self._pool.take()
            return await self._ask(request, connection, errand)
        except FOREIGN as failure:
            raise translate(failure) from failure

    async def _ask(self, request: bytes, connection: Connection, errand: Errand) -> tuple[Connection, Patience, Head]:
        errand.taken_up()
        patience = Patience(connection, self._pool, self._timeouts, errand)
        try:
            connection.send(request)
            head = await connection.head()
        except BaseException:
            errand.has_begun = connection.has_begun  # what it would have said nobody knows
            patience.end()
            self._pool.give_back(connection)
            raise
        errand.has_begun = head.status < 300
        return connection, patience, head

    async def _first_of_stream(self, head: Head, connection: Connection, patience: Patience) -> bytes:
        """What had to be read to know that it is one, or ``NotAStream``: some servers do not say so in the head."""
        kind, first = _content_type(head), b""
        if head.status == 200 and kind == EVENT_STREAM:
            return first
        if head.status == 200 and kind in _UNTOLD:
            first = await connection.read()
            patience.begun()
            if first.startswith(_LIKE_EVENTS):
                return first
        raise NotAStream(await self._read(head, connection, patience, first))

    async def _read(self, head: Head, connection: Connection, patience: Patience, first: bytes = b"") -> Reply:
        pieces, size = [first], len(first)
        while True:
            data = await connection.read()
            if not data:
                break
            patience.begun()
            pieces.append(data)
            size += len(data)
            if size > self._limit_bytes:
                raise _too_large(self._limit_bytes)
        return Reply(status=head.status, headers=head.headers, body=b"".join(pieces))

    def _request(self, method: str, path: str, body: bytes, headers: Mapping[str, str] | None) -> bytes:
        start = self._starts.get((method, path))
        if start is None:
            start = self._starts[method, path] = self._start(method, path)
        more = "".join(_header(name, value) for name, value in headers.items()) if headers else ""
        length = b"Content-Length: %d\r\n" % len(body) if method == "POST" else b""
        return b"".join((start, more.encode("latin-1"), length, b"\r\n", body))

    def _start(self, method: str, path: str) -> bytes:
        """The lines that every request to this path begins with."""
        target = quote(self._address.path + path, safe="/%:@!$&'()*+,;=~")
        headers = {"Host": self._address.netloc, **self._headers}
        if method == "POST":
            headers["Content-Type"] = "application/json"
        lines = "".join(_header(name, value) for name, value in headers.items())
        return f"{method} {target} HTTP/1.1\r\n{lines}".encode("latin-1")

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._timeouts.connect_s):
            if self._unix_socket is not None:
                _, connection = await loop.create_unix_connection(self._connection, self._unix_socket)
                return connection
            is_safe = self._address.scheme == "https"
            port = self._address.port or (443 if is_safe else 80)
            if is_safe and self._tls is None:
                self._tls = ssl.create_default_context()
            tls = self._tls if is_safe else None
            _, connection = await loop.create_connection(self._connection, self._address.hostname or "", port, ssl=tls)
            return connection


def _too_large(limit_bytes: int) -> HansardError:
    text = f"The model server's reply is larger than this server accepts ({limit_bytes} bytes)."
    return UpstreamFailed(text, code="upstream_invalid_response")


def _header(name: str, value: str) -> str:
    """One line; a value that would make two of it is the operator's mistake, or an attempt at one."""
    if "\r" in value or "\n" in value:
        raise UpstreamFailed(MISADDRESSED)
    return f"{name}: {value}\r\n"


def _cut_at_end(payloads: list[bytes]) -> bool:
    """Take away ``[DONE]`` and what follows it, if it is there."""
    for at, payload in enumerate(payloads):
        if payload.strip() == STREAM_END:
            del payloads[at:]
            return True
    return False


def _content_type(head: Head) -> str:
    return head.headers.get("content-type", "").partition(";")[0].strip().lower()


UNREACHABLE = "The model server could not be reached."
TIMED_OUT = "The model server did not answer in time."
BROKEN_OFF = "The connection to the model server broke off."
UNREADABLE = "The model server's reply could not be understood."
BUSY = "The model server is busy: no connection to it came free in time."
MISADDRESSED = "The model server's address cannot be used."
UNSAFE = "A secure connection to the model server could not be made."
UNTRUSTED = "The model server's certificate does not hold: not trusted here, for another name, or expired."

# First match wins, so a class stands before its bases. Left: what the operating system, its resolver,
# TLS and ``wire`` raise. Right: what a client is told.
TABLE: tuple[tuple[type[Exception], type[HansardError], str, str], ...] = (
    (TimeoutError, UpstreamTimeout, "upstream_timeout", TIMED_OUT),
    (ssl.SSLCertVerificationError, UpstreamFailed, "upstream_unreachable", UNTRUSTED),
    (ssl.SSLError, UpstreamFailed, "upstream_unreachable", UNSAFE),
    (ConnectionRefusedError, UpstreamFailed, "upstream_unreachable", UNREACHABLE),
    (Broken, BrokenOff, "upstream_unreachable", BROKEN_OFF),
    (ConnectionError, BrokenOff, "upstream_unreachable", BROKEN_OFF),
    (OSError, UpstreamFailed, "upstream_unreachable", UNREACHABLE),
    (UnicodeError, UpstreamFailed, "upstream_unreachable", MISADDRESSED),
    (Unreadable, UpstreamFailed, "upstream_invalid_response", UNREADABLE),
    (Full, EngineBusy, "upstream_busy", BUSY),
)
FOREIGN: tuple[type[Exception], ...] = tuple(foreign for foreign, *_ in TABLE)


def translate(failure: Exception) -> HansardError:
    """Our error for a foreign one; its own text stays in the chain, for the log."""
    ours, code, text = next(row[1:] for row in TABLE if isinstance(failure, row[0]))
    return ours(text, code=code)

"""One HTTP/1.1 connection seen from the client, and the pool that keeps them. Parsing is llhttp's.

A general HTTP library costs a relay more than everything else it does together (ARCHITECTURE.md has the
measurement). What is left out, because no chat server needs it: redirects, cookies, proxies, compression.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from time import monotonic
from typing import Final, cast

import httptools
import msgspec

# The most that is read at once. Read chunks take five times their size while they are looked at, so it is also what
# a stream holds whose client is slow.
READ_BYTES: Final = 8 * 1024
# What waits here for a slower reader; with more than this the server is made to wait.
READ_AHEAD_BYTES: Final = 4 * 1024
# The most that may come without a byte of a body: a head, or what stands between chunks and behind them.
HEAD_BYTES: Final = 64 * 1024
# Shorter than the 15 to 75 seconds after which the usual servers and balancers close an idle connection.
IDLE_S: Final = 12.0


def new_room() -> memoryview:
    """Where connections read to."""
    return memoryview(bytearray(READ_BYTES))


class Broken(ConnectionError):
    """The connection ended before the reply did."""


class Unreadable(Exception):
    """What came is no HTTP/1.1 reply that can be used here."""


class Full(Exception):
    """Every connection that there may be was in use for too long."""


class Head(msgspec.Struct, frozen=True):
    """Status and headers of a reply; the headers' names are in lower case."""

    status: int
    headers: Mapping[str, str]


class Connection(asyncio.BufferedProtocol):
    """One exchange at a time: ``send``, then ``head``, then ``read`` until it gives nothing.

    ``fail`` ends the waiting of whoever reads with that exception. ``room`` is where reads arrive and are parsed at
    once: the connections of one loop may share it. ``ended`` is called when no more of the reply will come. ``taker``
    is asked first, while somebody waits, whether it has taken all that came: then whoever waits goes on waiting, unless
    that was the end.
    """

    _transport: asyncio.Transport

    def __init__(self, room: memoryview | None = None) -> None:
        self.idle_since = 0.0
        self.is_open = False
        self.loop = asyncio.get_running_loop()
        self._room = new_room() if room is None else room
        self._waiter: asyncio.Future[None] | None = None
        self._waits_since = 0.0
        self.ended: Callable[[], None] | None = None
        self.taker: Callable[[], bool] | None = None
        self._is_paused = False
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._head: Head | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._header_bytes = 0
        self._bodiless_bytes = 0
        self.has_begun = False
        self._failure: Exception | None = None
        self._is_whole = False
        self._is_kept = False
        self._ends_with_connection = False

    @property
    def is_reusable(self) -> bool:
        """Whether the reply is whole and the server will take another request."""
        return self.is_open and self._is_whole and self._is_kept and self._failure is None and not self._is_paused

    def send(self, request: bytes) -> None:
        """Send a whole request; whatever is left of the reply before it is forgotten."""
        self._parser = httptools.HttpResponseParser(self)
        self._head = self._failure = None
        self._headers, self._body, self._size = {}, [], 0
        self._header_bytes = self._bodiless_bytes = 0
        self.has_begun = False
        self._is_whole = self._is_kept = self._ends_with_connection = False
        self._transport.write(request)

    @property
    def waits_since(self) -> float | None:
        """When whoever waits now for more began to, by the loop's clock."""
        return None if self._waiter is None or self._waiter.done() else self._waits_since

    async def head(self) -> Head:
        """The head of the reply."""
        while self._head is None:
            await self.news()
        return self._head

    async def read(self) -> bytes:
        """What has come of the body, at least a byte; nothing at its end."""
        while (data := self.taken()) is None:
            await self.news()
        return data

    def taken(self) -> bytes | None:
        """The same if it has come already."""
        if not self._body:
            return b"" if self._is_whole else None
        body, self._size = self._body, 0
        self._body = []
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        return body[0] if len(body) == 1 else b"".join(body)

    def fail(self, failure: Exception) -> None:
        """Let whoever reads fail; what has come before is still read first."""
        if self._failure is None:
            self._failure = failure
        self._wake()

    def close(self) -> None:
        """Close at once, whatever is under way; a reply that is not whole by now never will be."""
        self.is_open = False
        if not self._is_whole:
            self.fail(Broken("closed"))
        self._transport.abort()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        del self._parser  # which knows us: together we would wait for the garbage collector
        if self._ends_with_connection and self._head is not None and exc is self._failure is None:
            self._is_whole = True
        if not self._is_whole:
            self.fail(exc or Broken("closed"))
        self._wake()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        if self._is_whole:  # nobody asked
            self.close()
            return
        size = self._size
        try:
            self._parser.feed_data(self._room[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._is_kept = False
            self.fail(Unreadable(str(error)))
        self._bodiless_bytes = 0 if self._size > size else self._bodiless_bytes + nbytes
        if self._bodiless_bytes > HEAD_BYTES and not self._is_whole:
            self.fail(Unreadable("a head without end"))
            self.close()
        if self._size > READ_AHEAD_BYTES and not self._is_paused and self.waits_since is None:
            self._is_paused = True
            self._transport.pause_reading()
        if (waiter := self._waiter) is not None and not waiter.done():
            if self.taker is not None and self.taker() and not self._is_whole:
                self._waits_since = self.loop.time()
            else:
                waiter.set_result(None)
        if self.ended is not None:
            self._wake()

    # llhttp's side

    def on_message_begin(self) -> None:
        if self._is_whole:
            raise Unreadable("more than was asked for")
        self.has_begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > HEAD_BYTES:
            raise Unreadable("too many headers")
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status, headers = self._parser.get_status_code(), self._headers
        self._headers = {}
        if status < 200:  # 100 and 103 announce the real one
            return
        if headers.get("content-encoding", "").lower() not in ("", "identity"):  # it was told not to
            raise Unreadable("compressed")
        self._ends_with_connection = "content-length" not in headers and "transfer-encoding" not in headers
        self._head = Head(status, headers)

    def on_body(self, data: bytes) -> None:
        self._body.append(data)
        self._size += len(data)

    def on_message_complete(self) -> None:
        if self._head is not None:
            self._is_whole = True
            self._is_kept = self._parser.should_keep_alive()

    def news(self) -> asyncio.Future[None]:
        """Done once something has come; raises what ended it."""
        if self._failure is not None:
            raise copy(self._failure)  # itself would lead, by its traceback, to whoever waited and back here
        self._waits_since = self.loop.time()
        self._waiter = waiter = self.loop.create_future()
        return waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        if self.ended is not None and (self._is_whole or self._failure is not None):
            self.ended()


class Pool:
    """The connections to one server: kept when they may serve again, and no more than ``limit`` (0: any number).

    One that nobody wants for ``idle_s`` is closed.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[Connection]], *, limit: int, keep: bool, idle_s: float = IDLE_S
    ) -> None:
        self._connect = connect
        self._limit = limit
        self._keep = keep
        self._idle_s = idle_s
        self._sweep: asyncio.TimerHandle | None = None
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._opening = 0
        self._line: deque[asyncio.Future[None]] = deque()

    def take_idle(self) -> Connection | None:
        """One that is open and was used lately, the last one first; the others are let go."""
        now = monotonic()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and now - connection.idle_since < self._idle_s:
                self._busy.add(connection)
                return connection
            connection.close()
        return None

    async def room(self, wait_s: float | None) -> None:
        """Wait until one may be taken at once; ``Full`` if that takes longer than ``wait_s``."""
        if not self._is_full():
            return
        try:
            async with asyncio.timeout(wait_s):
                await self._turn()
        except TimeoutError:
            raise Full from None

    async def take(self) -> Connection:
        """An idle one, or a new one, or the first that comes free."""
        await self._turn()
        if (connection := self.take_idle()) is not None:
            return connection
        self._opening += 1
        try:
            connection = await self._connect()
        except BaseException:
            self._next()
            raise
        finally:
            self._opening -= 1
        self._busy.add(connection)
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep it if it may serve again, else close it. Who has given it back may do so again."""
        if connection not in self._busy:
            return
        self._busy.remove(connection)
        if self._keep and connection.is_reusable:
            connection.idle_since = monotonic()
            self._idle.append(connection)
            if self._sweep is None:
                self._sweep = connection.loop.call_later(self._idle_s, self._close_old, connection.loop)
        else:
            connection.close()
        self._next()

    def give_back_whole(self, connection: Connection, *, within_s: float) -> None:
        """Give it back as soon as its reply is whole, at the latest after so long: nobody waits for the rest."""
        if connection not in self._busy or not self._keep or connection.is_reusable or not connection.is_open:
            self.give_back(connection)
            return

        def end() -> None:
            timer.cancel()
            connection.ended = None
            self.give_back(connection)

        timer = connection.loop.call_later(within_s, end)
        connection.ended = end

    def let_go(self) -> None:
        """Close those that are idle."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def close(self) -> None:
        """Close all of them, those in use too."""
        self.let_go()
        for connection in [*self._busy]:
            connection.close()

    def _close_old(self, loop: asyncio.AbstractEventLoop) -> None:
        """The last one given back is taken first, so after a rush nobody else would ever look at the others."""
        now = monotonic()
        kept: list[Connection] = []
        for connection in self._idle:
            if connection.is_open and now - connection.idle_since < self._idle_s:
                kept.append(connection)
            else:
                connection.close()
        self._idle, self._sweep = kept, None
        if self._idle:
            due_s = self._idle[0].idle_since + self._idle_s - now
            self._sweep = loop.call_later(due_s, self._close_old, loop)

    def _is_full(self) -> bool:
        return bool(self._limit) and len(self._busy) + self._opening >= self._limit

    async def _turn(self) -> None:
        while self._is_full():
            turn = asyncio.get_running_loop().create_future()
            self._line.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._next()
                raise
            finally:
                if turn in self._line:
                    self._line.remove(turn)

    def _next(self) -> None:
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)
                return

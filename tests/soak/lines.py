"""Connections as no library keeps them: each may be left, halved, or read slowly at any moment."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.fuzz import judge
from tests.fuzz.judge import Reply

MOST_KEPT = 16
SMALL_BUFFER = 4096


class Line:
    """One connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._received = b""
        self._replies: deque[Reply] = deque()

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        """A request and its whole reply."""
        self.send(method, path, body, **headers)
        return await self.reply()

    def send(self, method: str, path: str, body: object = None, **headers: str) -> None:
        self.write(request(method, path, body, headers))

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def close_our_side(self) -> None:
        self._writer.write_eof()

    async def reply(self) -> Reply:
        """The next whole one; ConnectionError where the connection ends before it."""
        while not self._replies:
            if not await self.piece():
                raise ConnectionResetError(f"ended behind {self._received[:200]!r}")
            found, self._received = judge.replies(self._received)
            self._replies.extend(found)
        return self._replies.popleft()

    async def piece(self, size: int = 2**18) -> bytes:
        """What comes next, whatever it is; empty at the end."""
        piece = await self._reader.read(size)
        self._received += piece
        return piece

    def leave(self) -> None:
        """Close it at once, whatever is still to come."""
        self._writer.transport.abort()


class Lines:
    """Opens them, and keeps some that may serve again."""

    def __init__(self, base_url: str) -> None:
        address = urlsplit(base_url)
        self._at = address.hostname, address.port
        self._kept: deque[Line] = deque()
        self.open = 0

    @asynccontextmanager
    async def new(self, *, reads_slowly: bool = False) -> AsyncIterator[Line]:
        """A new one, left in the end."""
        line = await self._opened(reads_slowly=reads_slowly)
        try:
            yield line
        finally:
            self._close(line)

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        """Over one that is kept, the one that has waited longest, or over a new one; it is kept if there is room."""
        line = self._kept.popleft() if self._kept else await self._opened()
        reply = None
        try:
            reply = await line.ask(method, path, body, **headers)
            return reply
        finally:
            if reply is None or reply.closes or len(self._kept) >= MOST_KEPT:
                self._close(line)
            else:
                self._kept.append(line)

    def let_go(self, most: int = MOST_KEPT) -> None:
        """Close those that are kept, or so many of them."""
        for _ in range(min(most, len(self._kept))):
            self._close(self._kept.popleft())

    async def _opened(self, *, reads_slowly: bool = False) -> Line:
        link = socket.socket()
        try:
            link.setblocking(False)
            if reads_slowly:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
            await asyncio.get_running_loop().sock_connect(link, self._at)
            reader, writer = await asyncio.open_connection(sock=link, limit=SMALL_BUFFER if reads_slowly else 2**18)
        except BaseException:
            link.close()
            raise
        self.open += 1
        return Line(reader, writer)

    def _close(self, line: Line) -> None:
        line.leave()
        self.open -= 1


def request(method: str, path: str, body: object, headers: Mapping[str, str]) -> bytes:
    """As it goes over the wire. ``body`` is bytes as they are, or anything that becomes JSON."""
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: h"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + content


def document(reply: Reply) -> Any:
    """What a reply says, if it is well."""
    assert reply.status == 200, (reply.status, reply.body[:500])
    return json.loads(reply.body)

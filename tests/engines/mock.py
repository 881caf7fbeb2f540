"""A chat server on a socket whose every byte a test decides, and which knows who is connected to it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-2026-01-01"}


class Asked:
    """One request as it came, and the ways to answer it."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes, connection: _Connection) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self._connection = connection

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    async def write(self, data: bytes) -> None:
        """Some bytes; waits while the reader is slow."""
        self._connection.transport.write(data)
        await self._connection.writable.wait()

    async def reply(self, status: int, body: object, **headers: str) -> None:
        """A whole reply; a body that is no bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(content)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)

    async def start_stream(self) -> None:
        await self.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")

    async def send(self, data: bytes) -> None:
        """Some bytes of a stream, in one piece."""
        await self.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def stream(self, *payloads: object) -> None:
        """A whole stream, an event per payload."""
        await self.start_stream()
        for payload in payloads:
            await self.send(event(payload))
        await self.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Reset the connection."""
        self._connection.transport.abort()


Handler = Callable[[Asked], Awaitable[None]]


class Mock:
    """The server. ``asked`` holds every chat request; ``live`` counts the connections that are open."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.asked: list[Asked] = []
        self.models: object = {"object": "list", "data": [{"id": "m"}, {"id": "org/m2", "created": 7}]}
        self.base_url = ""
        self.connections: set[_Connection] = set()
        self.changed = asyncio.Event()

    @property
    def live(self) -> int:
        return len(self.connections)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once it holds; looked at whenever somebody connects, asks or leaves."""
        async with asyncio.timeout(5):
            while not holds():
                self.changed.clear()
                await self.changed.wait()

    async def answer(self, asked: Asked) -> None:
        if asked.method == "GET":
            await asked.reply(200, self.models)
            return
        self.asked.append(asked)
        self.changed.set()
        await self.handler(asked)


class _Connection(asyncio.Protocol):
    """One connection, kept alive; what is being answered is cancelled when the other end leaves."""

    def __init__(self, mock: Mock) -> None:
        self._mock = mock
        self._received = b""
        self._answering: asyncio.Task[None] | None = None
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._mock.connections.add(self)
        self._mock.changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answering is not None:
            self._answering.cancel()
        self.writable.set()
        self._mock.connections.discard(self)
        self._mock.changed.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if not found or len(rest) < length:
            return
        self._received = rest[length:]
        method, path, _ = first.split(" ")
        asked = Asked(method, path, headers, rest[:length], self)
        self._answering = asyncio.get_running_loop().create_task(self._mock.answer(asked))


@asynccontextmanager
async def serving(
    handler: Handler, *, socket: Path | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Mock]:
    """A server for the length of a test, on a port (over ``tls``, if there is some) or a Unix socket."""
    mock, loop = Mock(handler), asyncio.get_running_loop()
    if socket is not None:
        server = await loop.create_unix_server(lambda: _Connection(mock), str(socket))
    else:
        server = await loop.create_server(lambda: _Connection(mock), "127.0.0.1", 0, ssl=tls)
        mock.base_url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield mock
    finally:
        server.close()
        for connection in list(mock.connections):
            connection.transport.abort()
        await mock.until(lambda: not mock.connections)


def event(payload: object) -> bytes:
    """``data: ...``; what is no text or bytes is sent as JSON."""
    if isinstance(payload, bytes):
        return b"data: " + payload + b"\n\n"
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return f"data: {text}\n\n".encode()


def chunk(delta: object, finish_reason: str | None = None, **more: object) -> dict[str, object]:
    """A chunk with one choice."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {**HEAD, "choices": [choice], **more}


def completion(text: str = "Hello", **more: object) -> dict[str, object]:
    """A whole completion."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE, **more}


HELLO = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}),
    chunk({}, "stop"),
    {**HEAD, "choices": [], "usage": USAGE},
    "[DONE]",
)


async def hello(asked: Asked) -> None:
    """Says hello, plain or as a stream."""
    if asked.json.get("stream"):
        await asked.stream(*HELLO)
    else:
        await asked.reply(200, completion())

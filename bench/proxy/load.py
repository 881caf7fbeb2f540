"""The load: keep-alive connections over raw sockets that ask, wait for the whole reply, and ask again.

A connection costs the client a few microseconds per read, so that what is measured is the server.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

CLOSE_S = 60.0
ANSWER = re.compile(rb'"id": ?"(chatcmpl-[^"]+)"')
END_OF_CHUNKS = b"\r\n0\r\n\r\n"


@dataclass(frozen=True)
class Target:
    """Where to send what: one request, rendered once; ``contents`` is how often a reply must say ``"content"``."""

    port: int
    request: bytes
    contents: int

    @classmethod
    def chat(cls, port: int, body: Mapping[str, object], headers: Mapping[str, str], *, contents: int) -> Target:
        """A create request."""
        payload = json.dumps(body).encode()
        lines = {
            "host": f"127.0.0.1:{port}",
            "content-type": "application/json",
            "content-length": str(len(payload)),
            **headers,
        }
        head = "".join(f"{name}: {text}\r\n" for name, text in lines.items())
        request = f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + payload
        return cls(port, request, contents)


@dataclass
class Outcome:
    """What one round brought: how long each reply took, and the ids of the last ones."""

    latencies_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    last_ids: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class Reply:
    """Reads one HTTP reply out of bytes cut anywhere, as far as its end."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._whole_size: int | None = None
        self._in_chunks = False
        self._tail = b""

    def feed(self, data: bytes) -> bool:
        """Take more; whether the reply is whole."""
        self._pieces.append(data)
        self._size += len(data)
        self._tail = (self._tail + data)[-len(END_OF_CHUNKS) :]
        if self._whole_size is None and not self._in_chunks and not self._read_head():
            return False
        if self._in_chunks:
            return self._tail == END_OF_CHUNKS
        return self._whole_size is not None and self._size >= self._whole_size

    def bytes(self) -> bytes:
        """All of it, the head included."""
        return b"".join(self._pieces)

    def _read_head(self) -> bool:
        received = b"".join(self._pieces)
        head, found, _ = received.partition(b"\r\n\r\n")
        if not found:
            return False
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if length is not None:
            self._whole_size = len(head) + 4 + int(length[1])
        else:
            self._in_chunks = True
        return True


def problem(reply: bytes, contents: int) -> str | None:
    """Why this is not the reply that was asked for."""
    if not reply.startswith(b"HTTP/1.1 200 "):
        return reply[:300].decode("utf-8", "replace")
    if reply.count(b'"content":') < contents:
        return f"a reply of fewer than {contents} pieces: {reply[-300:]!r}"
    return None


class Asking(asyncio.Protocol):
    """One connection that asks again until told to stop."""

    def __init__(self, target: Target, outcome: Outcome, until: float) -> None:
        self._target = target
        self._outcome = outcome
        self._until = until
        self._now = time.perf_counter  # the loop's own clock counts whole milliseconds
        self._reply = Reply()
        self._began = 0.0
        self.done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        if self._reply.feed(data):
            self._take(self._reply.bytes())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            if begun := self._reply.bytes():
                self._outcome.failures.append(f"a reply cut off: {begun[-300:]!r}")
            self.done.set_result(False)  # the server closes between requests: another connection takes over

    def _ask(self) -> None:
        self._reply = Reply()
        self._began = self._now()
        self._transport.write(self._target.request)  # type: ignore[attr-defined]

    def _take(self, reply: bytes) -> None:
        now = self._now()
        wrong = problem(reply, self._target.contents)
        if wrong is not None:
            self._outcome.failures.append(wrong)
        self._outcome.latencies_s.append(now - self._began)
        if now < self._until and wrong is None:
            self._ask()
            return
        if found := ANSWER.search(reply):
            self._outcome.last_ids.append(found[1].decode())
        self.done.set_result(True)
        self._transport.close()


async def play(target: Target, *, connections: int, seconds: float) -> Outcome:
    """Ask over so many connections for so long; every reply that was begun is waited for."""
    loop = asyncio.get_running_loop()
    outcome = Outcome()
    began = time.perf_counter()

    async def worker() -> None:
        finished = False
        while not finished and (time.perf_counter() < began + seconds or not outcome.latencies_s):
            _, asking = await loop.create_connection(
                lambda: Asking(target, outcome, began + seconds), "127.0.0.1", target.port
            )
            finished = await asking.done

    async with asyncio.timeout(seconds + CLOSE_S), asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(worker())
    outcome.seconds = time.perf_counter() - began
    return outcome

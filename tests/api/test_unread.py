"""api/unread.py: over a real socket, since it is the kernel that says what was taken."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from hansard.api.corked import corked
from hansard.api.leaving import hangup_of, noticing
from hansard.api.unread import impatient

pytestmark = pytest.mark.anyio

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PIECE = b"x" * 4096
UNREAD_S = 0.2
PATIENCE_S = 20.0


class Flood:
    """An application that writes pieces until they are enough, or its client is gone."""

    def __init__(self, pieces: int) -> None:
        self.left = asyncio.Event()
        self.written = 0
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hangup = hangup_of(scope)
        assert hangup is not None
        hangup.act = self.left.set
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while self.written < self._pieces and not self.left.is_set():
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
            self.written += 1
        await send({"type": "http.response.body", "body": b"ended"})


@asynccontextmanager
async def asked(app: ASGIApp, *, unread_s: float, kernel_bytes: int = 4096) -> AsyncIterator[socket.socket]:
    """A client that has asked and read nothing; ends with its request. The system takes ``kernel_bytes`` for it."""
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None)
    config.load()
    state = uvicorn.Server(config).server_state
    protocol: Any = corked(noticing(impatient(AutoHTTPProtocol, unread_s=unread_s)))  # type: ignore[type-abstract] # it has the methods when it runs
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, kernel_bytes)  # what it accepts has the same
    server = await loop.create_server(lambda: protocol(config=config, server_state=state, app_state={}), sock=listener)
    async with server, asyncio.timeout(PATIENCE_S):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.setblocking(False)
            await loop.sock_connect(client, listener.getsockname())
            await loop.sock_sendall(client, REQUEST)
            yield client
        for task in list(state.tasks):
            await task


async def test_who_reads_nothing_has_left() -> None:
    flood = Flood(pieces=1000)

    async with asked(flood, unread_s=UNREAD_S):
        await flood.left.wait()

    assert flood.written < 100


async def test_what_is_whole_and_not_taken_is_dropped() -> None:
    """The application is done with it; the connection is not."""

    async def at_once(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": PIECE * 1000})

    async with asked(at_once, unread_s=UNREAD_S) as client:
        await asyncio.sleep(3 * UNREAD_S)  # what is tested is that time passes
        taken = 0
        while piece := await asyncio.get_running_loop().sock_recv(client, 65536):
            taken += len(piece)

    assert taken < 100 * len(PIECE)


async def test_who_reads_slowly_has_all_of_it() -> None:
    flood = Flood(pieces=20)
    reply = b""

    async with asked(flood, unread_s=UNREAD_S) as client:
        while not reply.endswith(b"ended\r\n0\r\n\r\n"):
            await asyncio.sleep(UNREAD_S / 10)  # what is tested is that time passes
            reply += await asyncio.get_running_loop().sock_recv(client, 2048)

    assert reply.count(b"x") == 20 * len(PIECE)
    assert not flood.left.is_set()


async def test_who_reads_slowly_is_seen_to_while_the_system_has_enough_for_him() -> None:
    """It takes no more before a third of what it holds is gone, and until then nothing moves on our side."""
    flood = Flood(pieces=2000)
    read = 0

    async with asked(flood, unread_s=UNREAD_S, kernel_bytes=1_000_000) as client:
        while flood.written < 100:  # until the system has its fill
            await asyncio.sleep(0)
        ends = asyncio.get_running_loop().time() + 5 * UNREAD_S
        while asyncio.get_running_loop().time() < ends:
            read += len(await asyncio.get_running_loop().sock_recv(client, 2048))
            await asyncio.sleep(UNREAD_S / 20)  # what is tested is that time passes
        assert not flood.left.is_set()

    assert read < 300_000


async def test_without_a_limit_it_may_wait() -> None:
    flood = Flood(pieces=1000)

    async with asked(flood, unread_s=0):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3 * UNREAD_S):
                await flood.left.wait()

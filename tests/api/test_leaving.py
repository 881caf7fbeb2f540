"""api/leaving.py: over a real socket, since it is the server that notices."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from hansard.api.corked import corked
from hansard.api.leaving import Hangup, hangup_of, noticing

pytestmark = pytest.mark.anyio

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@asynccontextmanager
async def listening(app: ASGIApp, *, last_s: float) -> AsyncIterator[tuple[str, int]]:
    """Where the application is served; ends with its last request."""
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None)
    config.load()
    state = uvicorn.Server(config).server_state
    protocol: Any = corked(noticing(AutoHTTPProtocol, last_s=last_s))  # type: ignore[type-abstract] # it has the methods when it runs
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()
        for task in list(state.tasks):
            await task


async def test_each_request_has_a_hangup_and_only_a_reply_cut_short_sees_it() -> None:
    hangups: list[Hangup] = []
    asked, left = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        hangup = hangup_of(scope)
        assert hangup is not None
        hangups.append(hangup)
        if len(hangups) == 1:
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        hangup.act = left.set
        asked.set()
        await left.wait()

    async with listening(app, last_s=0.05) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(REQUEST)
        await asked.wait()
        writer.close()
        await left.wait()

    assert [hangup.is_past for hangup in hangups] == [False, True]


def test_a_server_of_another_kind_has_none() -> None:
    assert hangup_of({"type": "http"}) is None
    assert hangup_of({"type": "http", "extensions": {"http.response.pathsend": {}}}) is None


async def said_all(address: tuple[str, int], sent: bytes) -> bytes:
    """All that comes to a client that closes its sending side behind this."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(sent)
    writer.write_eof()
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_who_has_said_all_has_the_reply_that_goes_on() -> None:
    """Also one that goes on for longer than the reply is waited for."""
    last_s = 0.1

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun ", "more_body": True})
        for _ in range(10):
            await asyncio.sleep(last_s / 5)  # what is tested is that time passes
            await send({"type": "http.response.body", "body": b"goes on ", "more_body": True})
        await send({"type": "http.response.body", "body": b"ended"})

    async with listening(app, last_s=last_s) as address:
        reply = await said_all(address, REQUEST)

    assert reply.startswith(b"HTTP/1.1 200 OK")
    assert reply.endswith(b"ended\r\n0\r\n\r\n")


async def test_who_has_said_all_is_not_waited_for_any_longer() -> None:
    hangups: list[Hangup] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        hangup, left = hangup_of(scope), asyncio.Event()
        assert hangup is not None
        hangups.append(hangup)
        hangup.act = left.set
        await left.wait()

    async with listening(app, last_s=0.05) as address:
        assert await said_all(address, REQUEST) == b""

    assert [hangup.is_past for hangup in hangups] == [True]


async def test_half_a_request_is_nobodys() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["more_body"]
        assert (await receive())["type"] == "http.disconnect"

    async with listening(app, last_s=60) as address:
        assert await said_all(address, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n{") == b""


async def test_who_leaves_behind_several_requests_is_missed_though_nothing_is_written() -> None:
    """The server reads no more of them meanwhile: that one has left does not come by itself."""
    begun: list[Hangup] = []
    left = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        hangup = hangup_of(scope)
        assert hangup is not None
        hangup.act = left.set
        begun.append(hangup)
        async with asyncio.timeout(10):
            await left.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with listening(app, last_s=0.05) as address:
        _, writer = await asyncio.open_connection(*address)
        writer.write(REQUEST * 3)
        while not begun:
            await asyncio.sleep(0)
        writer.close()
        await left.wait()

    assert [hangup.is_past for hangup in begun] == [True]


async def test_who_leaves_behind_several_requests_has_left_the_one_at_work() -> None:
    """Which is the first, not the last. Here a write that comes back tells of it."""
    begun: list[Hangup] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        hangup = hangup_of(scope)
        assert hangup is not None
        begun.append(hangup)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async with asyncio.timeout(10):
            while not hangup.is_past:
                await send({"type": "http.response.body", "body": b"goes on", "more_body": True})
                await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"to nobody"})

    async with listening(app, last_s=0.05) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(REQUEST * 3)
        await reader.readuntil(b"goes on")
        writer.transport.abort()

    assert [hangup.is_past for hangup in begun] == [True]


async def test_requests_that_wait_their_turn_are_let_go_with_their_client() -> None:
    """Not by the garbage collector, which comes long after."""
    begun = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        while (await receive())["type"] != "http.disconnect":
            pass

    gc.collect()
    gc.disable()
    try:
        async with listening(app, last_s=0.05) as address, asyncio.timeout(10):
            _, writer = await asyncio.open_connection(*address)
            writer.write(REQUEST * 3)
            await begun.wait()
            writer.transport.abort()
            while [each for each in gc.get_objects() if type(each).__name__ == "Corked"]:
                await asyncio.sleep(0.01)  # the server's side of it is lost a moment later
    finally:
        gc.enable()

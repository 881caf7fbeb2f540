"""api/outlet.py: what goes past ``send`` is on the wire what ``send`` would have written, in its place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from hansard.api.outlet import Outlet, outlet_of
from hansard.core import sse
from tests.api.test_leaving import listening

pytestmark = pytest.mark.anyio

ASK = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
START = {"type": "http.response.start", "status": 200, "headers": []}


def body(text: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": text, "more_body": more}


def outlet(send: Send) -> Outlet:
    found = outlet_of(send, sse.Encoder(noise=None))
    assert found is not None
    return found


async def answer(app: Any) -> bytes:
    """What the server writes for one request, without its head."""
    async with listening(app, last_s=0.05) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(ASK)
        reply = await reader.read()
        writer.close()
    return reply.partition(b"\r\n\r\n")[2]


async def test_pieces_are_written_as_send_would_write_them() -> None:
    async def past_send(scope: Scope, receive: Receive, send: Send) -> None:
        way = outlet(send)
        await send(START)
        await send(body(b"data: 1\n\n"))
        way.send([b'{"a": 2}', {"a": 3}])
        await send(body(b"data: 4\n\n", more=False))

    async def by_send(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"data: 1\n\n"))
        await send(body(b'data: {"a": 2}\n\ndata: {"a":3}\n\n'))
        await send(body(b"data: 4\n\n", more=False))

    assert await answer(past_send) == await answer(by_send)


async def test_it_is_free_only_while_a_reply_in_pieces_goes_out() -> None:
    free: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        way = outlet(send)
        free.append(way.is_free)
        await send(START)
        free.append(way.is_free)
        await send(body(b"x", more=False))

    async def sized(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "headers": [(b"content-length", b"1")]})
        free.append(outlet(send).is_free)
        await send(body(b"x", more=False))

    await answer(app)
    await answer(sized)

    assert free == [False, True, False]


async def test_it_is_not_free_while_its_client_reads_too_slowly_nor_when_it_has_left() -> None:
    seen: list[bool] = []
    read, left = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        way = outlet(send)
        await send(START)
        while way.is_free:  # until nothing goes into the sockets any more
            way.send([b"x" * 65_536])
        read.set()
        await send(body(b"once more"))  # goes on only when there is room
        seen.append(way.is_free)
        while (await receive())["type"] != "http.disconnect":
            pass
        seen.append(way.is_free)
        left.set()

    async with listening(app, last_s=0.05) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(ASK)
        await read.wait()
        while not seen:
            assert await reader.read(65_536)
        writer.transport.abort()
        await left.wait()

    assert seen == [True, False]


async def test_there_is_none_behind_what_sees_the_messages() -> None:
    async def wrapped(message: Any) -> None:
        raise AssertionError

    class Other:
        async def send(self, message: Any) -> None:
            raise AssertionError

    assert outlet_of(wrapped, sse.Encoder(noise=None)) is None
    assert outlet_of(Other().send, sse.Encoder(noise=None)) is None

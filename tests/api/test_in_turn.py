"""api/in_turn.py: over a real socket, with all that stands before the server's protocol."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from hansard.api.corked import corked
from hansard.api.garbled import enveloped
from hansard.api.in_turn import MOST_AT_ONCE, PIECE_BYTES, in_turn, piece_end
from hansard.api.leaving import noticing
from hansard.api.unread import impatient
from hansard.api.upgrades import without_upgrades
from hansard.observe import ignore

pytestmark = pytest.mark.anyio

# Of those that were made beside the one that is answered.
BOUND = 2 * MOST_AT_ONCE + 1


def get(number: int) -> bytes:
    return b"GET /%d HTTP/1.1\r\nHost:\r\n\r\n" % number


class App:
    """Answers with the path, and the body if there is one; each waits until it may go on."""

    def __init__(self, *, waits: bool = False) -> None:
        self.may_go_on = asyncio.Event()
        if not waits:
            self.may_go_on.set()
        self.answered = 0
        self.has_begun = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.has_begun.set()
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await self.may_go_on.wait()
        said = scope["path"].encode() + b" %d;" % len(body)
        head = [(b"content-length", b"%d" % len(said))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": said})
        self.answered += 1


class Site:
    """Where it is served, and the server's side of its connections."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections: list[Any] = []

    @property
    def waiting(self) -> int:
        """Requests that are made and not answered."""
        return sum(len(each.unanswered) for each in self.connections)

    @property
    def held_bytes(self) -> int:
        return sum(len(each.flow.held) for each in self.connections)


@asynccontextmanager
async def listening(app: App, *, look_s: float = 0.05) -> AsyncIterator[Site]:
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None)
    config.load()
    state = uvicorn.Server(config).server_state
    patient = enveloped(without_upgrades(AutoHTTPProtocol), observer=ignore)  # type: ignore[type-abstract] # it has the methods when it runs
    protocol: Any = corked(noticing(impatient(in_turn(patient)), look_s=look_s))
    site = Site(0)

    def connected() -> Any:
        site.connections.append(protocol(config=config, server_state=state, app_state={}))
        return site.connections[-1]

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
    async with server:
        site.port = server.sockets[0].getsockname()[1]
        yield site
        app.may_go_on.set()
        for connection in site.connections:
            connection.transport.abort()
        for task in list(state.tasks):
            await task


async def until_all_is_written(writer: asyncio.StreamWriter) -> None:
    writer.transport.set_write_buffer_limits(0)
    await writer.drain()


async def test_of_many_at_once_few_are_made_before_the_first_is_answered() -> None:
    app = App(waits=True)
    async with asyncio.timeout(20), listening(app) as site:
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"".join(map(get, range(5000))))
        await until_all_is_written(writer)
        await app.has_begun.wait()

        assert 2 <= site.waiting <= BOUND
        assert site.connections[0].flow.read_paused
        writer.close()


async def test_all_are_answered_in_their_order() -> None:
    async with asyncio.timeout(60), listening(App()) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"".join(map(get, range(3000))))
        for number in range(3000):
            assert (await reader.readuntil(b" 0;")).endswith(b"\r\n\r\n/%d 0;" % number)
        writer.close()


async def test_nothing_more_is_read_while_requests_wait_their_turn() -> None:
    """A reply lets the server read on; who sends whole reads all the time would have each of them lie here."""
    app = App(waits=True)
    async with asyncio.timeout(20), listening(app) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writing = asyncio.create_task(_write_on(writer))
        await app.has_begun.wait()
        app.may_go_on.set()
        for _ in range(200):
            await reader.readuntil(b" 0;")
            assert site.waiting <= BOUND
            assert site.held_bytes <= 2**18
        writing.cancel()
        writer.close()


async def _write_on(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(get(1) * 10_000)
        await writer.drain()


async def test_bodies_are_not_taken_apart() -> None:
    body = b"\r\n\r\n" * (PIECE_BYTES // 2)
    post = b"POST /body HTTP/1.1\r\nHost:\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with asyncio.timeout(20), listening(App()) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write((post + body + get(1)) * 3)
        for _ in range(3):
            assert (await reader.readuntil(b";")).endswith(b"\r\n\r\n/body %d;" % len(body))
            assert (await reader.readuntil(b";")).endswith(b"\r\n\r\n/1 0;")
        writer.close()


async def test_a_client_that_leaves_is_noticed_while_its_requests_wait() -> None:
    app = App(waits=True)
    async with asyncio.timeout(20), listening(app) as site:
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"".join(map(get, range(5000))))
        await until_all_is_written(writer)
        await app.has_begun.wait()
        writer.transport.abort()
        while site.waiting or site.held_bytes:
            await asyncio.sleep(0.01)  # the server looks for it now and then

        assert app.answered == 0


async def test_the_last_of_them_may_close_the_connection() -> None:
    last = b"GET /last HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n"
    async with asyncio.timeout(20), listening(App()) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(get(1) * 100 + last + get(2) * 100)
        replies = await reader.read()
        writer.close()

    assert replies.count(b"HTTP/1.1 200") == 101
    assert replies.endswith(b"/last 0;")


async def test_what_is_no_request_is_told_behind_those_before_it() -> None:
    bad = b"POST / HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n"
    async with asyncio.timeout(20), listening(App()) as site:
        for many in (1, 100):
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            writer.write(get(1) * many + bad)
            replies = await reader.read()
            writer.close()

            assert re.findall(rb"HTTP/1\.1 ([0-9]+) ", replies) == [b"200"] * many + [b"400"]


async def test_a_connection_is_let_go_with_what_waits_on_it() -> None:
    """Not by the garbage collector, which comes after hundreds of them."""
    app = App(waits=True)
    gc.collect()
    gc.disable()
    try:
        async with asyncio.timeout(20), listening(app) as site:
            _, writer = await asyncio.open_connection("127.0.0.1", site.port)
            writer.write(b"".join(map(get, range(5000))))
            await until_all_is_written(writer)
            await app.has_begun.wait()
            writer.transport.abort()
            while site.connections[0].parser is not None:
                await asyncio.sleep(0.01)
            site.connections.clear()
            app.may_go_on.set()
            while [each for each in gc.get_objects() if type(each).__name__ == "Corked"]:
                await asyncio.sleep(0.01)
    finally:
        gc.enable()


@given(st.binary(max_size=40), st.lists(st.sampled_from([b"\r\n\r\n", b"\r\n", b"a"]), max_size=200))
def test_a_piece_has_few_blank_lines_and_all_pieces_are_all(first: bytes, rest: list[bytes]) -> None:
    data = first + b"".join(rest)
    start, pieces = 0, []
    while start < len(data):
        end = piece_end(data, start)
        pieces.append(data[start:end])
        start = end

    assert b"".join(pieces) == data
    assert all(0 < len(piece) <= PIECE_BYTES and piece.count(b"\r\n\r\n") <= MOST_AT_ONCE for piece in pieces)


def test_a_piece_is_not_long() -> None:
    assert piece_end(b"x" * (3 * PIECE_BYTES), 5) == 5 + PIECE_BYTES

"""The chat client against a small server on a real socket."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from hansard.engines import client as module
from hansard.engines.client import ChatClient, NotAStream
from hansard.engines.patience import Timeouts
from hansard.engines.wire import Full, Unreadable
from hansard.errors import BrokenOff, EngineBusy, UpstreamFailed, UpstreamTimeout
from tests.engines.mock import Asked, serving

pytestmark = pytest.mark.anyio

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
EVENTS = {"Content-Type": "text/event-stream; charset=utf-8"}
SHORT = Timeouts(connect_s=0.05, first_byte_s=0.05, between_chunks_s=0.05)


@asynccontextmanager
async def served(handler: Handler, socket: Path, **options: object) -> AsyncIterator[ChatClient]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    client = ChatClient(base_url="http://engine/v1", unix_socket=str(socket), **options)  # type: ignore[arg-type]
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


async def opened(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers=EVENTS)
    await response.prepare(request)
    return response


async def test_a_whole_reply_has_status_headers_and_body(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.path == "/v1/chat/completions"
        assert request.headers["Content-Type"] == "application/json"
        assert request.headers["X-Own"] == "1"
        return web.Response(status=418, body=await request.read(), headers={"Retry-After": "3"})

    async with served(handler, tmp_path / "s", headers={"X-Own": "1"}) as client:
        reply = await client.post("/chat/completions", b'{"a":1}')

    assert (reply.status, reply.body, reply.headers["retry-after"]) == (418, b'{"a":1}', "3")


async def test_get_has_no_body_and_reads_the_whole_reply(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert (request.method, await request.read()) == ("GET", b"")
        return web.Response(body=b"x" * 300_000)

    async with served(handler, tmp_path / "s") as client:
        assert (await client.get("/models")).body == b"x" * 300_000


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_events_are_the_same_however_the_bytes_are_cut(tmp_path: Path, size: int) -> None:
    text = 'data: {"a":"é"}\r\n\r\n: comment\n\ndata: {"b":2}\n\ndata: [DONE]\n\n'.encode()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = await opened(request)
        for start in range(0, len(text), size):
            await response.write(text[start : start + size])
        return response

    async with served(handler, tmp_path / "s") as client:
        assert [payload async for read in client.stream("/x", b"{}") for payload in read] == [
            '{"a":"é"}'.encode(),
            b'{"b":2}',
        ]


@pytest.mark.parametrize("end", ["[DONE] ", " [DONE]", "[DONE]\r"])
@pytest.mark.parametrize("is_cut", [True, False])
async def test_spaces_around_done_do_not_matter(tmp_path: Path, end: str, is_cut: bool) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = await opened(request)
        await response.write(f"data: 1\n\ndata: {end}\n".encode() + (b"" if is_cut else b"\n"))
        return response

    async with served(handler, tmp_path / "s") as client:
        assert [payload async for read in client.stream("/x", b"{}") for payload in read] == [b"1"]


@pytest.mark.parametrize(
    "kind",
    [
        b"",
        b"content-type: text/plain\r\n",
        b"content-type: text/plain; charset=utf-8\r\n",
        b"content-type: application/json\r\n",
    ],
)
@pytest.mark.parametrize("first", [b"data: 1\n\n", b": hello\n\ndata: 1\n\n", b"event: x\ndata: 1\n\n"])
@pytest.mark.parametrize("cut", [1, 6, None])
async def test_what_begins_like_events_without_being_called_so_is_a_stream(
    kind: bytes, first: bytes, cut: int | None
) -> None:
    async def handler(asked: Asked) -> None:
        await asked.write(b"HTTP/1.1 200 OK\r\n" + kind + b"transfer-encoding: chunked\r\n\r\n")
        for piece in (first[:cut], first[len(first[:cut]) :]):
            if piece:
                await asked.send(piece)
                await asyncio.sleep(0)
        await asked.send(b"data: [DONE]\n\n")
        await asked.write(b"0\r\n\r\n")

    async with serving(handler) as mock:
        client = ChatClient(base_url=mock.base_url)
        assert [payload async for read in client.stream("/x", b"{}") for payload in read] == [b"1"]
        await client.close()


async def test_done_is_told_before_the_body_ends() -> None:
    """The end of the body is waited for by nobody, and the connection goes if it does not come."""

    async def handler(asked: Asked) -> None:
        await asked.start_stream()
        await asked.send(b"data: 1\n\ndata: [DONE]\n\n")
        await asyncio.Event().wait()

    async with serving(handler) as mock:
        client = ChatClient(base_url=mock.base_url)
        started = asyncio.get_running_loop().time()
        assert [payload async for read in client.stream("/x", b"{}") for payload in read] == [b"1"]
        assert asyncio.get_running_loop().time() - started < module.DRAIN_S / 2
        await mock.until(lambda: not mock.connections)
        await client.close()


async def test_a_body_that_ends_behind_done_leaves_its_connection_to_the_next() -> None:
    ended = asyncio.Event()

    async def handler(asked: Asked) -> None:
        await asked.start_stream()
        await asked.send(b"data: 1\n\ndata: [DONE]\n\n")
        await ended.wait()
        await asked.write(b"0\r\n\r\n")

    async with serving(handler) as mock:
        client = ChatClient(base_url=mock.base_url, max_connections=1)
        peers = set()
        for _ in range(3):
            ended.clear()
            asyncio.get_running_loop().call_later(0.02, ended.set)
            assert [payload async for read in client.stream("/x", b"{}") for payload in read] == [b"1"]
            peers |= mock.connections
        assert len(peers) == 1
        await client.close()


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_kept_connection_that_was_closed_meanwhile_is_replaced_at_once(streamed: bool) -> None:
    """Nobody has worked for such a request: the server closed before it came."""
    ends = [False, True, False]

    async def handler(asked: Asked) -> None:
        if ends.pop(0):
            asked.cut()
        elif asked.json:
            await asked.stream(b"1", "[DONE]")
        else:
            await asked.reply(200, {})

    async with serving(handler) as mock:
        client = ChatClient(base_url=mock.base_url)
        await client.post("/chat", b"{}")
        if streamed:
            assert [payload async for read in client.stream("/x", b"[1]") for payload in read] == [b"1"]
        else:
            assert (await client.post("/chat", b"{}")).status == 200
        assert (len(mock.asked), ends) == (3, [])
        await client.close()


@pytest.mark.parametrize("first", [b"", b"H"])
async def test_it_is_replaced_once_and_only_before_the_first_byte(first: bytes) -> None:
    async def handler(asked: Asked) -> None:
        if len(mock.asked) == 1:
            await asked.reply(200, {})
            return
        if first:
            await asked.write(first)
        asked.cut()

    async with serving(handler) as mock:
        client = ChatClient(base_url=mock.base_url)
        await client.post("/chat", b"{}")
        with pytest.raises(UpstreamFailed) as caught:
            await client.post("/chat", b"{}")
        assert caught.value.code == "upstream_unreachable"
        assert len(mock.asked) == (2 if first else 3)
        await client.close()


async def test_a_stream_without_done_ends_with_its_bytes(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = await opened(request)
        await response.write(b"data: 1\n\ndata: 2")
        return response

    async with served(handler, tmp_path / "s") as client:
        assert [payload async for read in client.stream("/x", b"{}") for payload in read] == [b"1", b"2"]


async def test_closing_the_generator_closes_the_connection(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = await opened(request)
        await response.write(b"data: 1\n\n")
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return response

    async with served(handler, tmp_path / "s") as client:
        async with aclosing(client.stream("/x", b"{}")) as payloads:
            assert await anext(payloads) == [b"1"]
        async with asyncio.timeout(5):
            await left.wait()


async def test_a_finished_stream_leaves_its_connection_to_the_next(tmp_path: Path) -> None:
    peers = set()

    async def handler(request: web.Request) -> web.StreamResponse:
        peers.add(id(request.transport))
        response = await opened(request)
        await response.write(b"data: 1\n\ndata: [DONE]\n\n")
        return response

    async with served(handler, tmp_path / "s") as client:
        for _ in range(3):
            assert [payload async for read in client.stream("/x", b"{}") for payload in read] == [b"1"]

    assert len(peers) == 1


@pytest.mark.parametrize(("status", "kind"), [(500, "text/event-stream"), (200, "application/json")])
async def test_anything_but_a_stream_comes_back_whole(tmp_path: Path, status: int, kind: str) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, content_type=kind, body=b'{"error":1}')

    async with served(handler, tmp_path / "s") as client:
        with pytest.raises(NotAStream) as caught:
            await anext(client.stream("/x", b"{}"))

    assert (caught.value.reply.status, caught.value.reply.body) == (status, b'{"error":1}')


async def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    client = ChatClient(base_url="http://engine", unix_socket=str(tmp_path / "none"))
    with pytest.raises(UpstreamFailed) as caught:
        await client.get("/")
    await client.close()

    assert caught.value.code == "upstream_unreachable"


async def test_a_connection_cut_in_a_stream_is_a_failure(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = await opened(request)
        await response.write(b"data: 1\n\n")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with served(handler, tmp_path / "s") as client:
        payloads = client.stream("/x", b"{}")
        assert await anext(payloads) == [b"1"]
        with pytest.raises(UpstreamFailed) as caught:
            await anext(payloads)

    assert isinstance(caught.value, BrokenOff)
    assert caught.value.code == "upstream_unreachable"


@pytest.mark.parametrize("first", [b"", b"data: 1\n\n"])
async def test_silence_is_a_timeout(tmp_path: Path, first: bytes) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if not first:
            await asyncio.Event().wait()
        response = await opened(request)
        await response.write(first)
        await asyncio.Event().wait()
        return response

    async with served(handler, tmp_path / "s", timeouts=SHORT) as client:
        with pytest.raises(UpstreamTimeout) as caught:
            async for payloads in client.stream("/x", b"{}"):
                assert set(payloads) == {b"1"}

    assert (caught.value.status, caught.value.code) == (504, "upstream_timeout")


async def test_the_total_time_bounds_a_stream_that_never_stops(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = await opened(request)
        while True:
            await response.write(b"data: 1\n\n")
            await asyncio.sleep(0)

    async with served(handler, tmp_path / "s", timeouts=Timeouts(total_s=0.05)) as client:
        with pytest.raises(UpstreamTimeout):
            async for payloads in client.stream("/x", b"{}"):
                assert set(payloads) == {b"1"}


async def test_the_total_time_ends_a_stream_that_nobody_reads(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            response = await opened(request)
            while True:
                await response.write(b"data: 1\n\n" * 1000)
        finally:
            left.set()

    limits = Timeouts(total_s=0.05)
    async with (
        served(handler, tmp_path / "s", timeouts=limits, max_connections=1) as client,
        aclosing(client.stream("/x", b"{}")) as payloads,
    ):
        await anext(payloads)
        async with asyncio.timeout(5):
            await left.wait()
            with pytest.raises(UpstreamTimeout):  # and its place is free, so it is the server that is late
                await client.get("/x")
            with pytest.raises(UpstreamTimeout):
                async for _ in payloads:
                    pass


SOON = Timeouts(first_byte_s=5, between_chunks_s=0.01)


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_head_or_a_comment_is_no_first_byte(tmp_path: Path, streamed: bool) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = await opened(request)
        if streamed:
            await response.write(b": working\n\n")
        await asyncio.sleep(0.1)  # far beyond the time between chunks
        await response.write(b"data: 1\n\n")
        return response

    async with served(handler, tmp_path / "s", timeouts=SOON) as client:
        if streamed:
            assert [payload async for read in client.stream("/x", b"{}") for payload in read] == [b"1"]
        else:
            assert (await client.get("/x")).body == b"data: 1\n\n"


async def test_comments_alone_do_not_keep_a_stream_waiting(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = await opened(request)
        while True:
            await response.write(b": working\n\n")
            await asyncio.sleep(0.005)

    async with served(handler, tmp_path / "s", timeouts=Timeouts(first_byte_s=0.05)) as client:
        with pytest.raises(UpstreamTimeout):
            await anext(client.stream("/x", b"{}"))


@pytest.mark.parametrize("limits", [Timeouts(first_byte_s=0.05), Timeouts(total_s=0.05)])
async def test_to_wait_for_a_connection_of_our_own_is_no_failure_of_the_server(
    tmp_path: Path, limits: Timeouts
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await opened(request)

    async with served(handler, tmp_path / "s", timeouts=limits, max_connections=1) as client:
        taken = await client._pool.take()
        with pytest.raises(EngineBusy) as busy:
            await client.get("/x")
        client._pool.give_back(taken)

    assert (busy.value.status, busy.value.code, busy.value.retry_after_s) == (503, "upstream_busy", 1)


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_reply_without_end_is_given_up(tmp_path: Path, streamed: bool) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = await opened(request)
        await response.write(b"data: ")
        while True:
            await response.write(b"x" * 1000)

    async with served(handler, tmp_path / "s", limit_bytes=10_000) as client:
        with pytest.raises(UpstreamFailed) as caught:
            await (anext(client.stream("/x", b"{}")) if streamed else client.get("/x"))

    assert caught.value.code == "upstream_invalid_response"


async def test_garbage_is_no_reply(tmp_path: Path) -> None:
    async def garbage(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(garbage, tmp_path / "s")
    client = ChatClient(base_url="http://engine", unix_socket=str(tmp_path / "s"))
    with pytest.raises(UpstreamFailed) as caught:
        await client.get("/")
    await client.close()
    server.close()

    assert caught.value.code == "upstream_invalid_response"


async def test_a_client_that_was_closed_opens_anew(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"1")

    async with served(handler, tmp_path / "s") as client:
        await client.get("/")
        await client.close()
        assert (await client.get("/")).body == b"1"


def subclasses(cls: type[Exception]) -> Iterator[type[Exception]]:
    yield cls
    for below in cls.__subclasses__():
        yield from subclasses(below)


SYSTEM = {*subclasses(ssl.SSLError), *subclasses(ConnectionError), socket.gaierror, TimeoutError, OSError}


@pytest.mark.parametrize("foreign", sorted(SYSTEM | {Full, Unreadable}, key=lambda cls: cls.__name__))
def test_every_foreign_class_has_a_row(foreign: type[Exception]) -> None:
    rows = [row for row in module.TABLE if issubclass(foreign, row[0])]

    assert rows
    assert issubclass(foreign, TimeoutError) == (rows[0][1] is UpstreamTimeout)

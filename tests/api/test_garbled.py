"""api/garbled.py: over a real socket, since no application is ever asked."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from hansard.api.garbled import BODY_S, HEAD_LIMIT_BYTES, MOST_HEADERS, SILENCE_S, enveloped
from hansard.api.upgrades import without_upgrades
from hansard.observe import Event, Observer, RequestServed, ignore

pytestmark = pytest.mark.anyio


async def stall(scope: Scope, receive: Receive, send: Send) -> None:
    """Begins a reply that never ends."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_only(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads, and answers only when all is read."""
    while (message := await receive())["type"] != "http.disconnect":
        if not message.get("more_body"):
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return


@asynccontextmanager
async def listening(
    app: ASGIApp, *, observer: Observer = ignore, silence_s: float = SILENCE_S, body_s: float = BODY_S
) -> AsyncIterator[int]:
    """The port where the application is served."""
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None)
    config.load()
    state = uvicorn.Server(config).server_state
    protocol: Any = enveloped(
        without_upgrades(AutoHTTPProtocol),  # type: ignore[type-abstract] # it has the methods when it runs
        observer=observer,
        silence_s=silence_s,
        body_s=body_s,
    )
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for task in list(state.tasks):
            await task


async def answer(port: int, *pieces: bytes) -> bytes:
    """All that comes until the connection is closed. The other side may close while we still write."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await reader.read()
    finally:
        writer.close()


def parted(reply: bytes) -> tuple[str, dict[str, str], Any]:
    """Status line, headers and document."""
    head, _, body = reply.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines), json.loads(body)


CREATE = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"

GARBLED: dict[str, bytes] = {
    "no request line": b"hello\r\n\r\n",
    "a method and nothing else": b"FOO\r\n\r\n",
    "TLS": bytes.fromhex("160301020001000001fc0303"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no such version": b"GET /health HTTP/9.9\r\nHost: a\r\n\r\n",
    "a version with frames": b"GET /health HTTP/2.0\r\nHost: a\r\n\r\n",
    "a version with frames and no host": b"GET /health HTTP/2.0\r\n\r\n",
    "a version without headers": b"GET /health\r\n\r\n",
    "a path that is not ASCII": b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a path without its slash": b"GET health HTTP/1.1\r\nHost: a\r\n\r\n",
    "a proxy's method": b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a length that is no number": CREATE + b"Content-Length: x\r\n\r\n",
    "two lengths": CREATE + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk without its length": CREATE + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "an encoding we do not know": CREATE + b"Transfer-Encoding: gzip\r\n\r\nzz",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",  # RFC 9112, 3.2
    "two hosts": b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two hosts of old": b"GET /health HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
    "a header with a zero byte": b"GET /health HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
    "a header with a space": b"GET /health HTTP/1.1\r\nHost : a\r\n\r\n",
}


@pytest.mark.parametrize("sent", GARBLED.values(), ids=GARBLED.keys())
async def test_garbage_gets_the_envelope(sent: bytes) -> None:
    async with listening(read_only) as port:
        status, headers, document = parted(await answer(port, sent))

    assert status == "HTTP/1.1 400 Bad Request"
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"].startswith("req_")
    assert headers["connection"] == "close"
    assert document["error"]["type"] == "invalid_request_error"
    assert list(document["error"]) == ["message", "type", "param", "code"]


async def test_the_refusal_of_garbage_is_dated() -> None:
    """RFC 9110, 6.6.1: a server with a clock dates every 4xx."""
    began = int(time.time())
    async with listening(stall) as port:
        _, headers, _ = parted(await answer(port, GARBLED["no request line"]))

    assert headers["date"].endswith(" GMT")
    assert began <= parsedate_to_datetime(headers["date"]).timestamp() <= time.time()


async def test_garbage_is_an_event() -> None:
    events: list[Event] = []
    async with listening(read_only, observer=events.append) as port:
        _, headers, _ = parted(await answer(port, GARBLED["TLS"]))

    [event] = events
    assert event == RequestServed(
        method="-",
        path="-",
        status=400,
        duration_ms=0.0,
        request_id=headers["x-request-id"],
        error="invalid_request_error",
    )


ENDLESS: dict[str, Sequence[bytes]] = {
    "one header": [b"GET / HTTP/1.1\r\nX: ", *[b"x" * 1024] * 65],
    "many headers": [b"GET / HTTP/1.1\r\n", *[b"X: y\r\n" * 170] * 65],
    "the path": [b"GET /", *[b"x" * 1024] * 65],
}


@pytest.mark.parametrize("pieces", ENDLESS.values(), ids=ENDLESS.keys())
async def test_a_head_without_end_is_cut_short(pieces: Sequence[bytes]) -> None:
    assert sum(map(len, pieces)) > HEAD_LIMIT_BYTES
    async with listening(read_only) as port:
        status, _, document = parted(await answer(port, *pieces))

    assert status == "HTTP/1.1 431 Request Header Fields Too Large"
    assert document["error"]["code"] == "request_head_too_large"


async def test_a_long_body_is_no_long_head() -> None:
    body = b"x" * (3 * HEAD_LIMIT_BYTES)
    head = CREATE + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with listening(read_only) as port:
        assert (await answer(port, head, body)).startswith(b"HTTP/1.1 204")


async def test_garbage_behind_a_request_does_not_get_into_its_reply() -> None:
    events: list[Event] = []
    async with listening(stall, observer=events.append) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        begun = await reader.readuntil(b"begun")
        writer.write(b"\x00\x00 no request\r\n\r\n")
        rest = await reader.read()
        writer.close()

    assert begun.startswith(b"HTTP/1.1 200")
    assert rest.strip() == b""
    assert events == []


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers in two pieces without a length, and lets others go first."""
    for _ in range(10):
        await asyncio.sleep(0)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"one ", "more_body": True})
    await send({"type": "http.response.body", "body": b"two"})


async def test_a_whole_request_is_answered_before_the_garbage_behind_it() -> None:
    async with listening(slow) as port:
        replies = await answer(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\x00\x00 no request\r\n\r\n")

    first, second = replies.split(b"0\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200")
    assert parted(second)[0] == "HTTP/1.1 400 Bad Request"


async def test_a_client_of_http_1_0_gets_no_chunks() -> None:
    async with listening(slow) as port:
        head, _, body = (await answer(port, b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")).partition(b"\r\n\r\n")

    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == b"one two"


async def test_a_head_that_does_not_come_is_not_waited_for() -> None:
    async with listening(read_only, silence_s=0.05) as port:
        status, _, document = parted(await answer(port, b"GET / HTTP/1.1\r\nHost: a\r\n"))

    assert status == "HTTP/1.1 408 Request Timeout"
    assert document["error"]["code"] == "request_timeout"


@pytest.mark.parametrize("method", [b"FOO", b"get", b"x-y"])
async def test_a_method_that_nobody_knows_is_one_that_is_not_allowed(method: bytes) -> None:
    async with listening(read_only) as port:
        status, headers, document = parted(await answer(port, method + b" /v1/models HTTP/1.1\r\nHost: a\r\n\r\n"))

    assert status == "HTTP/1.1 405 Method Not Allowed"
    assert headers["allow"] == "GET, POST, DELETE"
    assert document["error"] == {
        "message": "Only GET, POST, and DELETE requests are accepted.",
        "type": "invalid_request_error",
        "param": None,
        "code": "method_not_supported",
    }


async def test_a_connection_on_which_nothing_comes_is_closed() -> None:
    events: list[Event] = []
    async with listening(read_only, observer=events.append, silence_s=0.05) as port:
        assert await answer(port) == b""

    assert events == []


async def test_blank_lines_begin_no_request_and_win_no_time() -> None:
    """They may stand before one (RFC 9112, 2.2); a connection on which nothing else comes is as idle as one without."""
    async with listening(read_only, silence_s=0.1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        reading = asyncio.create_task(reader.read())
        while not reading.done():
            writer.write(b"\r\n")
            await asyncio.wait([reading], timeout=0.02)
        writer.close()

    assert await reading == b""


async def test_blank_lines_behind_a_reply_keep_no_connection() -> None:
    async with listening(read_only, silence_s=0.1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\r\n")
        assert await reader.read() == b""
        writer.close()


async def test_without_a_limit_a_connection_stays() -> None:
    async with listening(read_only, silence_s=0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(CREATE + b"Connection: close\r\nContent-Length: 1\r\n\r\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(), 0.1)
        writer.close()


async def test_a_body_that_stops_is_not_waited_for() -> None:
    async with listening(read_only, silence_s=0.05) as port:
        status, _, document = parted(await answer(port, CREATE + b"Content-Length: 5\r\n\r\n", b"{"))

    assert status == "HTTP/1.1 408 Request Timeout"
    assert document["error"] == {
        "message": "The request's body did not go on for 0.05 seconds.",
        "type": "invalid_request_error",
        "param": None,
        "code": "request_timeout",
    }


async def test_a_body_that_goes_on_may_take_longer() -> None:
    silence_s = 0.2
    async with listening(read_only, silence_s=silence_s) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(CREATE + b"Connection: close\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            await asyncio.sleep(silence_s / 4)  # what is tested is that time passes
            writer.write(b"x")
        reply = await reader.read()
        writer.close()

    assert reply.startswith(b"HTTP/1.1 204")


async def test_a_body_that_drips_is_not_taken_for_ever() -> None:
    """A slow post: a byte now and then, for as long as the client likes."""
    async with listening(read_only, silence_s=5, body_s=0.2) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n")
        reading = asyncio.create_task(reader.read())
        while not reading.done():
            writer.write(b"x")
            await asyncio.wait([reading], timeout=0.02)
        writer.close()

    status, _, document = parted(await reading)
    assert status == "HTTP/1.1 408 Request Timeout"
    assert document["error"]["message"] == "The request's body was not whole within 0.2 seconds."


async def test_headers_that_drip_are_not_taken_for_ever() -> None:
    """Slowloris: a header now and then, and never the end."""
    async with listening(read_only, silence_s=0.2) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\n")
        reading = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))  # what is dripped behind it may reset the rest
        while not reading.done():
            writer.write(b"x-a: b\r\n")
            await asyncio.wait([reading], timeout=0.02)
        writer.close()

    assert (await reading).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


async def test_a_body_in_time_has_the_next_one_timed_anew() -> None:
    async with listening(read_only, body_s=0.3) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.15)  # what is tested is that time passes
            writer.write(b"{}")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"x-a: " + b"a" * HEAD_LIMIT_BYTES + b"\r\n",
        b"".join(b"x-%d: a\r\n" % number for number in range(MOST_HEADERS + 1)),
    ],
    ids=["size", "count"],
)
async def test_a_whole_head_that_is_too_large_is_refused(head: bytes) -> None:
    asked: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope["path"])

    events: list[Event] = []
    async with listening(app, observer=events.append) as port:
        reply = await answer(port, b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n" + head + b"\r\n{}")

    status, _, document = parted(reply)
    assert status.startswith("HTTP/1.1 431 ")
    assert document["error"]["code"] == "request_head_too_large"
    assert asked == []
    assert [event.error for event in events if isinstance(event, RequestServed)] == ["request_head_too_large"]


async def test_a_connection_is_let_go_with_its_head_that_is_too_large() -> None:
    """Not by the garbage collector, which comes after hundreds of them, each with all that was read."""
    head = b"x-a: " + b"a" * HEAD_LIMIT_BYTES
    gc.collect()
    gc.disable()
    try:
        async with listening(read_only) as port, asyncio.timeout(10):
            await answer(port, b"GET / HTTP/1.1\r\nhost: a\r\n" + head + b"\r\n\r\n")
            while [each for each in gc.get_objects() if type(each).__name__ == "Enveloped"]:
                await asyncio.sleep(0.01)  # the server's side of it is lost a moment later
    finally:
        gc.enable()


async def test_as_many_headers_as_may_be_are_read() -> None:
    head = b"".join(b"x-%d: a\r\n" % number for number in range(MOST_HEADERS - 2))
    async with listening(read_only) as port:
        reply = await answer(port, b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n" + head + b"\r\n")

    assert reply.startswith(b"HTTP/1.1 204")


async def test_what_stands_behind_a_body_is_no_header() -> None:
    """RFC 9110, 6.5.1: not to be taken into the headers, unless they are known to bear that."""
    headers: list[tuple[bytes, bytes]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_only(scope, receive, send)
        headers.extend(scope["headers"])

    body = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    async with listening(app) as port:
        for trailer in (b"Authorization: Bearer sk-1\r\nHost: b\r\n\r\n", b"\r\n"):
            reply = await answer(port, CREATE + b"Connection: close\r\n" + body + trailer)
            assert reply.startswith(b"HTTP/1.1 204")

    assert [name for name, _ in headers] == [b"host", b"connection", b"transfer-encoding"] * 2


LAST_CHUNK = CREATE + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"

BEHIND_A_BODY: dict[str, tuple[bytes, bytes]] = {
    "one trailer": (LAST_CHUNK + b"X: ", b"a"),
    "a trailer's name": (LAST_CHUNK, b"a"),
    "many trailers": (LAST_CHUNK, b"X: a\r\n"),
    "a chunk's extension": (LAST_CHUNK.removesuffix(b"\r\n") + b";", b"a"),
    "a chunk's length": (LAST_CHUNK.removesuffix(b"\r\n"), b"0"),
}


async def without_end(port: int, first: bytes, more: bytes, *, has_come: asyncio.Event) -> bytes:
    """All that comes back to so much behind a body that it may not be longer; sent once the body has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)
    await has_come.wait()
    writer.write(more * (HEAD_LIMIT_BYTES // len(more) + 1))
    reply = await reader.read()
    writer.close()
    return reply


@pytest.mark.parametrize(("first", "more"), BEHIND_A_BODY.values(), ids=BEHIND_A_BODY.keys())
async def test_what_stands_behind_a_body_has_an_end(first: bytes, more: bytes) -> None:
    has_come = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            if message["body"]:
                has_come.set()

    events: list[Event] = []
    async with listening(app, observer=events.append) as port, asyncio.timeout(10):
        status, headers, document = parted(await without_end(port, first, more, has_come=has_come))

    assert status == "HTTP/1.1 431 Request Header Fields Too Large"
    assert headers["connection"] == "close"
    assert document["error"] == {
        "message": f"What follows the request's body is larger than this server accepts ({HEAD_LIMIT_BYTES} bytes).",
        "type": "invalid_request_error",
        "param": None,
        "code": "request_head_too_large",
    }
    assert [event.error for event in events if isinstance(event, RequestServed)] == ["request_head_too_large"]


async def test_behind_a_reply_that_is_whole_it_is_cut_off_without_a_word() -> None:
    is_answered = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        is_answered.set()

    events: list[Event] = []
    async with listening(app, observer=events.append) as port, asyncio.timeout(10):
        reply = await without_end(port, LAST_CHUNK + b"X: ", b"a", has_come=is_answered)

    assert reply.startswith(b"HTTP/1.1 204")
    assert reply.count(b"HTTP/1.1") == 1
    assert events == []


async def test_trailers_of_many_requests_are_not_added_up() -> None:
    trailer = b"X: " + b"a" * (HEAD_LIMIT_BYTES // 2) + b"\r\n\r\n"
    async with listening(read_only) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(4):
            writer.write(LAST_CHUNK + trailer[:9])
            writer.write(trailer[9:])
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        writer.close()


async def test_a_body_of_small_pieces_has_no_trailers() -> None:
    """What stands around the pieces is more than what may stand behind them."""
    chunks = [b"1\r\nx\r\n" * 500] * (HEAD_LIMIT_BYTES // 1000)
    head = CREATE + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with listening(read_only) as port:
        assert (await answer(port, head, *chunks, b"0\r\n\r\n")).startswith(b"HTTP/1.1 204")


async def test_a_client_of_http_1_0_needs_no_host() -> None:
    async with listening(read_only) as port:
        assert (await answer(port, b"GET / HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 204")

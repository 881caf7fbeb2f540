import asyncio
import json
import re
from collections.abc import AsyncIterator
from itertools import count

import pytest

from bench.mock_upstream import Behaviour, Connection

pytestmark = pytest.mark.anyio


@pytest.fixture
async def port() -> AsyncIterator[int]:
    live: set[Connection] = set()
    numbers = count(1)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(live, numbers, "mock,chunks=2,fresh_ids=1"), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def ask(port: int, model: str, *, stream: bool) -> bytes:
    """Everything the mock sends until it closes, or until the reply is whole."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"model": model, "stream": stream}).encode()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    try:
        rest = await (reader.readexactly(int(length[1])) if length else reader.readuntil(b"\r\n0\r\n\r\n"))
    except asyncio.IncompleteReadError as ended:
        rest = ended.partial
    writer.close()
    return head + rest


def events(reply: bytes) -> list[str]:
    return re.findall(r"data: (.*)", reply.decode())


def contents(reply: bytes) -> list[str]:
    return [
        json.loads(event)["choices"][0]["delta"].get("content")
        for event in events(reply)
        if event != "[DONE]"
    ]  # fmt: skip


def test_the_name_says_what_to_do():
    assert Behaviour.named("mock,chunks=3,gap_ms=2.5,colour=red") == Behaviour(chunks=3, gap_ms=2.5)


async def test_a_stream_has_a_role_its_chunks_an_end_and_done(port: int):
    reply = await ask(port, "mock,chunks=3", stream=True)

    assert contents(reply) == ["", "Order", ", order", " in", None]
    assert events(reply)[-1] == "[DONE]"


async def test_cut_into_pieces_it_says_the_same(port: int):
    whole = await ask(port, "mock,chunks=3", stream=True)

    assert await ask(port, "mock,chunks=3,piece_bytes=7", stream=True) == whole
    assert await ask(port, "mock,chunks=3,together=1", stream=True) == whole


async def test_a_cut_stream_has_no_end(port: int):
    reply = await ask(port, "mock,chunks=3,cut_after=2", stream=True)

    assert contents(reply) == ["", "Order"]


async def test_every_completion_has_the_same_id_unless_told_otherwise(port: int):
    same = [json.loads((await ask(port, "mock,chunks=1", stream=False)).split(b"\r\n\r\n")[1])["id"] for _ in range(2)]
    fresh = [json.loads((await ask(port, "mock", stream=False)).split(b"\r\n\r\n")[1])["id"] for _ in range(2)]

    assert same == ["chatcmpl-1", "chatcmpl-1"]
    assert fresh == ["chatcmpl-000000000003", "chatcmpl-000000000004"]


async def test_a_timed_chunk_says_when_it_was_sent(port: int):
    reply = await ask(port, "mock,chunks=2,timed=1", stream=True)

    first, second = contents(reply)[1:3]
    assert re.fullmatch(r"@\d{19}", first)
    assert int(first[1:]) <= int(second[1:])


async def test_a_status_can_be_asked_for(port: int):
    reply = await ask(port, "mock,status=503", stream=True)

    assert reply.startswith(b"HTTP/1.1 503 ")


async def test_a_tool_can_be_called(port: int):
    call = {"name": "look_up", "arguments": '{"query":"order"}'}
    plain = json.loads((await ask(port, "mock,calls=1", stream=False)).split(b"\r\n\r\n")[1])["choices"][0]
    _, streamed, end, done = events(await ask(port, "mock,calls=1", stream=True))

    assert (plain["finish_reason"], plain["message"]["tool_calls"][0]["function"]) == ("tool_calls", call)
    assert json.loads(streamed)["choices"][0]["delta"]["tool_calls"][0]["function"] == call
    assert json.loads(end)["choices"][0]["finish_reason"] == "tool_calls"
    assert done == "[DONE]"


async def test_who_is_idle_is_closed_and_who_is_served_is_not():
    live: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(live, count(1), "mock,delay_ms=200"), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        idle, writer = await asyncio.open_connection("127.0.0.1", port)
        asking = asyncio.create_task(ask(port, "mock", stream=False))
        while sum(connection.is_idle for connection in live) != 1 or len(live) != 2:
            await asyncio.sleep(0)
        for connection in [*live]:
            connection.close_if_idle(loop.time() + 60)

        assert await idle.read() == b""
        writer.close()
        assert (await asking).startswith(b"HTTP/1.1 200 ")

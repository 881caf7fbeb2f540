"""What clients do that do not stay, or hardly: they leave in every phase, say half of it, or read slowly or nothing."""

from __future__ import annotations

import asyncio
import json
from random import Random

from .lines import Line, request
from .world import COMPLETIONS, World, asked

SILENCE_S = 2.0
"""How long the server waits for the rest of a request."""

UNREAD_S = 3.0
"""And for somebody to read."""

PATIENCE_S = 20.0
LAST_CHUNK = b"\r\n0\r\n\r\n"


def create(world: World, chance: Random, model: str, **fields: object) -> bytes:
    """The bytes of a create request that may be stored, and may be idempotent."""
    headers = {"authorization": world.bearer("till")}
    if chance.random() < 0.2:
        headers["idempotency-key"] = f"left-{world.number()}"
    body = asked("Who is there?", model, store=chance.random() < 0.5, stream=chance.random() < 0.5)
    return request("POST", COMPLETIONS, {**body, **fields}, headers)


async def before_the_first_byte(world: World, chance: Random) -> None:
    """While the engine thinks."""
    async with world.lines.new() as line:
        line.write(create(world, chance, "late"))
        await asyncio.sleep(chance.random() * 0.4)


async def mid_stream(world: World, chance: Random) -> None:
    """After a few chunks, or with the last of them, where many come at once."""
    async with world.lines.new() as line:
        line.write(create(world, chance, "slow", stream=True))
        for _ in range(chance.randint(1, 6)):
            if (await line.piece()).endswith(LAST_CHUNK):
                return


async def in_the_queue(world: World, chance: Random) -> None:
    """While others have all connections of the upstream; some stay to be served."""
    async with world.lines.new() as line:
        line.write(create(world, chance, "narrow"))
        if chance.random() < 0.3:
            reply = await line.reply()
            assert reply.status in (200, 503), reply
        else:
            await asyncio.sleep(chance.random() * 0.5)


async def in_the_request(world: World, chance: Random) -> None:
    """Before it is whole: in its line, its headers or its body."""
    whole = create(world, chance, "quick")
    async with world.lines.new() as line:
        line.write(whole[: chance.randint(0, len(whole) - 1)])
        await asyncio.sleep(chance.random() * 0.2)


async def half_open(world: World, chance: Random) -> None:
    """Half a request, and then silence, until the server has enough of it."""
    whole = create(world, chance, "quick")
    async with world.lines.new() as line:
        line.write(whole[: chance.randint(1, len(whole) - 1)])
        rest = await _until_closed(line)
        assert rest.startswith(b"HTTP/1.1 408 "), rest[:200]


async def silent(world: World, chance: Random) -> None:
    """A connection, and nothing else."""
    async with world.lines.new() as line:
        assert await _until_closed(line) == b""


async def half_closed(world: World, chance: Random) -> None:
    """All said, and our side closed: that is as good as having left."""
    async with world.lines.new() as line:
        line.write(create(world, chance, chance.choice(("quick", "slow", "late"))))
        line.close_our_side()
        await _until_closed(line)


async def behind_each_other(world: World, chance: Random) -> None:
    """Several requests at once; whoever sent them has gone before the last reply."""
    async with world.lines.new() as line:
        line.write(b"".join(create(world, chance, "quick", stream=False) for _ in range(4)))
        assert (await line.reply()).status == 200


async def slow_reader(world: World, chance: Random) -> None:
    """A few hundred bytes at a time, of a reply that no buffer holds; to its end, or until it has enough."""
    async with world.lines.new(reads_slowly=True) as line:
        line.write(create(world, chance, "long", stream=True))
        for _ in range(chance.randint(5, 40)):
            assert await line.piece(2000), "the stream ended early"
            await asyncio.sleep(0.05)


async def no_reader(world: World, chance: Random) -> None:
    """Reads nothing at all, so that it is cut off in the end."""
    async with world.lines.new(reads_slowly=True) as line:
        line.write(create(world, chance, "long", stream=True))
        await asyncio.sleep(UNREAD_S + 1 if chance.random() < 0.5 else chance.random())


async def no_http(world: World, chance: Random) -> None:
    """Bytes of another language."""
    async with world.lines.new() as line:
        line.write(chance.choice((b"\x16\x03\x01\x02\x00\x01", b"SSH-2.0-x\r\n\r\n")))
        rest = await _until_closed(line)
        assert rest.startswith(b"HTTP/1.1 400 "), rest[:200]


async def too_much(world: World, chance: Random) -> None:
    """Headers or a body beyond what is taken."""
    async with world.lines.new() as line:
        head = json.dumps({"x": "y" * 70_000})
        line.send("GET", "/v1/models", authorization=world.bearer("till"), x_more=head)
        rest = await _until_closed(line)
        assert rest.startswith(b"HTTP/1.1 431 "), rest[:200]


async def _until_closed(line: Line) -> bytes:
    """All that comes; TimeoutError if the server does not close."""
    data = b""
    async with asyncio.timeout(PATIENCE_S):
        try:
            while piece := await line.piece():
                data += piece
        except ConnectionError:
            return data
    return data

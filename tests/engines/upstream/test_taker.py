"""engines/upstream/engine.py: chunks given to a taker where they come are those that would have been yielded."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable, Sequence
from contextlib import aclosing

import msgspec
import pytest

from hansard.core.spelled import Spelled
from hansard.core.validate import parse_create
from hansard.engines.base import Call, Chunks, Taker
from hansard.engines.patience import Timeouts
from hansard.engines.upstream import UpstreamEngine
from hansard.errors import HansardError, UpstreamTimeout
from tests.engines.mock import Asked, Handler, chunk, event, serving
from tests.engines.upstream.streams import STREAMS

pytestmark = pytest.mark.anyio

ENDINGS = {
    "an error behind the last chunk": b'data: {"error": {"message": "Out of memory."}}\n\n',
    "a chunk that is none": b"data: 7\n\n",
    "a chunk with an error in one read": event(chunk({"content": "!"})) + b'data: {"error": {"message": "No."}}\n\n',
    "the end in one read with a chunk": event(chunk({"content": "!"})) + b"data: [DONE]\n\n",
    "nothing": b"",
}


class Client:
    """Whoever wants the stream: what is yielded to it, what it takes at once, and how it ended."""

    def __init__(self, takes: Callable[[int], bool] | None) -> None:
        self.yielded: list[object] = []
        self.taken: list[object] = []
        self.seen: list[object] = []
        self.failure: type[Exception] | None = None
        self.arrived = asyncio.Event()
        self._takes = takes
        self._offers = 0

    @property
    def taker(self) -> Taker | None:
        return None if self._takes is None else self.take

    def take(self, chunks: Chunks) -> bool:
        assert self._takes is not None
        self._offers += 1
        if not self._takes(self._offers):
            return False
        self._note(chunks, self.taken)
        return True

    async def read(self, engine: UpstreamEngine) -> None:
        received = parse_create(b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": true}')
        call = Call(request=received.request, document=received.document, model="m", seed=1, taker=self.taker)
        try:
            async with aclosing(engine.stream(call)) as stream:
                async for chunks in stream:
                    self._note(chunks, self.yielded)
        except (HansardError, ZeroDivisionError) as failure:
            self.failure = type(failure)

    def _note(self, chunks: Chunks, where: list[object]) -> None:
        documents = [one.document if isinstance(one, Spelled) else one for one in chunks]
        where += documents
        self.seen += documents
        chunks.clear()
        self.arrived.set()


async def play(client: Client, handler: Handler, **timeouts: float) -> Client:
    async with serving(handler) as mock:
        engine = UpstreamEngine(
            name="u", base_url=mock.base_url, observer=lambda _: None, timeouts=Timeouts(**timeouts)
        )
        await engine.start()
        try:
            await client.read(engine)
        finally:
            await engine.stop()
    return client


def sending(pieces: Sequence[bytes], client: Client) -> Handler:
    """Sends each piece when the chunks of the one before have arrived."""

    async def handler(asked: Asked) -> None:
        await asked.start_stream()
        for piece in pieces:
            client.arrived.clear()
            await asked.send(piece)
            await client.arrived.wait()
        await asked.write(b"0\r\n\r\n")

    return handler


def takes_all(_: int) -> bool:
    return True


def takes_none(_: int) -> bool:
    return False


def takes_every_other(offers: int) -> bool:
    return offers % 2 == 0


@pytest.mark.parametrize("takes", [takes_all, takes_none, takes_every_other])
@pytest.mark.parametrize("name", [*STREAMS, *ENDINGS])
async def test_nothing_is_lost_and_nothing_comes_twice(name: str, takes: Callable[[int], bool]) -> None:
    begun = b"".join(event(chunk({"content": text})) for text in "abc")
    sent = STREAMS[name][0] if name in STREAMS else begun + ENDINGS[name]

    async def handler(asked: Asked) -> None:
        await asked.start_stream()
        for at in range(0, len(sent), 60):
            await asked.send(sent[at : at + 60])
            await asyncio.sleep(0)
        await asked.write(b"0\r\n\r\n")

    plain = await play(Client(None), handler)
    offered = await play(Client(takes), handler)

    assert plain.seen
    assert (offered.seen, offered.failure) == (plain.seen, plain.failure)


async def test_what_comes_behind_the_first_is_given_at_once() -> None:
    client = Client(takes_all)
    await play(client, sending([event(chunk({"content": text})) for text in "abcd"], client))

    assert [said(one) for one in client.yielded] == ["a"]
    assert [said(one) for one in client.taken] == ["b", "c", "d"]


async def test_what_is_not_taken_is_yielded_in_its_place() -> None:
    client = Client(takes_every_other)
    await play(client, sending([event(chunk({"content": text})) for text in "abcde"], client))

    assert [said(one) for one in client.yielded] == ["a", "b", "d"]
    assert [said(one) for one in client.taken] == ["c", "e"]


async def test_a_reply_that_ends_in_one_read_with_its_last_chunk_ends() -> None:
    client, last = Client(takes_all), event(chunk({"content": "b"}, finish_reason="stop"))

    async def handler(asked: Asked) -> None:
        await asked.start_stream()
        await asked.send(event(chunk({"content": "a"})))
        await client.arrived.wait()
        await asked.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(last), last))

    async with asyncio.timeout(5):
        await play(client, handler)

    assert [said(one) for one in client.seen] == ["a", "b"]


async def test_what_a_taker_raises_ends_the_stream() -> None:
    client = Client(lambda offers: offers < 2 or 1 // 0 > 0)
    # The last is refused, and nothing else comes to end the stream.
    await play(client, sending([event(chunk({"content": text})) for text in "abc"], client))

    assert [said(one) for one in client.seen] == ["a", "b"]
    assert client.failure is ZeroDivisionError


async def test_after_a_bug_nothing_waits_for_the_garbage_collector() -> None:
    client = Client(lambda offers: offers < 2 or 1 // 0 > 0)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.disable()
    try:
        await play(client, sending([event(chunk({"content": text})) for text in "abc"], client))
        gc.collect()
        left = [type(each).__name__ for each in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()

    assert client.failure is ZeroDivisionError
    assert "_Rest" not in left


async def test_each_chunk_that_is_taken_begins_the_time_to_the_next() -> None:
    client = Client(takes_all)

    async def handler(asked: Asked) -> None:
        await asked.start_stream()
        for text in "abcdefgh":
            await asked.send(event(chunk({"content": text})))
            await asyncio.sleep(0.1)  # what is tested is that time passes
        await asyncio.Event().wait()

    await play(client, handler, between_chunks_s=0.4)

    assert [said(one) for one in client.seen] == list("abcdefgh")
    assert client.failure is UpstreamTimeout


def said(document: object) -> str:
    text: str = json.loads(msgspec.json.encode(document))["choices"][0]["delta"]["content"]
    return text

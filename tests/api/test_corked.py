"""api/corked.py: the head of a reply leaves with what follows it, and nothing else waits."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from hansard.api.corked import UNSENT_BYTES, CorkedTransport, corked

pytestmark = pytest.mark.anyio


class Wire(asyncio.Transport):
    """Remembers what reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = False
        self.high: int | None = None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


async def test_a_head_leaves_with_what_follows_it_in_the_same_turn() -> None:
    wire = Wire()
    transport = CorkedTransport(wire)

    transport.write(HEAD)
    before = list(wire.sent)
    transport.write(b"body")

    assert (before, wire.sent) == ([], [HEAD + b"body"])
    await asyncio.sleep(0)
    assert wire.sent == [HEAD + b"body"]


async def test_a_head_that_nothing_follows_leaves_at_the_end_of_the_turn() -> None:
    wire = Wire()
    transport = CorkedTransport(wire)

    transport.write(HEAD)
    await asyncio.sleep(0)
    sent = list(wire.sent)
    transport.write(b"body")

    assert (sent, wire.sent) == ([HEAD], [HEAD, b"body"])


async def test_a_chunk_does_not_wait() -> None:
    wire = Wire()
    transport = CorkedTransport(wire)

    transport.write(b"one")
    transport.write(b"two")

    assert wire.sent == [b"one", b"two"]


async def test_closing_sends_what_waits() -> None:
    wire = Wire()
    transport = CorkedTransport(wire)

    transport.write(HEAD)
    transport.close()
    await asyncio.sleep(0)

    assert (wire.sent, wire.closed, transport.is_closing()) == ([HEAD], True, True)


async def test_a_protocol_is_given_such_a_connection() -> None:
    class Echo(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            cast(asyncio.Transport, transport).write(HEAD)
            cast(asyncio.Transport, transport).write(b"b")

    wire = Wire()
    corked(Echo)().connection_made(wire)
    await asyncio.sleep(0)

    assert wire.sent == [HEAD + b"b"]
    assert wire.high == UNSENT_BYTES

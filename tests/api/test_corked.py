"""api/corked.py: what is written in one turn leaves in one go."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from hansard.api.corked import LIMIT_BYTES, UNSENT_BYTES, CorkedTransport, corked

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


async def test_what_is_written_in_one_turn_leaves_in_one_go() -> None:
    wire = Wire()
    transport = CorkedTransport(wire)

    transport.write(b"head")
    transport.write(b"body")
    before = list(wire.sent)
    await asyncio.sleep(0)
    transport.write(b"more")
    await asyncio.sleep(0)

    assert (before, wire.sent) == ([], [b"headbody", b"more"])


async def test_much_is_not_held_back() -> None:
    wire = Wire()
    transport = CorkedTransport(wire)

    transport.write(b"a")
    transport.write(b"b" * LIMIT_BYTES)

    assert [len(piece) for piece in wire.sent] == [LIMIT_BYTES + 1]
    await asyncio.sleep(0)
    assert len(wire.sent) == 1


async def test_closing_sends_what_waits() -> None:
    wire = Wire()
    transport = CorkedTransport(wire)

    transport.write(b"last")
    transport.close()
    await asyncio.sleep(0)

    assert (wire.sent, wire.closed, transport.is_closing()) == ([b"last"], True, True)


async def test_a_protocol_is_given_such_a_connection() -> None:
    class Echo(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            cast(asyncio.Transport, transport).write(b"a")
            cast(asyncio.Transport, transport).write(b"b")

    wire = Wire()
    corked(Echo)().connection_made(wire)
    await asyncio.sleep(0)

    assert wire.sent == [b"ab"]
    assert wire.high == UNSENT_BYTES

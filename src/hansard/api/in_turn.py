"""A connection on which many requests come at once: few of them are made before the first is answered.

The server makes all that a read holds, ten thousand of them in one turn of the event loop, each of which takes eighty
times the memory it came in; and it reads on with every reply. Here the rest of a read waits as it came.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

MOST_AT_ONCE: Final = 16
"""So many requests may end in one piece of what is read, which is as many as the usual clients send at once."""

PIECE_BYTES: Final = 64 * 1024
"""And so many bytes a piece has at most."""

# So short that few requests fit in. Behind it most of what is read has no line that ends so: bodies of JSON have none.
_SHORT_BYTES: Final = 1024
_LINE_END: Final = b"\r"

# Each head ends with it, and with nothing else (llhttp in its strict form; RFC 9112, section 2.1).
_BLANK: Final = b"\r\n\r\n"


def in_turn(protocol: type[asyncio.Protocol]) -> type[asyncio.Protocol]:
    """The same protocol of the server, which is given what is read in pieces, and the next when it has answered."""
    # Here, because with another server this module is imported as well, and it is a long way to this one.
    from uvicorn.protocols.http.flow_control import FlowControl

    class Flow(FlowControl):
        """Reads on only when nothing of what was read waits. It knows no connection, so it makes no cycle."""

        def __init__(self, transport: asyncio.Transport, pipeline: Any) -> None:
            super().__init__(transport)
            self.pipeline = pipeline
            self.held = b""

        def resume_reading(self) -> None:
            if self.read_paused and not self.pipeline and not self.held:
                super().resume_reading()

    class InTurn(protocol):  # type: ignore[misc, valid-type] # a class to be known only when it runs
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self.flow = Flow(self.transport, self.pipeline)

        def data_received(self, data: bytes) -> None:
            if self.flow.held or self.pipeline:  # TLS had it in its hands already
                self.hold(self.flow.held + data)
            elif len(data) <= PIECE_BYTES and data.find(_LINE_END, _SHORT_BYTES) < 0:
                super().data_received(data)
            else:
                self.take(data)

        def take(self, data: bytes) -> None:
            start = 0
            while start < len(data) and not self.pipeline and not self.transport.is_closing():
                end = piece_end(data, start)
                super().data_received(data[start:end])
                start = end
            if start < len(data) and not self.transport.is_closing():
                self.hold(data[start:])

        def hold(self, data: bytes) -> None:
            self.flow.held = data
            self.flow.pause_reading()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.flow.read_paused and not self.pipeline and not self.transport.is_closing():
                held, self.flow.held = self.flow.held, b""
                self.take(held)
                self.flow.resume_reading()

        def connection_lost(self, exc: Exception | None) -> None:
            self.flow.held = b""
            super().connection_lost(exc)

    return InTurn


def piece_end(data: bytes, start: int) -> int:
    """Where the piece ends that begins there: behind so many blank lines, or bytes, or with the data."""
    last = min(start + PIECE_BYTES, len(data))
    end = start
    for _ in range(MOST_AT_ONCE):
        found = data.find(_BLANK, end, last)
        if found < 0:
            return last
        end = found + len(_BLANK)
    return end

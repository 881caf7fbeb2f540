"""A connection that sends the head of a reply together with what follows it in the same turn of the event loop.

The server writes the two apart; each write is a system call and wakes the client. What follows goes out at once: to
wait for the end of the turn takes the loop one more turn for each chunk of a stream.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

# With more than this unsent the writer is made to wait, and with it whoever it reads from.
UNSENT_BYTES = 8 * 1024

_HEAD = b"HTTP/"


class CorkedTransport:
    """Stands before a transport; all but writing and closing is the transport's own business."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._head = b""
        self.writes = 0

    def write(self, data: bytes) -> None:
        """Send it, behind the head that waits for it; a head by itself at the end of this turn. Each is counted."""
        self.writes += 1
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(_HEAD):
            self._head = data
            self._loop.call_soon(self.flush)
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send now what waits."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """Close once all is sent."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def corked(protocol: type[asyncio.Protocol]) -> type[asyncio.Protocol]:
    """The same protocol over corked connections."""

    class Corked(protocol):  # type: ignore[misc, valid-type] # a class to be known only when it runs
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            wire = cast(asyncio.Transport, transport)
            wire.set_write_buffer_limits(high=UNSENT_BYTES)
            super().connection_made(cast(asyncio.Transport, CorkedTransport(wire)))

    return Corked

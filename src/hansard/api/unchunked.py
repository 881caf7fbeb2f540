"""Replies without a length to clients of HTTP/1.0, whose end is the end of the connection.

The server would send them in chunks, which such a client cannot read and must not get (RFC 9112, section 6.1).
"""

from __future__ import annotations

import asyncio
from typing import Any

_CHUNKED = b"transfer-encoding: chunked\r\n"


class UnchunkedTransport:
    """Stands before a transport for one reply; takes off what the server puts around each chunk."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._is_chunked = False
        self._has_begun = False

    def write(self, data: bytes) -> None:
        """A head, or one write of the server: a chunk, the end, or both."""
        if not self._has_begun:
            self._has_begun = True
            head, end, rest = data.partition(b"\r\n\r\n")
            self._is_chunked = _CHUNKED in head + b"\r\n"
            data = (head + b"\r\n").replace(_CHUNKED, b"").removesuffix(b"\r\n") + end + rest
        elif self._is_chunked:
            data = _unchunked(data)
        if data:
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _unchunked(data: bytes) -> bytes:
    bodies = []
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        bodies.append(data[:length])
        data = data[length + 2 :]
    return b"".join(bodies)

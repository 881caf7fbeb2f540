"""A stream's way to its client past ASGI's ``send``, for chunks that need not wait.

A message, the coroutine that sends it and the task that runs all this cost as much for each chunk as all that is done
with the chunk itself, most of it in memory that a thousand streams keep out of the processor's caches.
"""

from __future__ import annotations

from typing import Any

from starlette.types import Send

from hansard.core.sse import Encoder
from hansard.runs import Shown


class Outlet:
    """Of the server's own state of a request and its reply (``cycle``), which says and does what ``send`` would."""

    __slots__ = ("_cycle", "_encoder")

    def __init__(self, cycle: Any, encoder: Encoder) -> None:
        self._cycle = cycle
        self._encoder = encoder

    @property
    def is_free(self) -> bool:
        """Whether the reply has begun, goes out in pieces, and neither waits for its client nor has lost it."""
        cycle = self._cycle
        return cycle.chunked_encoding is True and not cycle.flow.write_paused and not cycle.disconnected

    def send(self, shown: Shown) -> None:
        """Write them as one piece of the reply (RFC 9112, section 7.1)."""
        events = self._encoder.events(shown)
        self._cycle.transport.write(b"%x\r\n%b\r\n" % (len(events), events))


def outlet_of(send: Send, encoder: Encoder) -> Outlet | None:
    """That of this request's reply; None behind whatever wants to see its messages, and with another server."""
    cycle = getattr(send, "__self__", None)
    return Outlet(cycle, encoder) if hasattr(cycle, "chunked_encoding") and hasattr(cycle, "flow") else None

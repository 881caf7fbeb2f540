"""A connection that says by itself that its client has left.

What ASGI has for it, waiting in ``receive``, takes a task for each request; servers that are not ours have only that.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from hansard.errors import HansardError

LAST_S: Final = 0.1
"""How long a client that has closed its sending side is waited for, in seconds. Nearly all have left then, and nothing
but a write tells them from those who still read: it comes back, and the connection is lost at once. Until then they
hold their place in lines, so it is no longer than a reply takes that nobody has to wait for."""

LOOK_S: Final = 0.5
"""How often a connection is looked at whose next requests wait their turn, in seconds: nothing is read from it."""

# Of a connection that its client has closed or reset, as TCP_INFO tells it (tcp(7); Linux, include/net/tcp_states.h).
_CLOSED: Final = (7, 8)

EXTENSION: Final = "hansard.hangup"
"""Under this name among the extensions of a request's scope."""


class Hangup:
    """Of one request's client: ``act`` is called when it leaves before its reply is whole.

    ``late``, while somebody reads a body, when that does not come in time: whoever reads says so.
    """

    __slots__ = ("act", "is_past", "late")

    def __init__(self) -> None:
        self.act: Callable[[], None] | None = None
        self.late: Callable[[HansardError], None] | None = None
        self.is_past = False

    def happen(self) -> None:
        """It has left."""
        self.is_past = True
        if self.act is not None:
            self.act()


def hangup_of(scope: Mapping[str, Any]) -> Hangup | None:
    """The one of this request, where its server has it."""
    hangup: Hangup | None = (scope.get("extensions") or {}).get(EXTENSION)
    return hangup


def noticing(
    protocol: type[asyncio.Protocol], *, last_s: float = LAST_S, look_s: float = LOOK_S
) -> type[asyncio.Protocol]:
    """The same protocol of the server with a hangup in the scope of each request."""

    class Noticing(protocol):  # type: ignore[misc, valid-type] # a class to be known only when it runs
        has_said_all = False

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            # The server itself knows the last request only: of several at once that is the one least under way.
            self.unanswered: deque[Any] = deque()
            self.looker: asyncio.TimerHandle | None = None

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self.scope["extensions"] = {EXTENSION: Hangup()}

        def on_headers_complete(self) -> None:
            before = self.cycle
            super().on_headers_complete()
            if self.cycle is not before:  # or it was the request for an upgrade
                self.unanswered.append(self.cycle)
            if self.pipeline and self.looker is None:
                self.looker = self.loop.call_later(look_s, self.look_whether_left)

        def look_whether_left(self) -> None:
            """While requests wait their turn the server reads nothing, and so not that their client has left either."""
            self.looker = None
            if self.has_more and _is_closed(self.transport):
                self.transport.abort()
            elif self.has_more:
                self.looker = self.loop.call_later(look_s, self.look_whether_left)

        def eof_received(self) -> bool:
            """True keeps the other side open."""
            cycle = self.cycle
            if cycle is None or cycle.more_body or cycle.response_complete or self.has_more:
                return False
            self.has_said_all = True
            self.loop.call_later(last_s, self.wait_no_longer, self.writes)
            return True

        @property
        def has_more(self) -> bool:
            """Requests behind the one that is answered, made or as they came (``in_turn``)."""
            return bool(self.pipeline) or bool(getattr(self.flow, "held", b""))

        @property
        def writes(self) -> int:
            """To the connection, where it counts them (``corked``)."""
            return getattr(self.transport, "writes", 0)

        def wait_no_longer(self, writes_before: int) -> None:
            if self.writes == writes_before:
                self.transport.close()

        def on_response_complete(self) -> None:
            if self.unanswered:
                self.unanswered.popleft()
            super().on_response_complete()
            if self.has_said_all and self.cycle.response_complete:
                self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self.looker is not None:
                self.looker.cancel()
            for cycle in self.unanswered:
                cycle.disconnected = True
                cycle.message_event.set()
                if (hangup := hangup_of(cycle.scope)) is not None:
                    hangup.happen()
            self.unanswered.clear()
            self.forget_those_behind()

        def forget_those_behind(self) -> None:
            """Each leads back here: together we would wait for the garbage collector."""
            for cycle, _ in self.pipeline:
                cycle.on_response = None
            self.pipeline.clear()

    return Noticing


def _is_closed(transport: asyncio.Transport) -> bool:
    """Whether the client has closed its side, or all of it; False where the system does not tell."""
    try:
        info: bytes = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    except (AttributeError, OSError):
        return False
    return info[0] in _CLOSED

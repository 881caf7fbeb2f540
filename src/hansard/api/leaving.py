"""A connection that says by itself that its client has left.

What ASGI has for it, waiting in ``receive``, takes a task for each request; servers that are not ours have only that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

EXTENSION: Final = "hansard.departure"
"""Under this name among the extensions of a request's scope."""


class Departure:
    """Of one request's client: ``act`` is called when it leaves before its reply is whole."""

    __slots__ = ("act", "is_past")

    def __init__(self) -> None:
        self.act: Callable[[], None] | None = None
        self.is_past = False

    def happen(self) -> None:
        """It has left."""
        self.is_past = True
        if self.act is not None:
            self.act()


def departure_of(scope: Mapping[str, Any]) -> Departure | None:
    """The one of this request, where its server has it."""
    departure: Departure | None = (scope.get("extensions") or {}).get(EXTENSION)
    return departure


def noticing(protocol: type[asyncio.Protocol]) -> type[asyncio.Protocol]:
    """The same protocol of the server with a departure in the scope of each request."""

    class Noticing(protocol):  # type: ignore[misc, valid-type] # a class to be known only when it runs
        def on_message_begin(self) -> None:
            super().on_message_begin()
            self.scope["extensions"] = {EXTENSION: Departure()}

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self.cycle is None or self.cycle.response_complete:
                return
            if (departure := departure_of(self.cycle.scope)) is not None:
                departure.happen()

    return Noticing

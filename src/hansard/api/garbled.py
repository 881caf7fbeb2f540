"""What is no HTTP request, or too much of one, gets the envelope and a line in the log as well.

The server answers such bytes itself, in plain text, before any application is asked; clients read envelopes.
"""

from __future__ import annotations

import asyncio
import os
from http import HTTPStatus
from typing import Any

import msgspec

from hansard.api.front import envelope
from hansard.api.unchunked import UnchunkedTransport
from hansard.core import ids
from hansard.errors import HansardError, HeadTooLarge, HeadTooLate, InvalidRequest
from hansard.observe import Observer, RequestServed

HEAD_LIMIT_BYTES = 64 * 1024
"""How much of a request line and headers is kept while their end is still to come; the parser has no bound."""

_NOT_HTTP = "We could not understand the request: what was sent is not valid HTTP/1.1."


HEAD_S = 30.0
"""How long a request line and headers may take, from their first byte, in seconds."""


def enveloped(
    protocol: type[asyncio.Protocol], *, observer: Observer, head_s: float = HEAD_S
) -> type[asyncio.Protocol]:
    """The same protocol of the server, with its own refusals in our words, and told to the observer."""

    class Enveloped(protocol):  # type: ignore[misc, valid-type] # a class to be known only when it runs
        scope: Any = None
        unfinished_bytes = 0
        put_off: HansardError | None = None
        head_timer: asyncio.TimerHandle | None = None

        def connection_lost(self, exc: Exception | None) -> None:
            self.head_is_whole()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.put_off is not None:  # nothing is read any more
                return
            super().data_received(data)
            if self.scope is None or "method" in self.scope:  # set once the head is whole
                self.head_is_whole()
                return
            if self.head_timer is None:
                self.head_timer = self.loop.call_later(head_s, self.refuse, HeadTooLate(head_s))
            self.unfinished_bytes += len(data)
            if self.unfinished_bytes > HEAD_LIMIT_BYTES and not self.transport.is_closing():
                self.refuse(HeadTooLarge(HEAD_LIMIT_BYTES))

        def head_is_whole(self) -> None:
            self.unfinished_bytes = 0
            if self.head_timer is not None:
                self.head_timer.cancel()
                self.head_timer = None

        def on_headers_complete(self) -> None:
            super().on_headers_complete()
            if self.scope.get("http_version") == "1.0" and self.cycle is not None:
                self.cycle.transport = UnchunkedTransport(self.transport)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.put_off is not None and self.cycle.response_complete:
                self.refuse(self.put_off)

        def send_400_response(self, msg: str) -> None:
            """What the server calls for bytes it cannot read."""
            self.refuse(InvalidRequest(_NOT_HTTP))

        def refuse(self, error: HansardError) -> None:
            if self.transport.is_closing():
                return
            # A request that came whole has its reply first.
            if self.cycle is not None and not (self.cycle.more_body or self.cycle.response_started):
                self.put_off = error
                return
            # In the midst of a reply an envelope would become a part of it.
            if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
                request_id = ids.request_id(os.urandom(16))
                self.transport.write(_reply(error, request_id))
                observer(_refused(error, request_id))
            self.transport.close()

    return Enveloped


def _refused(error: HansardError, request_id: str) -> RequestServed:
    """A dash for what is not known, as in the logs of web servers: no text of unreadable bytes gets into ours."""
    return RequestServed(
        method="-",
        path="-",
        status=error.status,
        duration_ms=0.0,
        request_id=request_id,
        error=error.word,
    )


def _reply(error: HansardError, request_id: str) -> bytes:
    """A whole HTTP reply, the last on its connection."""
    body = msgspec.json.encode(envelope(error))
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n"
        "content-type: application/json\r\n"
        f"content-length: {len(body)}\r\n"
        f"x-request-id: {request_id}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body

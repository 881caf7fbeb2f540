"""What is no HTTP request, or too much of one, gets the envelope and a line in the log as well.

The server answers such bytes itself, in plain text, before any application is asked; clients read envelopes.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPMethod, HTTPStatus
from typing import Any

import httptools
import msgspec

from hansard.api.front import envelope
from hansard.api.leaving import hangup_of
from hansard.api.unchunked import UnchunkedTransport
from hansard.core import ids
from hansard.errors import (
    BodyTooLate,
    BodyTooSlow,
    HansardError,
    HeadTooLarge,
    HeadTooLate,
    InvalidRequest,
    MethodNotAllowed,
    TrailersTooLarge,
)
from hansard.observe import Observer, RequestServed

HEAD_LIMIT_BYTES = 64 * 1024
"""How long a request line and headers may be together, and what is no body in or behind one at a stretch; the parser
has no bound, and joins a trailer anew with every read."""

MOST_HEADERS = 256

_NOT_HTTP = "We could not understand the request: what was sent is not valid HTTP/1.1."

_NO_HOST = "We could not understand the request: a request of HTTP/1.1 has one Host header."

# The parser takes HTTP/2.0 as well, which has no request lines, and HTTP/0.9, which has no replies that we could send.
_VERSIONS = ("1.1", "1.0")

# The parser gives up at a method that it does not know; a line that is sound but for that asks for one we do not have.
_ANY_METHOD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) \S+ HTTP/1\.[01]\r?\n")
_METHODS = ("GET", "POST", "DELETE")

SILENCE_S = 30.0
"""How long a request line and headers may take, from their first byte; and how long nothing may come before that
byte, and within a body. In seconds; 0 is for ever."""

BODY_S = 600.0
"""How long a whole body may take, from the end of the headers, however steadily it comes. In seconds; 0 is for ever."""


def enveloped(
    protocol: type[asyncio.Protocol], *, observer: Observer, silence_s: float = SILENCE_S, body_s: float = BODY_S
) -> type[asyncio.Protocol]:
    """The same protocol of the server, with its own refusals in our words, and told to the observer."""

    class Enveloped(protocol):  # type: ignore[misc, valid-type] # a class to be known only when it runs
        scope: Any = None
        unfinished_bytes = 0
        put_off: HansardError | None = None
        timer: asyncio.TimerHandle | None = None
        body_timer: asyncio.TimerHandle | None = None
        fault: HansardError | None = None
        data = b""
        is_one_head = True  # all of the data
        bodiless_bytes = 0  # since the last of a body

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            # Nothing was asked for, so there is nothing to answer.
            self.wait_for(transport.close)

        def connection_lost(self, exc: Exception | None) -> None:
            self.wait_no_more()
            self.bound_no_more()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.put_off is not None:  # nothing is read any more
                return
            self.data = data
            self.is_one_head = self.cycle is None or not self.cycle.more_body
            super().data_received(data)
            self.data = b""
            if self.scope is None or "method" in self.scope:  # set once the head is whole
                self.unfinished_bytes = 0
                if self.cycle is None or (self.cycle.response_complete and not self.cycle.more_body):
                    # Blank lines begin no request, and win no time: the server waits no longer for the next one.
                    if self.timer is None:
                        self.wait_for(self.transport.close)
                    return
                self.wait_no_more()
                if self.cycle.more_body:
                    self.bodiless_bytes += len(data)
                    if self.bodiless_bytes > HEAD_LIMIT_BYTES:
                        self.put_off = TrailersTooLarge(HEAD_LIMIT_BYTES)
                        self.give_up(self.put_off)
                        return
                    self.wait_for(self.miss_the_body)
                    if self.body_timer is None:
                        self.bound_the_body()
                elif self.body_timer is not None:
                    self.bound_no_more()
                return
            if not self.unfinished_bytes:
                self.wait_for(lambda: self.refuse(HeadTooLate(silence_s)))
            self.unfinished_bytes += len(data) if self.is_one_head else 1 + self.head_bytes()
            if self.unfinished_bytes > HEAD_LIMIT_BYTES and not self.transport.is_closing():
                self.refuse(HeadTooLarge(HEAD_LIMIT_BYTES, MOST_HEADERS))

        def wait_for(self, act: Callable[[], None]) -> None:
            self.wait_no_more()
            if silence_s:
                self.timer = self.loop.call_later(silence_s, act)

        def wait_no_more(self) -> None:
            if self.timer is not None:
                self.timer.cancel()
                self.timer = None

        def miss_the_body(self) -> None:
            if self.flow.read_paused:  # it is not the client that is slow
                self.wait_for(self.miss_the_body)
            elif self.cycle is not None and self.cycle.more_body:
                self.give_up(BodyTooLate(silence_s))

        def give_up(self, error: HansardError) -> None:
            """A body is waited for no longer. Who reads it says so, for then the request has one reply and one line."""
            hangup = hangup_of(self.cycle.scope)
            if self.cycle.response_complete:
                self.transport.close()
            elif hangup is None or hangup.late is None:
                self.refuse(error)
            else:
                self.cycle.keep_alive = False
                hangup.late(error)
                self.cycle.message_event.set()

        def bound_the_body(self) -> None:
            if body_s:
                self.body_timer = self.loop.call_later(body_s, self.end_the_body)

        def bound_no_more(self) -> None:
            if self.body_timer is not None:
                self.body_timer.cancel()
                self.body_timer = None

        def end_the_body(self) -> None:
            if self.flow.read_paused:  # it is not the client that is slow
                self.bound_the_body()
            elif self.cycle is not None and self.cycle.more_body:
                self.give_up(BodyTooSlow(body_s))

        def on_header(self, name: bytes, value: bytes) -> None:
            # What comes once the head is whole stands behind the body, where anybody may have put it (RFC 9110, 6.5.1).
            if "method" not in self.scope:
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            # What came in few pieces can be no longer than they are.
            may_be_long = self.unfinished_bytes + len(self.data) > HEAD_LIMIT_BYTES
            if len(self.headers) > MOST_HEADERS or (may_be_long and self.head_bytes() > HEAD_LIMIT_BYTES):
                self.fault = HeadTooLarge(HEAD_LIMIT_BYTES, MOST_HEADERS)
                raise self.fault  # the parser stops, and the server sends its 400: see below
            version = self.parser.get_http_version()
            if version not in _VERSIONS:
                self.fault = InvalidRequest(_NOT_HTTP)
                raise self.fault
            # RFC 9112, 3.2; of several each proxy in front could have meant another one.
            hosts = [name for name, _ in self.headers].count(b"host")
            if hosts != 1 and (hosts or version != "1.0"):
                self.fault = InvalidRequest(_NO_HOST)
                raise self.fault
            self.is_one_head = False
            self.bodiless_bytes = -len(self.data)
            super().on_headers_complete()
            if version == "1.0" and self.cycle is not None:
                self.cycle.transport = UnchunkedTransport(self.transport)

        def on_body(self, body: bytes) -> None:
            self.bodiless_bytes = -len(self.data)
            super().on_body(body)

        def head_bytes(self) -> int:
            return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.put_off is not None and (self.cycle.response_complete or not self.pipeline):
                self.refuse(self.put_off)

        def send_400_response(self, msg: str) -> None:
            """What the server calls for bytes it cannot read, while it handles the parser's error."""
            if self.fault is not None:
                # Its traceback leads back here: together we would wait for the garbage collector.
                self.refuse(self.fault.with_traceback(None))
                return
            found = _ANY_METHOD.match(self.data)
            is_method = isinstance(sys.exc_info()[1], httptools.HttpParserInvalidMethodError)
            # Behind a sound request stands the one that is not, and nobody looked where it begins.
            is_new = found is not None and found[1].decode() not in HTTPMethod.__members__
            self.refuse(MethodNotAllowed(_METHODS) if is_method and is_new else InvalidRequest(_NOT_HTTP))

        def refuse(self, error: HansardError) -> None:
            if self.transport.is_closing():
                return
            # Requests that came whole have their replies first.
            if self.pipeline or (self.cycle is not None and not (self.cycle.more_body or self.cycle.response_started)):
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


def _allow(error: HansardError) -> str:
    """What a 405 has to say (RFC 9110, 15.5.6)."""
    return f"allow: {', '.join(error.allowed)}\r\n" if isinstance(error, MethodNotAllowed) else ""


def _reply(error: HansardError, request_id: str) -> bytes:
    """A whole HTTP reply, the last on its connection."""
    body = msgspec.json.encode(envelope(error))
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n"
        f"{_allow(error)}content-type: application/json\r\n"
        f"content-length: {len(body)}\r\n"
        f"date: {formatdate(usegmt=True)}\r\n"
        f"x-request-id: {request_id}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body

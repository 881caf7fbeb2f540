"""Pages in browsers: what these ask before (CORS preflights), and what they are let read of a reply."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from hansard.api.exchange import STANDING_HEADERS, Exchange
from hansard.api.front import Front
from hansard.errors import InvalidRequest

_METHODS = ("GET", "POST", "DELETE")

# Of the headers of a reply those that clients read; a page sees of them only what it is told of.
_READ_BY_CLIENTS = (
    *("x-request-id", "retry-after", "retry-after-ms", "x-should-retry", "idempotent-replayed"),
    *("openai-processing-ms", "openai-version", "openai-project", "openai-organization"),
)

# Said by whoever replies.
_OF_BODY = ("content-type", "content-length")


class OpenToPages(CORSMiddleware):
    """The application for pages of these origins. No credentials but the key in a header, which a page must know.

    What a browser asks before is a request like any other: with an id, a line in the log, and an envelope if refused.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str], *, front: Front) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=["*"],
            expose_headers=[*_READ_BY_CLIENTS, *STANDING_HEADERS],
        )
        self._front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "OPTIONS" and _is_preflight(headers := Headers(scope=scope)):
            exchange = self._front.exchange(scope, receive, send)
            await self._front.answer(lambda one: self._permit(one, headers), exchange, scopes=None)
        else:
            await super().__call__(scope, receive, send)

    async def _permit(self, exchange: Exchange, headers: Headers) -> None:
        found = self.preflight_response(headers)
        said = bytes(found.body)
        permits = {name: value for name, value in found.raw_headers if name.decode() not in _OF_BODY}
        if found.status_code == 200:
            await exchange.reply(200, said, permits, content_type=b"text/plain; charset=utf-8")
            return
        for name, value in permits.items():
            exchange.add_header(name, value)
        raise InvalidRequest(f"This server refuses the preflight request of a page: {said.decode()}.")


def _is_preflight(headers: Headers) -> bool:
    """Fetch Standard, 3.3.2: CORS-preflight request."""
    return "origin" in headers and "access-control-request-method" in headers

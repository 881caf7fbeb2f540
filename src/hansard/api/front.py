"""The outermost edge: every request gets an id, a principal, an envelope for its errors and a line in the log."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from starlette.types import Receive, Send
from starlette.types import Scope as Connection

from hansard.api.bodies import Bodies
from hansard.api.exchange import LINES, ClientLeft, Exchange
from hansard.contract import Document
from hansard.core import ids, sse
from hansard.core.keys import EVERY, Scope
from hansard.errors import HansardError, InternalError, MethodNotAllowed, Unavailable
from hansard.observe import Crashed, Observer, RequestServed
from hansard.tenancy import Gate

Handler = Callable[[Exchange], Awaitable[None]]

# nginx's number for a request whose client went away; it is logged, never sent.
CLIENT_LEFT = 499

MAX_BODIES_BYTES = 256 * 1024 * 1024

# The client's own id for the request, to be found again: https://platform.openai.com/docs/api-reference/debugging-requests
_CLIENT_REQUEST_ID = b"x-client-request-id"


class Front:
    """Makes ASGI applications out of handlers."""

    def __init__(
        self, *, gate: Gate, observer: Observer, max_body_bytes: int, max_bodies_bytes: int = MAX_BODIES_BYTES
    ) -> None:
        self._gate = gate
        self._observer = observer
        self._bodies = Bodies(most_bytes=max_body_bytes, in_all_bytes=max_bodies_bytes)

    def resource(
        self, handlers: Mapping[str, Handler], *, scopes: Mapping[str, frozenset[Scope]] | None = None
    ) -> Resource:
        """One address: a handler per method, and of which scopes a key must have one for it.

        A method without scopes takes every valid key. Without any ``scopes`` no key is asked for.
        """
        return Resource(self, handlers, scopes=scopes)

    async def answer(self, handler: Handler, exchange: Exchange, *, scopes: frozenset[Scope] | None) -> None:
        """Run the handler; whatever happens becomes a reply and an event."""
        try:
            await self._answer(handler, exchange, scopes=scopes)
        finally:
            exchange.let_go()

    async def _answer(self, handler: Handler, exchange: Exchange, *, scopes: frozenset[Scope] | None) -> None:
        error: HansardError | None = None
        status: int | None = None
        try:
            if scopes is not None:
                await self.admit(exchange, scopes)
            exchange.admitted = True
            await handler(exchange)
        except ClientLeft:
            status = CLIENT_LEFT
        except asyncio.CancelledError:
            # The server shuts down and waits no longer; without a word from here it would answer in plain text.
            error = Unavailable("The server is shutting down.")
            await _tell(exchange, error)
            self._observer(_served(exchange, status, error))
            raise
        except HansardError as raised:
            # Its traceback leads back here: together we would wait for the garbage collector.
            error = raised.with_traceback(None)
        except Exception as raised:  # noqa: BLE001 (the outermost edge: a bug becomes the API's own 500, and an event)
            error = InternalError()
            self._observer(Crashed(request_id=exchange.request_id, exception=raised))
        if error is not None:
            await _tell(exchange, error)
        self._observer(_served(exchange, status, error))

    async def admit(self, exchange: Exchange, scopes: frozenset[Scope]) -> None:
        """Say who asks, or raise what is wrong with the key, or with what it is to be used for."""
        principal = await self._gate.admit(exchange.header(b"authorization"), exchange.header(b"api-key"))
        organization, project = exchange.header(b"openai-organization"), exchange.header(b"openai-project")
        if organization is not None or project is not None:
            self._gate.check(principal, organization=organization, project=project)
        exchange.principal = principal
        if principal.key is not None:  # as the live API says with every reply (dossier, section c)
            exchange.add_header(b"openai-project", principal.project.encode())
            if self._gate.organization is not None:
                exchange.add_header(b"openai-organization", self._gate.organization.encode())
        principal.must_have(scopes)

    def exchange(self, scope: Connection, receive: Receive, send: Send) -> Exchange:
        """The exchange for one ASGI call, under a fresh request id."""
        request_id = ids.request_id(os.urandom(16))
        return Exchange(scope, receive, send, request_id=request_id, bodies=self._bodies)


class Resource:
    """An ASGI application for one address."""

    def __init__(
        self, front: Front, handlers: Mapping[str, Handler], *, scopes: Mapping[str, frozenset[Scope]] | None
    ) -> None:
        self._front = front
        self._handlers = dict(handlers)
        if "GET" in self._handlers:
            # The server sends what answers it without the body.
            self._handlers["HEAD"] = self._handlers["GET"]
        self._allowed = tuple(handlers)
        self._scopes = None if scopes is None else {"HEAD": scopes.get("GET", EVERY), **scopes}

    def __call__(self, scope: Connection, receive: Receive, send: Send) -> Awaitable[None]:
        handler = self._handlers.get(scope["method"]) or self._refuse
        scopes = None if self._scopes is None else self._scopes.get(scope["method"], EVERY)
        return self._front.answer(handler, self._front.exchange(scope, receive, send), scopes=scopes)

    async def _refuse(self, exchange: Exchange) -> None:
        exchange.add_header(b"allow", ", ".join(self._handlers).encode())
        raise MethodNotAllowed(self._allowed)


def also_having(scopes: frozenset[Scope], handler: Handler) -> Handler:
    """The same handler, for keys that have one of these scopes beside one that the method asks for."""

    async def handle(exchange: Exchange) -> None:
        exchange.principal.must_have(scopes)
        await handler(exchange)

    return handle


async def _tell(exchange: Exchange, error: HansardError) -> None:
    """As an HTTP status while there is none yet; in a stream that has begun as its last event but ``[DONE]``.

    Where a commit was due, the error stands in place of that (decision 21).
    """
    if exchange.status is None:
        await exchange.reply(error.status, envelope(error), headers(error))
    elif exchange.complete:
        return
    elif exchange.content_type == LINES:  # a last line that is none of what was asked for
        await exchange.end(msgspec.json.encode(envelope(error)) + b"\n")
    else:
        end = b"" if exchange.progress.uncommitted else sse.DONE
        await exchange.end(sse.encode_error(envelope(error)) + end)


def envelope(error: HansardError) -> Document:
    """The error as clients expect it: four keys, always."""
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}


def headers(error: HansardError) -> Mapping[bytes, bytes]:
    """What a client's retry logic reads, beside the envelope."""
    said: dict[bytes, bytes] = {}
    if error.retry_after_s is not None:
        said[b"retry-after"] = b"%d" % error.retry_after_s
    if error.retry_after_ms is not None:
        said[b"retry-after-ms"] = b"%d" % error.retry_after_ms
    if error.is_final:
        said[b"x-should-retry"] = b"false"
    return said


def _served(exchange: Exchange, status: int | None, error: HansardError | None) -> RequestServed:
    progress = exchange.progress
    usage = progress.usage or {}
    return RequestServed(
        method=exchange.method,
        path=exchange.path,
        status=status or exchange.status or 0,
        duration_ms=exchange.elapsed_ms,
        request_id=exchange.request_id,
        model=progress.model,
        completion_id=progress.completion_id,
        prompt_tokens=usage.get("prompt_tokens"),
        completion_tokens=usage.get("completion_tokens"),
        stored=progress.stored,
        replayed=progress.replayed,
        error=None if error is None else error.word,
        client_request_id=exchange.header(_CLIENT_REQUEST_ID),
        work=progress.work,
    )

"""The table of addresses, each served under /v1 and bare (decision 35)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from urllib.parse import unquote

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from hansard.api import beyond, chat, meta
from hansard.api.exchange import INNER_SLASH
from hansard.api.front import Front
from hansard.completions import Completions
from hansard.core.paging import Order
from hansard.observe.metrics import Metrics

PREFIXES = ("/v1", "")


def application(
    completions: Completions,
    front: Front,
    *,
    metrics: Metrics,
    version: str,
    default_order: Order,
    refuses_nulls: bool = False,
    lifespan: Callable[[ASGIApp], AbstractAsyncContextManager[None]] | None = None,
) -> ASGIApp:
    """The whole HTTP surface as one ASGI application."""
    resource = front.resource
    table = {
        "/chat/completions": resource(
            {
                "GET": chat.page(completions, default_order=default_order),
                "POST": chat.create(completions, refuses_nulls=refuses_nulls),
            }
        ),
        "/chat/completions/{id}/messages": resource({"GET": chat.messages(completions)}),
        "/chat/completions/{id}": resource(
            {"GET": chat.get(completions), "POST": chat.update(completions), "DELETE": chat.delete(completions)}
        ),
        "/models": resource({"GET": meta.models(completions)}),
        "/models/{id:path}": resource({"GET": meta.model(completions)}),
        "/hansard/v1/search": resource({"GET": beyond.search(completions)}),
        "/hansard/v1/facets": resource({"GET": beyond.facets(completions)}),
        "/check": resource({"POST": meta.check(completions)}),
        "/metrics": resource({"GET": meta.numbers(completions, metrics)}),
    }
    routes = [Route(prefix + path, endpoint) for prefix in PREFIXES for path, endpoint in table.items()]
    open_to_all = {
        "/health": resource({"GET": meta.health}, guarded=False),
        "/livez": resource({"GET": meta.health}, guarded=False),
        "/readyz": resource({"GET": meta.ready(completions)}, guarded=False),
        "/openapi.json": resource(
            {"GET": meta.description(version=version, default_order=default_order)}, guarded=False
        ),
    }
    routes += [Route(prefix + path, endpoint) for prefix in PREFIXES for path, endpoint in open_to_all.items()]
    anywhere = _Anywhere(front)
    exact = {route.path: route.app for route in routes if "{" not in route.path}
    return _addressed(Router(routes, redirect_slashes=False, default=anywhere, lifespan=lifespan), exact)


class _Anywhere:
    """The application for addresses that are not in the table."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._front.answer(meta.unknown, self._front.exchange(scope, receive, send), guarded=False)
        elif scope["type"] == "websocket":  # the server makes a 403 of it; silence it would take for a bug
            await send({"type": "websocket.close"})


def _addressed(app: ASGIApp, exact: Mapping[str, ASGIApp]) -> ASGIApp:
    """Read the path as the table means it; ``exact`` addresses need no search.

    ``/x/`` is served as ``/x``, since a redirect would lose the body of a POST. A slash that came
    percent-encoded is part of a name and parts no segments (decision 38).
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            if path in exact:
                await exact[path](scope, receive, send)
                return
            if b"%2f" in scope.get("raw_path", b"").lower():
                path = _segments(scope["raw_path"])
            scope = {**scope, "path": path.rstrip("/") or "/"}
        await app(scope, receive, send)

    return serve


def _segments(raw_path: bytes) -> str:
    """The path decoded, with ``INNER_SLASH`` for every slash that is part of a name."""
    parts = raw_path.decode("latin-1").split("/")
    return "/".join(unquote(part).replace("/", INNER_SLASH) for part in parts)

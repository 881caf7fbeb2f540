"""The table of addresses, each served under /v1 and bare (decision 35), and where clients of Azure look for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final
from urllib.parse import unquote

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from hansard.administration import Administration
from hansard.api import admin, beyond, chat, meta
from hansard.api.exchange import INNER_SLASH
from hansard.api.front import Front, Resource, also_having
from hansard.completions import Completions
from hansard.core.keys import Scope
from hansard.core.paging import Order
from hansard.departure import Departure
from hansard.observe.metrics import Metrics

PREFIXES = ("/v1", "", "/openai/v1", "/openai")

# Where the SDK's AzureOpenAI asks for a create, or for everything if it was given the deployment's name. That name is
# not looked at: the body has one, too.
DEPLOYMENT = "/openai/deployments/{deployment:path}"

CREATE: Final = frozenset[Scope]({"create"})
READ: Final = frozenset[Scope]({"read"})
WRITE: Final = frozenset[Scope]({"write"})
METRICS: Final = frozenset[Scope]({"metrics", "admin"})
ADMIN: Final = frozenset[Scope]({"admin"})


def application(
    completions: Completions,
    front: Front,
    *,
    metrics: Metrics,
    version: str,
    default_order: Order,
    refuses_nulls: bool = False,
    administration: Administration | None = None,
    departure: Departure | None = None,
    notes_reads: bool = False,
    lifespan: Callable[[ASGIApp], AbstractAsyncContextManager[None]] | None = None,
) -> ASGIApp:
    """The whole HTTP surface as one ASGI application."""
    resource = front.resource
    log = administration if notes_reads else None
    table = {
        "/chat/completions": resource(
            {
                "GET": admin.noted(chat.page(completions, default_order=default_order), "completions.listed", log),
                "POST": chat.create(completions, refuses_nulls=refuses_nulls),
            },
            scopes={"GET": READ, "POST": CREATE},
        ),
        "/chat/completions/{id}/messages": resource(
            {"GET": admin.noted(chat.messages(completions), "messages.read", log)}, scopes={"GET": READ}
        ),
        "/chat/completions/{id}": resource(
            {
                "GET": admin.noted(chat.get(completions), "completion.read", log),
                # Its reply is the whole stored object.
                "POST": also_having(READ, admin.noted(chat.update(completions), "completion.updated", log)),
                "DELETE": chat.delete(completions, entry=admin.entry("completion.deleted", log)),
            },
            scopes={"GET": READ, "POST": WRITE, "DELETE": WRITE},
        ),
        "/models": resource({"GET": meta.models(completions)}, scopes={}),
        "/models/{id:path}": resource({"GET": meta.model(completions)}, scopes={}),
        "/hansard/v1/search": resource(
            {"GET": admin.noted(beyond.search(completions), "completions.searched", log)}, scopes={"GET": READ}
        ),
        "/hansard/v1/facets": resource(
            {"GET": admin.noted(beyond.facets(completions), "completions.counted", log)}, scopes={"GET": READ}
        ),
        "/check": resource({"POST": meta.check(completions)}, scopes={"POST": CREATE}),
        "/metrics": resource({"GET": meta.numbers(completions, metrics)}, scopes={"GET": METRICS}),
        "/health": resource({"GET": meta.health}),
        "/livez": resource({"GET": meta.health}),
        "/readyz": resource({"GET": meta.ready(completions)}),
        "/openapi.json": resource({"GET": meta.description(version=version, default_order=default_order)}),
    }
    if administration is not None and departure is not None:
        table |= _administered(front, administration, departure)
    routes = [Route(prefix + path, endpoint) for prefix in PREFIXES for path, endpoint in table.items()]
    routes += [Route(DEPLOYMENT + path, endpoint) for path, endpoint in table.items() if path.startswith("/chat/")]
    anywhere = _Anywhere(front)
    exact = {route.path: route.app for route in routes if "{" not in route.path}
    return _addressed(Router(routes, redirect_slashes=False, default=anywhere, lifespan=lifespan), exact)


def _administered(front: Front, administration: Administration, departure: Departure) -> dict[str, Resource]:
    served = {
        "/hansard/v1/projects": admin.projects(administration),
        "/hansard/v1/projects/{id}": admin.project(administration, departure),
        "/hansard/v1/projects/{id}/deletion": admin.deletion(departure),
        "/hansard/v1/projects/{id}/export": admin.export(departure),
        "/hansard/v1/keys": admin.keys(administration),
        "/hansard/v1/keys/{id}": admin.key(administration),
        "/hansard/v1/keys/{id}/rotate": admin.rotate(administration),
        "/hansard/v1/audit": admin.audit(administration),
    }
    return {path: front.resource(handlers, scopes=dict.fromkeys(handlers, ADMIN)) for path, handlers in served.items()}


class _Anywhere:
    """The application for addresses that are not in the table."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._front.answer(meta.unknown, self._front.exchange(scope, receive, send), scopes=None)
        elif scope["type"] == "websocket":  # the server makes a 403 of it; silence it would take for a bug
            await send({"type": "websocket.close"})


def _addressed(app: ASGIApp, exact: Mapping[str, ASGIApp]) -> ASGIApp:
    """Read the path as the table means it; ``exact`` addresses need no search.

    ``/x/`` is served as ``/x``, since a redirect would lose the body of a POST. A slash that came
    percent-encoded is part of a name and parts no segments (decision 38).
    """

    async def serve(scope: Connection, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path, raw_path = scope["path"], scope.get("raw_path", b"")
            if b"%" in raw_path and b"%2f" in raw_path.lower():
                path = _segments(raw_path)
            if path in exact:
                await exact[path](scope, receive, send)
                return
            scope = {**scope, "path": path.rstrip("/") or "/"}
        await app(scope, receive, send)

    return serve


def _segments(raw_path: bytes) -> str:
    """The path decoded, with ``INNER_SLASH`` for every slash that is part of a name."""
    parts = raw_path.decode("latin-1").split("/")
    return "/".join(unquote(part).replace("/", INNER_SLASH) for part in parts)

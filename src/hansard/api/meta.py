"""What stands beside the six operations: models, health, readiness, and the answer to every other address."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl

from hansard.api.exchange import Exchange
from hansard.api.front import Handler
from hansard.completions import Completions
from hansard.contract import Document
from hansard.core.paging import Order
from hansard.engines.base import Health, ServedModel
from hansard.engines.router import Target
from hansard.errors import InvalidRequest, NotFound
from hansard.observe.instruments import CONTENT_TYPE
from hansard.observe.metrics import Metrics, Now

# Clients whose default is another API show this text to their users word for word.
_OTHER_APIS = ("/responses", "/completions", "/assistants", "/threads")
_ADVICE = (
    ". This server implements Chat Completions: use client.chat.completions, openai.chat('MODEL') in the AI SDK, "
    "openai-chat:MODEL in Pydantic AI, openai-api/NAME/MODEL in Inspect."
)


def models(completions: Completions) -> Handler:
    """GET /models: every name a client may send. Never waits for an upstream."""

    async def handle(exchange: Exchange) -> None:
        await exchange.reply(
            200, {"object": "list", "data": [_model(model) for model in completions.models(exchange.principal)]}
        )

    return handle


def model(completions: Completions) -> Handler:
    """GET /models/{id}; ids may contain slashes (decision 39)."""

    async def handle(exchange: Exchange) -> None:
        await exchange.reply(200, _model(completions.model(exchange.principal, exchange.param("id"))))

    return handle


async def health(exchange: Exchange) -> None:
    """GET /health and /livez: the process answers. Neither looks at anything else."""
    await exchange.reply(200, {"status": "ok"})


def ready(completions: Completions) -> Handler:
    """GET /readyz: 200 while the store takes writes and an engine takes calls; ``?verbose`` says who and why not."""

    async def handle(exchange: Exchange) -> None:
        state = await completions.readiness()
        checks = {"store": _word(ready=state.store)}
        checks |= {f"engine {name}": _word(ready=health.ready) for name, health in state.engines.items()}
        status = "shutting_down" if state.shuts_down else "ready" if state.ready else "unavailable"
        document: Document = {"status": status, "checks": checks}
        if b"verbose" in exchange.query:
            document["reasons"] = {name: health.reason for name, health in state.engines.items() if health.reason}
            document["models"] = {
                name: [_target(target, state.engines[target.engine.name]) for target in targets]
                for name, targets in state.targets.items()
            }
        if state.ready:
            await exchange.reply(200, document)
        else:
            await exchange.reply(503, document, {b"retry-after": b"1"})

    return handle


def check(completions: Completions) -> Handler:
    """POST /check: whether each target answers, asked anew. A body, if there is one, says nothing."""

    async def handle(exchange: Exchange) -> None:
        await exchange.body()
        query = parse_qsl(exchange.query.decode("latin-1"))
        names = [value for name, value in query if name == "model"]
        ask = next((value for name, value in query if name == "ask"), "list")
        if ask not in ("list", "completion"):
            raise InvalidRequest(
                f"Invalid value for 'ask': '{ask[:200]}' is not one of list, completion.",
                param="ask",
                code="invalid_value",
            )
        async with exchange.while_connected():
            found = await completions.check(
                names,
                principal=exchange.principal,
                for_reply=ask == "completion",
                authorization=exchange.header(b"authorization"),
                progress=exchange.progress,
            )
            data = [
                {"id": name, "engine": target.engine.name, "model": target.model, "asked": ask}
                | {"answers": finding.answers, "reason": finding.reason}
                for name, target, finding in found
            ]
            await exchange.reply(200, {"object": "list", "data": data})

    return handle


def numbers(completions: Completions, metrics: Metrics) -> Handler:
    """GET /metrics, for Prometheus."""

    async def handle(exchange: Exchange) -> None:
        state = await completions.readiness()
        parts = {"store": state.store} | {name: health.ready for name, health in state.engines.items()}
        now = Now(
            ready=parts,
            upstreams={name: health.state for name, health in state.engines.items() if health.elsewhere},
            waiting=completions.load.waiting,
            running=completions.load.running,
            writes_waiting=completions.writes_waiting,
            tasks=len(asyncio.all_tasks()),
        )
        await exchange.reply(200, metrics.render(now), content_type=CONTENT_TYPE)

    return handle


def description(*, version: str, default_order: Order) -> Handler:
    """GET /openapi.json: the same for everybody, so no key is asked for."""

    async def handle(exchange: Exchange) -> None:
        from hansard.api import openapi  # few servers are ever asked

        await exchange.reply(200, openapi.encoded(version=version, default_order=default_order))

    return handle


async def unknown(exchange: Exchange) -> None:
    """Every other address."""
    advice = _ADVICE if exchange.path.removeprefix("/v1") in _OTHER_APIS else ""
    raise NotFound(f"Invalid URL ({exchange.method} {exchange.path}){advice}")


def _model(model: ServedModel) -> Document:
    document: Document = {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owned_by}
    if model.description is not None:
        document["description"] = model.description
    return document


def _word(*, ready: bool) -> str:
    return "ok" if ready else "unavailable"


def _target(target: Target, health: Health) -> Document:
    document: Document = {"engine": target.engine.name, "model": target.model, "ready": health.ready}
    if target.weight is not None:
        document["weight"] = target.weight
    return document

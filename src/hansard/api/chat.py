"""The six operations: parse, call, render."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial

from hansard.api.exchange import Exchange
from hansard.api.front import Handler
from hansard.completions import Completions
from hansard.core import lifetimes, normalize, paging, sse, validate
from hansard.core.idempotency import IdempotencyKey, idempotency_key
from hansard.runs import Asked, Shown
from hansard.store.tenants import Entry

# For clients whose libraries swallow the field (LangChain, LiteLLM, DSPy): a JSON object, with the field's limits.
_METADATA = b"x-hansard-metadata"

_TTL = lifetimes.TTL_HEADER.lower().encode()
_BODY_TTL = lifetimes.BODY_TTL_HEADER.lower().encode()

_IDEMPOTENCY_KEY = b"idempotency-key"


def create(completions: Completions, *, refuses_nulls: bool) -> Handler:
    """POST /chat/completions."""
    takes_unknown = completions.takes_unknown_parameters

    async def handle(exchange: Exchange) -> None:
        received = validate.parse_create(
            await exchange.counted_body(),
            takes_unknown=takes_unknown,
            refuses_nulls=refuses_nulls,
            also=[partial(completions.may_be_stored, principal=exchange.principal)],
            refusals=completions.refusals,
        )
        metadata = validate.beside_body(exchange.header(_METADATA), received.request)
        asked = Asked(
            principal=exchange.principal,
            received=received,
            request_id=exchange.request_id,
            metadata=metadata,
            authorization=exchange.header(b"authorization"),
            idempotency_key=_key(exchange, received.body),
            lifetimes=lifetimes.asked_for(
                header=exchange.header(_TTL),
                body_header=exchange.header(_BODY_TTL),
                metadata={**metadata, **normalize.metadata(received.request)},
            ),
        )
        async with exchange.while_connected():
            if received.request.stream is True:
                noise = sse.noise(os.urandom(128)) if normalize.wants_obfuscation(received.request) else None
                encoder = sse.Encoder(noise=noise)
                chunks = completions.stream(asked, exchange.progress, outlet=exchange.outlet(encoder))
                await _send_stream(exchange, chunks, encoder)
            else:
                reply = await completions.create(asked, exchange.progress)
                _say_if_replayed(exchange)
                await exchange.reply(200, reply)

    return handle


def page(completions: Completions, *, default_order: paging.Order) -> Handler:
    """GET /chat/completions."""

    async def handle(exchange: Exchange) -> None:
        query = paging.list_query(exchange.query, default_order=default_order)
        await exchange.reply(200, await completions.page(exchange.principal, query))

    return handle


def get(completions: Completions) -> Handler:
    """GET /chat/completions/{id}."""

    async def handle(exchange: Exchange) -> None:
        await exchange.reply(200, await completions.get(exchange.principal, exchange.param("id")))

    return handle


def messages(completions: Completions) -> Handler:
    """GET /chat/completions/{id}/messages."""

    async def handle(exchange: Exchange) -> None:
        query = paging.messages_query(exchange.query)
        await exchange.reply(200, await completions.messages(exchange.principal, exchange.param("id"), query))

    return handle


def update(completions: Completions) -> Handler:
    """POST /chat/completions/{id}."""

    async def handle(exchange: Exchange) -> None:
        metadata = validate.parse_update(await exchange.body())
        await exchange.reply(200, await completions.update(exchange.principal, exchange.param("id"), metadata))

    return handle


def delete(completions: Completions, *, entry: Callable[[Exchange], Entry | None]) -> Handler:
    """DELETE /chat/completions/{id}. A body, if there is one, is not read (decision 32)."""

    async def handle(exchange: Exchange) -> None:
        completion_id = exchange.param("id")
        await completions.delete(exchange.principal, completion_id, entry(exchange))
        await exchange.reply(200, {"object": "chat.completion.deleted", "id": completion_id, "deleted": True})

    return handle


def _key(exchange: Exchange, body: bytes) -> IdempotencyKey | None:
    header = exchange.header(_IDEMPOTENCY_KEY)
    if header is None:
        return None
    return idempotency_key(header, by=exchange.principal.key, body=body, metadata=exchange.header(_METADATA))


def _say_if_replayed(exchange: Exchange) -> None:
    """By the header that Stripe sends with such a reply."""
    if exchange.progress.replayed:
        exchange.add_header(b"idempotent-replayed", b"true")


async def _send_stream(exchange: Exchange, chunks: AsyncGenerator[Shown, None], encoder: sse.Encoder) -> None:
    """Begins only with the first chunk, so that a failure before it is still an HTTP status."""
    async with aclosing(chunks):
        first = await anext(chunks)
        _say_if_replayed(exchange)
        await exchange.start_stream()
        await exchange.write(encoder.events(first))
        async for together in chunks:
            await exchange.write(encoder.events(together))
        await exchange.end(sse.DONE)

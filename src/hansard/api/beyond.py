"""What is asked of stored completions beyond OpenAI's API: parse, call, render."""

from __future__ import annotations

from hansard.api.exchange import Exchange
from hansard.api.front import Handler
from hansard.completions import Completions
from hansard.core import paging


def search(completions: Completions) -> Handler:
    """GET /hansard/v1/search."""

    async def handle(exchange: Exchange) -> None:
        query = paging.search_query(exchange.query)
        await exchange.reply(200, await completions.search(exchange.principal, query))

    return handle


def facets(completions: Completions) -> Handler:
    """GET /hansard/v1/facets."""

    async def handle(exchange: Exchange) -> None:
        query = paging.facets_query(exchange.query)
        await exchange.reply(200, await completions.facets(exchange.principal, query))

    return handle

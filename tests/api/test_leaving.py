"""api/leaving.py: over a real socket, since it is the server that notices."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from hansard.api.leaving import Departure, departure_of, noticing

pytestmark = pytest.mark.anyio

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_each_request_has_a_departure_and_only_a_reply_cut_short_sees_it() -> None:
    departures: list[Departure] = []
    asked, left = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        departure = departure_of(scope)
        assert departure is not None
        departures.append(departure)
        if len(departures) == 1:
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        departure.act = left.set
        asked.set()
        await left.wait()

    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None)
    config.load()
    state = uvicorn.Server(config).server_state
    protocol: Any = noticing(AutoHTTPProtocol)  # type: ignore[type-abstract] # it has the methods when it runs
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(REQUEST)
        await asked.wait()
        writer.close()
        await left.wait()
        for task in list(state.tasks):
            await task

    assert [departure.is_past for departure in departures] == [False, True]


def test_a_server_of_another_kind_has_none() -> None:
    assert departure_of({"type": "http"}) is None
    assert departure_of({"type": "http", "extensions": {"http.response.pathsend": {}}}) is None

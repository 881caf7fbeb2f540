"""Drives an ASGI application in this process: one request in, every message out."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message


class Reply:
    """What came back. ``pieces`` are the body messages as they were sent."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[str]:
        """The payloads of a stream, ``[DONE]`` included."""
        return [event.removeprefix("data: ") for event in self.body.decode().split("\n\n")[:-1]]


class Client:
    """Sends requests to an application. ``leave`` set, the client closes the connection."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.leave = asyncio.Event()
        self.got_piece = asyncio.Event()
        self.last = Reply()
        """What has come so far of the newest reply."""

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | object = b"",
        *,
        query: bytes = b"",
        headers: dict[str, str] | None = None,
        pieces: list[bytes] | None = None,
    ) -> Reply:
        """One request; a body that is no bytes is sent as JSON, ``pieces`` as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        incoming = pieces if pieces is not None else [content]
        messages = [
            {"type": "http.request", "body": piece, "more_body": index < len(incoming) - 1}
            for index, piece in enumerate(incoming)
        ]
        reply = self.last = Reply()
        scope = {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query,
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
        }

        async def receive() -> Message:
            if messages:
                return messages.pop(0)
            await self.leave.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                reply.status = message["status"]
                reply.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                reply.pieces.append(message.get("body", b""))
                self.got_piece.set()

        await self.app(scope, receive, send)
        return reply

    async def post(self, path: str, body: bytes | object, **options: Any) -> Reply:
        return await self.request("POST", path, body, **options)

    async def get(self, path: str, query: bytes = b"", **options: Any) -> Reply:
        return await self.request("GET", path, query=query, **options)

"""Plain HTTP to the server under test, with the standard library only: one request a connection, bytes as they come.

What the official clients hide stays visible here: literal headers, events, and a connection that breaks. Every reply
is held to the official document on the way (``replies``).
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from . import replies

TIMEOUT_S = 60.0
DONE = "[DONE]"


class Reply(NamedTuple):
    """A whole reply."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """What its envelope holds; the envelope is checked on the way."""
        assert self.headers["content-type"].startswith("application/json"), self
        assert self.headers["x-request-id"].startswith("req_"), self
        (error,) = self.json().values()
        assert list(error) == ["message", "type", "param", "code"], error
        return error

    @property
    def text(self) -> str:
        """What the first choice of a completion says."""
        assert self.status == 200, self
        return self.json()["choices"][0]["message"]["content"]


class Stream:
    """A reply that is read event by event, and can be left at any moment."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response
        self.status = response.status

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def __iter__(self) -> Iterator[str]:
        """The payload of each event; ends with the body, raises where the connection breaks."""
        while line := self._response.readline():
            if line != b"\n":
                assert line.startswith(b"data: "), line
                payload = line.removeprefix(b"data: ").decode().rstrip("\n")
                if payload != DONE:
                    replies.check_event(payload)
                yield payload

    def rest(self) -> Iterator[bytes]:
        """The bytes still to come, for a reply that turned out to be no stream."""
        while piece := self._response.read(65536):
            yield piece

    def leave(self) -> None:
        """Close the connection, whatever is still to come."""
        self._response.close()
        self._connection.close()


def send(method: str, url: str, *, body: object = None, headers: Mapping[str, str] | None = None) -> Reply:
    """One request and its whole reply. ``body`` is bytes as they are, or anything that becomes JSON."""
    connection, response = _exchange(method, url, body, headers)
    try:
        reply = Reply(response.status, {key.lower(): value for key, value in response.getheaders()}, response.read())
    finally:
        connection.close()
    replies.check(method, urlsplit(url).path, reply.status, reply.headers["content-type"], reply.body)
    return reply


def stream(url: str, body: object, *, headers: Mapping[str, str] | None = None) -> Stream:
    """POST a request whose reply is read as it comes."""
    return Stream(*_exchange("POST", url, body, headers))


def texts(payloads: list[str]) -> dict[int, str]:
    """What each choice of a stream says, from its payloads without the last."""
    said: dict[int, str] = {}
    for payload in payloads:
        chunk = json.loads(payload)
        assert "error" not in chunk, chunk
        for choice in chunk["choices"]:
            said[choice["index"]] = said.get(choice["index"], "") + (choice["delta"].get("content") or "")
    return said


def _exchange(
    method: str, url: str, body: object, headers: Mapping[str, str] | None
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_S)
    payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    try:
        connection.request(
            method, target, body=payload, headers={"content-type": "application/json", **(headers or {})}
        )
        return connection, connection.getresponse()
    except BaseException:
        connection.close()
        raise

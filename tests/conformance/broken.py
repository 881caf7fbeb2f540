"""Sound servers and broken ones: Hansard with the echo engine, and mutants of it that each break one rule.

All of them are one process and one port: below ``/<mutant>/v1`` the mutant of that name edits what is
asked or what is answered. What it edits lies whole in memory, streams too.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hansard.app import create_app
from hansard.config import resolve
from tests.conformance import able

SOUND = "sound"
START_S = 30.0

Document = dict[str, Any]


@dataclass
class Asked:
    """A request on its way in. ``path`` is without ``/v1``, percent-encoded; all of it may be changed."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes
    has_prefix: bool = True

    @property
    def document(self) -> Document:
        """The JSON object of the body; empty where there is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @document.setter
    def document(self, document: Document) -> None:
        self.body = json.dumps(document).encode()

    def is_to(self, method: str, path: str) -> bool:
        """Whether it is for this route: ``{id}`` fits one segment, ``*`` any path."""
        if path == "*":
            return method in ("*", self.method)
        ours, wanted = self.path.strip("/").split("/"), path.strip("/").split("/")
        fits = len(ours) == len(wanted) and all(a == b or b == "{id}" for a, b in zip(ours, wanted, strict=True))
        return fits and method in ("*", self.method)


@dataclass
class Answered:
    """A reply on its way out; ``asked`` is the request as it came. All but that may be changed."""

    asked: Asked
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def document(self) -> Document:
        """The JSON object of the body; edit it and set it again."""
        found: Document = json.loads(self.body)
        return found

    @document.setter
    def document(self, document: object) -> None:
        self.body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def is_stream(self) -> bool:
        return any(name == "content-type" and value.startswith("text/event-stream") for name, value in self.headers)

    @property
    def events(self) -> list[bytes]:
        """The events of a stream, without their blank lines."""
        return self.body.removesuffix(b"\n\n").split(b"\n\n")

    @events.setter
    def events(self, events: list[bytes]) -> None:
        self.body = b"".join(event + b"\n\n" for event in events)

    @property
    def chunks(self) -> list[Document]:
        """The documents of a stream, without ``[DONE]``; setting them ends the stream with it."""
        return [json.loads(event.removeprefix(b"data: ")) for event in self.events if event != b"data: [DONE]"]

    @chunks.setter
    def chunks(self, chunks: list[Document]) -> None:
        lines = [b"data: " + json.dumps(chunk, separators=(",", ":")).encode() for chunk in chunks]
        self.events = [*lines, b"data: [DONE]"]

    def header(self, name: str, value: str | None) -> None:
        """Set a header, or with None take it away."""
        self.headers = [(key, old) for key, old in self.headers if key != name.lower()]
        if value is not None:
            self.headers.append((name.lower(), value))


def untouched(_: object) -> None:
    """Changes nothing."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """``fails``: the checks that must fail, by full name or with ``*``. ``ask`` edits requests, ``answer`` replies.

    ``only_to`` keeps it to one route, as ``("GET", "/chat/completions/{id}")``; ``*`` is any method.
    """

    name: str
    fails: tuple[str, ...]
    ask: Callable[[Asked], None] = untouched
    answer: Callable[[Answered], None] = untouched
    only_to: tuple[str, str] | None = None


def drops(*path: str) -> Callable[[Answered], None]:
    """An answer without the key at this path of a 200's JSON object; a list on the way means all of its items."""

    def edit(answered: Answered) -> None:
        if answered.status != 200:
            return
        if answered.is_stream:
            answered.chunks = [_edited(chunk, path, _remove) for chunk in answered.chunks]
        else:
            answered.document = _edited(answered.document, path, _remove)

    return edit


def sets(value: object, *path: str) -> Callable[[Answered], None]:
    """An answer with this value at this path, where the path exists; see ``drops``."""

    def put(document: Document, key: str) -> None:
        document[key] = value

    def edit(answered: Answered) -> None:
        if answered.status != 200:
            return
        if answered.is_stream:
            answered.chunks = [_edited(chunk, path, put) for chunk in answered.chunks]
        else:
            answered.document = _edited(answered.document, path, put)

    return edit


def refuses(
    status: int,
    message: str = "no",
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
) -> Callable[[Answered], None]:
    """Answers everything with this error."""

    def edit(answered: Answered) -> None:
        answered.status = status
        answered.headers = [("content-type", "application/json")]
        answered.document = {"error": {"message": message, "type": kind, "param": param, "code": code}}

    return edit


def takes_what(*words: bytes) -> Callable[[Answered], None]:
    """Knows no rule whose refusal has these words; without words, none at all."""

    def edit(answered: Answered) -> None:
        if answered.status >= 400 and (not words or any(word in answered.body for word in words)):
            answered.status = 200
            answered.document = {"id": "chatcmpl-1", "object": "chat.completion", "choices": [{}]}

    return edit


def errors_with(**fields: object) -> Callable[[Answered], None]:
    """Changes these keys of every error envelope; ``status`` is the HTTP status."""

    def edit(answered: Answered) -> None:
        if answered.status >= 400:
            answered.status = int(str(fields.get("status", answered.status)))
            document = answered.document
            document["error"] |= {key: value for key, value in fields.items() if key != "status"}
            answered.document = document

    return edit


def _edited(document: Document, path: tuple[str, ...], act: Callable[[Document, str], object]) -> Document:
    key, *rest = path
    if not rest:
        if key in document:
            act(document, key)
        return document
    below = document.get(key)
    for one in below if isinstance(below, list) else [below]:
        if isinstance(one, dict):
            _edited(one, tuple(rest), act)
    return document


def _remove(document: Document, key: str) -> None:
    del document[key]


@dataclass
class Zoo:
    """The running server; ``base_url(name)`` is a mutant's address, ``base_url()`` the sound one's."""

    mutants: Mapping[str, Mutant]
    port: int = field(default=0)

    def base_url(self, name: str = SOUND) -> str:
        return f"http://127.0.0.1:{self.port}/{name}/v1"


@contextmanager
def zoo(mutants: Mapping[str, Mutant], directory: Path, **environment: str) -> Iterator[Zoo]:
    """Run them all on a free port until left; their models are ``echo``, and ``able`` at an upstream.

    ``environment`` are further settings, as variables.
    """
    with _running(able.app) as upstream:
        models = {"models": ["echo"], "upstreams": [f"http://127.0.0.1:{upstream}/v1"]}
        settings = resolve({"data": str(directory), "log": "off", **models}, environment)
        with _running(broken(create_app(settings), mutants)) as port:
            yield Zoo(mutants, port)


@contextmanager
def _running(app: ASGIApp) -> Iterator[int]:
    """Serve it from a thread; the port."""
    config = uvicorn.Config(app, port=0, lifespan="on", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="zoo", daemon=True)
    thread.start()
    try:
        yield _port(server, thread)
    finally:
        server.should_exit = True
        thread.join(START_S)


def _port(server: uvicorn.Server, thread: threading.Thread) -> int:
    for _ in range(int(START_S / 0.01)):
        if server.started:
            port: int = server.servers[0].sockets[0].getsockname()[1]
            return port
        if not thread.is_alive():
            break
        thread.join(0.01)
    raise AssertionError("A server did not start.")


def broken(app: ASGIApp, mutants: Mapping[str, Mutant]) -> ASGIApp:
    """``app`` below every mutant's name."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        name, _, path = scope["path"].lstrip("/").partition("/")
        raw = scope["raw_path"].removeprefix(b"/" + name.encode())
        scope = {**scope, "path": "/" + path, "raw_path": raw}
        if name == SOUND:
            await app(scope, receive, send)
        else:
            await _mutated(app, mutants[name], scope, receive, send)

    return serve


async def _mutated(app: ASGIApp, mutant: Mutant, scope: Scope, receive: Receive, send: Send) -> None:
    asked = await _asked(scope, receive)
    method, path = mutant.only_to or ("*", asked.path)
    meant = asked.is_to(method, path)
    came = replace(asked, headers=list(asked.headers))
    if meant:
        mutant.ask(asked)
    answered = await _answered(app, scope, asked, came)
    if meant:
        mutant.answer(answered)
    headers = [(name, value) for name, value in answered.headers if name not in ("content-length", "transfer-encoding")]
    headers.append(("content-length", str(len(answered.body))))
    await send({"type": "http.response.start", "status": answered.status, "headers": _encoded(headers)})
    await send({"type": "http.response.body", "body": answered.body})


async def _asked(scope: Scope, receive: Receive) -> Asked:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    raw_path = scope["raw_path"].decode("latin-1")
    return Asked(
        method=scope["method"],
        path=raw_path.removeprefix("/v1"),
        query=scope["query_string"].decode(),
        headers=[(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]],
        body=body,
        has_prefix=raw_path.startswith("/v1/"),
    )


async def _answered(app: ASGIApp, scope: Scope, asked: Asked, came: Asked) -> Answered:
    answered = Answered(came, 0, [], b"")
    waiting: list[Message] = [{"type": "http.request", "body": asked.body, "more_body": False}]
    path = "/v1" + asked.path
    changed_path = {} if asked.path == came.path else {"path": unquote(path), "raw_path": path.encode()}
    length = [("content-length", str(len(asked.body)))] if asked.body else []
    headers = [(name, value) for name, value in asked.headers if name != "content-length"] + length

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        return await _never()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered.status = message["status"]
            answered.headers = [(name.decode().lower(), value.decode()) for name, value in message["headers"]]
        else:
            answered.body += message.get("body", b"")

    inner = {
        **scope,
        **changed_path,
        "method": asked.method,
        "query_string": asked.query.encode(),
        "headers": _encoded(headers),
    }
    await app(inner, receive, send)
    return answered


async def _never() -> Message:
    """The client stays as long as it is answered."""
    import asyncio

    await asyncio.Event().wait()
    raise AssertionError


def _encoded(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers]

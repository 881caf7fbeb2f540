"""A small chat server for Hansard to stand in front of; what it does depends on the model's name: ``BEHAVIOURS``."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = ("Order, ", "order ", "in the ", "house.")
TEXT = "".join(WORDS)
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
KEY = "upstream-key"


class Upstream:
    """The server. ``received`` holds every create request; ``release`` lets paused streams go on."""

    def __init__(self) -> None:
        upstream = self

        class Handler(_Handler):
            owner = upstream

        self.received: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.askers: list[int] = []
        """The port that each create request came from."""
        self.release = threading.Event()
        self.left = threading.Event()
        """Set once the one who asked has closed a paused stream."""
        self.live: set[int] = set()
        """The ports of those who are connected."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"

    @contextmanager
    def running(self) -> Iterator[Upstream]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self.release.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Upstream

    def handle(self) -> None:
        self.owner.live.add(self.client_address[1])
        try:
            super().handle()
        finally:
            self.owner.live.discard(self.client_address[1])

    def do_GET(self) -> None:
        models = [{"id": name, "object": "model", "created": 1, "owned_by": "upstream"} for name in BEHAVIOURS]
        self.reply(200, {"object": "list", "data": models})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.owner.received.append(request)
        self.owner.keys.append(self.headers["authorization"])
        self.owner.askers.append(self.client_address[1])
        BEHAVIOURS.get(request["model"], steady)(self, request)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def reply(self, status: int, document: object, **headers: str) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {**headers, "content-type": "application/json", "content-length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def start_stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True

    def event(self, payload: object) -> None:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        self.wfile.write(f"data: {text}\n\n".encode())

    def chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        self.event({**_head("chat.completion.chunk"), "choices": [_choice("delta", delta, finish_reason)]})


def steady(handler: _Handler, request: dict[str, Any]) -> None:
    """Says ``TEXT``, plain or as a stream."""
    if not request.get("stream"):
        message = {"role": "assistant", "content": TEXT, "refusal": None}
        choice = _choice("message", message, "stop")
        handler.reply(200, {**_head("chat.completion"), "choices": [choice], "usage": USAGE})
        return
    _open(handler)
    for word in WORDS[1:]:
        handler.chunk({"content": word})
    handler.chunk({}, "stop")
    handler.event({**_head("chat.completion.chunk"), "choices": [], "usage": USAGE})
    handler.event("[DONE]")


def breaks(handler: _Handler, request: dict[str, Any]) -> None:
    """Ends its stream after the first word, as a process that was killed does."""
    _open(handler)


def fails(handler: _Handler, request: dict[str, Any]) -> None:
    """Ends its stream with an error frame."""
    _open(handler)
    handler.event({"error": {"message": "The speaker lost their voice.", "type": "server_error"}})


def pauses(handler: _Handler, request: dict[str, Any]) -> None:
    """Waits after the first word until it is released or left."""
    _open(handler)
    while not handler.owner.release.wait(0.02):
        try:
            handler.wfile.write(b": still here\n\n")
        except OSError:
            handler.owner.left.set()
            return
    for word in WORDS[1:]:
        handler.chunk({"content": word})
    handler.chunk({}, "stop")
    handler.event("[DONE]")


def waits(handler: _Handler, request: dict[str, Any]) -> None:
    """Says nothing until it is released, then what ``steady`` says, if anybody is there."""
    handler.owner.release.wait()
    with suppress(OSError):
        steady(handler, request)


def silent(handler: _Handler, request: dict[str, Any]) -> None:
    """Says nothing until it is left: what it reads next is the end of the connection."""
    with suppress(OSError):
        handler.rfile.read(1)
    handler.close_connection = True


def limits(handler: _Handler, request: dict[str, Any]) -> None:
    """Wants to be asked less often."""
    error = {"message": "Slow down.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}
    handler.reply(429, {"error": error}, retry_after="7")


def refuses_key(handler: _Handler, request: dict[str, Any]) -> None:
    """Does not know Hansard's key."""
    handler.reply(401, {"error": {"message": "Incorrect API key provided: s3cret.", "type": "invalid_request_error"}})


BEHAVIOURS: dict[str, Callable[[_Handler, dict[str, Any]], None]] = {
    "steady": steady,
    "breaks": breaks,
    "fails": fails,
    "pauses": pauses,
    "waits": waits,
    "silent": silent,
    "limits": limits,
    "refuses-key": refuses_key,
}


def _open(handler: _Handler) -> None:
    handler.start_stream()
    handler.chunk({"role": "assistant", "content": WORDS[0], "refusal": None})


def _head(kind: str) -> dict[str, Any]:
    # The same id every time: some upstreams do that, and it must not matter.
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": "steady-2026-01-01"}


def _choice(part: str, value: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, part: value, "logprobs": None, "finish_reason": finish_reason}

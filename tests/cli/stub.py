"""A real server on a socket that says what a test wrote down for it, and the documents it says."""

from __future__ import annotations

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Request(NamedTuple):
    """What a command sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class Reply(NamedTuple):
    """What the stub answers."""

    status: int
    body: bytes
    content_type: str
    ends: bool = True


class Stub:
    """Gives its replies in turn and remembers what it was asked."""

    def __init__(self) -> None:
        self.replies: deque[Reply] = deque()
        self.seen: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answers(self, document: object, *, status: int = 200) -> None:
        self.replies.append(Reply(status, json.dumps(document, ensure_ascii=False).encode(), "application/json"))

    def streams(self, *events: str) -> None:
        body = "".join(f"data: {event}\n\n" for event in events)
        self.replies.append(Reply(200, body.encode(), "text/event-stream; charset=utf-8"))

    def streams_without_end(self, event: str) -> None:
        """Says one event, then waits for the client to leave."""
        self.replies.append(Reply(200, f"data: {event}\n\n".encode(), "text/event-stream", ends=False))

    def hangs_up(self) -> None:
        self.replies.append(Reply(0, b"", ""))

    def says(self, body: str, *, status: int = 200) -> None:
        self.replies.append(Reply(status, body.encode(), "text/html"))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                headers = {name.lower(): value for name, value in self.headers.items()}
                stub.seen.append(Request(self.command, self.path, headers, body))
                reply = stub.replies.popleft()
                if not reply.status:
                    return
                self.send_response(reply.status)
                self.send_header("content-type", reply.content_type)
                self.send_header("x-request-id", "req_0123456789abcdef")
                self.end_headers()
                self.wfile.write(reply.body)
                self.wfile.flush()
                if not reply.ends:
                    self.connection.recv(1)

            do_POST = do_DELETE = do_GET  # noqa: N815 (the names http.server looks for)

            def log_message(self, *args: object) -> None:
                pass

        return Handler


def completion(number: int, **changes: object) -> dict[str, Any]:
    """A stored completion as the API shows it (19 keys)."""
    return {
        "object": "chat.completion",
        "id": f"chatcmpl-{number:03}",
        "model": "hansard-tiny",
        "created": 1795169731,
        "request_id": "req_1",
        "tool_choice": None,
        "usage": {"total_tokens": 15, "completion_tokens": 5, "prompt_tokens": 10},
        "seed": 7,
        "top_p": 1.0,
        "temperature": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "system_fingerprint": "fp_1",
        "input_user": None,
        "service_tier": "default",
        "tools": None,
        "metadata": {"team": "search"},
        "choices": [
            {
                "index": 0,
                "message": {"content": "Paris.\nÎle", "role": "assistant", "tool_calls": None, "function_call": None},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "response_format": None,
        **changes,
    }


def page(*found: dict[str, Any], has_more: bool = False) -> dict[str, Any]:
    ids = {"first_id": found[0]["id"], "last_id": found[-1]["id"]} if found else {"first_id": None, "last_id": None}
    return {"object": "list", "data": list(found), **ids, "has_more": has_more}


def envelope(message: str, *, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}

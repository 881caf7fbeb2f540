"""What nobody should send: it gets the API's own envelope, the engine never sees it, and nothing of it is kept."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from .server import EMBEDDED, MODEL, Server, question
from .wire import send

BODY_LIMIT = 4_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all of it, with one engine process that has to live through everything."""
    directory = tmp_path_factory.mktemp("bad-input")
    with Server(directory, "--max-body-bytes", str(BODY_LIMIT), model=EMBEDDED) as server:
        yield server.start()


@pytest.fixture(autouse=True)
def unharmed(server: Server) -> Iterator[None]:
    """The engine is the same process afterwards and answers; nothing was stored."""
    engine = server.engine().pid
    yield
    assert server.engine().pid == engine
    assert server.ask("What is the capital of France?").text == "The capital of France is Paris."
    assert server.stored_ids == []


def nested(levels: int) -> str:
    """A JSON Schema so many levels deep, as text: Python's own encoder cannot write it."""
    return '{"type":"object","properties":{"a":' * levels + '{"type":"string"}' + "}}" * levels


def spelled(**fields: str) -> bytes:
    """A create request that would be stored, with these values as JSON text."""
    head = json.dumps(question("Answer in json.", store=True))
    return "".join([head[:-1], *(f', "{name}": {text}' for name, text in fields.items()), "}"]).encode()


def tool(name: str, parameters: str = "{}") -> str:
    return f'{{"type": "function", "function": {{"name": "{name}", "parameters": {parameters}}}}}'


def schema(text: str) -> str:
    return f'{{"type": "json_schema", "json_schema": {{"name": "s", "schema": {text}}}}}'


def called_with(arguments: str) -> str:
    """A conversation in which a tool was called with these arguments."""
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return json.dumps(
        [
            {"role": "user", "content": "Call it."},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "done"},
        ]
    )


ENUM = json.dumps({"type": "object", "properties": {"a": {"enum": [f"value {n}" for n in range(50_000)]}}})

# Each of these ended or stalled the engine's process when it was sent there directly, or does something like it.
HOSTILE = {
    "schema 20,000 levels deep": spelled(response_format=schema(nested(20_000))),
    "tool parameters 20,000 levels deep": spelled(tools=f"[{tool('f', nested(20_000))}]"),
    "tool arguments 100,000 levels deep": spelled(messages=called_with("[" * 100_000 + "]" * 100_000)),
    "grammar 100,000 levels deep": spelled(grammar=json.dumps("root ::= " + "(" * 100_000 + '"a"' + ")" * 100_000)),
    "enum of 50,000 values": spelled(response_format=schema(ENUM)),
    "5,000 tools": spelled(tools=f"[{', '.join(tool(f'f{number}') for number in range(5_000))}]"),
    "body 100,000 levels deep": spelled(metadata="[" * 100_000 + "]" * 100_000),
    "unfinished pattern": spelled(response_format=schema('{"type": "string", "pattern": "("}')),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
def test_hostile_requests_never_reach_the_engine(server: Server, body: bytes, streamed: bool) -> None:
    if streamed:
        body = body[:-1] + b', "stream": true}'
    reply = server.post("/chat/completions", body)
    assert reply.status == 400, reply
    assert reply.error["type"] == "invalid_request_error"


# Body, status, param, code.
WRONG: dict[str, tuple[Any, int, str | None, str | None]] = {
    "no JSON": (b"{", 400, None, None),
    "empty": (b"", 400, None, None),
    "no UTF-8": (b'{"model": "\xff"}', 400, None, None),
    "an array": (b"[]", 400, None, None),
    "a lone surrogate": (b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}', 400, None, None),
    "no model": ({"messages": []}, 400, None, None),
    "no messages": ({"model": MODEL}, 400, "messages", "missing_required_parameter"),
    "empty messages": ({"model": MODEL, "messages": []}, 400, "messages", "empty_array"),
    "unknown model": (question("Hi") | {"model": "gpt-x"}, 404, None, "model_not_found"),
    "unknown parameter": (question("Hi", id_slot=0), 400, "id_slot", "unknown_parameter"),
    "wrong type": (question("Hi", max_tokens="5"), 400, "max_tokens", "invalid_type"),
    "wrong type, deep": (
        {"model": MODEL, "messages": [{"role": "user", "content": {"text": "Hi"}}]},
        400,
        "messages[0].content",
        "invalid_type",
    ),
    "too hot": (question("Hi", temperature=2.5), 400, "temperature", "decimal_above_max_value"),
    "too many": (question("Hi", n=129), 400, "n", "integer_above_max_value"),
    "too long a stop list": (question("Hi", stop=["a"] * 5), 400, "stop", "array_above_max_length"),
    "metadata without store": (question("Hi", store=False, metadata={"a": "b"}), 400, "metadata", None),
    "metadata not of strings": (question("Hi", metadata={"a": 1}), 400, "metadata.a", "invalid_type"),
    "stream_options without stream": (question("Hi", stream_options={}), 400, "stream_options", None),
    "both caps": (
        question("Hi", max_tokens=1, max_completion_tokens=1),
        400,
        "max_tokens",
        "invalid_parameter_combination",
    ),
    "an orphan tool message": (
        {"model": MODEL, "messages": [{"role": "tool", "tool_call_id": "call_1", "content": "x"}]},
        400,
        "messages.[0].role",
        None,
    ),
    "audio from a model that has no voice": (
        question("Hi", modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"}),
        400,
        "modalities",  # the first of the two in the body
        "unsupported_parameter",
    ),
    "an image for a model that cannot see": (
        {
            "model": MODEL,
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/a.png"}}]}
            ],
        },
        400,
        None,
        None,
    ),
}


@pytest.mark.parametrize(("body", "status", "param", "code"), WRONG.values(), ids=WRONG.keys())
def test_wrong_requests_are_told_what_is_wrong(
    server: Server, body: Any, status: int, param: str | None, code: str | None
) -> None:
    if isinstance(body, dict):
        body = {"store": True, **body}
    reply = server.post("/chat/completions", body)
    assert reply.status == status, reply
    error = reply.error
    assert error["type"] == "invalid_request_error"
    if param is not None:
        assert (error["param"], error["code"]) == (param, code)


def test_a_body_over_the_limit_is_refused(server: Server) -> None:
    reply = server.ask("x" * BODY_LIMIT, store=True)
    assert reply.status == 413
    assert reply.error["code"] == "request_too_large"


def test_a_chunked_body_over_the_limit_is_refused(server: Server) -> None:
    """One that does not say beforehand how long it is."""
    connection = http.client.HTTPConnection(urlsplit(server.root).netloc, timeout=30)
    pieces = (b" " * 1_000_000 for _ in range(BODY_LIMIT // 1_000_000 + 1))
    try:
        connection.request("POST", "/v1/chat/completions", pieces, encode_chunked=True)
        response = connection.getresponse()
        assert response.status == 413
        response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/responses", "/completions", "/assistants", "/threads", "/embeddings", "/chat"])
def test_unknown_routes(server: Server, path: str) -> None:
    reply = server.post(path, question("Hi", store=True))
    assert reply.status == 404
    assert reply.error["message"].startswith(f"Invalid URL (POST /v1{path})")
    advised = "client.chat.completions" in reply.error["message"]
    assert advised is (path in ("/responses", "/completions", "/assistants", "/threads"))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/chat/completions", "GET, POST, HEAD"),
        ("PUT", "/chat/completions/chatcmpl-1", "GET, POST, DELETE, HEAD"),
        ("POST", "/chat/completions/chatcmpl-1/messages", "GET, HEAD"),
        ("POST", "/models", "GET, HEAD"),
    ],
)
def test_unknown_methods(server: Server, method: str, path: str, allowed: str) -> None:
    reply = send(method, server.base_url + path)
    assert reply.status == 405
    assert reply.error["code"] == "method_not_supported"
    assert reply.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("path", "param", "code"),
    [
        ("/chat/completions?limit=0", "limit", "integer_below_min_value"),
        ("/chat/completions?limit=101", "limit", "integer_above_max_value"),
        ("/chat/completions?limit=x", "limit", "invalid_type"),
        ("/chat/completions?order=up", "order", "invalid_value"),
        ("/chat/completions?after=chatcmpl-unknown", "after", "invalid_value"),
    ],
)
def test_wrong_queries(server: Server, path: str, param: str, code: str) -> None:
    reply = server.get(path)
    assert reply.status == 400
    assert (reply.error["param"], reply.error["code"]) == (param, code)


def test_what_is_no_http(server: Server) -> None:
    with socket.create_connection(
        (urlsplit(server.root).hostname, urlsplit(server.root).port), timeout=30
    ) as connection:
        connection.sendall(b"hello\r\n\r\n")
        with connection.makefile("rb") as received:
            head, _, body = received.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert list(json.loads(body)["error"]) == ["message", "type", "param", "code"]


@pytest.mark.parametrize("completion_id", ["chatcmpl-unknown", "comp_1", "a%2Fb%20c%3F", "%00", "x" * 5000])
def test_unknown_ids(server: Server, completion_id: str) -> None:
    for method, body in (("GET", None), ("DELETE", None), ("POST", {"metadata": {}})):
        reply = send(method, f"{server.base_url}/chat/completions/{completion_id}", body=body)
        assert reply.status == 404
        assert (reply.error["param"], reply.error["code"]) == ("completion_id", "not_found")


def test_wrong_updates(server: Server) -> None:
    for body, param, code in (
        ({}, "metadata", "missing_required_parameter"),
        ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
        ({"metadata": {}, "model": "m"}, "model", "unknown_parameter"),
    ):
        reply = server.post("/chat/completions/chatcmpl-unknown", body)
        assert reply.status == 400, reply
        assert (reply.error["param"], reply.error["code"]) == (param, code)

"""Holds every reply to the official document and to the official client's types: ``wire`` hands each of them in.

The client's types let unknown keys pass; here they are looked at, and each has to stand in ``EXTRA``. What the types
are too narrow for is in ``NARROW``. The document's own patches are in ``tests.official``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from openai.types import Model
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionDeleted,
    ChatCompletionStoreMessage,
)
from pydantic import BaseModel, TypeAdapter, ValidationError

from tests import official

ROUTES = [
    ("POST", r"/chat/completions", "completion"),
    ("GET", r"/chat/completions", "list"),
    ("GET|POST", r"/chat/completions/[^/]+", "stored"),
    ("DELETE", r"/chat/completions/[^/]+", "deleted"),
    ("GET", r"/chat/completions/[^/]+/messages", "messages"),
    ("GET", r"/models", "models"),
    ("GET", r"/models/.+", "model"),
]
OURS = r"/(health|readyz|metrics|openapi\.json|hansard/v1/.*)"
"""Addresses that the official document does not know."""

TYPES: dict[str, type[BaseModel]] = {
    "completion": ChatCompletion,
    "chunk": ChatCompletionChunk,
    "stored": ChatCompletion,
    "list": ChatCompletion,
    "messages": ChatCompletionStoreMessage,
    "deleted": ChatCompletionDeleted,
    "models": Model,
    "model": Model,
}

_STORED = frozenset({"request_id", "tool_choice", "seed", "top_p", "temperature", "presence_penalty", "input_user"})
EXTRA: dict[str, frozenset[str]] = {
    # Recorded: the 19 keys of a stored completion, most of which no type has.
    "ChatCompletion": _STORED | {"frequency_penalty", "tools", "response_format"},
    "Model": frozenset({"description"}),  # says that the built-in model is a demonstration
    "ChatCompletionMessage": frozenset({"reasoning_content"}),  # what reasoning models behind other servers think
    "ChoiceDelta": frozenset({"annotations", "reasoning_content"}),
    "ChatCompletionStoreMessage": frozenset({"name", "tool_call_id"}),  # recorded; decision 25
    "ChoiceDeltaToolCall": frozenset({"custom"}),  # custom tools can be called in a stream as well
}


def _as_assistant(message: dict[str, Any]) -> None:
    """Decision 4: real roles, where the type knows one. Decision 27: all kinds of parts, where it knows two."""
    message["role"] = "assistant"
    parts = message.get("content_parts")
    if parts is not None:
        message["content_parts"] = [part for part in parts if part["type"] in ("text", "image_url")]


def _as_function(chunk: dict[str, Any]) -> None:
    """Custom tools can be called in a stream as well, where the type knows functions."""
    for choice in chunk.get("choices", []):
        for call in choice["delta"].get("tool_calls") or []:
            if call.get("type") == "custom":
                call["type"] = "function"


NARROW: dict[str, Callable[[dict[str, Any]], None]] = {"messages": _as_assistant, "chunk": _as_function}


AZURE = re.compile(r"^/openai(/deployments/[^/]+)?")
"""Where its clients look for the same."""


def check(method: str, path: str, status: int, content_type: str, body: bytes) -> None:
    """A whole reply, a stream or not."""
    kind = kind_of(method, path, status)
    if kind == "completion" and content_type == "text/event-stream; charset=utf-8":
        *events, done, end = body.decode().split("\n\n")
        assert (done, end) == ("data: [DONE]", ""), body
        for event in events:
            check_event(event.removeprefix("data: "))
    elif kind is not None:
        assert content_type.startswith("application/json"), (method, path, status, content_type, body)
        check_document(kind, json.loads(body))


def kind_of(method: str, path: str, status: int) -> str | None:
    """The kind of reply, as ``tests.official`` names it; None where the official document says nothing."""
    address = AZURE.sub("", path.partition("?")[0]).removeprefix("/v1").rstrip("/")
    if method == "HEAD" or re.fullmatch(OURS, address):
        return None
    if status >= 400:
        return "error"
    kinds = [kind for methods, route, kind in ROUTES if re.fullmatch(methods, method) and re.fullmatch(route, address)]
    assert kinds, f"nobody said what {method} {path} is answered with"
    return kinds[0]


def check_event(payload: str) -> None:
    """One event of a stream, ``[DONE]`` excluded."""
    document = json.loads(payload)
    check_document("error" if "error" in document else "chunk", document)


def check_document(kind: str, document: dict[str, Any]) -> None:
    """A reply of that kind, whoever received it."""
    found = official.problems(kind, document) if official.PATH.exists() else []
    if kind == "error":
        assert list(document) == ["error"], document
        assert list(document["error"]) == ["message", "type", "param", "code"], document
        assert not found, (found, document)
        return
    for item in document["data"] if kind in ("list", "messages", "models") else [document]:
        found += typed_problems(kind, item)
    assert not found, (kind, found, document)


def typed_problems(kind: str, document: dict[str, Any]) -> Iterator[str]:
    """Where a document leaves the client's type, read strictly, or has keys that the type does not name."""
    copy = json.loads(json.dumps(document))
    NARROW.get(kind, lambda _: None)(copy)
    try:
        parsed = _adapter(kind).validate_json(json.dumps(copy), strict=True)
    except ValidationError as error:
        yield str(error)
    else:
        yield from _unnamed(parsed, kind)


@cache
def _adapter(kind: str) -> TypeAdapter[BaseModel]:
    return TypeAdapter(TYPES[kind])


def _unnamed(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _unnamed(item, f"{place}[]")
    elif isinstance(value, BaseModel):
        name = type(value).__name__
        for key in value.model_extra or {}:
            if key not in EXTRA.get(name, frozenset()):
                yield f"{place}.{key} is not in {name}"
        for key in type(value).model_fields:
            yield from _unnamed(getattr(value, key), f"{place}.{key}")

"""replies.py: what all other tests hand their replies to can say no."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests import official

from . import replies

MESSAGE = {"role": "assistant", "content": "Hi", "refusal": None, "annotations": []}
COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 7,
    "model": "m",
    "choices": [{"index": 0, "message": MESSAGE, "logprobs": None, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}
JSON = "application/json"


def told(method: str, path: str, status: int, document: object) -> None:
    replies.check(method, path, status, JSON, json.dumps(document).encode())


@official.needed
def test_the_official_document_is_asked() -> None:
    """Skipped, it says that replies are held to the client's types alone."""
    told("POST", "/v1/chat/completions", 200, COMPLETION)
    with pytest.raises(AssertionError, match="'logprobs' is a required property"):
        told("POST", "/v1/chat/completions", 200, {**COMPLETION, "choices": [{"index": 0}]})


SPOILED: dict[str, Callable[[dict[str, Any]], object]] = {
    "no choices": lambda completion: completion.pop("choices"),
    "a text for a number": lambda completion: completion.update(created="7"),
    "a key that no type has": lambda completion: completion.update(extra=1),
    "a key deep down": lambda completion: completion["usage"].update(extra=1),
    "a reason nobody knows": lambda completion: completion["choices"][0].update(finish_reason="tired"),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_a_spoiled_reply_is_found_by_the_clients_types(spoil: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(json.dumps(COMPLETION))
    assert list(replies.typed_problems("completion", document)) == []
    spoil(document)
    assert list(replies.typed_problems("completion", document)) != []


def test_an_error_needs_its_four_keys() -> None:
    error = {"message": "m", "type": "t", "param": None, "code": None}
    told("GET", "/v1/models/m", 404, {"error": error})
    del error["code"]
    with pytest.raises(AssertionError):
        told("GET", "/v1/models/m", 404, {"error": error})


def test_an_address_nobody_described() -> None:
    with pytest.raises(AssertionError, match="nobody said"):
        told("GET", "/v1/embeddings", 200, {})


def test_a_stream_is_read_event_by_event() -> None:
    body = b'data: {"id": "chatcmpl-1"}\n\ndata: [DONE]\n\n'
    with pytest.raises(AssertionError):
        replies.check("POST", "/v1/chat/completions", 200, "text/event-stream; charset=utf-8", body)

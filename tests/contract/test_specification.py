"""What we take and give against the official document: its own examples as requests, and our replies as its schemas."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hansard.contract import Document
from hansard.core import explode, paging, validate, views
from tests import official

pytestmark = official.needed


def bodies() -> list[tuple[str, bytes]]:
    """The body of every curl example."""
    found = []
    for path, operations in official.document()["paths"].items():
        for method, operation in operations.items():
            examples = operation["x-oaiMeta"]["examples"]
            for example in examples if isinstance(examples, list) else [examples]:
                _, _, body = example["request"].get("curl", "").partition("-d '")
                if body:
                    found.append((f"{method} {path}", body.rpartition("'")[0].encode()))
    return found


def test_every_official_create_example_is_accepted() -> None:
    creates = [body for operation, body in bodies() if operation == "post /chat/completions"]
    assert len(creates) == 5
    for body in creates:
        validate.parse_create(body, takes_unknown=lambda _: False)


def test_every_official_update_example_is_accepted() -> None:
    [body] = [body for operation, body in bodies() if operation == "post /chat/completions/{completion_id}"]
    assert validate.parse_update(body) == {"foo": "bar"}


def test_replies(reply: Document) -> None:
    assert official.problems("completion", reply) == []


def test_chunks(reply: Document) -> None:
    assert [problem for chunk in explode.explode(reply) for problem in official.problems("chunk", chunk)] == []


def stored_object(asked: Document, reply: Document) -> Document:
    return views.stored_completion(request=asked, reply=reply, metadata={"a": "b"}, request_id="req_1", seed=7)


def test_stored_objects(asked: Document, reply: Document) -> None:
    shown = stored_object(asked, reply)
    assert official.problems("stored", shown) == []
    assert official.problems("list", paging.page([shown], 1)) == []


@pytest.mark.parametrize("method", ["get", "post"])
def test_stored_objects_have_the_official_keys_in_order(asked: Document, reply: Document, method: str) -> None:
    operation = official.document()["paths"]["/chat/completions/{completion_id}"][method]
    example = json.loads(operation["x-oaiMeta"]["examples"]["response"])
    assert list(stored_object(asked, reply)) == list(example)


def test_message_pages(asked: Document) -> None:
    shown = paging.page(views.stored_messages("chatcmpl-1", asked), 20)
    assert official.problems("messages", shown) == []


def in_need(reply: Document, asked: Document) -> dict[str, list[tuple[str, Any]]]:
    """For each patch replies that need it."""
    custom = {"id": "call_1", "type": "custom", "custom": {"name": "g", "input": "x"}}
    message = {"role": "assistant", "content": None, "refusal": None, "annotations": [], "tool_calls": [custom]}
    called = {**reply, "choices": [{**reply["choices"][0], "message": message}]}
    bare = {key: value for key, value in reply.items() if key not in ("usage", "system_fingerprint")}
    file = {"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}
    return {
        "unused calls are null": [("stored", stored_object(asked, reply))],
        "real roles": [("messages", paging.page(views.stored_messages("c", asked), 20))],
        "all kinds of parts": [("messages", paging.page(views.stored_messages("c", {"messages": [file]}), 20))],
        "empty pages have no ids": [("list", paging.page([], 20)), ("messages", paging.page([], 20))],
        "no fingerprint, no usage": [("stored", stored_object(asked, bare))],
        "custom tools in a stream": [("chunk", chunk) for chunk in explode.explode(called)],
    }


@pytest.mark.parametrize("patch", official.PATCHES)
def test_every_patch_is_needed(reply: Document, asked: Document, patch: str) -> None:
    needing = in_need(reply, asked)[patch]
    assert [problem for kind, shown in needing for problem in official.problems(kind, shown)] == []
    assert [problem for kind, shown in needing for problem in official.problems(kind, shown, without=patch)] != []

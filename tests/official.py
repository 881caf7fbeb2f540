"""The official document, where a copy of it lies beside the checkout, and what has to be done to it first.

It calls itself OpenAPI 3.1 and writes ``nullable: true``, which 3.1's validators ignore: that is spelled out. In a
few places it forbids what the live API sends; there ``PATCHES`` lets the API's own form in.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

PATH = Path(__file__).parents[2] / "shared" / "contract" / "openapi-chat.json"

needed = pytest.mark.skipif(not PATH.exists(), reason="no copy of the official document beside the checkout")

Schemas = dict[str, Any]


def _null_too(schemas: Schemas, name: str, *keys: str) -> None:
    properties = schemas[name]["properties"]
    for key in keys:
        properties[key] = {"anyOf": [properties[key], {"type": "null"}]}


def _unused_calls(schemas: Schemas) -> None:
    _null_too(schemas, "ChatCompletionResponseMessage", "tool_calls", "function_call")


def _roles(schemas: Schemas) -> None:
    roles = ["developer", "system", "user", "assistant", "tool", "function"]
    schemas["ChatCompletionResponseMessage"]["properties"]["role"] = {"enum": roles}


def _content_parts(schemas: Schemas) -> None:
    parts = schemas["ChatCompletionMessageList"]["properties"]["data"]["items"]["allOf"][1]["properties"]
    array = parts["content_parts"]["anyOf"][0]
    for kind in ("Audio", "File", "Refusal"):
        name = f"ChatCompletionRequestMessageContentPart{kind}"
        array["items"]["oneOf"].append({"$ref": f"#/components/schemas/{name}"})


def _empty_pages(schemas: Schemas) -> None:
    for name in ("ChatCompletionList", "ChatCompletionMessageList"):
        _null_too(schemas, name, "first_id", "last_id")


def _fingerprint(schemas: Schemas) -> None:
    _null_too(schemas, "CreateChatCompletionResponse", "system_fingerprint", "usage")


def _custom_pieces(schemas: Schemas) -> None:
    schemas["ChatCompletionMessageToolCallChunk"]["properties"]["type"]["enum"].append("custom")


# What is let in, and the reason. Only the kinds of reply that need it get it.
PATCHES: dict[str, tuple[Callable[[Schemas], None], str, frozenset[str]]] = {
    "unused calls are null": (_unused_calls, "decision 3, and recorded", frozenset({"stored", "list"})),
    "real roles": (_roles, "decision 4", frozenset({"messages"})),
    "all kinds of parts": (_content_parts, "decision 27", frozenset({"messages"})),
    "empty pages have no ids": (_empty_pages, "decision 5, and recorded", frozenset({"list", "messages"})),
    "no fingerprint, no usage": (_fingerprint, "an upstream may give none", frozenset({"stored", "list"})),
    "custom tools in a stream": (_custom_pieces, "typed as functions only", frozenset({"chunk"})),
}

# Each kind of reply and its schema.
KINDS = {
    "completion": "CreateChatCompletionResponse",
    "chunk": "CreateChatCompletionStreamResponse",
    "stored": "CreateChatCompletionResponse",
    "list": "ChatCompletionList",
    "messages": "ChatCompletionMessageList",
    "deleted": "ChatCompletionDeleted",
    "models": "ListModelsResponse",
    "model": "Model",
    "error": "ErrorResponse",
}


@cache
def document() -> dict[str, Any]:
    """The document as it is."""
    found: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return found


def with_nulls(node: Any) -> Any:
    """``nullable: true`` spelled out."""
    if isinstance(node, list):
        return [with_nulls(item) for item in node]
    if not isinstance(node, dict):
        return node
    spelled = {key: with_nulls(item) for key, item in node.items() if key != "nullable"}
    return {"anyOf": [spelled, {"type": "null"}]} if node.get("nullable") is True else spelled


@cache
def schemas(*, without: str | None = None, kind: str = "") -> Schemas:
    """The schemas, patched for one kind of reply; ``without`` leaves one patch out."""
    found: Schemas = copy.deepcopy(with_nulls(document()["components"]["schemas"]))
    for name, (patch, _, kinds) in PATCHES.items():
        if kind in kinds and name != without:
            patch(found)
    return found


def problems(kind: str, reply: Any, *, without: str | None = None) -> list[str]:
    """Where a reply of that kind leaves the document."""
    return [f"{error.json_path}: {error.message}" for error in _validator(kind, without).iter_errors(reply)]


@cache
def _validator(kind: str, without: str | None) -> Draft202012Validator:
    reference = {"$ref": f"#/components/schemas/{KINDS[kind]}"}
    return Draft202012Validator({**reference, "components": {"schemas": schemas(without=without, kind=kind)}})

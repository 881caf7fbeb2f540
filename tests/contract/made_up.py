"""Requests made up from the official document: right ones, and the same with something broken."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import strategies as st

from tests import official
from tests.contract.facts import Facts

JSON = st.recursive(
    st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=3,
)
NAME = re.compile("[a-zA-Z0-9_-]{1,64}")


def requests() -> st.SearchStrategy[dict[str, Any]]:
    """Create requests for the echo engine that keep the document, its prose and the rules over several fields."""
    schemas = official.document()["components"]["schemas"]
    found = _of(Facts(schemas), {"$ref": "#/components/schemas/CreateChatCompletionRequest"})
    return found.map(lambda request: with_rules(json.loads(json.dumps(request))))


def broken(request: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The request with one value, anywhere in it, replaced or removed."""

    def broken_at(place: tuple[Any, ...], value: Any) -> dict[str, Any]:
        copy = json.loads(json.dumps(request))
        inner = copy
        for step in place[:-1]:
            inner = inner[step]
        if value is ...:
            del inner[place[-1]]
        else:
            inner[place[-1]] = value
        return copy

    return st.builds(broken_at, st.sampled_from(_places(request)), JSON | st.just(...))


def _of(facts: Facts, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.one_of([_of_leaf(facts, leaf) for leaf in facts.leaves(schema)])


def _of_leaf(facts: Facts, leaf: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "enum" in leaf:
        return st.sampled_from(leaf["enum"])
    if leaf.get("format") == "uri":
        return st.sampled_from(["https://example.com/a.png", "data:image/png;base64,iVBO"])
    kind = leaf.get("type", "object")
    if kind == "object":
        return _of_object(facts, leaf)
    if kind == "array":
        least = leaf.get("minItems", 0)
        return st.lists(_of(facts, leaf["items"]), min_size=least, max_size=min(leaf.get("maxItems", 2), least + 1))
    return {
        "string": st.text(max_size=min(leaf.get("maxLength", 8), 8)),
        "boolean": st.booleans(),
        "null": st.none(),
        "integer": st.integers(int(leaf.get("minimum", -(2**31))), int(leaf.get("maximum", 2**31))),
        "number": st.floats(leaf.get("minimum", -1e9), leaf.get("maximum", 1e9)),
    }[kind]


def _of_object(facts: Facts, leaf: dict[str, Any]) -> st.SearchStrategy[Any]:
    named = leaf.get("properties", {})
    if not named:
        others = leaf.get("additionalProperties")
        values = _of(facts, others) if isinstance(others, dict) and others else JSON
        return st.dictionaries(st.text(max_size=5), values, max_size=2)
    needed = set(leaf.get("required", []))
    return st.fixed_dictionaries(
        {name: _of(facts, item) for name, item in named.items() if name in needed},
        optional={name: _of(facts, item) for name, item in named.items() if name not in needed},
    )


def with_rules(request: dict[str, Any]) -> dict[str, Any]:
    """What the schema cannot say, put right."""
    request["model"] = "echo"
    request["messages"] = [turn for message in request["messages"] for turn in _turns(message)]
    if request.get("stream") is not True:
        request.pop("stream_options", None)
    if request.get("logprobs") is not True:
        request.pop("top_logprobs", None)
    if request.get("metadata"):
        request["store"] = True
    if "audio" in (request.get("modalities") or []) and not request.get("audio"):
        del request["modalities"]
    if (request.get("response_format") or {}).get("type") == "json_object":
        request["messages"].append({"role": "user", "content": "in JSON"})
    for value in (request.get("response_format") or {}).values():
        if isinstance(value, dict):
            _with_name(value)
    if request.get("max_tokens") is not None:
        request.pop("max_completion_tokens", None)
    for cap in ("max_tokens", "max_completion_tokens"):
        if request.get(cap) is not None:
            request[cap] = max(request[cap], 1)
    if request.get("logit_bias"):
        biases = request["logit_bias"].values()
        request["logit_bias"] = {str(token): bias % 201 - 100 for token, bias in enumerate(biases)}
    _with_tools(request)
    return request


def _turns(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The message, an assistant's calls answered; an answer to nothing becomes a user's word."""
    if message["role"] == "tool":
        return [{"role": "user", "content": "answer"}]
    if message["role"] != "assistant":
        return [message]
    if message.get("tool_calls") == []:
        del message["tool_calls"]
    calls = message.get("tool_calls") or []
    if message.get("content") is None and not any(message.get(key) for key in ("function_call", "audio")):
        message["content"] = "said"
    parts = message.get("content")
    refusals = [part for part in parts if part["type"] == "refusal"] if isinstance(parts, list) else []
    if refusals:  # one, and nothing beside it
        message["content"] = refusals[:1]
    return [message, *({"role": "tool", "tool_call_id": call["id"], "content": "done"} for call in calls)]


def _with_tools(request: dict[str, Any]) -> None:
    tools = request.get("tools") or []
    for tool in tools:
        _with_name(tool[tool["type"]])
    for function in request.get("functions") or []:
        _with_name(function)
    if not tools:
        request.pop("tool_choice", None)
        request.pop("parallel_tool_calls", None)
    elif isinstance(request.get("tool_choice"), dict):
        kind = tools[0]["type"]
        request["tool_choice"] = {"type": kind, kind: {"name": tools[0][kind]["name"]}}
    if not request.get("functions"):
        request.pop("function_call", None)
    elif isinstance(request.get("function_call"), dict):
        request["function_call"] = {"name": request["functions"][0]["name"]}


def _with_name(named: dict[str, Any]) -> None:
    """A name that keeps its pattern; and nothing strict, since the schema in it is made up."""
    if not NAME.fullmatch(named["name"]):
        named["name"] = "f"
    named.pop("strict", None)


def _places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(node, dict | list):
        steps = node.items() if isinstance(node, dict) else enumerate(node)
        return [place for step, item in steps for place in [(*at, step), *_places(item, (*at, step))]]
    return []

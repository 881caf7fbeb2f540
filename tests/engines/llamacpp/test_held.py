"""Through the real engine: what a schema demands is in the answer, or the schema is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest

from hansard.engines.base import Call
from hansard.engines.llamacpp import LlamaCppEngine
from hansard.errors import InvalidRequest

pytestmark = pytest.mark.anyio

Ask = Callable[..., Call]

BOUND: dict[str, dict[str, Any]] = {
    "minimum": {"type": "number", "minimum": 3.5},
    "maximum": {"type": "number", "maximum": -2.5},
    "exclusive": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "multiple": {"type": "number", "multipleOf": 0.5, "minimum": 0.5, "maximum": 9},
    "sevens": {"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 99},
    "ipv4": {"type": "string", "format": "ipv4"},
    "time": {"type": "string", "format": "time"},
    "enum": {"enum": [1, 2, 3], "minimum": 3},
    "ref": {"$ref": "#/$defs/count", "minimum": 7, "maximum": 9},
    "optional literal": {"type": ["string", "null"], "enum": ["x", None]},
    "mixed literal": {"enum": ["a", 1, True, None]},
}


def of(inner: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"a": inner},
        "required": ["a"],
        "additionalProperties": False,
        "$defs": {"count": {"type": "integer"}},
    }


def function(parameters: dict[str, Any], *, strict: bool) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "strict": strict, "parameters": parameters}}


@pytest.mark.parametrize("name", BOUND)
async def test_an_answer_is_by_its_schema(engine: LlamaCppEngine, call_of: Ask, name: str) -> None:
    wanted = of(BOUND[name])
    described = {"name": "answer", "strict": True, "schema": wanted}

    completion = await engine.complete(
        call_of(max_tokens=200, response_format={"type": "json_schema", "json_schema": described})
    )

    jsonschema_rs.validate(wanted, json.loads(completion["choices"][0]["message"]["content"]), validate_formats=True)


@pytest.mark.parametrize("name", BOUND)
async def test_a_forced_call_is_by_its_schema(engine: LlamaCppEngine, call_of: Ask, name: str) -> None:
    wanted = of(BOUND[name])

    completion = await engine.complete(
        call_of(max_tokens=200, tools=[function(wanted, strict=True)], tool_choice="required")
    )

    called = completion["choices"][0]["message"]["tool_calls"][0]["function"]
    jsonschema_rs.validate(wanted, json.loads(called["arguments"]), validate_formats=True)


WEATHER = of({"type": "number", "minimum": 3.5})
ASKED = [{"role": "user", "content": "What is the weather in Paris?"}]


async def test_a_strict_function_is_bound_where_the_model_decides(engine: LlamaCppEngine, call_of: Ask) -> None:
    tool = function(WEATHER, strict=True)
    tool["function"] |= {"name": "get_weather", "description": "Get the weather in a city"}

    completion = await engine.complete(call_of(max_tokens=200, messages=ASKED, tools=[tool]))

    choice = completion["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    jsonschema_rs.validate(WEATHER, json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]))


@pytest.mark.parametrize(
    "inner",
    [
        True,
        {"$ref": "#count"},
        {"type": "string", "minLength": 3, "maxLength": 2},
        {"type": "integer", "minimum": 1.5},
        {"type": "array", "items": True, "uniqueItems": True},
    ],
)
async def test_a_loose_function_may_have_any_schema_where_the_model_decides(
    engine: LlamaCppEngine, call_of: Ask, inner: Any
) -> None:
    parameters = of(inner) | {"$defs": {"count": {"$anchor": "count", "type": "integer"}}}

    completion = await engine.complete(call_of(max_tokens=9, tools=[function(parameters, strict=False)]))

    assert completion["choices"][0]["finish_reason"]


@pytest.mark.parametrize(
    ("strict", "choice", "inner", "wrong"),
    [
        (
            True,
            "auto",
            {"type": "integer", "minimum": 3, "maximum": 2},
            "Unsatisfiable schema: required property 'a' is unsatisfiable.",
        ),
        (
            False,
            "required",
            {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            "In context=('properties', 'a'), 'uniqueItems' is not supported.",
        ),
    ],
)
async def test_a_function_that_cannot_be_bound_is_refused_by_name(
    engine: LlamaCppEngine, call_of: Ask, strict: bool, choice: str, inner: Any, wrong: str
) -> None:
    parameters = of(inner)

    with pytest.raises(InvalidRequest) as caught:
        await engine.complete(call_of(tools=[function(parameters, strict=strict)], tool_choice=choice))

    refused = caught.value
    assert (refused.param, refused.code) == ("tools[0].function.parameters", "invalid_function_parameters")
    assert refused.message == f"Invalid schema for function 'f': {wrong}"

"""The strict subset of JSON Schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.contract import Document
from hansard.core.strict import strict_violation

TEXT: Document = {"type": "string"}


def closed(required: list[str] | None = None, **properties: Any) -> Document:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


def deep(levels: int) -> Document:
    schema = closed()
    for _ in range(levels - 1):
        schema = closed(a=schema)
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        closed(),
        {"type": "object", "additionalProperties": False},
        closed(a=TEXT, b={"type": ["integer", "null"], "minimum": 0, "multipleOf": 2}),
        closed(a={"type": "array", "items": {"type": "number"}, "minItems": 1}),
        closed(a={"anyOf": [TEXT, closed(b={"type": "null"})]}),
        closed(a={"enum": ["x", "y"]}, b={"const": 1}, c={"type": "string", "pattern": "^a", "format": "date"}),
        {**closed(a={"$ref": "#/$defs/place"}, b={"$ref": "#"}), "$defs": {"place": closed(x=TEXT)}},
        {**closed(a={"$ref": "#/definitions/a~1b"}), "definitions": {"a/b": TEXT}},
        closed(a={"$ref": "#/properties/b/anyOf/0"}, b={"anyOf": [TEXT]}),
        deep(10),
        closed(a={"type": "string", "enum": ["x" * 59] * 250}),
    ],
)
def test_inside_the_subset(schema: Document) -> None:
    assert strict_violation(schema) is None


IN_A = "In context=('properties', 'a'), "
CLOSED = "'additionalProperties' is required to be supplied and to be false."
REQUIRED = "'required' is required to be supplied and to be an array including every key in properties."


@pytest.mark.parametrize(
    ("schema", "violation"),
    [
        # Recorded.
        (
            {"type": "object", "properties": {}},
            "In context=(), " + CLOSED,
        ),
        (closed([], complexity=TEXT), f"In context=(), {REQUIRED} Missing 'complexity'."),
        # By analogy.
        ({"type": "array"}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'."),
        ({}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'."),
        ({"anyOf": [closed()]}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'."),
        (None, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'."),
        (
            {**closed(a=TEXT), "additionalProperties": True},
            "In context=(), " + CLOSED,
        ),
        ({**closed(a=TEXT), "required": None}, f"In context=(), {REQUIRED} Missing 'a'."),
        (closed(["a", "b"], a=TEXT), f"In context=(), {REQUIRED} Extra required key 'b' supplied."),
        (closed(a=closed([], b=TEXT)), IN_A + REQUIRED + " Missing 'b'."),
        (
            closed(a={"type": "array", "items": {"type": "object"}}),
            "In context=('properties', 'a', 'items'), " + CLOSED,
        ),
        (
            closed(a={"anyOf": [TEXT, {}]}),
            "In context=('properties', 'a', 'anyOf', '1'), schema must have a 'type' key.",
        ),
        (
            {**closed(), "$defs": {"d": {"type": "object"}}},
            "In context=('$defs', 'd'), " + CLOSED,
        ),
        (closed(a={"allOf": [TEXT]}), IN_A + "'allOf' is not permitted."),
        ({**closed(), "not": {}}, "In context=(), 'not' is not permitted."),
        (closed(a={"type": "array"}), IN_A + "array schema missing items."),
        (
            closed(a={"type": "text"}),
            IN_A + "'text' is not valid under any of the given schemas.",
        ),
        (
            closed(a={"type": ["string", 3]}),
            IN_A + "'3' is not valid under any of the given schemas.",
        ),
        (closed(a=True), IN_A + "schema must be an object."),
        ({**closed(), "properties": []}, "In context=(), 'properties' must be an object."),
        (
            closed(a={"$ref": "#/$defs/none"}),
            IN_A + "reference '#/$defs/none' can not be resolved.",
        ),
        (
            closed(a={"$ref": "#/required/7"}),
            IN_A + "reference '#/required/7' can not be resolved.",
        ),
        (
            closed(a={"$ref": "https://example.com"}),
            IN_A + "reference must be a string that starts with '#'.",
        ),
        (
            deep(11),
            "In context=("
            + "'properties', 'a', " * 9
            + "'properties', 'a'), at most 10 levels of nesting are allowed.",
        ),
        (
            closed(a={"type": "string", "enum": ["x" * 60] * 251}),
            IN_A + "an enum with more than 250 values may have at most 15000 characters in total, but received 15060.",
        ),
    ],
)
def test_outside_the_subset(schema: Any, violation: str) -> None:
    assert strict_violation(schema) == violation


@pytest.mark.parametrize("keyword", ["allOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas"])
def test_rejected_keywords(keyword: str) -> None:
    assert strict_violation({**closed(), keyword: {}}) == f"In context=(), '{keyword}' is not permitted."


KEYS = ["type", "properties", "required", "additionalProperties", "items", "anyOf", "$ref", "$defs", "enum", "const"]
SCHEMAS = st.recursive(
    st.none() | st.booleans() | st.sampled_from(["object", "array", "string", "#/properties/items/0", 7]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=15,
)


@given(SCHEMAS)
def test_anything_has_an_answer(schema: Any) -> None:
    strict_violation(schema)
    if isinstance(schema, dict):
        strict_violation({**schema, "type": "object", "additionalProperties": False})

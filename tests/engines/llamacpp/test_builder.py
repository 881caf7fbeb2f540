"""The engine's own grammar builder: what it is trusted with."""

from __future__ import annotations

from typing import Any

import pytest

from hansard.engines.llamacpp import builder


@pytest.mark.parametrize(
    "held",
    [
        {},
        {"type": "object", "properties": {"a": {"type": ["string", "null"], "enum": ["x", None]}}, "required": ["a"]},
        {"type": "integer", "minimum": 0, "maximum": 9, "title": "A digit"},
        {"type": "array", "items": {"$ref": "#/$defs/a"}, "minItems": 1, "$defs": {"a": {"type": "boolean"}}},
        {"anyOf": [{"const": 3}, {"type": "number"}]},
        {"properties": {"minimum": {"type": "string", "maxLength": 3}}, "additionalProperties": False},
    ],
)
def test_what_it_holds(held: dict[str, Any]) -> None:
    assert builder.holds(held)
    assert builder.readable(held) == held


@pytest.mark.parametrize(
    "loose",
    [
        {"type": "number", "minimum": 3.5},
        {"type": "number", "multipleOf": 0.5},
        {"type": "integer", "multipleOf": 7},
        {"type": ["number", "integer"], "maximum": 5},
        {"type": "string", "format": "email"},
        {"enum": [1, 2], "minimum": 2},
        {"type": "string", "enum": ["a", 1]},
        {"$ref": "#/$defs/a", "minimum": 3, "$defs": {"a": {"type": "integer"}}},
        {"$ref": "#a", "$defs": {"a": {"$anchor": "a", "type": "integer"}}},
        {"anyOf": [{"type": "integer"}], "minimum": 3},
        {"oneOf": [{"type": "integer"}, {"type": "number"}]},
        {"allOf": [{"type": "integer"}]},
        {"type": "array", "uniqueItems": True},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "required": ["a"]},
        {"type": "object", "minProperties": 1},
        {"items": {"type": "string", "pattern": "^a$"}, "type": "array"},
    ],
)
def test_what_it_does_not_hold(loose: dict[str, Any]) -> None:
    assert not builder.holds(loose)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"properties": {"a": True, "b": False}}, {"properties": {"a": {}, "b": {"not": {}}}}),
        ({"items": True, "additionalProperties": True}, {"items": {}, "additionalProperties": True}),
        ({"$ref": "#a", "description": "A."}, {"description": "A."}),
        ({"type": "string", "minLength": 3, "maxLength": 2}, {"type": "string"}),
        ({"type": "array", "minItems": 3, "maxItems": 2}, {"type": "array"}),
        ({"type": "integer", "minimum": 1.5}, {"type": "integer"}),
        ({"type": "integer", "minimum": 1e30}, {"type": "integer"}),
        ({"type": "integer", "minimum": 3, "exclusiveMaximum": 3}, {"type": "integer"}),
        ({"type": "string", "maxLength": -1 + 3.0}, {"type": "string"}),
        ({"enum": [True], "default": True}, {"enum": [True], "default": True}),
    ],
)
def test_what_it_would_stumble_over_is_taken_out(given: dict[str, Any], read: dict[str, Any]) -> None:
    assert builder.readable(given) == read

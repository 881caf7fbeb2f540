"""Schemas under ``strict: true``: what is outside the published subset is refused by name, and what is inside taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hansard.conformance.checks import OFFICIAL, RECORDED, REPORTED, Check
from hansard.conformance.tables import refuses, takes

TOOLS = ("tools",)
FORMAT = ("response_format",)


def _function(**more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "strict": True, **more}}


def _format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "router", "strict": True, "schema": schema}}


_TEXT = {"type": "string"}
_CLOSED = {"type": "object", "additionalProperties": False}
_AN_OBJECT = {**_CLOSED, "properties": {"a": _TEXT}, "required": ["a"]}


def _with(**properties: Any) -> dict[str, Any]:
    return {**_CLOSED, "properties": properties, "required": list(properties)}


def _nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = _AN_OBJECT
    for _ in range(levels):
        schema = _with(a=schema)
    return schema


# rule, what is said of it, the schema
_NOT_STRICT: tuple[tuple[str, str, Any], ...] = (
    ("whose_root_is_an_array", "its root is an object", {"type": "array", "items": _TEXT}),
    ("whose_root_is_a_choice", "its root is no anyOf", {"anyOf": [_AN_OBJECT]}),
    ("that_takes_more_properties", "every object has additionalProperties: false", {**_AN_OBJECT, **_with()} | {
        "additionalProperties": True
    }),
    ("open_within", "so have the objects within", _with(a={"type": "object", "properties": {}, "required": []})),
    ("with_an_optional_property", "every property is required", {**_AN_OBJECT, "required": []}),
    ("that_requires_what_is_not_there", "required names properties", {**_AN_OBJECT, "required": ["a", "b"]}),
    ("with_all_of", "allOf is not permitted", _with(a={"allOf": [_TEXT]})),
    ("with_not", "not is not permitted", _with(a={"type": "string", "not": {"const": "x"}})),
    ("with_if", "if and then are not permitted", _with(a={"type": "string", "if": {}, "then": {}})),
    ("with_dependent_required", "dependentRequired is not permitted", {**_AN_OBJECT, "dependentRequired": {}}),
    ("with_an_array_of_anything", "arrays say what they hold", _with(a={"type": "array"})),
    ("with_an_unknown_type", "types are those of JSON", _with(a={"type": "date"})),
    ("with_a_reference_to_nothing", "references resolve", _with(a={"$ref": "#/$defs/missing"})),
    ("of_too_many_levels", "at most ten levels", _nested(11)),
    ("of_too_many_enum_values", "at most 1000 enum values", _with(a={"enum": [str(n) for n in range(1001)]})),
    ("of_too_many_properties", "at most 5000 properties", _with(**{f"p{n}": _TEXT for n in range(5001)})),
    ("of_too_long_names", "at most 120,000 characters of names", _with(**{"n" * 120_001: _TEXT})),
    ("of_too_long_enum_values", "at most 15,000 characters in an enum of more than 250", _with(
        a={"type": "string", "enum": [f"{n:03}" + "x" * 60 for n in range(251)]}
    )),
    ("with_one_of", "oneOf is not permitted", _with(a={"oneOf": [_TEXT]})),
    ("with_prefix_items", "prefixItems are not permitted", _with(
        a={"type": "array", "items": _TEXT, "prefixItems": [_TEXT]}
    )),
    ("with_contains", "contains is not permitted", _with(a={"type": "array", "items": _TEXT, "contains": _TEXT})),
    ("with_pattern_properties", "patternProperties are not permitted", {**_AN_OBJECT, "patternProperties": {}}),
    ("with_property_names", "propertyNames are not permitted", {**_AN_OBJECT, "propertyNames": _TEXT}),
    ("with_min_properties", "minProperties is not permitted", {**_AN_OBJECT, "minProperties": 1}),
    ("with_unevaluated_properties", "nor unevaluatedProperties", {**_AN_OBJECT, "unevaluatedProperties": False}),
    ("with_min_length", "minLength is not among its bounds", _with(a={"type": "string", "minLength": 1})),
    ("with_max_length", "nor is maxLength", _with(a={"type": "string", "maxLength": 9})),
    ("with_a_keyword_of_nobody", "nor what nobody knows", _with(a={"type": "string", "colour": "red"})),
    ("with_a_bound_that_is_no_number", "bounds are numbers", _with(a={"type": "integer", "minimum": "1"})),
)  # fmt: skip


def _not_strict() -> Iterator[Check]:
    for rule, why, schema in _NOT_STRICT:
        yield refuses(
            f"a_strict_format_{rule}",
            f"A strict schema keeps to the published subset: {why}.",
            OFFICIAL,
            REPORTED,
            fields={"response_format": _format(schema)},
            param="response_format",
            demands=FORMAT,
        )


NOT_STRICT = tuple(_not_strict())

TOLD = (
    refuses(
        "a_strict_format_that_misses_a_required_key",
        "A strict schema that does not require a property is told which one, in the live API's words.",
        REPORTED,
        fields={"response_format": _format({**_with(route=_TEXT, complexity=_TEXT), "required": ["route"]})},
        param="response_format",
        code=None,
        message="Invalid schema for response_format 'router': In context=(), 'required' is required to be supplied and "
        "to be an array including every key in properties. Missing 'complexity'.",
        demands=FORMAT,
    ),
    refuses(
        "a_strict_function_that_takes_more_properties",
        "So is a strict function whose object is open.",
        RECORDED,
        fields={"tools": [_function(parameters={"type": "object", "properties": {}, "required": []})]},
        param="tools[0].function.parameters",
        code="invalid_function_parameters",
        message="Invalid schema for function 'f': In context=(), 'additionalProperties' is required to be supplied "
        "and to be false.",
        demands=TOOLS,
    ),
    refuses(
        "a_strict_function_without_parameters",
        "A strict function has parameters.",
        RECORDED,
        fields={"tools": [_function()]},
        param="tools[0].function.parameters",
        code="invalid_function_parameters",
        demands=TOOLS,
    ),
    refuses(
        "a_strict_format_with_a_keyword_that_is_not_permitted",
        "A keyword outside the strict subset is named, with its place.",
        REPORTED,
        fields={"response_format": _format(_with(a={"type": "array", "items": _TEXT, "uniqueItems": True}))},
        param="response_format",
        code=None,
        message="Invalid schema for response_format 'router': In context=('properties', 'a'), "
        "'uniqueItems' is not permitted.",
        demands=FORMAT,
    ),
    refuses(
        "a_strict_function_with_a_keyword_that_is_not_permitted",
        "So is one in a strict function; the live API refuses 'default', too.",
        REPORTED,
        fields={"tools": [_function(parameters=_with(error={"type": "string", "default": ""}))]},
        param="tools[0].function.parameters",
        code="invalid_function_parameters",
        message="Invalid schema for function 'f': In context=('properties', 'error'), 'default' is not permitted.",
        demands=TOOLS,
    ),
    refuses(
        "a_strict_format_of_an_unpublished_format",
        "The formats of strict strings are nine; another is named.",
        REPORTED,
        fields={"response_format": _format(_with(url={"type": "string", "format": "uri"}))},
        param="response_format",
        code=None,
        message="Invalid schema for response_format 'router': In context=('properties', 'url'), "
        "'uri' is not a valid format.",
        demands=FORMAT,
    ),
)

_EVERYTHING_PERMITTED = {
    **_with(
        code={"type": "string", "pattern": "^[a-c]{2}$", "description": "Two letters."},
        day={"type": "string", "format": "date", "title": "Day", "examples": ["2026-01-01"]},
        share={"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        weeks={"type": ["integer", "null"], "exclusiveMinimum": 0, "maximum": 98, "multipleOf": 7},
        tags={"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 1, "maxItems": 3},
        place={"anyOf": [{"$ref": "#/$defs/place"}, {"const": "nowhere"}]},
    ),
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$defs": {"place": _with(name=_TEXT)},
}

PERMITTED = (
    takes(
        "a_strict_format_of_all_that_is_permitted",
        "All keywords of the strict subset are taken.",
        OFFICIAL,
        REPORTED,
        fields={
            "messages": [{"role": "user", "content": "Report as json."}],
            "response_format": _format(_EVERYTHING_PERMITTED),
        },
        demands=FORMAT,
    ),
)

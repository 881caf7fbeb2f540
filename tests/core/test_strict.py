"""The strict subset of JSON Schema."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.contract import Document
from hansard.core.limits import schema_size
from hansard.core.strict import judged

TEXT: Document = {"type": "string"}


def strict_violation(schema: Any) -> str | None:
    return judged(schema)[0]


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
        {**closed(a={"$ref": "#/$defs/a%20b"}, b={"$ref": "#/$defs/%7E0"}), "$defs": {"a b": TEXT, "~": TEXT}},
        closed(a={"$ref": "#", "description": "Another one."}),
        closed(a={"$ref": "#/properties/b/anyOf/0"}, b={"anyOf": [TEXT]}),
        deep(10),
        closed(a={"type": "string", "enum": ["x" * 59] * 250}),
        {
            **closed(a={**TEXT, "title": "A", "description": "It.", "$comment": "-", "examples": ["x"]}),
            "$schema": "https://json-schema.org/draft/2020-12/schema",
        },
        closed(a={**TEXT, "deprecated": True, "readOnly": False, "writeOnly": False}),
        closed(a={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1.5, "maximum": 1, "multipleOf": 0.5}),
        closed(a={"type": "array", "items": TEXT, "minItems": 0, "maxItems": 2.0}),
        # What a keyword says is no keyword where it is a name or a value.
        closed(default=TEXT, allOf=TEXT, uniqueItems=closed(minLength=TEXT)),
        closed(a={"const": {"allOf": [], "default": 1}}, b={"enum": [["oneOf"], {"not": {}}]}),
        {**closed(a={"$ref": "#/$defs/default"}), "$defs": {"default": TEXT}},
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
        ({**closed(), "properties": []}, "In context=(), [] is not of type 'object'."),
        ({**closed(), "anyOf": [closed()]}, "In context=(), 'anyOf' is not permitted."),
        (closed(a={"type": []}), IN_A + "[] is not valid under any of the given schemas."),
        (closed(["a", "a"], a=TEXT), "In context=(), ['a', 'a'] has non-unique elements."),
        (closed(a={"$ref": "#", "type": "object", "properties": {"b": TEXT}}), IN_A + CLOSED),
        (closed(a={"$ref": "#", "properties": {"b": TEXT}}), IN_A + CLOSED),
        (closed(a={"$ref": "#", **closed([], b=TEXT)}), IN_A + REQUIRED + " Missing 'b'."),
        (
            {**closed(a={"$ref": "#/$defs/a%20b"}), "$defs": {"a%20b": TEXT}},
            IN_A + "reference '#/$defs/a%20b' can not be resolved.",
        ),
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


# All that the official document's JSON Schema has and the profile has not, and what nobody has.
NOT_PERMITTED = (
    *("allOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies", "oneOf"),
    *("uniqueItems", "contains", "minContains", "maxContains", "prefixItems", "additionalItems", "unevaluatedItems"),
    *("patternProperties", "propertyNames", "minProperties", "maxProperties", "unevaluatedProperties"),
    *("minLength", "maxLength", "contentEncoding", "contentMediaType", "contentSchema"),
    *("default", "$id", "id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$vocabulary"),
    *("nullable", "discriminator", "example", "x-order", "", "Type"),
)


@pytest.mark.parametrize("keyword", NOT_PERMITTED)
def test_rejected_keywords(keyword: str) -> None:
    assert strict_violation({**closed(), keyword: {}}) == f"In context=(), '{keyword}' is not permitted."
    assert strict_violation(closed(a={**TEXT, keyword: 1})) == f"{IN_A}'{keyword}' is not permitted."


@pytest.mark.parametrize("name", ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"])
def test_published_formats(name: str) -> None:
    assert strict_violation(closed(a={**TEXT, "format": name})) is None


@pytest.mark.parametrize("name", ["uri", "regex", "int64", "idn-email", "DATE", ""])
def test_other_formats(name: str) -> None:
    """Reported: ``'uri' is not a valid format.``"""
    assert strict_violation(closed(a={**TEXT, "format": name})) == f"{IN_A}'{name}' is not a valid format."


@pytest.mark.parametrize(
    ("keyword", "value", "wrong"),
    [
        ("pattern", 5, "5 is not of type 'string'."),
        ("format", ["date"], "['date'] is not of type 'string'."),
        ("minimum", "1", "1 is not of type 'number'."),
        ("exclusiveMaximum", True, "True is not of type 'number'."),
        ("multipleOf", 0, "0 is less than or equal to the minimum of 0."),
        ("minItems", -1, "-1 is less than the minimum of 0."),
        ("maxItems", 1.5, "1.5 is not of type 'integer'."),
        ("enum", "x", "x is not of type 'array'."),
        ("enum", [], "[] should be non-empty."),
        ("anyOf", [], "[] should be non-empty."),
        ("anyOf", {}, "{} is not of type 'array'."),
        ("$defs", [], "[] is not of type 'object'."),
        ("$ref", 1, "reference must be a string that starts with '#'."),
    ],
)
def test_values_that_keywords_do_not_have(keyword: str, value: Any, wrong: str) -> None:
    assert strict_violation(closed(a={**TEXT, keyword: value})) == IN_A + wrong


def test_a_reference_is_to_a_schema() -> None:
    """What lies in a value was never judged as one, so a reference into it would be a way around the subset."""
    schema = closed(a={"$ref": "#/properties/b/const/hidden"}, b={"const": {"hidden": {"type": "array"}}})

    assert strict_violation(schema) == f"{IN_A}reference '#/properties/b/const/hidden' can not be resolved."
    assert (
        strict_violation(closed(a={"$ref": "#/properties"})) == f"{IN_A}reference '#/properties' can not be resolved."
    )


def test_what_stands_beside_a_reference_is_judged() -> None:
    assert strict_violation(closed(a={"$ref": "#", "minLength": 1})) == f"{IN_A}'minLength' is not permitted."


def test_a_long_enum_of_what_may_be_an_object_too() -> None:
    told = strict_violation(closed(a={**closed(), "type": ["object", "string"], "enum": ["x" * 60] * 251}))

    assert told is not None
    assert told.endswith("may have at most 15000 characters in total, but received 15060.")


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (closed(**{f"p{number}": TEXT for number in range(5_001)}), "5000 object properties total, but received 5001."),
        (closed(a={"enum": list(range(1_001))}), "1000 enum values in total within a schema, but received 1001."),
        (
            closed(a={"enum": list(range(600))}, b={"enum": list(range(401))}),
            "1000 enum values in total within a schema, but received 1001.",
        ),
        (
            {**closed(n={"const": "v" * 60_000}, m={"enum": ["w" * 59_000]}), "$defs": {"d" * 1_000: TEXT}},
            "120000 characters of names, enum values and const values, but received 120002.",
        ),
        (
            closed(a={"const": msgspec.json.decode(b"[" * 97 + b"]" * 97)}),
            None,
        ),
        (
            closed(a={"const": msgspec.json.decode(b"[" * 98 + b"]" * 98)}),
            "100 levels of nesting, but received 101.",
        ),
    ],
)
def test_limits(schema: Document, told: str | None) -> None:
    assert strict_violation(schema) == (None if told is None else f"Expected at most {told}")


@pytest.mark.parametrize(
    "schema",
    [
        {**closed(a={"enum": ["x", 1]}, bc={"anyOf": [TEXT, closed(d=TEXT)]}), "$defs": {"e": {"const": "yz"}}},
        {
            **closed(a={"$ref": "#/definitions/p~1q"}),
            "definitions": {"p/q": TEXT, "p": {"type": "array", "items": TEXT}},
        },
        closed(a={"const": [[{"b": []}]]}, c={"type": "object", **closed()}),
        deep(10),
    ],
)
def test_it_weighs_as_much_as_any_schema_would(schema: Document) -> None:
    """The walk that judges counts what ``limits.schema_size`` counts; lists of names and choices are no level to it."""
    size, measured = judged(schema)[1], schema_size(schema)

    assert msgspec.structs.replace(size, depth=0) == msgspec.structs.replace(measured, depth=0)
    assert size.depth <= measured.depth


KEYS = ["type", "properties", "required", "additionalProperties", "items", "anyOf", "$ref", "$defs", "enum", "const"]
SCHEMAS = st.recursive(
    st.none() | st.booleans() | st.sampled_from(["object", "array", "string", "#/properties/items/0", 7]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=15,
)


@given(SCHEMAS)
def test_anything_has_an_answer(schema: Any) -> None:
    answers = [strict_violation(schema)]
    if isinstance(schema, dict):
        answers.append(strict_violation({**schema, "type": "object", "additionalProperties": False}))
    assert "" not in answers, "it is refused, and nobody says why"
    assert isinstance(schema, dict) or answers[0], "what is no object was let through"

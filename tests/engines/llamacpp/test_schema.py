"""Schemas: soundness, which grammar holds them, and references that still point home after a move."""

from __future__ import annotations

from typing import Any

import pytest

from hansard.engines.llamacpp import schema
from hansard.errors import InvalidRequest

PERSON = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
CODE = {"type": "object", "properties": {"code": {"type": "string", "pattern": "^[A-Z]\\d+$"}}}


@pytest.mark.parametrize(
    "sound",
    [
        PERSON,
        CODE,
        {"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}},
        {"properties": {"pattern": {"type": "string"}, "not": {"type": "string"}}},
        {"properties": {"a": {"not": {"type": "string"}}}},
        {"properties": {"a": {"type": "string", "minLength": 2000, "maxLength": 1_000_000}}},
        {"properties": {f"k{number}": {} for number in range(100)}},
        {"properties": {f"k{n}": {} for n in range(200)}, "required": [f"k{n}" for n in range(100)]},
        {"properties": {"minLength": {"enum": [9999]}}},
    ],
)
def test_sound_schemas_pass(sound: dict[str, Any]) -> None:
    assert schema.check(sound) is None


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (
            {"properties": {"a": {"type": "string", "pattern": "("}}},
            """In context=('properties', 'a', 'pattern'), "(" is not a "regex".""",
        ),
        (
            {"pattern": "(?=a)b"},
            "In context=('pattern',), the pattern '(?=a)b' has look-around or a back reference, "
            "which is not supported.",
        ),
        (
            {"patternProperties": {"(a)\\1": {}}},
            "In context=('patternProperties', '(a)\\\\1'), the pattern '(a)\\\\1' has look-around or a back reference, "
            "which is not supported.",
        ),
        ({"$schema": "http://a.example/s"}, "In context=(), the '$schema' 'http://a.example/s' is not supported."),
        ({"pattern": "\\bfoo"}, "In context=(), the pattern '\\\\bfoo' is not supported."),
        (
            {"properties": {"a": {"type": "array", "minItems": 2001}}},
            "In context=('properties', 'a'), 'minItems' above 2000 is not supported.",
        ),
        (
            {"anyOf": [{"properties": {f"k{number}": {} for number in range(101)}}]},
            "an object with 101 optional properties is not supported. Expected at most 100.",
        ),
        ({"$ref": "#/nowhere"}, "In context=(), Pointer '/nowhere' does not exist."),
    ],
)
def test_broken_schemas_are_named(broken: dict[str, Any], said: str) -> None:
    assert schema.check(broken) == said


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1/x.json", "file:///etc/passwd", "https://example.com/s#/a"])
def test_nothing_is_fetched(uri: str) -> None:
    said = schema.check({"properties": {"a": {"$ref": uri}}})

    assert said is not None
    assert "this server fetches nothing" in said


@pytest.mark.parametrize(
    ("unsatisfiable", "said"),
    [
        (
            {"type": "string", "format": "email", "maxLength": 2},
            "Unsatisfiable schema: no string of the format 'email' matches what stands beside it.",
        ),
        (
            {"properties": {"a": {"type": "string", "format": "date", "enum": ["x"]}}, "required": ["a"]},
            "Unsatisfiable schema: no string of the format 'date' matches what stands beside it.",
        ),
        ({"type": "string", "pattern": "^abc$", "maxLength": 2}, "Unsatisfiable schema."),
    ],
)
def test_what_nothing_can_fulfil_is_said_in_words_of_the_schema(unsatisfiable: dict[str, Any], said: str) -> None:
    assert schema.unheld(unsatisfiable) == said


def test_a_schema_without_patterns_is_the_engines_own_business() -> None:
    assert schema.constraint(PERSON, param="response_format") == {
        "response_format": {"type": "json_schema", "json_schema": {"schema": PERSON}}
    }


def test_a_pattern_needs_the_other_grammar() -> None:
    assert schema.constraint({"type": "string", "pattern": "^a$"}, param="response_format") == {
        "grammar": '%llguidance {}\nstart: %json {"type":"string","pattern":"^a$","x-guidance":'
        '{"whitespace_flexible":false,"item_separator":", ","key_separator":": "}}',
        "reasoning_format": "none",
        "chat_template_kwargs": {"enable_thinking": False},
    }


def test_a_property_called_pattern_is_no_pattern() -> None:
    assert "grammar" not in schema.constraint({"properties": {"pattern": {"type": "string"}}}, param="response_format")


def test_references_follow_a_schema_that_moves() -> None:
    tree = {"items": {"$ref": "#"}, "allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {}}, "properties": {"$ref": {}}}

    assert schema.moved(tree, "/anyOf/0") == {
        "items": {"$ref": "#/anyOf/0"},
        "allOf": [{"$ref": "#/anyOf/0/$defs/a"}],
        "$defs": {"a": {}},
        "properties": {"$ref": {}},
    }


def test_a_reference_to_the_root_is_given_something_to_refer_to() -> None:
    tree = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}}

    bound = schema.constraint(tree, param="response_format")["response_format"]["json_schema"]["schema"]

    assert bound == {
        "$ref": "#/$defs/root",
        "$defs": {
            "root": {
                "type": "object",
                "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/root"}}},
            }
        },
    }


@pytest.mark.parametrize(
    ("beyond", "said"),
    [
        ({"type": "array", "uniqueItems": True}, "In context=(), 'uniqueItems' is not supported."),
        ({"properties": {"a": {"not": {}}}}, "In context=('properties', 'a'), 'not' is not supported."),
        ({"if": {"type": "string"}, "then": {"minLength": 1}}, "In context=(), 'if' is not supported."),
        ({"type": "string", "format": "regex"}, "In context=(), the format 'regex' is not supported."),
        (
            {"oneOf": [{"type": "integer"}, {"type": "number"}]},
            "'oneOf' is not supported where more than one of its schemas may hold. Use 'anyOf'.",
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"allOf": [{"type": "null"}, {"type": "string"}]}},
                "required": ["a"],
            },
            "Unsatisfiable schema: required property 'a' is unsatisfiable.",
        ),
    ],
)
def test_what_neither_grammar_holds_is_refused_by_name(beyond: dict[str, Any], said: str) -> None:
    assert schema.check(beyond) is None
    assert schema.unheld(beyond) == said

    with pytest.raises(InvalidRequest) as caught:
        schema.constraint(beyond, param="response_format")

    assert (caught.value.message, caught.value.param) == (
        f"Invalid schema for response_format: {said}",
        "response_format",
    )


@pytest.mark.parametrize("held", [PERSON, CODE, {"type": "number", "minimum": 3.5}, {"minProperties": 1}])
def test_what_one_of_them_holds_is_not_refused(held: dict[str, Any]) -> None:
    assert schema.unheld(held) is None


def test_objects_get_no_properties_that_nobody_named() -> None:
    score = {"type": "object", "properties": {"score": {"type": "number", "minimum": 0.5}}}

    assert '"additionalProperties":false' in schema.form(score)
    assert "additionalProperties" not in schema.form({"allOf": [score, {"required": ["other"]}]})

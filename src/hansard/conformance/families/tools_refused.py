"""What create refuses of tools and formats: names, choices, and schemas outside the strict subset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hansard.conformance.checks import OFFICIAL, RECORDED, REPORTED, Check
from hansard.conformance.tables import refuses

TOOLS = ("tools",)
FORMAT = ("response_format",)


def _function(**more: Any) -> dict[str, Any]:
    fields = {"name": "f", **more}
    return {"type": "function", "function": {name: value for name, value in fields.items() if value is not ...}}


def _custom(**more: Any) -> dict[str, Any]:
    return {"type": "custom", "custom": {"name": "c", **more}}


DEFINITIONS = (
    refuses(
        "a_function_name_with_a_space",
        "A function's name is of letters, digits, _ and -.",
        REPORTED,
        fields={"tools": [_function(name="get weather")]},
        param="tools[0].function.name",
        code="invalid_value",
        message="Invalid 'tools[0].function.name': string does not match pattern. "
        "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
        demands=TOOLS,
    ),
    refuses(
        "an_empty_function_name",
        "A function's name is not empty.",
        OFFICIAL,
        fields={"tools": [_function(name="")]},
        param="tools[0].function.name",
        demands=TOOLS,
    ),
    refuses(
        "a_long_function_name",
        "A function's name has at most 64 characters.",
        OFFICIAL,
        fields={"tools": [_function(name="f" * 65)]},
        param="tools[0].function.name",
        demands=TOOLS,
    ),
    refuses(
        "a_function_without_name",
        "A function without a name is 400 missing_required_parameter.",
        OFFICIAL,
        REPORTED,
        fields={"tools": [_function(name=...)]},
        param="tools[0].function.name",
        code="missing_required_parameter",
        demands=TOOLS,
    ),
    refuses(
        "a_tool_without_function",
        "A function tool without its function is 400 missing_required_parameter.",
        OFFICIAL,
        fields={"tools": [{"type": "function"}]},
        param="tools[0].function",
        code="missing_required_parameter",
        demands=TOOLS,
    ),
    refuses(
        "a_tool_without_type",
        "A tool without a type is 400 missing_required_parameter.",
        OFFICIAL,
        fields={"tools": [{"function": {"name": "f"}}]},
        param="tools[0].type",
        code="missing_required_parameter",
        demands=TOOLS,
    ),
    refuses(
        "a_tool_of_unknown_type",
        "A tool is of type function or custom.",
        OFFICIAL,
        fields={"tools": [{"type": "plugin", "plugin": {}}]},
        param="tools[0].type",
        code="invalid_value",
    ),
    refuses(
        "an_unknown_key_of_a_function",
        "A key that functions do not have is 400 unknown_parameter, with the whole path.",
        REPORTED,
        fields={"tools": [_function(colour="red")]},
        param="tools[0].function.colour",
        code="unknown_parameter",
    ),
    refuses(
        "parameters_of_another_type",
        "A function's parameters are an object.",
        OFFICIAL,
        fields={"tools": [_function(parameters="none")]},
        param="tools[0].function.parameters",
        code="invalid_type",
        demands=TOOLS,
    ),
    refuses(
        "a_hundred_and_twenty_nine_tools",
        "At most 128 tools.",
        OFFICIAL,
        fields={"tools": [_function(name=f"f{number}") for number in range(129)]},
        param="tools",
        code="array_above_max_length",
        demands=TOOLS,
    ),
    refuses(
        "no_functions_in_the_array",
        "An empty array of the deprecated functions is 400 empty_array.",
        OFFICIAL,
        fields={"functions": []},
        param="functions",
        code="empty_array",
        demands=("functions",),
    ),
    refuses(
        "a_custom_tool_without_name",
        "A custom tool without a name is 400 missing_required_parameter.",
        OFFICIAL,
        fields={"tools": [{"type": "custom", "custom": {}}]},
        param="tools[0].custom.name",
        code="missing_required_parameter",
        demands=TOOLS,
    ),
    refuses(
        "a_grammar_of_unknown_syntax",
        "A grammar is in lark or regex.",
        OFFICIAL,
        fields={"tools": [_custom(format={"type": "grammar", "grammar": {"syntax": "bnf", "definition": "x"}})]},
        param="tools[0].custom.format.grammar.syntax",
        code="invalid_value",
        demands=TOOLS,
    ),
    refuses(
        "a_grammar_without_definition",
        "A grammar needs its definition.",
        OFFICIAL,
        fields={"tools": [_custom(format={"type": "grammar", "grammar": {"syntax": "lark"}})]},
        param="tools[0].custom.format.grammar.definition",
        code="missing_required_parameter",
        demands=TOOLS,
    ),
    refuses(
        "an_unknown_key_of_a_text_format",
        "The text format of a custom tool has no other keys.",
        OFFICIAL,
        fields={"tools": [_custom(format={"type": "text", "length": 5})]},
        param="tools[0].custom.format.length",
        code="unknown_parameter",
        demands=TOOLS,
    ),
)

CHOICES = (
    refuses(
        "a_choice_of_a_tool_that_is_not_there",
        "tool_choice names one of the tools.",
        OFFICIAL,
        fields={"tools": [_function()], "tool_choice": {"type": "function", "function": {"name": "g"}}},
        param="tool_choice",
        demands=("tools", "tool_choice"),
    ),
    refuses(
        "a_choice_without_function",
        "A named choice without its function is 400 missing_required_parameter.",
        OFFICIAL,
        fields={"tools": [_function()], "tool_choice": {"type": "function"}},
        param="tool_choice.function",
        code="missing_required_parameter",
        demands=("tools", "tool_choice"),
    ),
    refuses(
        "allowed_tools_that_are_not_there",
        "allowed_tools name tools of the request.",
        OFFICIAL,
        fields={
            "tools": [_function()],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "g"}}]},
            },
        },
        param="tool_choice",
        demands=("tools", "tool_choice"),
    ),
    refuses(
        "allowed_tools_of_unknown_mode",
        "allowed_tools are auto or required.",
        OFFICIAL,
        fields={
            "tools": [_function()],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "maybe", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
        },
        param="tool_choice.allowed_tools.mode",
        code="invalid_value",
        demands=("tools", "tool_choice"),
    ),
)

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
)  # fmt: skip


def _not_strict() -> Iterator[Check]:
    for rule, why, schema in _NOT_STRICT:
        yield refuses(
            f"a_strict_format_{rule}",
            f"A strict schema keeps to the published subset: {why}.",
            OFFICIAL,
            REPORTED,
            fields={
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "router", "strict": True, "schema": schema},
                }
            },
            param="response_format",
            demands=FORMAT,
        )


NOT_STRICT = tuple(_not_strict())

FORMATS = (
    refuses(
        "a_strict_format_that_misses_a_required_key",
        "A strict schema that does not require a property is told which one, in the live API's words.",
        REPORTED,
        fields={
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "router",
                    "strict": True,
                    "schema": {**_with(route=_TEXT, complexity=_TEXT), "required": ["route"]},
                },
            }
        },
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
        fields={"tools": [_function(strict=True, parameters={"type": "object", "properties": {}, "required": []})]},
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
        fields={"tools": [_function(strict=True)]},
        param="tools[0].function.parameters",
        code="invalid_function_parameters",
        demands=TOOLS,
    ),
    refuses(
        "a_format_name_with_a_space",
        "A schema's name is of letters, digits, _ and -.",
        OFFICIAL,
        fields={"response_format": {"type": "json_schema", "json_schema": {"name": "my router", "schema": _AN_OBJECT}}},
        param="response_format.json_schema.name",
        code="invalid_value",
        demands=FORMAT,
    ),
    refuses(
        "a_schema_of_another_type",
        "A schema is an object.",
        OFFICIAL,
        fields={"response_format": {"type": "json_schema", "json_schema": {"name": "router", "schema": "any"}}},
        param="response_format.json_schema.schema",
        code="invalid_type",
        demands=FORMAT,
    ),
)

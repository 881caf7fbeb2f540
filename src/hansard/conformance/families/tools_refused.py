"""What create refuses of tools and formats: names, choices, and formats."""

from __future__ import annotations

from typing import Any

from hansard.conformance.checks import OFFICIAL, REPORTED
from hansard.conformance.tables import refuses

TOOLS = ("tools",)
FORMAT = ("response_format",)
AN_OBJECT = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


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

FORMATS = (
    refuses(
        "a_format_name_with_a_space",
        "A schema's name is of letters, digits, _ and -.",
        OFFICIAL,
        fields={"response_format": {"type": "json_schema", "json_schema": {"name": "my router", "schema": AN_OBJECT}}},
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

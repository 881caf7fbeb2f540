"""What create refuses of the deprecated functions, of custom tools, and of choices among tools."""

from __future__ import annotations

from typing import Any

from hansard.conformance import expect
from hansard.conformance.checks import OFFICIAL, REPORTED, check, decided, decision
from hansard.conformance.probe import Probe
from hansard.conformance.tables import refuses

_FUNCTION: dict[str, Any] = {"name": "f", "parameters": {"type": "object", "properties": {}}}
_TOOL = {"type": "function", "function": _FUNCTION}
_CUSTOM = {"type": "custom", "custom": {"name": "c"}}
_GRAMMAR = {"syntax": "regex", "definition": "[a-z]+"}
_OLD = ("functions", "function_call")
_TOOLS = ("tools", "tool_choice")

FUNCTIONS = (
    refuses(
        "function_call_without_functions",
        "function_call without functions is 400, as tool_choice without tools.",
        REPORTED,
        fields={"function_call": "auto"},
        param="function_call",
        code=None,
        message="Invalid value for 'function_call': 'function_call' is only allowed when 'functions' are specified.",
        demands=("function_call",),
    ),
    refuses(
        "a_function_call_of_what_is_not_there",
        "function_call names one of the functions.",
        OFFICIAL,
        fields={"functions": [_FUNCTION], "function_call": {"name": "g"}},
        param="function_call",
        demands=_OLD,
    ),
    refuses(
        "a_function_call_without_name",
        "A function_call that is an object names its function.",
        OFFICIAL,
        fields={"functions": [_FUNCTION], "function_call": {}},
        param="function_call.name",
        code="missing_required_parameter",
        demands=_OLD,
    ),
    refuses(
        "a_hundred_and_twenty_nine_functions",
        "At most 128 functions.",
        OFFICIAL,
        fields={"functions": [{**_FUNCTION, "name": f"f{number}"} for number in range(129)]},
        param="functions",
        code="array_above_max_length",
        demands=("functions",),
    ),
    refuses(
        "a_deprecated_function_without_name",
        "A deprecated function has a name.",
        OFFICIAL,
        fields={"functions": [{"parameters": {}}]},
        param="functions[0].name",
        code="missing_required_parameter",
        demands=("functions",),
    ),
    refuses(
        "a_deprecated_function_name_with_a_space",
        "Its name is of letters, digits, _ and -.",
        OFFICIAL,
        REPORTED,
        fields={"functions": [{"name": "get weather"}]},
        param="functions[0].name",
        code="invalid_value",
        demands=("functions",),
    ),
)

DEFINITIONS = (
    refuses(
        "strict_of_another_type",
        "A function's strict is a boolean.",
        OFFICIAL,
        fields={"tools": [{"type": "function", "function": {**_FUNCTION, "strict": "yes"}}]},
        param="tools[0].function.strict",
        code="invalid_type",
        demands=("tools",),
    ),
    refuses(
        "a_custom_tool_of_an_unknown_format",
        "A custom tool's input is text, or follows a grammar.",
        OFFICIAL,
        fields={"tools": [{"type": "custom", "custom": {"name": "c", "format": {"type": "yaml"}}}]},
        param="tools[0].custom.format.type",
        code="invalid_value",
    ),
    refuses(
        "an_unknown_key_of_a_grammar_format",
        "The grammar format of a custom tool has no other keys.",
        OFFICIAL,
        fields={
            "tools": [
                {"type": "custom", "custom": {"name": "c", "format": {"type": "grammar", "grammar": _GRAMMAR, "x": 1}}}
            ]
        },
        param="tools[0].custom.format.x",
        code="unknown_parameter",
        demands=("tools",),
    ),
    refuses(
        "a_long_format_name",
        "A schema's name has at most 64 characters.",
        OFFICIAL,
        fields={
            "response_format": {"type": "json_schema", "json_schema": {"name": "n" * 65, "schema": {"type": "object"}}}
        },
        param="response_format.json_schema.name",
        code="string_above_max_length",
        demands=("response_format",),
    ),
    refuses(
        "a_strict_format_without_schema",
        "A strict format has a schema.",
        REPORTED,
        fields={"response_format": {"type": "json_schema", "json_schema": {"name": "any", "strict": True}}},
        param="response_format.json_schema.schema",
        code="missing_required_parameter",
        demands=("response_format",),
    ),
    refuses(
        "a_location_without_place",
        "The location of a web search has a place.",
        OFFICIAL,
        fields={"web_search_options": {"user_location": {"type": "approximate"}}},
        param="web_search_options.user_location.approximate",
        code="missing_required_parameter",
        demands=("web_search_options",),
    ),
)

CHOICES = (
    refuses(
        "a_choice_of_a_custom_tool_that_is_not_there",
        "A custom choice names one of the custom tools, not of the functions.",
        OFFICIAL,
        fields={"tools": [_TOOL, _CUSTOM], "tool_choice": {"type": "custom", "custom": {"name": "f"}}},
        param="tool_choice",
        demands=_TOOLS,
    ),
    refuses(
        "a_choice_of_a_function_that_is_a_custom_tool",
        "A choice of a function names one of the functions, not of the custom tools.",
        OFFICIAL,
        fields={"tools": [_TOOL, _CUSTOM], "tool_choice": {"type": "function", "function": {"name": "c"}}},
        param="tool_choice",
        demands=_TOOLS,
    ),
    refuses(
        "a_choice_without_a_name",
        "A choice of a function has its name.",
        OFFICIAL,
        fields={"tools": [_TOOL], "tool_choice": {"type": "function", "function": {}}},
        param="tool_choice.function.name",
        code="missing_required_parameter",
        demands=_TOOLS,
    ),
    refuses(
        "allowed_tools_without_mode",
        "allowed_tools have a mode.",
        OFFICIAL,
        fields={
            "tools": [_TOOL],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"tools": [{"type": "function", "function": {"name": "f"}}]},
            },
        },
        param="tool_choice.allowed_tools.mode",
        code="missing_required_parameter",
        demands=_TOOLS,
    ),
    refuses(
        "allowed_tools_without_their_list",
        "allowed_tools have a list of tools.",
        OFFICIAL,
        fields={"tools": [_TOOL], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}},
        param="tool_choice.allowed_tools.tools",
        code="missing_required_parameter",
        demands=_TOOLS,
    ),
)

SAMPLING = (
    refuses(
        "a_seed_past_its_bound",
        "A seed is an int64: 10**19 is 400 integer_above_max_value.",
        OFFICIAL,
        fields={"seed": 10**19},
        param="seed",
        code="integer_above_max_value",
    ),
    refuses(
        "a_seed_below_its_bound",
        "A seed is an int64: -10**19 is 400 integer_below_min_value.",
        OFFICIAL,
        fields={"seed": -(10**19)},
        param="seed",
        code="integer_below_min_value",
    ),
    refuses(
        "a_stop_text_of_another_type",
        "Stop texts are strings, and param names the one that is none.",
        OFFICIAL,
        fields={"stop": ["a", 5]},
        param="stop[1]",
        code="invalid_type",
    ),
    refuses(
        "a_number_of_choices_that_is_not_whole",
        "n is an integer: 1.5 is 400 invalid_type.",
        OFFICIAL,
        fields={"n": 1.5},
        param="n",
        code="invalid_type",
        demands=("n",),
    ),
    refuses(
        "a_bias_of_another_type",
        "A bias is an integer, and param names its token.",
        OFFICIAL,
        fields={"logit_bias": {"5": "much"}},
        param="logit_bias.5",
        code="invalid_type",
        demands=("logit_bias",),
    ),
)


@check("create", decision(36), decided("`tools` beside the deprecated `functions`"))
def takes_tools_beside_functions_or_names_them(probe: Probe) -> None:
    """tools beside the deprecated functions are answered, or refused by name: neither is dropped in silence."""
    reply = probe.create(tools=[_TOOL], functions=[{**_FUNCTION, "name": "g"}])
    if reply.status == 200:
        expect.that(reply.document.get("choices"), "a completion with choices", reply.document)
        return
    expect.refusal(reply, 400)
    expect.that(reply.error["param"] in ("tools", "functions"), "param tools or functions", reply.error)

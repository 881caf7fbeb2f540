"""Which tools the engine is offered, and what is forced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hansard.contract.request import ChatRequest
from hansard.engines.llamacpp import tools
from hansard.errors import InvalidRequest

Ask = Callable[..., ChatRequest]

PLACE = {"type": "object", "properties": {"place": {"type": "string"}}}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "Of now", "parameters": PLACE}}
TIMER = {"type": "function", "function": {"name": "timer"}}
NOTE = {"type": "custom", "custom": {"name": "note"}}

OFFERED_TIMER = {"type": "function", "function": {"name": "timer", "parameters": {"type": "object", "properties": {}}}}
OFFERED_NOTE = {
    "type": "function",
    "function": {
        "name": "note",
        "parameters": {
            "type": "object",
            "properties": {"input": {"type": "string"}},
            "required": ["input"],
            "additionalProperties": False,
        },
    },
}


def planned(request: ChatRequest) -> tools.ToolPlan:
    plan = tools.plan(request, bound=False)
    assert plan is not None
    return plan


def test_no_tools_no_plan(request_of: Ask) -> None:
    assert tools.plan(request_of(), bound=False) is None


def test_none_drops_the_tools(request_of: Ask) -> None:
    assert tools.plan(request_of(tools=[TIMER], tool_choice="none"), bound=True) is None


def test_by_default_all_are_offered_and_none_forced(request_of: Ask) -> None:
    plan = planned(request_of(tools=[WEATHER, TIMER, NOTE]))

    assert plan.offered == [WEATHER, OFFERED_TIMER, OFFERED_NOTE]
    assert (plan.forced, plan.named, plan.parallel, plan.custom, plan.legacy) == (
        False, False, True, frozenset({"note"}), False
    )  # fmt: skip


def allowed_none(mode: str) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": []}}


def test_no_plan_when_none_is_allowed(request_of: Ask) -> None:
    assert tools.plan(request_of(tools=[TIMER], tool_choice=allowed_none("auto")), bound=False) is None


def test_a_call_cannot_be_required_when_none_is_allowed(request_of: Ask) -> None:
    with pytest.raises(InvalidRequest) as caught:
        tools.plan(request_of(tools=[TIMER], tool_choice=allowed_none("required")), bound=False)

    assert (caught.value.param, caught.value.code) == ("tool_choice.allowed_tools.tools", "empty_array")


ALLOWED = {"mode": "required", "tools": [{"type": "function", "function": {"name": "timer"}}]}


@pytest.mark.parametrize(
    ("choice", "names", "forced", "named"),
    [
        ("required", ["weather", "timer", "note"], True, False),
        ({"type": "function", "function": {"name": "timer"}}, ["timer"], True, True),
        ({"type": "custom", "custom": {"name": "note"}}, ["note"], True, True),
        ({"type": "allowed_tools", "allowed_tools": ALLOWED}, ["timer"], True, False),
        ({"type": "allowed_tools", "allowed_tools": {**ALLOWED, "mode": "auto"}}, ["timer"], False, False),
    ],
)
def test_only_what_was_chosen_is_offered(
    request_of: Ask, choice: Any, names: list[str], forced: bool, named: bool
) -> None:
    plan = planned(request_of(tools=[WEATHER, TIMER, NOTE], tool_choice=choice))

    assert [tool["function"]["name"] for tool in plan.offered] == names
    assert (plan.forced, plan.named) == (forced, named)


@pytest.mark.parametrize(("bound", "choice", "in_json"), [(0, "auto", 0), (1, "auto", 1), (0, "required", 1)])
def test_calls_are_json_where_they_are_forced_or_answers_are(
    request_of: Ask, bound: int, choice: str, in_json: int
) -> None:
    plan = tools.plan(request_of(tools=[TIMER], tool_choice=choice), bound=bool(bound))

    assert plan is not None
    assert plan.in_json is bool(in_json)


def test_one_call_at_a_time_if_asked(request_of: Ask) -> None:
    assert planned(request_of(tools=[TIMER], parallel_tool_calls=False)).parallel is False


def test_deprecated_functions_are_tools_answered_in_their_own_form(request_of: Ask) -> None:
    plan = planned(request_of(functions=[WEATHER["function"]], function_call={"name": "weather"}))

    assert plan.offered == [WEATHER]
    assert (plan.forced, plan.named, plan.parallel, plan.legacy) == (True, True, False, True)


def bound(syntax: str, definition: str, name: str = "date") -> dict[str, Any]:
    form = {"type": "grammar", "grammar": {"syntax": syntax, "definition": definition}}
    return {"type": "custom", "custom": {"name": name, "format": form}}


def test_a_grammar_binds_the_input_and_the_model_is_told(request_of: Ask) -> None:
    plan = planned(request_of(tools=[TIMER, bound("regex", "a/b")]))

    assert plan.grammars == {"date": "start: /(?:a\\/b)/"}
    assert plan.custom == {"date"}
    told = plan.offered[1]["function"]["parameters"]["properties"]["input"]["description"]
    assert told == "Text by this regex grammar:\na/b"


@pytest.mark.parametrize(
    ("tool", "reason"),
    [
        (bound("lark", "start: a"), 'unknown name: "a"'),
        (bound("lark", 'start: "a"\n}\nx: "b"'), "expecting rule, token or statement"),
        (bound("regex", "("), "unclosed group"),
        (bound("regex", "(?=x)a"), "look-around"),
        (bound("lark", "start: " + "(" * 5000 + '"a"' + ")" * 5000), "too deeply nested"),
        (bound("regex", "a" * 20_001), "expected at most 20000 characters, but received 20001"),
    ],
)
def test_a_broken_grammar_is_refused_in_its_compilers_words(request_of: Ask, tool: Any, reason: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        tools.plan(request_of(tools=[TIMER, tool]), bound=False)

    assert caught.value.message.startswith("Invalid grammar for custom tool 'date': ")
    assert reason in caught.value.message
    assert caught.value.param == "tools[1].custom.format.grammar.definition"


def test_a_forced_call_with_grammars_is_one_grammar(request_of: Ask) -> None:
    plan = planned(request_of(tools=[TIMER, bound("lark", 'start: "x"')], tool_choice="required"))

    source = tools.grammar_of_one(plan, None)

    assert source.startswith("""start: %json {"type":"object","properties":{"name":{"const":"timer"}""")
    assert source.endswith("""\n  | "{\\"name\\": \\"date\\", \\"arguments\\": " %lark {\nstart: "x"\n}""")


def test_a_schema_that_no_grammar_can_hold_beside_another_is_refused(request_of: Ask) -> None:
    unique = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    function = {"type": "function", "function": {"name": "f", "parameters": unique}}

    with pytest.raises(InvalidRequest) as caught:
        planned(request_of(tools=[function, bound("lark", 'start: "x"')], tool_choice="required"))

    assert "uniqueItems" in caught.value.message
    assert caught.value.param == "tools[0].function.parameters"


def test_a_broken_schema_is_refused_in_the_apis_words(request_of: Ask) -> None:
    bad = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {"pattern": "["}}}}}

    with pytest.raises(InvalidRequest) as caught:
        tools.plan(request_of(tools=[bad]), bound=False)

    assert caught.value.message == (
        """Invalid schema for function 'f': In context=('properties', 'a', 'pattern'), "[" is not a "regex"."""
    )
    assert (caught.value.param, caught.value.code) == ("tools[0].function.parameters", "invalid_function_parameters")


def test_the_engines_own_form_gets_no_references_whose_readings_multiply(request_of: Ask) -> None:
    nested = [{"type": "array", "items": {"$ref": "#/$defs/d"}, "maxItems": most} for most in (2, 3)]
    parameters = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/d"}, "b": {"type": "integer"}},
        "$defs": {"d": {"anyOf": nested}},
    }
    asked = {"type": "function", "function": {"name": "f", "parameters": parameters}}

    plan = tools.plan(request_of(tools=[asked]), bound=False)

    assert plan is not None
    assert plan.offered[0]["function"]["parameters"]["properties"] == {"a": {}, "b": {"type": "integer"}}


def test_property_patterns_are_counted_over_all_tools_before_one_is_compiled(request_of: Ask) -> None:
    named = {f"^{letter}{number}$": {"type": "string"} for letter in "abc" for number in range(10)}
    parameters = {"type": "object", "patternProperties": named}
    offered = [{"type": "function", "function": {"name": f"f{n}", "parameters": parameters}} for n in range(8)]

    assert tools.plan(request_of(tools=offered[:6], tool_choice="required"), bound=False) is not None
    assert tools.plan(request_of(tools=offered), bound=False) is not None  # nothing binds these
    with pytest.raises(InvalidRequest) as refused:
        tools.plan(request_of(tools=offered, tool_choice="required"), bound=False)

    assert refused.value.param == "tools[6].function.parameters"
    assert "more than 200 'patternProperties'" in refused.value.message


def test_a_deprecated_function_is_named_where_it_stands(request_of: Ask) -> None:
    bad = {"name": "f", "parameters": {"type": "none such"}}

    with pytest.raises(InvalidRequest) as caught:
        tools.plan(request_of(functions=[WEATHER["function"], bad]), bound=False)

    assert caught.value.param == "functions[1].parameters"


def test_a_forced_call_is_one_schema_per_tool() -> None:
    recursive = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    node = {"type": "function", "function": {"name": "node", "parameters": recursive}}

    assert tools.schema_of_one([node], None) == {
        "type": "object",
        "properties": {
            "name": {"const": "node"},
            "arguments": {"type": "object", "properties": {"next": {"$ref": "#/properties/arguments"}}},
        },
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }
    second = tools.schema_of_one([OFFERED_TIMER, node], None)["anyOf"][1]
    assert second["properties"]["arguments"]["properties"]["next"] == {"$ref": "#/anyOf/1/properties/arguments"}

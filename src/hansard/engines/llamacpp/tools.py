"""Which tools a call may use and how strictly, in terms the engine keeps.

Its own "required" lets text through and it does not know named choices (measured: 12 calls of 24 where a call was
required), so what is forced becomes a JSON schema of calls, which ``calls`` turns back into calls (24 of 24).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import msgspec

from hansard.contract import Document
from hansard.contract.request import (
    AllowedToolsChoice,
    ChatRequest,
    CustomChoice,
    CustomGrammarFormat,
    CustomTool,
    FunctionChoice,
    FunctionTool,
    Grammar,
    Tool,
)
from hansard.core import normalize
from hansard.core.normalize import given
from hansard.engines.llamacpp import builder, grammars, references, schema
from hansard.errors import InvalidRequest

NO_ARGUMENTS: Document = {"type": "object", "properties": {}}
CUSTOM_INPUT = "input"
CUSTOM_ARGUMENTS: Document = {
    "type": "object",
    "properties": {CUSTOM_INPUT: {"type": "string"}},
    "required": [CUSTOM_INPUT],
    "additionalProperties": False,
}


# A tool as it was asked for, and the path of what binds its calls.
Asked = tuple[str, Tool]
# LLGuidance has limits that show only while it writes.
TOO_LARGE = "it is too large for this engine, which could not keep to it. Use fewer alternatives and optional parts."


class ToolPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The tools of one call. ``named`` means forced to exactly one, ``custom`` are names whose calls take free text.

    ``in_json`` means that the engine writes a call as JSON, bound by ``schema_of_one``, and not in the model's own
    form. ``legacy`` means that the answer goes into the deprecated ``function_call``. ``grammars`` bind the
    input of the tools they are named after: custom ones, and strict functions that the engine's own form of calls does
    not hold. ``asked`` has the tools by name.
    """

    offered: Sequence[Document]
    forced: bool
    in_json: bool
    named: bool
    parallel: bool
    custom: frozenset[str]
    legacy: bool
    grammars: Mapping[str, str] = {}
    asked: Mapping[str, Asked] = {}


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan begins with: tools that are sound, each by itself, as they are offered to the model."""

    tools: Sequence[Asked]
    offered: Sequence[Document]
    named: bool
    forced: bool
    in_json: bool


def draft(request: ChatRequest, *, bound: bool) -> Draft | None:
    """The draft of a plan, in a tenth of the time; as ``plan`` otherwise."""
    tools, choice = _asked(request), normalize.tool_choice(request)
    if not tools or choice == "none":
        return None
    for asked in tools:
        _check(asked)
    named = isinstance(choice, FunctionChoice | CustomChoice)
    if isinstance(choice, FunctionChoice | CustomChoice):
        tools = _only(tools, [choice])
    elif isinstance(choice, AllowedToolsChoice):
        allowed, choice = choice.allowed_tools.tools, choice.allowed_tools.mode
        if not allowed:
            _refuse_required(choice)
            return None
        tools = _only(tools, allowed)
    forced = named or choice == "required"
    in_json = forced or bound
    offered = [_function(tool) if in_json else _shown(_function(tool)) for _, tool in tools]
    return Draft(tools=tools, offered=offered, named=named, forced=forced, in_json=in_json)


def plan(request: ChatRequest, *, bound: bool) -> ToolPlan | None:
    """The plan, or None where no tool may be used; ``bound`` if other answers are bound to JSON too.

    Raises ``InvalidRequest``.
    """
    drafted = draft(request, bound=bound)
    if drafted is None:
        return None
    tools, in_json = drafted.tools, drafted.in_json
    _check_held_all(tools, in_json=in_json)
    return ToolPlan(
        offered=drafted.offered,
        forced=drafted.forced,
        in_json=in_json,
        named=drafted.named,
        parallel=normalize.parallel_tool_calls(request),
        custom=frozenset(tool.custom.name for _, tool in tools if isinstance(tool, CustomTool)),
        legacy=normalize.wants_function_call(request),
        grammars={
            _name(tool): source for _, tool in tools if (source := _input_grammar(tool, in_json=in_json)) is not None
        },
        asked={_name(tool): (path, tool) for path, tool in tools},
    )


def schema_of_one(offered: Sequence[Document], answer: Document | None) -> Document:
    """The schema of exactly one call, ``{"name": ..., "arguments": {...}}``, or of an ``answer`` if there is one."""
    if len(offered) == 1 and answer is None:
        return _call_schema(offered[0], "")
    forms = [_call_schema(tool, f"/anyOf/{index}") for index, tool in enumerate(offered)]
    if answer is not None:
        forms.append(schema.moved(answer, f"/anyOf/{len(forms)}"))
    return {"anyOf": forms}


def grammar_of_one(plan: ToolPlan, answer: Document | None) -> str:
    """The same as a grammar, where inputs bound by a grammar of their own are not JSON. Raises ``InvalidRequest``."""
    forms = [
        grammars.call_form(name, plan.grammars[name])
        if (name := tool["function"]["name"]) in plan.grammars
        else schema.form(_call_schema(tool, ""))
        for tool in plan.offered
    ]
    return grammars.sound(grammars.one_of(forms if answer is None else [*forms, schema.form(answer)]), param="tools")


def unheld(plan: ToolPlan | None, name: str | None) -> InvalidRequest:
    """For an answer that left its grammar, in a call of ``name`` if that is known: the engine gave the grammar up."""
    if plan is not None and name is not None:
        return _refusal(plan.asked[name], TOO_LARGE)
    param = "response_format" if plan is None else "tools"
    return InvalidRequest(f"Invalid schema for {param}: {TOO_LARGE}", param=param)


def _call_schema(tool: Document, pointer: str) -> Document:
    function = tool["function"]
    arguments = schema.moved(function["parameters"], pointer + "/properties/arguments")
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _asked(request: ChatRequest) -> list[Asked]:
    current = len(given(request.tools) or ())
    return [
        (_path(tool, f"tools[{index}]" if index < current else f"functions[{index - current}]"), tool)
        for index, tool in enumerate(normalize.tools(request))
    ]


def _path(tool: Tool, place: str) -> str:
    if isinstance(tool, CustomTool):
        return f"{place}.custom.format.grammar.definition"
    return f"{place}.parameters" if place.startswith("functions") else f"{place}.function.parameters"


def _check(asked: Asked) -> None:
    tool = asked[1]
    if isinstance(tool, CustomTool):
        bound = _grammar(tool)
        wrong = None if bound is None else grammars.check(bound)
    else:
        wrong = schema.check(_parameters(tool))
    if wrong is not None:
        raise _refusal(asked, wrong)


def _check_held_all(tools: Sequence[Asked], *, in_json: bool) -> None:
    """Refuse what would not be bound although it has to be: any forced function, and a strict one always.

    The first that is too much is counted before any is compiled.
    """
    held = [(asked, _parameters(asked[1])) for asked in tools if _is_held(asked[1], in_json=in_json)]
    patterns = 0
    for asked, parameters in held:
        patterns += schema.property_patterns(parameters)
        if patterns > schema.MOST_PROPERTY_PATTERNS:
            most = schema.MOST_PROPERTY_PATTERNS
            raise _refusal(asked, f"more than {most} 'patternProperties' in all tools together are not supported.")
    for asked, parameters in held:
        if (wrong := schema.unheld(parameters)) is not None:
            raise _refusal(asked, wrong)


def _is_held(tool: Tool, *, in_json: bool) -> TypeGuard[FunctionTool]:
    return not isinstance(tool, CustomTool) and (in_json or bool(given(tool.function.strict)))


def _input_grammar(tool: Tool, *, in_json: bool) -> str | None:
    """What binds the input of a call and the engine's own form of calls does not."""
    if isinstance(tool, CustomTool):
        return None if (bound := _grammar(tool)) is None else grammars.lark(bound)
    if in_json or not given(tool.function.strict) or schema.held_by_engine(_parameters(tool)):
        return None
    return grammars.one_of([schema.form(_parameters(tool))])


def _shown(function: Document) -> Document:
    """The same for the engine's own form of calls, which builds a grammar of it."""
    inner = function["function"]
    parameters = builder.readable(inner["parameters"])
    if references.multiplies(inner["parameters"]):
        parameters = references.cut(parameters)
    return {**function, "function": {**inner, "parameters": parameters}}


def _refusal(asked: Asked, wrong: str) -> InvalidRequest:
    path, tool = asked
    if isinstance(tool, CustomTool):
        return InvalidRequest(f"Invalid grammar for custom tool '{_name(tool)}': {wrong}", param=path)
    text = f"Invalid schema for function '{_name(tool)}': {wrong}"
    return InvalidRequest(text, param=path, code="invalid_function_parameters")


def _refuse_required(mode: str) -> None:
    """An empty list of allowed tools is in the contract: nothing may be called, so nothing can be required."""
    if mode == "required":
        path = "tool_choice.allowed_tools.tools"
        text = f"Invalid '{path}': empty array. Where a call is required, at least one tool has to be allowed."
        raise InvalidRequest(text, param=path, code="empty_array")


def _only(tools: Sequence[Asked], choices: Sequence[FunctionChoice | CustomChoice]) -> list[Asked]:
    names = {_chosen_name(choice) for choice in choices}
    chosen = [asked for asked in tools if _name(asked[1]) in names]
    if not chosen:
        text = f"Invalid value for 'tool_choice': no tool named {sorted(names)[0]!r} was specified in 'tools'."
        raise InvalidRequest(text, param="tool_choice")
    return chosen


def _function(tool: Tool) -> Document:
    """A tool as the engine takes it: always a function, always with parameters."""
    if isinstance(tool, CustomTool):
        described, parameters = tool.custom.description, _custom_parameters(_grammar(tool))
    else:
        described, parameters = tool.function.description, _parameters(tool)
    function: dict[str, Any] = {"name": _name(tool)}
    if given(described) is not None:
        function["description"] = described
    return {"type": "function", "function": {**function, "parameters": parameters}}


def _custom_parameters(bound: Grammar | None) -> Document:
    if bound is None:
        return CUSTOM_ARGUMENTS
    told = f"Text by this {bound.syntax} grammar:\n{bound.definition}"  # the engine does not tell the model
    return {**CUSTOM_ARGUMENTS, "properties": {CUSTOM_INPUT: {"type": "string", "description": told}}}


def _grammar(tool: Tool) -> Grammar | None:
    wanted = given(tool.custom.format) if isinstance(tool, CustomTool) else None
    return wanted.grammar if isinstance(wanted, CustomGrammarFormat) else None


def _parameters(tool: FunctionTool) -> Document:
    return given(tool.function.parameters) or NO_ARGUMENTS


def _name(tool: Tool) -> str:
    return tool.custom.name if isinstance(tool, CustomTool) else tool.function.name


def _chosen_name(choice: FunctionChoice | CustomChoice) -> str:
    return choice.custom.name if isinstance(choice, CustomChoice) else choice.function.name

"""Which tools a call may use and how strictly, in terms the engine keeps.

Its own "required" lets text through and it does not know named choices (measured: 12 calls of 24 where a call was
required), so what is forced becomes a JSON schema of calls, which ``calls`` turns back into calls (24 of 24).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
    Tool,
)
from hansard.core import normalize
from hansard.core.normalize import given
from hansard.engines.llamacpp import schema
from hansard.errors import InvalidRequest

NO_ARGUMENTS: Document = {"type": "object", "properties": {}}
CUSTOM_INPUT = "input"
CUSTOM_ARGUMENTS: Document = {
    "type": "object",
    "properties": {CUSTOM_INPUT: {"type": "string"}},
    "required": [CUSTOM_INPUT],
    "additionalProperties": False,
}


class ToolPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The tools of one call. ``named`` means forced to exactly one, ``custom`` are names whose calls take free text.

    ``in_json`` means that the engine writes a call as JSON, bound by ``schema_of_one``, and not in the model's own
    form. ``legacy`` means that the answer goes into the deprecated ``function_call``.
    """

    offered: Sequence[Document]
    forced: bool
    in_json: bool
    named: bool
    parallel: bool
    custom: frozenset[str]
    legacy: bool


def plan(request: ChatRequest, *, bound: bool) -> ToolPlan | None:
    """The plan, or None where no tool may be used; ``bound`` if other answers are bound to JSON too.

    Raises ``InvalidRequest``.
    """
    tools, choice = list(enumerate(normalize.tools(request))), normalize.tool_choice(request)
    if not tools or choice == "none":
        return None
    _refuse_unsupported(tools)
    named = isinstance(choice, FunctionChoice | CustomChoice)
    if isinstance(choice, FunctionChoice | CustomChoice):
        tools = _only(tools, [choice])
    elif isinstance(choice, AllowedToolsChoice):
        tools = _only(tools, choice.allowed_tools.tools)
        choice = choice.allowed_tools.mode
    forced = named or choice == "required"
    return ToolPlan(
        offered=[_function(tool) for _, tool in tools],
        forced=forced,
        in_json=forced or bound,
        named=named,
        parallel=normalize.parallel_tool_calls(request),
        custom=frozenset(tool.custom.name for _, tool in tools if isinstance(tool, CustomTool)),
        legacy=normalize.wants_function_call(request),
    )


def schema_of_one(offered: Sequence[Document], answer: Document | None) -> Document:
    """The schema of exactly one call, ``{"name": ..., "arguments": {...}}``, or of an ``answer`` if there is one."""
    if len(offered) == 1 and answer is None:
        return _call_schema(offered[0], "")
    forms = [_call_schema(tool, f"/anyOf/{index}") for index, tool in enumerate(offered)]
    if answer is not None:
        forms.append(schema.moved(answer, f"/anyOf/{len(forms)}"))
    return {"anyOf": forms}


def _call_schema(tool: Document, pointer: str) -> Document:
    function = tool["function"]
    arguments = schema.moved(function["parameters"], pointer + "/properties/arguments")
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _refuse_unsupported(tools: Sequence[tuple[int, Tool]]) -> None:
    for index, tool in tools:
        if isinstance(tool, CustomTool):
            if isinstance(given(tool.custom.format), CustomGrammarFormat):
                where = f"tools[{index}].custom.format"
                text = f"Unsupported parameter: '{where}' with a grammar is not supported with this model."
                raise InvalidRequest(text, param=where, code="unsupported_parameter")
        elif (wrong := schema.check(_parameters(tool))) is not None:
            raise InvalidRequest(
                f"Invalid schema for function '{tool.function.name}': {wrong}",
                param=f"tools[{index}].function.parameters",
                code="invalid_function_parameters",
            )


def _only(
    tools: Sequence[tuple[int, Tool]], choices: Sequence[FunctionChoice | CustomChoice]
) -> list[tuple[int, Tool]]:
    names = {_chosen_name(choice) for choice in choices}
    chosen = [(index, tool) for index, tool in tools if _name(tool) in names]
    if not chosen:
        text = f"Invalid value for 'tool_choice': no tool named {sorted(names)[0]!r} was specified in 'tools'."
        raise InvalidRequest(text, param="tool_choice")
    return chosen


def _function(tool: Tool) -> Document:
    """A tool as the engine takes it: always a function, always with parameters."""
    if isinstance(tool, CustomTool):
        described, parameters = tool.custom.description, CUSTOM_ARGUMENTS
    else:
        described, parameters = tool.function.description, _parameters(tool)
    function: dict[str, Any] = {"name": _name(tool)}
    if given(described) is not None:
        function["description"] = described
    return {"type": "function", "function": {**function, "parameters": parameters}}


def _parameters(tool: FunctionTool) -> Document:
    return given(tool.function.parameters) or NO_ARGUMENTS


def _name(tool: Tool) -> str:
    return tool.custom.name if isinstance(tool, CustomTool) else tool.function.name


def _chosen_name(choice: FunctionChoice | CustomChoice) -> str:
    return choice.custom.name if isinstance(choice, CustomChoice) else choice.function.name

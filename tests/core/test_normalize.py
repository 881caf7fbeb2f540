"""What defaults, nulls, aliases and deprecated spellings mean."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hansard.contract import messages, request
from hansard.contract.request import ChatRequest
from hansard.core import normalize


def asked(**fields: Any) -> ChatRequest:
    return msgspec.convert({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}, ChatRequest)


NOTHING = asked()
NULLS = asked(**{name: None for name in ChatRequest.__struct_fields__ if name not in ("model", "messages")})


@pytest.mark.parametrize("nothing", [NOTHING, NULLS], ids=["absent", "null"])
def test_defaults(nothing: ChatRequest) -> None:
    assert normalize.metadata(nothing) == {}
    assert normalize.n(nothing) == 1
    assert normalize.seed(nothing) is None
    assert normalize.max_tokens(nothing) is None
    assert normalize.stop(nothing) == []
    assert normalize.temperature(nothing) == 1.0
    assert normalize.top_p(nothing) == 1.0
    assert normalize.presence_penalty(nothing) == 0.0
    assert normalize.frequency_penalty(nothing) == 0.0
    assert normalize.top_logprobs(nothing) is None
    assert normalize.is_stored(nothing) is False
    assert normalize.is_streamed(nothing) is False
    assert normalize.wants_usage(nothing) is False
    assert normalize.wants_obfuscation(nothing) is True
    assert normalize.tools(nothing) == []
    assert normalize.tool_choice(nothing) == "none"
    assert normalize.parallel_tool_calls(nothing) is True
    assert normalize.wants_function_call(nothing) is False
    assert normalize.json_schema(nothing) is None


def test_values_sent() -> None:
    assert normalize.n(asked(n=3)) == 3
    assert normalize.temperature(asked(temperature=0)) == 0
    assert normalize.top_p(asked(top_p=0.5)) == 0.5
    assert normalize.presence_penalty(asked(presence_penalty=-1)) == -1
    assert normalize.frequency_penalty(asked(frequency_penalty=2)) == 2
    assert normalize.stop(asked(stop="x")) == ["x"]
    assert normalize.stop(asked(stop=["x", "y"])) == ["x", "y"]
    assert normalize.stop(asked(stop="")) == normalize.stop(asked(stop=[""])) == []
    assert normalize.stop(asked(stop=["", "x"])) == ["x"]
    assert normalize.is_stored(asked(store=True))
    assert normalize.is_streamed(asked(stream=True))
    assert normalize.metadata(asked(metadata={"a": "b"})) == {"a": "b"}


@pytest.mark.parametrize(
    ("sent", "meant"),
    [(0, 0), (-5, -5), (9_223_372_036_854_776_000, 2**63 - 1), (-9_223_372_036_854_776_000, -(2**63))],
)
def test_seeds_are_an_int64(sent: int, meant: int) -> None:
    assert normalize.seed(asked(seed=sent)) == meant


def test_either_token_cap() -> None:
    assert normalize.max_tokens(asked(max_tokens=5)) == 5
    assert normalize.max_tokens(asked(max_completion_tokens=6, max_tokens=None)) == 6


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [({"logprobs": True}, 0), ({"logprobs": True, "top_logprobs": 3}, 3), ({"logprobs": False}, None)],
)
def test_logprobs(fields: dict[str, Any], wanted: int | None) -> None:
    assert normalize.top_logprobs(asked(**fields)) == wanted


@pytest.mark.parametrize(
    ("options", "usage", "obfuscation"),
    [
        ({}, False, True),
        ({"include_usage": True}, True, True),
        ({"include_usage": None, "include_obfuscation": None}, False, True),
        ({"include_obfuscation": False}, False, False),
    ],
)
def test_stream_options(options: dict[str, Any], usage: bool, obfuscation: bool) -> None:
    sent = asked(stream=True, stream_options=options)
    assert (normalize.wants_usage(sent), normalize.wants_obfuscation(sent)) == (usage, obfuscation)


TOOL = {"type": "function", "function": {"name": "f"}}
LEGACY = {"name": "g", "description": "d", "parameters": {"type": "object"}}


def test_tools_and_their_deprecated_form() -> None:
    assert [
        tool.function.name for tool in normalize.tools(asked(tools=[TOOL])) if isinstance(tool, request.FunctionTool)
    ] == ["f"]
    [legacy] = normalize.tools(asked(functions=[LEGACY]))
    assert isinstance(legacy, request.FunctionTool)
    assert (legacy.function.name, legacy.function.description) == ("g", "d")
    assert legacy.function.parameters == {"type": "object"}


def test_tool_choice_and_its_deprecated_form() -> None:
    assert normalize.tool_choice(asked(tools=[TOOL])) == "auto"
    assert normalize.tool_choice(asked(tools=[TOOL], tool_choice="required")) == "required"
    assert normalize.tool_choice(asked(functions=[LEGACY])) == "auto"
    assert normalize.tool_choice(asked(functions=[LEGACY], function_call="none")) == "none"
    named = normalize.tool_choice(asked(functions=[LEGACY], function_call={"name": "g"}))
    assert named == request.FunctionChoice(function=request.ToolName(name="g"))


def test_the_deprecated_form_asks_for_one_call_in_the_old_place() -> None:
    assert normalize.wants_function_call(asked(functions=[LEGACY]))
    assert not normalize.wants_function_call(asked(functions=[LEGACY], tools=[TOOL]))
    assert not normalize.parallel_tool_calls(asked(functions=[LEGACY]))
    assert not normalize.parallel_tool_calls(asked(tools=[TOOL], parallel_tool_calls=False))


def test_json_schema() -> None:
    sent = asked(response_format={"type": "json_schema", "json_schema": {"name": "r", "schema": {}}})
    wanted = normalize.json_schema(sent)
    assert wanted is not None
    assert (wanted.name, wanted.schema) == ("r", {})
    assert normalize.json_schema(asked(response_format={"type": "text"})) is None


def test_text_of() -> None:
    parts = [
        messages.TextPart(text="a"),
        messages.ImagePart(image_url=messages.ImageUrl(url="u")),
        messages.TextPart(text="b"),
    ]
    assert normalize.text_of(messages.UserMessage(content=parts)) == "a b"
    assert normalize.text_of(messages.UserMessage(content="a")) == "a"
    assert normalize.text_of(messages.AssistantMessage()) == ""
    assert normalize.text_of(messages.AssistantMessage(content=None)) == ""

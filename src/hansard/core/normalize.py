"""What a request means once its defaults, nulls, aliases and deprecated spellings are resolved.

Every function reads one checked request; none of them looks at what an engine can do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

from msgspec import UNSET, UnsetType

from hansard.contract.messages import Message, TextPart
from hansard.contract.request import (
    ChatRequest,
    FunctionChoice,
    FunctionDefinition,
    FunctionTool,
    JsonSchema,
    JsonSchemaFormat,
    Tool,
    ToolChoice,
    ToolName,
)

T = TypeVar("T")

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


def given(value: T | UnsetType | None) -> T | None:
    """An optional field as a value or None: absent and null mean the same in every one of them (decision 30)."""
    return None if value is UNSET or isinstance(value, UnsetType) else value


def metadata(request: ChatRequest) -> Mapping[str, str]:
    """The pairs to store; empty if none were sent."""
    return given(request.metadata) or {}


def n(request: ChatRequest) -> int:
    """How many choices are asked for."""
    return given(request.n) or 1


def seed(request: ChatRequest) -> int | None:
    """The client's seed as an int64 (the specification's own bounds are rounded past it), or None."""
    value = given(request.seed)
    return None if value is None else min(max(value, _INT64_MIN), _INT64_MAX)


def max_tokens(request: ChatRequest) -> int | None:
    """The cap on tokens a choice may have, in the current or the deprecated spelling, or None."""
    current = given(request.max_completion_tokens)
    return given(request.max_tokens) if current is None else current


def stop(request: ChatRequest) -> list[str]:
    """The texts before which the answer ends. An empty one, which would stand before everything, counts as none."""
    value = given(request.stop)
    return [text for text in ([value] if isinstance(value, str) else value or ()) if text]


def temperature(request: ChatRequest) -> float:
    """The API's default is 1."""
    return _or_default(request.temperature, 1.0)


def top_p(request: ChatRequest) -> float:
    """The API's default is 1."""
    return _or_default(request.top_p, 1.0)


def presence_penalty(request: ChatRequest) -> float:
    """The API's default is 0."""
    return _or_default(request.presence_penalty, 0.0)


def frequency_penalty(request: ChatRequest) -> float:
    """The API's default is 0."""
    return _or_default(request.frequency_penalty, 0.0)


def top_logprobs(request: ChatRequest) -> int | None:
    """How many alternatives to report per token; None if log probabilities are not asked for at all."""
    return (given(request.top_logprobs) or 0) if request.logprobs is True else None


def is_stored(request: ChatRequest) -> bool:
    """Whether the client asked to have the completion kept."""
    return request.store is True


def is_streamed(request: ChatRequest) -> bool:
    """Whether the client asked for a stream."""
    return request.stream is True


def wants_usage(request: ChatRequest) -> bool:
    """Whether the stream shows usage."""
    options = given(request.stream_options)
    return options is not None and options.include_usage is True


def wants_obfuscation(request: ChatRequest) -> bool:
    """Whether the stream's chunks are padded: yes, unless switched off."""
    options = given(request.stream_options)
    return options is None or options.include_obfuscation is not False


def tools(request: ChatRequest) -> Sequence[Tool]:
    """The tools, the deprecated ``functions`` among them as function tools."""
    legacy = [
        FunctionTool(function=FunctionDefinition(name=old.name, description=old.description, parameters=old.parameters))
        for old in given(request.functions) or ()
    ]
    return [*(given(request.tools) or ()), *legacy]


def tool_choice(request: ChatRequest) -> ToolChoice:
    """The choice in the current spelling: by default ``auto`` with tools and ``none`` without."""
    current: ToolChoice | None = given(request.tool_choice)
    if current is not None:
        return current
    legacy: Literal["none", "auto"] | ToolName | None = given(request.function_call)
    if isinstance(legacy, ToolName):
        return FunctionChoice(function=legacy)
    if legacy is not None:
        return legacy
    return "auto" if given(request.tools) or given(request.functions) else "none"


def wants_function_call(request: ChatRequest) -> bool:
    """Whether a call is answered in the deprecated form, ``message.function_call``."""
    return not given(request.tools) and bool(given(request.functions))


def parallel_tool_calls(request: ChatRequest) -> bool:
    """Whether one answer may hold several tool calls; the deprecated form has room for one."""
    return request.parallel_tool_calls is not False and not wants_function_call(request)


def json_schema(request: ChatRequest) -> JsonSchema | None:
    """The schema the answer has to follow, if any."""
    wanted = given(request.response_format)
    return wanted.json_schema if isinstance(wanted, JsonSchemaFormat) else None


def text_of(message: Message) -> str:
    """The message's text: its content, or its text parts joined with one space; empty if it has none."""
    content: object = given(message.content)
    if isinstance(content, list):
        return " ".join(part.text for part in content if isinstance(part, TextPart))
    return content if isinstance(content, str) else ""


def _or_default(value: float | UnsetType | None, default: float) -> float:
    sent = given(value)
    return default if sent is None else sent

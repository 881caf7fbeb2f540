"""Several fields at a time, with the API's literal answer, and what engines die of."""

from __future__ import annotations

import pytest

from hansard.contract import Document
from hansard.core.rules import metadata_needs_store
from hansard.core.validate import parse_create
from hansard.errors import InvalidRequest
from tests.core.bodies import USER, body, call, function, refusal, schema

UNANSWERED = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
    "The following tool_call_ids did not have response messages: "
)
ORPHAN = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
ASKED: Document = {"role": "assistant", "tool_calls": [call("call_x"), call("call_y")]}


def answer(identifier: str) -> Document:
    return {"role": "tool", "tool_call_id": identifier, "content": "done"}


SEVERAL_FIELDS: list[tuple[Document, str, str | None, str | None]] = [
    (
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": [{"type": "text", "text": "x"}, {"type": "refusal", "refusal": "No."}],
                },
            ]
        },
        "Invalid 'messages[1].content': expected parts of type 'text', or exactly one part of type 'refusal'.",
        "messages[1].content",
        "invalid_value",
    ),
    (
        {"messages": [{"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}] * 2}]},
        "Invalid 'messages[0].content': expected parts of type 'text', or exactly one part of type 'refusal'.",
        "messages[0].content",
        "invalid_value",
    ),
    (
        {"functions": [{"name": "f"}], "function_call": {"name": "g"}},
        "Invalid value for 'function_call': no function named 'g' is in 'functions'.",
        "function_call",
        "invalid_value",
    ),
    (
        {"stream_options": {}},
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        "stream_options",
        None,
    ),
    (
        {"top_logprobs": 2},
        "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
        "top_logprobs",
        None,
    ),
    (
        {"parallel_tool_calls": True},
        "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are specified.",
        "parallel_tool_calls",
        None,
    ),
    (
        {"tool_choice": "auto"},
        "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
        "tool_choice",
        None,
    ),
    (
        {"function_call": "auto"},
        "Invalid value for 'function_call': 'function_call' is only allowed when 'functions' are specified.",
        "function_call",
        None,
    ),
    (
        {"max_tokens": 5, "max_completion_tokens": 5},
        "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
        "max_tokens",
        "invalid_parameter_combination",
    ),
    (
        {"seed": 9_223_372_036_854_776_001},
        "Invalid 'seed': integer above maximum value. "
        "Expected a value <= 9223372036854776000, but got 9223372036854776001 instead.",
        "seed",
        "integer_above_max_value",
    ),
    *(
        (
            {"logit_bias": {"5": 1, key: -100}},
            f"Invalid key in 'logit_bias': {key}. You should only be submitting non-negative integers.",
            f"logit_bias.{key}",
            "invalid_value",
        )
        for key in ("hello", "", "-1", "1.0", " 1", "1\n", "\u0661", "0x1")
    ),
    ({"modalities": ["audio"]}, "Missing required parameter: 'audio'.", "audio", "missing_required_parameter"),
    (
        {"messages": [USER, {"role": "assistant"}]},
        "Invalid value for 'content': expected a string, got null.",
        "messages.[1].content",
        None,
    ),
    ({"messages": [USER, ASKED, answer("call_y")]}, UNANSWERED + "call_x", "messages", None),
    ({"messages": [USER, ASKED, USER, answer("call_x")]}, UNANSWERED + "call_x, call_y", "messages", None),
    ({"messages": [USER, ASKED, ASKED]}, UNANSWERED + "call_x, call_y", "messages", None),
    ({"messages": [USER, USER, USER, answer("call_x")]}, ORPHAN, "messages.[3].role", None),
    ({"messages": [USER, ASKED, answer("call_x"), answer("call_z")]}, ORPHAN, "messages.[3].role", None),
    (
        {"messages": [ASKED, answer("call_x"), answer("call_y"), USER, answer("call_x")]},
        ORPHAN,
        "messages.[4].role",
        None,
    ),
    (
        {"response_format": {"type": "json_object"}},
        "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
        "messages",
        None,
    ),
    (
        {
            "response_format": schema(
                {"type": "object", "properties": {"complexity": {"type": "string"}}, "additionalProperties": False},
                strict=True,
            )
        },
        "Invalid schema for response_format 'router': In context=(), 'required' is required to be supplied and to be "
        "an array including every key in properties. Missing 'complexity'.",
        "response_format",
        None,
    ),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "r", "strict": True}}},
        "Missing required parameter: 'response_format.json_schema.schema'.",
        "response_format.json_schema.schema",
        "missing_required_parameter",
    ),
    (
        {"tools": [function(strict=True)]},
        "Invalid schema for function 'f': In context=(), 'additionalProperties' is required to be supplied "
        "and to be false.",
        "tools[0].function.parameters",
        "invalid_function_parameters",
    ),
    (
        {"tools": [function()], "tool_choice": {"type": "function", "function": {"name": "g"}}},
        "Invalid value for 'tool_choice': no tool named 'g' of type 'function' is in 'tools'.",
        "tool_choice",
        "invalid_value",
    ),
    (
        {
            "tools": [function()],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "custom", "custom": {"name": "f"}}]},
            },
        },
        "Invalid value for 'tool_choice': no tool named 'f' of type 'custom' is in 'tools'.",
        "tool_choice",
        "invalid_value",
    ),
]


@pytest.mark.parametrize(("fields", "message", "param", "code"), SEVERAL_FIELDS)
def test_fields(fields: Document, message: str, param: str | None, code: str | None) -> None:
    assert refusal(body(**fields)) == (message, param, code)


def deep(levels: int) -> Document:
    nested: Document = {}
    for _ in range(levels - 1):
        nested = {"items": nested}
    return nested


# What killed or stalled an engine when it was tried: each is refused before any engine sees it.
HOSTILE: list[tuple[Document, str, str]] = [
    (
        {"response_format": schema(deep(101))},
        "Invalid schema for response_format 'router': Expected at most 100 levels of nesting, but received 101.",
        "response_format",
    ),
    (
        {"tools": [function(parameters=deep(101))]},
        "Invalid schema for function 'f': Expected at most 100 levels of nesting, but received 101.",
        "tools[0].function.parameters",
    ),
    (
        {"functions": [{"name": "f", "parameters": {"enum": list(range(50_000))}}]},
        "Invalid schema for function 'f': Expected at most 1000 enum values in total within a schema, "
        "but received 50000.",
        "functions[0].parameters",
    ),
    (
        {"tools": [function(parameters={"enum": list(range(1_000))})] * 6},
        "Invalid schema for function 'f': Expected at most 5000 enum values in all functions together.",
        "tools[5].function.parameters",
    ),
    (
        {"messages": [USER, {"role": "assistant", "tool_calls": [call("c", "[" * 100_000)]}, answer("c")]},
        "Invalid 'messages[1].tool_calls[0].function.arguments': nested too deeply. Expected at most 100 levels.",
        "messages[1].tool_calls[0].function.arguments",
    ),
    (
        {"messages": [USER, {"role": "assistant", "function_call": {"name": "f", "arguments": '{"a":' * 101}}]},
        "Invalid 'messages[1].function_call.arguments': nested too deeply. Expected at most 100 levels.",
        "messages[1].function_call.arguments",
    ),
    (
        {"tools": [function()] * 5_000},
        "Invalid 'tools': array too long. "
        "Expected an array with maximum length 128, but got an array with length 5000 instead.",
        "tools",
    ),
]


@pytest.mark.parametrize(("fields", "message", "param"), HOSTILE)
def test_what_kills_engines_is_refused(fields: Document, message: str, param: str) -> None:
    got, where, _ = refusal(body(**fields))
    assert (got, where) == (message, param)


def test_a_schema_of_20_000_levels_is_refused() -> None:
    nested = b'{"items":' * 20_000 + b"{}" + b"}" * 20_000
    sent = b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"response_format":{"type":"json_schema",'
    message, _, _ = refusal(sent + b'"json_schema":{"name":"r","schema":' + nested + b"}}}")
    assert message == "The request body is nested too deeply. Expected at most 128 levels."


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_object"}, "messages": [{"role": "system", "content": "Say JSON."}, USER]},
        {
            "response_format": {"type": "json_object"},
            "messages": [{"role": "user", "content": [{"type": "text", "text": "as Json"}]}],
        },
        {"messages": [USER, ASKED, answer("call_y"), answer("call_x"), answer("call_x"), USER]},
        {"messages": [{"role": "assistant", "refusal": "No."}, {"role": "assistant", "audio": {"id": "a"}}]},
        {"tools": [function()], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tools": [], "parallel_tool_calls": None},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "r"}}},
        {"response_format": schema(deep(100))},
        {"modalities": ["audio"], "audio": {"voice": "v", "format": "wav"}},
        {"max_tokens": None, "max_completion_tokens": 5},
        {"top_logprobs": None, "stream_options": None, "tool_choice": None, "function_call": None},
    ],
)
def test_what_keeps_the_rules(fields: Document) -> None:
    sent = body(**fields)
    assert parse_create(sent).body == sent


@pytest.mark.parametrize(
    ("fields", "is_refused"),
    [
        ({"metadata": {"a": "b"}, "store": False}, True),
        ({"metadata": {"a": "b"}, "store": None}, True),
        ({"metadata": {"a": "b"}, "store": True}, False),
        ({"metadata": {}}, False),
        ({"metadata": None}, False),
        ({}, False),
    ],
)
def test_metadata_needs_store(fields: Document, is_refused: bool) -> None:
    """Literal text; whether the rule holds is a setting (decision 17), so ``check`` does not try it."""
    received = parse_create(body(**fields))
    mistake = None
    try:
        metadata_needs_store(received.request)
    except InvalidRequest as error:
        mistake = (error.message, error.param, error.code)

    text = "The 'metadata' parameter is only allowed when 'store' is enabled."
    assert mistake == ((text, "metadata", None) if is_refused else None)

"""One field at a time: every way to leave the contract, with the API's literal answer."""

from __future__ import annotations

import msgspec
import pytest

from hansard.contract import Document
from hansard.core.validate import parse_create
from hansard.errors import InvalidRequest
from tests.core.bodies import USER, body, function, no_model, refusal, schema

# (fields, message, param, code); the first form of each message is recorded.
ONE_FIELD: list[tuple[Document, str, str | None, str | None]] = [
    ({"messages": ...}, "Missing required parameter: 'messages'.", "messages", "missing_required_parameter"),
    (
        {"messages": [USER, USER, {"role": "user", "content": [{"text": "x"}]}]},
        "Missing required parameter: 'messages[2].content[0].type'.",
        "messages[2].content[0].type",
        "missing_required_parameter",
    ),
    (
        {"messages": [{"role": "system", "content": [{"text": "x"}]}]},
        "Missing required parameter: 'messages[0].content[0].type'.",
        "messages[0].content[0].type",
        "missing_required_parameter",
    ),
    (
        {"prediction": {"type": "content", "content": [{"text": "x"}]}},
        "Missing required parameter: 'prediction.content[0].type'.",
        "prediction.content[0].type",
        "missing_required_parameter",
    ),
    (
        {"messages": [{"content": "x"}]},
        "Missing required parameter: 'messages[0].role'.",
        "messages[0].role",
        "missing_required_parameter",
    ),
    (
        {"messages": [{"role": "user"}]},
        "Missing required parameter: 'messages[0].content'.",
        "messages[0].content",
        "missing_required_parameter",
    ),
    (
        {"messages": [USER, {"role": "user", "content": {}}]},
        "Invalid type for 'messages[1].content': expected one of a string or array of objects, "
        "but got an object instead.",
        "messages[1].content",
        "invalid_type",
    ),
    (
        {"max_tokens": "5"},
        "Invalid type for 'max_tokens': expected an integer, but got a string instead.",
        "max_tokens",
        "invalid_type",
    ),
    (
        {"max_tokens": 1.0},
        "Invalid type for 'max_tokens': expected an integer, but got a decimal instead.",
        "max_tokens",
        "invalid_type",
    ),
    (
        {"max_tokens": True},
        "Invalid type for 'max_tokens': expected an integer, but got a boolean instead.",
        "max_tokens",
        "invalid_type",
    ),
    ({"model": 5}, "Invalid type for 'model': expected a string, but got an integer instead.", "model", "invalid_type"),
    (
        {"messages": {}},
        "Invalid type for 'messages': expected an array of objects, but got an object instead.",
        "messages",
        "invalid_type",
    ),
    (
        {"stop": 5},
        "Invalid type for 'stop': expected one of a string or array of strings, but got an integer instead.",
        "stop",
        "invalid_type",
    ),
    (
        {"stop": [None]},
        "Invalid type for 'stop[0]': expected a string, but got null instead.",
        "stop[0]",
        "invalid_type",
    ),
    (
        {"messages": [{"role": 5}]},
        "Invalid type for 'messages[0].role': expected a string, but got an integer instead.",
        "messages[0].role",
        "invalid_type",
    ),
    (
        {"max_tokens": -1},
        "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got -1 instead.",
        "max_tokens",
        "integer_below_min_value",
    ),
    (
        {"n": 130},
        "Invalid 'n': integer above maximum value. Expected a value <= 128, but got 130 instead.",
        "n",
        "integer_above_max_value",
    ),
    (
        {"temperature": 3.0},
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3.0 instead.",
        "temperature",
        "decimal_above_max_value",
    ),
    (
        {"presence_penalty": -2.5},
        "Invalid 'presence_penalty': decimal below minimum value. Expected a value >= -2, but got -2.5 instead.",
        "presence_penalty",
        "decimal_below_min_value",
    ),
    (
        {"logit_bias": {"50256": -101}},
        "Invalid 'logit_bias.50256': integer below minimum value. Expected a value >= -100, but got -101 instead.",
        "logit_bias.50256",
        "integer_below_min_value",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image"}]}]},
        "Invalid value: 'image'. Supported values are: 'text', 'image_url', 'input_audio', and 'file'.",
        "messages[0].content[1].type",
        "invalid_value",
    ),
    (
        {"messages": [{"role": "robot", "content": "x"}]},
        "Invalid value: 'robot'. "
        "Supported values are: 'developer', 'system', 'user', 'assistant', 'tool', and 'function'.",
        "messages[0].role",
        "invalid_value",
    ),
    (
        {"reasoning_effort": "huge"},
        "Invalid value: 'huge'. Supported values are: 'none', 'minimal', 'low', 'medium', 'high', 'xhigh', and 'max'.",
        "reasoning_effort",
        "invalid_value",
    ),
    (
        {"modalities": ["video"]},
        "Invalid value: 'video'. Supported values are: 'text' and 'audio'.",
        "modalities[0]",
        "invalid_value",
    ),
    (
        {"tools": [function("no spaces")]},
        "Invalid 'tools[0].function.name': string does not match pattern. "
        "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
        "tools[0].function.name",
        "invalid_value",
    ),
    (
        {"tools": [function("ends_in_a_line\n")]},
        "Invalid 'tools[0].function.name': string does not match pattern. "
        "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
        "tools[0].function.name",
        "invalid_value",
    ),
    (
        {"messages": []},
        "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        "messages",
        "empty_array",
    ),
    (
        {"messages": [USER, {"role": "assistant", "content": "x", "tool_calls": []}]},
        "Invalid 'messages[1].tool_calls': empty array. "
        "Expected an array with minimum length 1, but got an empty array instead.",
        "messages[1].tool_calls",
        "empty_array",
    ),
    (
        {"stop": list("abcdefghi")},
        "Invalid 'stop': array too long. "
        "Expected an array with maximum length 4, but got an array with length 9 instead.",
        "stop",
        "array_above_max_length",
    ),
    (
        {"tools": [function()] * 129},
        "Invalid 'tools': array too long. "
        "Expected an array with maximum length 128, but got an array with length 129 instead.",
        "tools",
        "array_above_max_length",
    ),
    (
        {"store": True, "metadata": {"actual": "x" * 695}},
        "Invalid 'metadata.actual': string too long. "
        "Expected a string with maximum length 512, but got a string with length 695 instead.",
        "metadata.actual",
        "string_above_max_length",
    ),
    (
        {"store": True, "metadata": {"x" * 65: ""}},
        "Invalid property name in 'metadata': string too long. "
        "Expected a string with maximum length 64, but got a string with length 65 instead.",
        "metadata",
        "string_above_max_length",
    ),
    (
        {"store": True, "metadata": {str(index): "" for index in range(17)}},
        "Invalid 'metadata': too many properties. "
        "Expected an object with at most 16 properties, but got an object with 17 properties instead.",
        "metadata",
        "object_above_max_properties",
    ),
    (
        {"store": True, "metadata": {"key": 1}},
        "Invalid type for 'metadata.key': expected a string, but got an integer instead.",
        "metadata.key",
        "invalid_type",
    ),
    (
        {"safety_identifier": "x" * 129},
        "Invalid 'safety_identifier': string too long. "
        "Expected a string with maximum length 128, but got a string with length 129 instead.",
        "safety_identifier",
        "string_above_max_length",
    ),
    (
        {"audio": {"voice": {"id": "v", "pitch": 3}, "format": "wav"}},
        "Unknown parameter: 'audio.voice.pitch'.",
        "audio.voice.pitch",
        "unknown_parameter",
    ),
    (
        {"messages": [USER, {"role": "user", "content": None}]},
        "Invalid value for 'content': expected a string, got null.",
        "messages.[1].content",
        None,
    ),
]


@pytest.mark.parametrize(("fields", "message", "param", "code"), ONE_FIELD)
def test_field(fields: Document, message: str, param: str | None, code: str | None) -> None:
    sent = {"model": "m", "messages": [USER], **fields}
    present = {key: value for key, value in sent.items() if value is not ...}
    assert refusal(msgspec.json.encode(present)) == (message, param, code)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"reasoning": {}}, "reasoning"),
        ({"messages": [USER, {**USER, "foo": 1}]}, "messages[1].foo"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "foo": 1}]}]},
            "messages[0].content[0].foo",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x", "foo": 1}}]}]},
            "messages[0].content[0].image_url.foo",
        ),
        ({"tools": [function(foo=1)]}, "tools[0].function.foo"),
        ({"response_format": schema({}, foo=1)}, "response_format.json_schema.foo"),
        ({"stream": True, "stream_options": {"foo": 1}}, "stream_options.foo"),
        ({"grammar": "root ::= x"}, "grammar"),
    ],
)
def test_unknown_keys_are_let_through_until_they_are_asked_about(fields: Document, path: str) -> None:
    parse_create(body(**fields))
    with pytest.raises(InvalidRequest) as caught:
        parse_create(body(**fields), takes_unknown=no_model)
    assert caught.value.message == f"Unknown parameter: '{path}'."
    assert (caught.value.param, caught.value.code) == (path, "unknown_parameter")


def test_free_form_objects_hold_any_key() -> None:
    sent = body(
        store=True,
        metadata={"anything": "x"},
        logit_bias={"1": 1},
        tools=[function(parameters={"type": "object", "x-vendor": {"y": 1}})],
        response_format=schema({"x-vendor": 1}),
    )
    assert parse_create(sent, takes_unknown=no_model).body == sent


def test_a_reply_that_a_client_sends_back_whole_is_known() -> None:
    reply = {
        "role": "assistant",
        "content": "x",
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": None,
        "reasoning_content": "hm",
    }
    sent = body(messages=[USER, reply, USER])
    assert parse_create(sent, takes_unknown=no_model).body == sent


def test_an_unknown_key_is_quoted_within_reason() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_create(body(**{"x" * 100_000: 1}), takes_unknown=no_model)
    assert len(caught.value.message) < 500

"""engines/upstream/body.py: what goes out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import fields

from hansard.contract.request import ChatRequest
from hansard.core.validate import parse_create
from hansard.engines.base import Call
from hansard.engines.upstream.body import encode
from hansard.errors import InvalidRequest

START = b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}]'


def call(more: bytes = b"") -> Call:
    received = parse_create(START + more + b"}")
    return Call(request=received.request, document=received.document, model="there", seed=1)


def sent(more: bytes, *unsupported: str, stream: bool = False) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode(call(more), stream=stream, unsupported=frozenset(unsupported)))
    return {key: value for key, value in body.items() if key not in ("model", "messages")}


def test_only_our_keys_are_edited_and_every_other_value_keeps_its_spelling() -> None:
    more = b', "store": true, "metadata": {"a": "b"}, "top_k" : 5, "temperature": 0.50, "x": [1.0e2, "\\u00e9"]'

    assert encode(call(more), stream=False) == (
        b'{"model":"there","messages":[{"role": "user", "content": "Hi"}],'
        b'"top_k":5,"temperature":0.50,"x":[1.0e2, "\\u00e9"]}'
    )


def test_a_stream_asks_for_usage_and_keeps_the_clients_own_options() -> None:
    options = b', "stream": true, "stream_options": {"include_obfuscation": false, "x": 1}'

    assert sent(options, stream=True) == {
        "stream": True,
        "stream_options": {"include_obfuscation": False, "x": 1, "include_usage": True},
    }


def test_numbers_of_any_length_go_out_as_they_came() -> None:
    huge = b"9" * 5_000
    more = b', "stream":true, "stream_options": {"x": ' + huge + b'}, "y": -1e999'

    out = encode(call(more), stream=True)

    assert b'"stream_options":{"x":' + huge + b',"include_usage":true}' in out
    assert b'"y":-1e999' in out


HINTS = {
    "service_tier": '"flex"',
    "prompt_cache_key": '"k"',
    "prompt_cache_retention": '"24h"',
    "prompt_cache_options": "{}",
    "safety_identifier": '"s"',
    "user": '"u"',
    "verbosity": '"low"',
    "reasoning_effort": '"low"',
    "prediction": '{"type": "content", "content": "x"}',
    "seed": "1",
    "stream_options": "{}",
}
TOOL = '{"type": "function", "function": {"name": "f"}}'
CHANGING = {
    "max_tokens": "1",
    "n": "2",
    "stop": '"x"',
    "temperature": "0.5",
    "top_p": "0.5",
    "presence_penalty": "1",
    "frequency_penalty": "1",
    "logit_bias": '{"1": 1}',
    "logprobs": "true",
    "top_logprobs": "1",
    "response_format": '{"type": "json_schema", "json_schema": {"name": "x"}}',
    "tools": f"[{TOOL}]",
    "tool_choice": '"auto"',
    "parallel_tool_calls": "false",
    "functions": '[{"name": "f"}]',
    "function_call": '"auto"',
    "modalities": '["text", "audio"]',
    "audio": '{"voice": "ash", "format": "mp3"}',
    "web_search_options": "{}",
    "moderation": '{"model": "m"}',
}
COMPANIONS = {  # without these the request itself is invalid
    "top_logprobs": ', "logprobs": true',
    "tool_choice": f', "tools": [{TOOL}]',
    "parallel_tool_calls": f', "tools": [{TOOL}]',
    "function_call": ', "functions": [{"name": "f"}]',
    "modalities": ', "audio": {"voice": "ash", "format": "mp3"}',
    "audio": ', "modalities": ["text", "audio"]',
    "stream_options": ', "stream": true',
}


@pytest.mark.parametrize(("field", "value"), HINTS.items())
def test_hints_are_left_out(field: str, value: str) -> None:
    body = sent(f', "{field}": {value}{COMPANIONS.get(field, "")}'.encode(), field)

    assert field not in body


@pytest.mark.parametrize(("field", "value"), CHANGING.items())
def test_what_would_change_the_reply_is_refused_by_name(field: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        sent(f', "{field}": {value}{COMPANIONS.get(field, "")}'.encode(), field)

    assert (refused.value.status, refused.value.param, refused.value.code) == (400, field, "unsupported_parameter")


def test_every_field_is_a_hint_or_changes_the_reply() -> None:
    ours = {"model", "messages", "store", "metadata", "stream", "max_completion_tokens"}

    assert set(HINTS) | set(CHANGING) == {field.encode_name for field in fields(ChatRequest)} - ours


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", "1"), ("logprobs", "false"), ("temperature", "1.0"), ("response_format", '{"type": "text"}'), ("n", "null")],
)
def test_a_value_that_asks_for_nothing_is_left_out(field: str, value: str) -> None:
    assert sent(f', "{field}": {value}'.encode(), field) == {}


def test_a_field_with_an_older_name_goes_by_that() -> None:
    more = b', "max_completion_tokens": 5'

    assert sent(more, "max_completion_tokens") == {"max_tokens": 5}
    with pytest.raises(InvalidRequest):
        sent(more, "max_completion_tokens", "max_tokens")


def test_an_upstream_that_takes_no_stream_options_is_not_asked_for_usage() -> None:
    assert sent(b', "stream": true', "stream_options", stream=True) == {"stream": True}


def test_what_was_not_sent_is_not_refused() -> None:
    assert sent(b"", *CHANGING) == {}


def test_of_several_fields_the_clients_first_is_named() -> None:
    fields = ["logit_bias", "tools", "stop", "top_p", "n", "frequency_penalty"]
    for names in (fields, fields[::-1]):
        with pytest.raises(InvalidRequest) as refused:
            sent("".join(f', "{name}": {CHANGING[name]}' for name in names).encode(), *fields)
        assert refused.value.param == names[0]

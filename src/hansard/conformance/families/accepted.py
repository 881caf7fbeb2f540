"""What create takes: every field, null where clients send it, every role and part, and values at their bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hansard.conformance.checks import CAPTURED, OFFICIAL, RECORDED, REFUSABLE, REPORTED, Check, decision
from hansard.conformance.tables import PIXEL, takes

_USER = {"role": "user", "content": "Say hello."}
_TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
_CALL = {"id": "call_x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
_ANSWER = {"role": "tool", "tool_call_id": "call_x", "content": "x"}
_TEXT_PART = {"type": "text", "text": "Say hello."}

# Sound values of every field that a short question does not have anyway.
_FIELDS: dict[str, dict[str, Any]] = {
    "store": {"store": False},
    "metadata": {"store": True, "metadata": {"a": "b"}},
    "stream_options": {"stream_options": None},
    "max_completion_tokens": {"max_completion_tokens": 8},
    "temperature": {"temperature": 0.2},
    "top_p": {"top_p": 0.9},
    "presence_penalty": {"presence_penalty": 0.5},
    "frequency_penalty": {"frequency_penalty": -0.5},
    "n": {"n": 1},
    "stop": {"stop": "\n\n"},
    "seed": {"seed": 7},
    "logit_bias": {"logit_bias": {}},
    "logprobs": {"logprobs": False},
    "response_format": {"response_format": {"type": "text"}},
    "tools": {"tools": [_TOOL], "tool_choice": "none"},
    "tool_choice": {"tools": [_TOOL], "tool_choice": "auto"},
    "parallel_tool_calls": {"tools": [_TOOL], "tool_choice": "none", "parallel_tool_calls": False},
    "functions": {"functions": [{"name": "f"}], "function_call": "none"},
    "reasoning_effort": {"reasoning_effort": "low"},
    "verbosity": {"verbosity": "low"},
    "modalities": {"modalities": ["text"]},
    "prediction": {"prediction": {"type": "content", "content": "Hello."}, "max_tokens": ...},
    "service_tier": {"service_tier": "auto"},
    "prompt_cache_key": {"prompt_cache_key": "k"},
    "prompt_cache_retention": {"prompt_cache_retention": "24h"},
    "prompt_cache_options": {"prompt_cache_options": {"mode": "implicit", "ttl": "30m"}},
    "safety_identifier": {"safety_identifier": "s"},
    "user": {"user": "u"},
}


def _demands(fields: dict[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in fields if name in REFUSABLE)


def _every_field() -> Iterator[Check]:
    for name, fields in _FIELDS.items():
        title = f"'{name}' is a field of the API, and a sound value of it is taken."
        yield takes(name, title, OFFICIAL, fields=fields, demands=_demands(fields))


EVERY_FIELD = tuple(_every_field())

_NULLABLE = (
    "store",
    "metadata",
    "stream",
    "stream_options",
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "n",
    "stop",
    "seed",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "reasoning_effort",
    "verbosity",
    "modalities",
    "audio",
    "prediction",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "moderation",
)


def _every_null() -> Iterator[Check]:
    for name in _NULLABLE:
        yield takes(
            f"null_for_{name}",
            f"Null for '{name}' means that it was not given; clients send it.",
            OFFICIAL,
            CAPTURED,
            fields={name: None},
        )


EVERY_NULL = tuple(_every_null())


def _conversation(rule: str, title: str, *evidence: str, messages: list[Any], demands: tuple[str, ...] = ()) -> Check:
    return takes(rule, title, *evidence, fields={"messages": messages}, demands=demands)


CONVERSATIONS = (
    _conversation(
        "a_developer_message",
        "The developer's instructions come first.",
        OFFICIAL,
        messages=[{"role": "developer", "content": "Be brief."}, _USER],
    ),
    _conversation(
        "a_system_message",
        "So do a system message's.",
        OFFICIAL,
        messages=[{"role": "system", "content": "Be brief."}, _USER],
    ),
    _conversation(
        "names_of_speakers",
        "A message may name who speaks.",
        OFFICIAL,
        messages=[{**_USER, "name": "anna"}],
    ),
    _conversation(
        "an_earlier_answer",
        "A conversation holds the assistant's earlier answers.",
        OFFICIAL,
        messages=[_USER, {"role": "assistant", "content": "Hello."}, _USER],
    ),
    _conversation(
        "an_earlier_answer_sent_back_whole",
        "Clients send a reply's message back as it came, null refusal and annotations included.",
        CAPTURED,
        messages=[_USER, {"role": "assistant", "content": "Hello.", "refusal": None, "annotations": []}, _USER],
    ),
    _conversation(
        "an_earlier_refusal",
        "A refusal stands in place of content.",
        OFFICIAL,
        RECORDED,
        messages=[_USER, {"role": "assistant", "refusal": "No."}, _USER],
    ),
    _conversation(
        "an_earlier_refusal_as_a_part",
        "So does a refusal part.",
        OFFICIAL,
        messages=[_USER, {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}, _USER],
    ),
    _conversation(
        "an_answered_call",
        "A tool call and its answer.",
        OFFICIAL,
        messages=[_USER, {"role": "assistant", "content": None, "tool_calls": [_CALL]}, _ANSWER],
    ),
    _conversation(
        "an_answered_call_without_content",
        "An assistant message with calls needs no content.",
        OFFICIAL,
        messages=[_USER, {"role": "assistant", "tool_calls": [_CALL]}, _ANSWER],
    ),
    _conversation(
        "answers_in_any_order",
        "The answers to several calls may come in any order.",
        REPORTED,
        messages=[
            _USER,
            {"role": "assistant", "tool_calls": [_CALL, {**_CALL, "id": "call_y"}]},
            {**_ANSWER, "tool_call_id": "call_y"},
            _ANSWER,
        ],
    ),
    _conversation(
        "a_custom_call",
        "A call of a custom tool carries its input as text.",
        OFFICIAL,
        messages=[
            _USER,
            {
                "role": "assistant",
                "tool_calls": [{"id": "call_x", "type": "custom", "custom": {"name": "c", "input": "x"}}],
            },
            _ANSWER,
        ],
    ),
    _conversation(
        "a_function_message",
        "The deprecated function role answers a function_call.",
        OFFICIAL,
        messages=[
            _USER,
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "x"},
        ],
    ),
    _conversation(
        "text_parts",
        "Content may be an array of text parts.",
        OFFICIAL,
        messages=[{"role": "user", "content": [_TEXT_PART, _TEXT_PART]}],
    ),
    _conversation(
        "text_parts_of_the_system",
        "Also a system message's.",
        OFFICIAL,
        messages=[{"role": "system", "content": [_TEXT_PART]}, _USER],
    ),
    _conversation(
        "text_parts_of_a_tool",
        "Also a tool message's.",
        OFFICIAL,
        messages=[_USER, {"role": "assistant", "tool_calls": [_CALL]}, {**_ANSWER, "content": [_TEXT_PART]}],
    ),
    _conversation(
        "a_cache_breakpoint",
        "A part may mark where a cached prompt ends.",
        OFFICIAL,
        messages=[{"role": "user", "content": [{**_TEXT_PART, "prompt_cache_breakpoint": {"mode": "explicit"}}]}],
    ),
    _conversation(
        "an_image",
        "An image in a data URL.",
        OFFICIAL,
        messages=[{"role": "user", "content": [_TEXT_PART, {"type": "image_url", "image_url": {"url": PIXEL}}]}],
        demands=("messages",),
    ),
    _conversation(
        "text_beyond_ascii",
        "Text is Unicode, emoji included.",
        CAPTURED,
        messages=[{"role": "user", "content": "Sag «héllo» zu 世界 👋🏽"}],
    ),
    _conversation("an_empty_text", "Content may be empty.", OFFICIAL, messages=[{"role": "user", "content": ""}]),
)

_LONGEST = {f"{number:02}" + "k" * 62: "v" * 512 for number in range(16)}

BOUNDS = (
    takes("temperature_at_0", "temperature may be 0.", OFFICIAL, fields={"temperature": 0}),
    takes("temperature_at_2", "temperature may be 2.", OFFICIAL, fields={"temperature": 2}),
    takes("top_p_at_1", "top_p may be 1.", OFFICIAL, fields={"top_p": 1}),
    takes("penalties_at_2", "Penalties may be 2.", OFFICIAL, fields={"presence_penalty": 2, "frequency_penalty": 2}),
    takes("penalties_at_minus_2", "And -2.", OFFICIAL, fields={"presence_penalty": -2, "frequency_penalty": -2}),
    takes("one_token", "One token is enough.", OFFICIAL, REPORTED, fields={"max_completion_tokens": 1}),
    takes("four_stop_texts", "Four stop texts.", OFFICIAL, fields={"stop": ["@@", "##", "~~", "^^"]}),
    takes("a_large_seed", "A seed is an int64.", OFFICIAL, fields={"seed": 2**62}),
    takes("a_negative_seed", "Of either sign.", OFFICIAL, fields={"seed": -5}),
    takes("the_largest_metadata", "16 pairs of 64 and 512.", OFFICIAL, fields={"store": True, "metadata": _LONGEST}),
    takes("empty_metadata", "No pairs are as good as none.", OFFICIAL, fields={"store": True, "metadata": {}}),
    takes("a_safety_identifier_of_128", "128 characters.", CAPTURED, fields={"safety_identifier": "x" * 128}),
)

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_TIERS = ("auto", "default", "flex", "scale", "priority", "fast")
_HINTS = [
    *(("reasoning_effort", value) for value in _EFFORTS),
    *(("verbosity", value) for value in ("low", "medium", "high")),
    *(("service_tier", value) for value in _TIERS),
    *(("prompt_cache_retention", value) for value in ("in_memory", "24h")),
]
HINTS = tuple(
    takes(
        f"{name}_{value}",
        f"'{value}' is a value of the hint '{name}': taken, whether or not it is followed.",
        OFFICIAL,
        decision(36),
        fields={name: value},
    )
    for name, value in _HINTS
)

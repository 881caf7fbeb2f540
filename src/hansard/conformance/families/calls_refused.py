"""What create refuses of refusals, calls and answers in a conversation, part by part, and of how many there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hansard.conformance.checks import OFFICIAL, REPORTED, Check, decided
from hansard.conformance.tables import lacks, refuses, refuses_messages, takes

_USER = {"role": "user", "content": "Hi"}
_TEXT = {"type": "text", "text": "Hi"}
_IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}
_REFUSAL = {"type": "refusal", "refusal": "No."}
_CALL = {"id": "call_x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
_MOST = decided("how much a body may hold")


def _said(*parts: Any, **fields: Any) -> list[Any]:
    """An assistant's turn between two of the user's, with these parts or fields."""
    return [_USER, {"role": "assistant", **({"content": list(parts)} if parts else {}), **fields}, _USER]


REFUSALS = (
    refuses_messages(
        "two_refusal_parts",
        "Assistant content has one refusal part, not two.",
        OFFICIAL,
        messages=_said(_REFUSAL, _REFUSAL),
        param="messages[1].content",
    ),
    refuses_messages(
        "a_refusal_before_text",
        "A refusal part stands alone, also where text comes behind it.",
        OFFICIAL,
        messages=_said(_REFUSAL, _TEXT),
        param="messages[1].content",
    ),
    refuses_messages(
        "a_refusal_part_of_another_type",
        "The refusal of a part is a string.",
        OFFICIAL,
        messages=_said({"type": "refusal", "refusal": 5}),
        param="messages[1].content[0].refusal",
        code="invalid_type",
    ),
    refuses_messages(
        "a_refusal_of_another_type",
        "The refusal of a message is a string.",
        OFFICIAL,
        messages=_said(refusal=["No."]),
        param="messages[1].refusal",
        code="invalid_type",
    ),
    refuses_messages(
        "a_refusal_of_the_system",
        "Only assistants refuse: a refusal part of a system message is 400.",
        OFFICIAL,
        messages=[{"role": "system", "content": [_REFUSAL]}, _USER],
        param="messages[0].content[0].type",
        code="invalid_value",
    ),
    takes(
        "several_text_parts_of_the_assistant",
        "Assistant content may be of several text parts.",
        OFFICIAL,
        fields={"messages": _said(_TEXT, _TEXT)},
    ),
)


def _text_only() -> Iterator[Check]:
    """Roles whose parts are text; the system is in ``messages_refused``."""
    turns: dict[str, list[Any]] = {
        "developer": [{"role": "developer", "content": [_IMAGE]}, _USER],
        "assistant": [{"role": "assistant", "content": [_IMAGE]}, _USER],
        "tool": [
            {"role": "assistant", "tool_calls": [_CALL]},
            {"role": "tool", "tool_call_id": "call_x", "content": [_IMAGE]},
        ],
    }
    for role, messages in turns.items():
        at = 1 if role == "tool" else 0
        yield refuses_messages(
            f"an_image_of_a_message_of_role_{role}",
            f"A message of role {role} has no image parts.",
            OFFICIAL,
            messages=messages,
            param=f"messages[{at}].content[0].type",
            code="invalid_value",
        )


TEXT_ONLY = tuple(_text_only())

_PARTS = ("messages",)
# what lacks it, the path, the messages, and what may be refused by name as a whole
_LACKING: tuple[tuple[str, str, list[Any], tuple[str, ...]], ...] = (
    (
        "A developer message",
        "messages[0].content",
        [{"role": "developer"}, _USER],
        (),
    ),
    (
        "A tool message",
        "messages[1].content",
        [{"role": "assistant", "tool_calls": [_CALL]}, {"role": "tool", "tool_call_id": "call_x"}],
        (),
    ),
    ("A function message", "messages[1].content", [_USER, {"role": "function", "name": "f"}], ()),
    ("A refusal part", "messages[1].content[0].refusal", _said({"type": "refusal"}), ()),
    ("An earlier function_call", "messages[1].function_call.name", _said(function_call={"arguments": "{}"}), ()),
    ("An earlier function_call", "messages[1].function_call.arguments", _said(function_call={"name": "f"}), ()),
    (
        "A call of a custom tool",
        "messages[1].tool_calls[0].custom.input",
        _said(tool_calls=[{"id": "call_x", "type": "custom", "custom": {"name": "c"}}]),
        (),
    ),
    ("An earlier audio reply", "messages[1].audio.id", _said(audio={}), _PARTS),
    (
        "A cache breakpoint",
        "messages[0].content[0].prompt_cache_breakpoint.mode",
        [{"role": "user", "content": [{**_TEXT, "prompt_cache_breakpoint": {}}]}],
        (),
    ),
)


def _lacking() -> Iterator[Check]:
    for what, path, messages, demands in _LACKING:
        name = path.rpartition(".")[2]
        yield lacks(f"{what.lower().replace(' ', '_')}_without_{name}", what, path, messages, *demands)


LACKING = tuple(_lacking())

VALUES = (
    refuses_messages(
        "an_unknown_cache_breakpoint",
        "A cache breakpoint has one mode, explicit.",
        OFFICIAL,
        messages=[{"role": "user", "content": [{**_TEXT, "prompt_cache_breakpoint": {"mode": "implicit"}}]}],
        param="messages[0].content[0].prompt_cache_breakpoint.mode",
        code="invalid_value",
    ),
    refuses_messages(
        "a_name_of_another_type",
        "The name of who speaks is a string.",
        OFFICIAL,
        messages=[{**_USER, "name": 5}],
        param="messages[0].name",
        code="invalid_type",
    ),
    refuses_messages(
        "an_image_address_of_no_scheme",
        "An image has an address, of http, https or data.",
        OFFICIAL,
        messages=[{"role": "user", "content": [_TEXT, {"type": "image_url", "image_url": {"url": "not an address"}}]}],
        param="messages[0].content[1].image_url.url",
        demands=_PARTS,
    ),
)


def _nested(levels: int) -> Any:
    value: Any = "Hi"
    for _ in range(levels):
        value = [value]
    return value


def _answered(count: int) -> list[Any]:
    calls = [{**_CALL, "id": f"call_{number}"} for number in range(count)]
    answers = [{"role": "tool", "tool_call_id": call["id"], "content": "x"} for call in calls]
    return [_USER, {"role": "assistant", "tool_calls": calls}, *answers]


COUNTS = (
    takes(
        "a_conversation_of_a_hundred_messages",
        "A conversation may have a hundred messages, and more.",
        OFFICIAL,
        fields={"messages": [_USER, {"role": "assistant", "content": "Hi"}] * 50 + [_USER]},
    ),
    refuses_messages(
        "a_hundred_and_twenty_nine_calls",
        "At most 128 calls in one message.",
        REPORTED,
        messages=_answered(129),
        param="messages[1].tool_calls",
        code="array_above_max_length",
        message="Invalid 'messages[1].tool_calls': array too long. Expected an array with maximum length 128, "
        "but got an array with length 129 instead.",
    ),
    refuses_messages(
        "ten_thousand_and_one_messages",
        "More than 10,000 messages are 400 array_above_max_length.",
        _MOST,
        messages=[_USER] * 10_001,
        param="messages",
        code="array_above_max_length",
    ),
    refuses_messages(
        "ten_thousand_and_one_parts",
        "So are more than 10,000 content parts and calls in all messages together.",
        _MOST,
        messages=[{"role": "user", "content": [_TEXT] * 5_001}, {"role": "user", "content": [_TEXT] * 5_000}],
        param="messages",
        code="array_above_max_length",
    ),
)


def _deep_schema(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels // 2):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def _deep_call(levels: int) -> list[Any]:
    call = {**_CALL, "function": {"name": "f", "arguments": '{"a":' * levels + "1" + "}" * levels}}
    return [
        _USER,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_x", "content": ""},
    ]


def _function_with(number: int) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"a": {"enum": [f"{number}-{value}" for value in range(900)]}}}
    return {"type": "function", "function": {"name": f"f{number}", "parameters": parameters}}


DEPTHS = (
    refuses_messages(
        "arguments_of_two_hundred_levels",
        "The arguments of an earlier call nest at most 100 levels.",
        _MOST,
        messages=_deep_call(200),
        param="messages[1].tool_calls[0].function.arguments",
    ),
    takes(
        "arguments_of_fifty_levels",
        "The arguments of an earlier call nest as deep as anybody needs.",
        _MOST,
        fields={"messages": _deep_call(50)},
    ),
    refuses_messages(
        "a_body_of_two_hundred_levels",
        "A body nests at most 128 levels, wherever.",
        _MOST,
        messages=[{**_USER, "content": _nested(200)}],
        param=None,
    ),
    refuses(
        "a_plain_schema_of_too_many_levels",
        "A schema that is not strict nests at most 100 levels.",
        _MOST,
        fields={"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": _deep_schema(110)}}},
        param="response_format",
        demands=("response_format",),
    ),
    refuses(
        "too_many_enum_values_in_all_functions",
        "All functions together have at most 5,000 enum values.",
        _MOST,
        fields={"tools": [_function_with(number) for number in range(6)]},
        param="tools[5].function.parameters",
        code="invalid_function_parameters",
        demands=("tools",),
    ),
)

"""What create refuses of messages: roles, contents, parts, and tool calls without their answers."""

from __future__ import annotations

from typing import Any

from hansard.conformance.checks import OFFICIAL, RECORDED, REPORTED
from hansard.conformance.tables import lacks, refuses_messages

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "call_x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKED = {"role": "assistant", "content": None, "tool_calls": [CALL]}

# Image, audio and file parts may be refused by name as a whole.
_PARTS = ("messages",)


def _says(*parts: Any) -> list[Any]:
    return [{"role": "user", "content": list(parts)}]


ROLES = (
    refuses_messages(
        "an_empty_array_of_messages",
        "No message in the array is 400 empty_array.",
        OFFICIAL,
        REPORTED,
        messages=[],
        param="messages",
        code="empty_array",
        message="Invalid 'messages': empty array. Expected an array with minimum length 1, "
        "but got an empty array instead.",
    ),
    refuses_messages(
        "a_message_that_is_no_object",
        "A message that is a string is 400 invalid_type.",
        OFFICIAL,
        messages=["Hi"],
        param="messages[0]",
        code="invalid_type",
    ),
    refuses_messages(
        "an_unknown_role",
        "A role that the API does not have is 400 invalid_value.",
        OFFICIAL,
        REPORTED,
        messages=[{"role": "robot", "content": "Hi"}],
        param="messages[0].role",
        code="invalid_value",
    ),
    refuses_messages(
        "a_role_of_another_type",
        "A role that is no string is 400 invalid_type.",
        OFFICIAL,
        messages=[{"role": 5, "content": "Hi"}],
        param="messages[0].role",
        code="invalid_type",
    ),
    refuses_messages(
        "an_unknown_key_of_a_message",
        "A key that messages do not have is 400 unknown_parameter, with the whole path.",
        REPORTED,
        messages=[USER, {**USER, "mood": "good"}],
        param="messages[1].mood",
        code="unknown_parameter",
        message="Unknown parameter: 'messages[1].mood'.",
    ),
    lacks("a_message_without_role", "A message", "messages[0].role", [{"content": "Hi"}]),
    lacks("a_user_message_without_content", "A user message", "messages[0].content", [{"role": "user"}]),
    lacks("a_system_message_without_content", "A system message", "messages[0].content", [{"role": "system"}]),
    lacks(
        "a_function_message_without_name",
        "A function message",
        "messages[1].name",
        [USER, {"role": "function", "content": "x"}],
    ),
    lacks(
        "a_tool_message_without_its_call",
        "A tool message",
        "messages[2].tool_call_id",
        [USER, ASKED, {"role": "tool", "content": "x"}],
    ),
)

CONTENTS = (
    refuses_messages(
        "content_of_another_type",
        "Content that is an object is 400 invalid_type, and the text says what it may be.",
        OFFICIAL,
        REPORTED,
        messages=[USER, {"role": "user", "content": {"text": "Hi"}}],
        param="messages[1].content",
        code="invalid_type",
        message="Invalid type for 'messages[1].content': expected one of a string or array of objects, "
        "but got an object instead.",
    ),
    refuses_messages(
        "null_content",
        "Null as a user's content is 400, with the path in its older spelling.",
        REPORTED,
        messages=[USER, {"role": "user", "content": None}],
        param="messages.[1].content",
        code=None,
        message="Invalid value for 'content': expected a string, got null.",
    ),
    refuses_messages(
        "an_assistant_message_with_nothing",
        "An assistant message without content, call, refusal or audio is 400.",
        OFFICIAL,
        REPORTED,
        messages=[USER, {"role": "assistant", "content": None}],
        param="messages.[1].content",
        code=None,
    ),
    refuses_messages(
        "content_without_parts",
        "An empty array of parts is 400 empty_array.",
        OFFICIAL,
        messages=_says(),
        param="messages[0].content",
        code="empty_array",
    ),
    refuses_messages(
        "an_unknown_part",
        "A part of a type that the API does not have is 400 invalid_value.",
        REPORTED,
        messages=_says({"type": "text", "text": "Hi"}, {"type": "smell", "smell": "x"}),
        param="messages[0].content[1].type",
        code="invalid_value",
    ),
    refuses_messages(
        "an_image_of_the_system",
        "System messages have text parts only.",
        OFFICIAL,
        messages=[{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}, USER],
        param="messages[0].content[0].type",
        code="invalid_value",
    ),
    refuses_messages(
        "a_refusal_of_the_user",
        "Only assistants refuse: a refusal part of a user is 400.",
        OFFICIAL,
        messages=_says({"type": "refusal", "refusal": "No."}),
        param="messages[0].content[0].type",
        code="invalid_value",
    ),
    refuses_messages(
        "text_beside_a_refusal",
        "Assistant content is of text parts, or of exactly one refusal.",
        OFFICIAL,
        messages=[
            USER,
            {"role": "assistant", "content": [{"type": "text", "text": "x"}, {"type": "refusal", "refusal": "No."}]},
            USER,
        ],
        param="messages[1].content",
    ),
    refuses_messages(
        "an_unknown_key_of_a_part",
        "A key that parts do not have is 400 unknown_parameter, with the whole path.",
        REPORTED,
        messages=_says({"type": "text", "text": "Hi", "font": "bold"}),
        param="messages[0].content[0].font",
        code="unknown_parameter",
    ),
    refuses_messages(
        "an_unknown_image_detail",
        "An image's detail is one of a few words.",
        OFFICIAL,
        messages=_says({"type": "image_url", "image_url": {"url": "data:,", "detail": "blurry"}}),
        param="messages[0].content[0].image_url.detail",
        code="invalid_value",
        demands=_PARTS,
    ),
    refuses_messages(
        "an_unknown_audio_format",
        "Audio comes as wav or mp3.",
        OFFICIAL,
        messages=_says({"type": "input_audio", "input_audio": {"data": "", "format": "midi"}}),
        param="messages[0].content[0].input_audio.format",
        code="invalid_value",
        demands=_PARTS,
    ),
    lacks("a_part_without_type", "A part", "messages[0].content[0].type", _says({"text": "Hi"})),
    lacks("a_text_part_without_text", "A text part", "messages[0].content[0].text", _says({"type": "text"})),
    lacks(
        "an_image_without_address",
        "An image part",
        "messages[0].content[0].image_url.url",
        _says({"type": "image_url", "image_url": {}}),
        *_PARTS,
    ),
    lacks(
        "input_audio_without_data",
        "An audio part",
        "messages[0].content[0].input_audio.data",
        _says({"type": "input_audio", "input_audio": {"format": "wav"}}),
        *_PARTS,
    ),
    lacks(
        "input_audio_without_format",
        "An audio part",
        "messages[0].content[0].input_audio.format",
        _says({"type": "input_audio", "input_audio": {"data": ""}}),
        *_PARTS,
    ),
)


def _called(**call: Any) -> list[Any]:
    changed = {key: value for key, value in {**CALL, **call}.items() if value is not ...}
    answer = {"role": "tool", "tool_call_id": "call_x", "content": "x"}
    return [USER, {"role": "assistant", "tool_calls": [changed]}, answer]


CALLS = (
    refuses_messages(
        "an_unanswered_call",
        "A tool call that no tool message answers is 400, and the text names it.",
        REPORTED,
        messages=[USER, ASKED, USER],
        message="An assistant message with 'tool_calls' must be followed by tool messages responding to each "
        "'tool_call_id'. The following tool_call_ids did not have response messages: call_x",
    ),
    refuses_messages(
        "a_call_unanswered_at_the_end",
        "So it is where the conversation ends with it.",
        REPORTED,
        messages=[USER, ASKED],
        message="An assistant message with 'tool_calls' must be followed by tool messages responding to each "
        "'tool_call_id'. The following tool_call_ids did not have response messages: call_x",
    ),
    refuses_messages(
        "a_partly_answered_turn",
        "Of two calls in one turn both must be answered.",
        REPORTED,
        messages=[
            USER,
            {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "call_y"}]},
            {"role": "tool", "tool_call_id": "call_x", "content": "x"},
            USER,
        ],
        message="An assistant message with 'tool_calls' must be followed by tool messages responding to each "
        "'tool_call_id'. The following tool_call_ids did not have response messages: call_y",
    ),
    refuses_messages(
        "an_answer_to_no_call",
        "A tool message without a call before it is 400.",
        REPORTED,
        messages=[USER, USER, USER, {"role": "tool", "tool_call_id": "call_x", "content": "x"}],
        param="messages.[3].role",
        code=None,
        message="Invalid parameter: messages with role 'tool' must be a response to a preceeding message "
        "with 'tool_calls'.",
    ),
    refuses_messages(
        "an_answer_to_another_call",
        "So is one that names a call nobody made.",
        REPORTED,
        messages=[USER, ASKED, {"role": "tool", "tool_call_id": "call_z", "content": "x"}],
        param="messages.[2].role",
        code=None,
    ),
    refuses_messages(
        "no_calls_in_the_array",
        "An empty array of tool calls is 400 empty_array.",
        REPORTED,
        messages=[USER, {"role": "assistant", "content": "x", "tool_calls": []}],
        param="messages[1].tool_calls",
        code="empty_array",
    ),
    refuses_messages(
        "a_call_of_unknown_type",
        "A call is of type function or custom.",
        OFFICIAL,
        RECORDED,
        messages=_called(type="plugin"),
        param="messages[1].tool_calls[0].type",
        code="invalid_value",
    ),
    refuses_messages(
        "arguments_of_another_type",
        "A call's arguments are JSON text, not an object.",
        OFFICIAL,
        messages=_called(function={"name": "f", "arguments": {}}),
        param="messages[1].tool_calls[0].function.arguments",
        code="invalid_type",
    ),
    lacks("a_call_without_id", "A call", "messages[1].tool_calls[0].id", _called(id=...)),
    lacks(
        "a_call_without_arguments",
        "A call",
        "messages[1].tool_calls[0].function.arguments",
        _called(function={"name": "f"}),
    ),
)

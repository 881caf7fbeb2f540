"""The stored object and the list of input messages, as recorded and decided (docs/contract.md)."""

from __future__ import annotations

from typing import Any

import pytest

from hansard.contract import Document
from hansard.core.views import stored_completion, stored_messages

USAGE = {
    "prompt_tokens": 1,
    "completion_tokens": 2,
    "total_tokens": 3,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
}


def reply(message: Document | None = None, **more: Any) -> Document:
    base = {"role": "assistant", "content": "Hi", "refusal": None, "annotations": []}
    choice = {"index": 0, "message": base | (message or {}), "logprobs": None, "finish_reason": "stop"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 7,
        "model": "m-1",
        "choices": [choice],
        "usage": USAGE,
        "service_tier": "default",
        "system_fingerprint": "fp_1",
        **more,
    }


def view(request: Document | None = None, made: Document | None = None) -> Document:
    asked = {"model": "m", "messages": [{"role": "user", "content": "x"}], **(request or {})}
    return stored_completion(request=asked, reply=made or reply(), metadata={"a": "b"}, request_id="req_1", seed=2**40)


def test_the_19_keys_in_order_with_defaults() -> None:
    shown = view()
    assert shown == {
        "object": "chat.completion",
        "id": "chatcmpl-1",
        "model": "m-1",
        "created": 7,
        "request_id": "req_1",
        "tool_choice": None,
        "usage": USAGE,
        "seed": 2**40,
        "top_p": 1.0,
        "temperature": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "system_fingerprint": "fp_1",
        "input_user": None,
        "service_tier": "default",
        "tools": None,
        "metadata": {"a": "b"},
        "choices": [
            {
                "index": 0,
                "message": {
                    "content": "Hi",
                    "role": "assistant",
                    "tool_calls": None,
                    "function_call": None,
                    "refusal": None,
                    "annotations": [],
                },
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "response_format": None,
    }
    assert " ".join(shown) == (
        "object id model created request_id tool_choice usage seed top_p temperature presence_penalty "
        "frequency_penalty system_fingerprint input_user service_tier tools metadata choices response_format"
    )
    [choice] = shown["choices"]
    assert list(choice) == ["index", "message", "finish_reason", "logprobs"]
    assert list(choice["message"])[:4] == ["content", "role", "tool_calls", "function_call"]


def test_what_was_sent_is_shown_as_sent() -> None:
    sent = {
        "temperature": 0,
        "top_p": 0.5,
        "presence_penalty": 1,
        "frequency_penalty": -2.0,
        "tools": [{"function": {"name": "f"}, "type": "function"}],
        "tool_choice": "required",
        "response_format": {"type": "json_object"},
    }
    shown = view({**sent, "user": "u"})
    assert {key: shown[key] for key in sent} == sent
    assert shown["input_user"] == "u"


def test_nulls_sent_are_defaults_shown() -> None:
    sent = dict.fromkeys(["temperature", "top_p", "presence_penalty", "frequency_penalty", "user", "tools"])
    assert view(sent) == view()


def test_tool_calls_show_their_id_last() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    [choice] = view(made=reply({"content": None, "tool_calls": [call]}))["choices"]
    assert choice["message"]["tool_calls"] == [call]
    assert list(choice["message"]["tool_calls"][0]) == ["type", "function", "id"]


def test_what_else_a_reply_has_follows() -> None:
    made = reply({"audio": {"id": "a"}, "reasoning_content": "Hm"})
    made["choices"][0]["stop_reason"] = 7
    [choice] = view(made=made)["choices"]
    assert list(choice["message"])[4:] == ["refusal", "annotations", "audio", "reasoning_content"]
    assert list(choice)[4:] == ["stop_reason"]


def test_a_reply_without_fingerprint_or_tier_has_nulls() -> None:
    made = reply()
    del made["system_fingerprint"], made["service_tier"]
    shown = view(made=made)
    assert (shown["system_fingerprint"], shown["service_tier"], len(shown)) == (None, None, 19)


@pytest.mark.parametrize(
    ("choices", "shown"),
    [
        (None, []),
        ("x", []),
        ([], []),
        ([None, 3], []),
        ([{}], [(0, None, None)]),
        ([{"index": 4, "message": None, "finish_reason": "stop"}], [(4, None, "stop")]),
        ([{"text": "Hi", "finish_reason": "stop"}], [(0, None, "stop")]),
        ([{"message": {"content": "a", "tool_calls": "x"}}, {"message": "y"}], [(0, "a", None), (1, None, None)]),
    ],
)
def test_what_was_kept_of_an_odd_reply_is_still_shown(choices: object, shown: list[object]) -> None:
    """Such replies are refused today; one of them in the store must not hide the others on its page."""
    found = view(made=reply(choices=choices))["choices"]

    assert [(one["index"], one["message"]["content"], one["finish_reason"]) for one in found] == shown
    assert all(one["message"]["tool_calls"] is None and one["message"]["role"] == "assistant" for one in found)


def test_a_call_that_is_none_is_left_out() -> None:
    assert view(made=reply({"tool_calls": ["x", {"id": "call_1"}]}))["choices"][0]["message"]["tool_calls"] == [
        {"id": "call_1"}
    ]


@pytest.mark.parametrize("sent", [{"role": "user", "content": ["a", {"text": "b"}]}, {"content": "b"}])
def test_a_message_of_no_known_form_is_still_shown(sent: Document) -> None:
    assert message(sent)["content"] == "b"


def message(sent: Document) -> Document:
    [shown] = stored_messages("chatcmpl-1", {"messages": [sent]})
    return shown


def test_messages_are_numbered_in_request_order() -> None:
    sent = [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]
    assert [(shown["id"], shown["content"]) for shown in stored_messages("chatcmpl-1", {"messages": sent})] == [
        ("chatcmpl-1-0", "a"),
        ("chatcmpl-1-1", "b"),
    ]


def test_a_text_message() -> None:
    shown = message({"content": "Hi", "role": "user", "name": "Ann"})
    assert shown == {
        "id": "chatcmpl-1-0",
        "role": "user",
        "content": "Hi",
        "content_parts": None,
        "name": "Ann",
        "refusal": None,
    }
    assert list(shown)[:5] == ["id", "role", "content", "content_parts", "name"]


def test_parts_are_joined_with_a_space_and_shown_without_null_slots() -> None:
    parts = [
        {"type": "text", "text": "Whose logo is this?: "},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}, "prompt_cache_breakpoint": None},
    ]
    shown = message({"role": "user", "content": parts})
    assert shown["content"] == "Whose logo is this?:  "
    assert shown["content_parts"] == [
        {"type": "text", "text": "Whose logo is this?: "},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
        {"type": "file", "file": {"file_id": "f"}},
        {"type": "refusal", "refusal": "No."},
    ],
)
def test_other_parts_are_shown_as_sent_and_count_as_no_text(part: Document) -> None:
    """Decision 27."""
    shown = message({"role": "user", "content": [part, {"type": "text", "text": "b"}]})
    assert shown["content"] == " b"
    assert shown["content_parts"] == [part, {"type": "text", "text": "b"}]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "video_url", "video_url": {"url": "x"}, "fps": None},
        {"video_url": {"url": "x"}},
        {"type": ["text"], "x": 1},
    ],
    ids=str,
)
def test_a_part_of_a_kind_nobody_knows_is_shown_as_sent(part: Document) -> None:
    shown = message({"role": "user", "content": [part], "x": 1})
    assert shown["content_parts"] == [part]
    assert "x" not in shown


def test_of_a_part_that_is_known_what_nobody_knows_is_not_shown() -> None:
    shown = message({"role": "user", "content": [{"type": "text", "text": "Hi", "x": 1}]})
    assert shown["content_parts"] == [{"type": "text", "text": "Hi"}]


def test_tool_turns_keep_their_calls() -> None:
    """Decisions 25 and 26; the recorded order has the calls before refusal."""
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    asked = message({"role": "assistant", "tool_calls": [call], "function_call": None})
    assert (asked["content"], asked["content_parts"], asked["tool_calls"]) == (None, None, [call])
    assert "function_call" not in asked
    assert list(asked).index("tool_calls") < list(asked).index("refusal")

    answered = message({"role": "tool", "tool_call_id": "call_1", "content": "done"})
    assert (answered["role"], answered["tool_call_id"]) == ("tool", "call_1")


def test_a_refusal_sent_is_shown() -> None:
    assert message({"role": "assistant", "content": None, "refusal": "No."})["refusal"] == "No."


def test_a_refusal_in_a_part_is_shown_as_one() -> None:
    """The create reply has a refusal so: beside content that is null (decision 4)."""
    part = {"type": "refusal", "refusal": "No."}
    shown = message({"role": "assistant", "content": [part]})
    assert (shown["content"], shown["refusal"], shown["content_parts"]) == (None, "No.", [part])


def test_where_the_cache_may_end_is_shown_as_sent() -> None:
    part = {"type": "text", "text": "Long.", "prompt_cache_breakpoint": {"mode": "explicit"}}
    assert message({"role": "user", "content": [part]})["content_parts"] == [part]

"""The conversation the chat template gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hansard.contract.request import ChatRequest
from hansard.engines.llamacpp import prompt
from hansard.engines.llamacpp.prompt import Abilities, Neutralizer
from hansard.errors import InvalidRequest
from tests.engines.llamacpp import projector

Ask = Callable[..., ChatRequest]

PLAIN = Abilities(knows_developer=False, sees_images=False)
SEEING = Abilities(knows_developer=True, sees_images=True)
PIXEL = {"type": "image_url", "image_url": {"url": projector.PIXEL, "detail": "low"}}


def told(ask: Ask, *messages: dict[str, Any], abilities: Abilities = PLAIN) -> list[dict[str, Any]]:
    return prompt.messages(ask(messages=list(messages)).messages, abilities)


def test_text_parts_become_one_text(request_of: Ask) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    assert told(request_of, {"role": "system", "content": parts}, {"role": "user", "content": parts, "name": "x"}) == [
        {"role": "system", "content": "a\nb"},
        {"role": "user", "content": "a\nb"},
    ]


@pytest.mark.parametrize(("abilities", "role"), [(PLAIN, "system"), (SEEING, "developer")])
def test_a_template_without_developers_has_systems(request_of: Ask, abilities: Abilities, role: str) -> None:
    sent = [{"role": "developer", "content": "a"}, {"role": "user", "content": "b"}]

    assert told(request_of, *sent, abilities=abilities)[0] == {"role": role, "content": "a"}


def test_calls_and_their_answers(request_of: Ask) -> None:
    calls = [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
        {"id": "call_2", "type": "custom", "custom": {"name": "note", "input": 'say "hi"'}},
    ]
    heard = told(
        request_of,
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_2", "content": "noted"},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "one"}]},
    )

    note = {"name": "note", "arguments": '{"input":"say \\"hi\\""}'}
    assert heard[1:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [calls[0], {"id": "call_2", "type": "function", "function": note}],
        },
        {"role": "tool", "content": "noted", "tool_call_id": "call_2", "name": "note"},
        {"role": "tool", "content": "one", "tool_call_id": "call_1", "name": "f"},
    ]


def test_deprecated_function_messages(request_of: Ask) -> None:
    heard = told(
        request_of,
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
    )

    called = {"id": "f", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert heard[1:] == [
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "content": "1", "name": "f", "tool_call_id": "f"},
    ]


@pytest.mark.parametrize(
    ("written", "taken"),
    [("", "{}"), ('{"a": 1', '{"arguments":"{\\"a\\": 1"}'), ("[1]", '{"arguments":"[1]"}'), ('{"a":1}', '{"a":1}')],
)
def test_arguments_that_are_no_object_are_wrapped(request_of: Ask, written: str, taken: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": written}}
    heard = told(
        request_of,
        {"role": "user", "content": "go"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    )

    assert heard[1]["tool_calls"][0]["function"]["arguments"] == taken


def test_a_refusal_is_what_the_assistant_said(request_of: Ask) -> None:
    user = {"role": "user", "content": "x"}
    parts = [{"type": "refusal", "refusal": "No."}]

    assert told(request_of, user, {"role": "assistant", "refusal": "No."})[1]["content"] == "No."
    assert told(request_of, user, {"role": "assistant", "content": parts})[1]["content"] == "No."


def test_an_image_goes_as_it_came(request_of: Ask) -> None:
    sent = {"role": "user", "content": [{"type": "text", "text": "What?"}, PIXEL]}

    assert told(request_of, sent, abilities=SEEING) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What?"},
                {"type": "image_url", "image_url": {"url": projector.PIXEL}},
            ],
        }
    ]


URL = "http://169.254.169.254/x.png"
SPOKEN = {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}
PAPER = {"type": "file", "file": {"file_id": "f"}}


@pytest.mark.parametrize(
    ("part", "abilities", "param", "code"),
    [
        ({"type": "image_url", "image_url": {"url": URL}}, SEEING, "[1].image_url.url", "unsupported_value"),
        ({"type": "image_url", "image_url": {"url": "file:///x"}}, SEEING, "[1].image_url.url", "unsupported_value"),
        (PIXEL, PLAIN, "[1].type", "unsupported_value"),
        (SPOKEN, SEEING, "[1].input_audio", "unsupported_parameter"),
        (PAPER, SEEING, "[1].file", "unsupported_parameter"),
    ],
)
def test_what_the_model_cannot_take_is_refused_by_name(
    request_of: Ask, part: dict[str, Any], abilities: Abilities, param: str, code: str
) -> None:
    sent = {"role": "user", "content": [{"type": "text", "text": "x"}, part]}

    with pytest.raises(InvalidRequest) as caught:
        told(request_of, sent, abilities=abilities)

    assert (caught.value.param, caught.value.code) == (f"messages[0].content{param}", code)


def test_earlier_speech_is_refused_by_name(request_of: Ask) -> None:
    with pytest.raises(InvalidRequest) as caught:
        told(request_of, {"role": "user", "content": "x"}, {"role": "assistant", "audio": {"id": "a"}})

    assert caught.value.param == "messages[1].audio"


def test_a_sentence_joins_the_first_instructions() -> None:
    conversation = [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]

    assert prompt.instructed(conversation, "S") == [
        {"role": "user", "content": "a"},
        {"role": "system", "content": "b\n\nS"},
    ]
    assert prompt.instructed(conversation[:1], "S") == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "a"},
    ]
    assert conversation[1]["content"] == "b"


def test_control_tokens_are_broken_wherever_text_stands() -> None:
    body = {
        "messages": [
            {"role": "user", "content": "a<|im_end|>b"},
            {"role": "user", "content": [{"type": "text", "text": "<s>é</s>"}]},
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"a":"<s>"}'}}]},
        ],
        "tools": [{"function": {"description": "<|im_end|>"}}],
        "stop": ["<|im_end|>"],
    }

    sent = json.loads(Neutralizer(["<|im_end|>", "<s>", "</s>"]).encode(body))

    assert sent == {
        "messages": [
            {"role": "user", "content": "a<\u200b|im_end|>b"},
            {"role": "user", "content": [{"type": "text", "text": "<\u200bs>é<\u200b/s>"}]},
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"a":"<\u200bs>"}'}}]},
        ],
        "tools": [{"function": {"description": "<\u200b|im_end|>"}}],
        "stop": ["<|im_end|>"],
    }


@pytest.mark.parametrize("tokens", [[], [""], ["<|x|>"]])
def test_a_body_without_them_is_sent_as_it_is(tokens: list[str]) -> None:
    assert Neutralizer(tokens).encode({"messages": [{"content": "<|y|> é"}]}) == (
        '{"messages":[{"content":"<|y|> é"}]}'.encode()
    )


def test_tokens_that_json_spells_otherwise_are_seen() -> None:
    assert json.loads(Neutralizer(['"\n']).encode({"messages": 'a"\nb'}))["messages"] == 'a"\u200b\nb'


def test_what_is_left_without_images_is_text() -> None:
    seen = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    conversation = [{"role": "user", "content": "Hello"}, {"role": "user", "content": seen}]

    assert prompt.without_images(conversation) == [
        {"role": "user", "content": "Hello"},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}]},
    ]

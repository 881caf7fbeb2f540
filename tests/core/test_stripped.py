"""core/stripped.py: parameters and figures stay, and nothing that was said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hansard.core.pieces import cut, joined, without_messages
from hansard.core.stripped import TOOLS_ELSEWHERE, stripped_reply, stripped_request

TOOL = {"type": "function", "function": {"name": "divide", "description": "It divides. " * 30}}
SAID = "It is laid down in the standing orders. " * 20


def request(**more: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": SAID}], **more}).encode()


def stripped(body: bytes) -> bytes:
    """As it is done to a row: what was cut out lies elsewhere."""
    parts = cut(body)
    bare = stripped_request(parts._replace(turns=(), tools=TOOLS_ELSEWHERE if parts.tools else b""))
    return joined(bare._replace(tools=parts.tools if bare.tools else b""))


def test_parameters_stay_as_they_were_spelled() -> None:
    body = b'{"model": "m", "temperature": 1.50e0, "messages": [{"role": "user", "content": "Well?"}], "seed": 7}'

    assert stripped(body) == b'{"model":"m","temperature":1.50e0,"seed":7,"messages":[]}'


def test_tools_stay_where_they_lie() -> None:
    parts = cut(request(tools=[TOOL], user="u"))
    assert parts.tools

    bare = stripped_request(parts._replace(turns=(), tools=TOOLS_ELSEWHERE))

    assert bare.rest == b'{"model":"m","user":"u","messages":[],"tools":}'
    assert json.loads(joined(bare._replace(tools=parts.tools)))["tools"] == [TOOL]
    # As a page reads it.
    assert json.loads(without_messages(bare._replace(tools=parts.tools)))["messages"] == []


def test_short_tools_stay_too() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    assert json.loads(stripped(request(tools=[tool])))["tools"] == [tool]


@pytest.mark.parametrize("name", ["prediction", "documents", "chat_template_kwargs", "input"])
def test_content_in_other_places_goes(name: str) -> None:
    assert stripped(request(**{name: {"type": "content", "content": "Hear, hear!"}})) == b'{"model":"m","messages":[]}'


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"\xff"', b"[" * 100_000])
def test_of_what_is_no_request_nothing_stays(body: bytes) -> None:
    assert stripped(body) == b'{"messages":[]}'


REPLY = {
    "id": "theirs",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": SAID,
                "refusal": SAID,
                "annotations": [{"type": "url_citation", "url_citation": {"title": SAID}}],
                "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": SAID}}],
                "audio": {"id": "a", "data": SAID},
                "reasoning_content": SAID,
            },
            "logprobs": {"content": [{"token": SAID}]},
            "finish_reason": "stop",
        },
        {"index": 1, "message": {"content": SAID}, "finish_reason": "length"},
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    "service_tier": "default",
    "system_fingerprint": "fp_1",
    "timings": {"ms": 1.5},
    "citations": [SAID],
}
NOTHING = {"role": "assistant", "content": None, "refusal": None, "annotations": []}


def bare(reply: bytes) -> Any:
    return json.loads(stripped_reply(reply, completion_id="chatcmpl-1", created=5, model="m-1"))


def test_of_a_reply_its_figures_stay() -> None:
    assert bare(json.dumps(REPLY).encode()) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 5,
        "model": "m-1",
        "choices": [
            {"index": 0, "message": NOTHING, "logprobs": None, "finish_reason": "stop"},
            {"index": 1, "message": NOTHING, "logprobs": None, "finish_reason": "length"},
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        "service_tier": "default",
        "system_fingerprint": "fp_1",
    }


@pytest.mark.parametrize("reply", [b"", b"{}", b"[1]", b'{"choices": 7}', b'{"choices": [7]}', b"[" * 100_000])
def test_of_what_is_no_reply_its_name_stays(reply: bytes) -> None:
    assert bare(reply)["id"] == "chatcmpl-1"
    assert bare(reply)["choices"] == []


@example(b'{"model":"\x80"}')
@given(st.binary() | st.recursive(st.none() | st.text(), st.lists).map(lambda said: json.dumps(said).encode()))
def test_anything_can_be_stripped(said: bytes) -> None:
    assert json.loads(stripped(said))["messages"] == []
    assert bare(said)["object"] == "chat.completion"

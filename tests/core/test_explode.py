"""Completions to chunks: the forms recorded from the API, and the way there and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.contract import Document
from hansard.core.accumulate import Accumulator
from hansard.core.explode import explode

HEAD = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 7,
    "model": "m",
}
TAIL = {
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    "service_tier": "default",
    "system_fingerprint": "fp_1",
}


def completion(*messages: Document, finish_reason: str = "stop", logprobs: Any = None) -> Document:
    base = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    choices = [
        {"index": index, "message": base | message, "logprobs": logprobs, "finish_reason": finish_reason}
        for index, message in enumerate(messages)
    ]
    return {**HEAD, "choices": choices, **TAIL}


def deltas(made: Document) -> list[Any]:
    """What each chunk has to say: the delta, or the finish_reason, or that it is the usage chunk."""
    said: list[Any] = []
    for chunk in explode(made):
        if not chunk["choices"]:
            said.append("usage" if "usage" in chunk else "moderation")
        for choice in chunk["choices"]:
            said.append(choice["finish_reason"] or choice["delta"])
    return said


def accumulate(made: Document) -> Document:
    accumulator = Accumulator(choices=len(made["choices"]))
    for chunk in explode(made):
        accumulator.feed(chunk)
    assert accumulator.finished
    return accumulator.finish()


def test_every_chunk_has_the_recorded_keys_in_order() -> None:
    *chunks, last = explode(completion({"content": "Hi"}))
    for chunk in chunks:
        assert list(chunk) == ["id", "object", "created", "model", "service_tier", "system_fingerprint", "choices"]
        assert list(chunk["choices"][0]) == ["index", "delta", "logprobs", "finish_reason"]
        assert chunk["object"] == "chat.completion.chunk"
    assert list(last)[-2:] == ["choices", "usage"]
    assert (last["choices"], last["usage"]) == ([], TAIL["usage"])


def test_what_nobody_knows_comes_beside_a_choice_and_before_the_usage() -> None:
    """Who did not ask for usage sees no chunk without choices."""
    *_, finish, unknown, usage = explode({**completion({"content": "Hi"}), "timings": {"ms": 1.5}})

    silent = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": None}
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert (unknown["choices"], unknown["timings"], "usage" in unknown) == ([silent], {"ms": 1.5}, False)
    assert (usage["choices"], "timings" in usage) == ([], False)


def test_usage_that_was_not_counted_makes_no_chunk() -> None:
    *_, last = explode({**completion({"content": "Hi"}), "usage": None, "timings": None})

    assert last["choices"][0]["finish_reason"] == "stop"


def tool(identifier: str, arguments: str) -> Document:
    return {"id": identifier, "type": "function", "function": {"name": "f", "arguments": arguments}}


RECORDED = {
    "plain text": (
        completion({"content": "Hi there."}),
        [
            {"role": "assistant", "content": "", "refusal": None},
            {"content": "Hi"},
            {"content": " there."},
            "stop",
            "usage",
        ],
    ),
    "one tool call": (
        completion({"tool_calls": [tool("call_1", '{"a": 1}')]}, finish_reason="tool_calls"),
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
                ],
                "refusal": None,
            },
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": " 1}"}}]},
            "tool_calls",
            "usage",
        ],
    ),
    "several tool calls": (
        completion({"tool_calls": [tool("call_1", "{}"), tool("call_2", "[]")]}, finish_reason="tool_calls"),
        [
            {"role": "assistant", "content": None},
            {
                "tool_calls": [
                    {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
                ]
            },
            {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
            {
                "tool_calls": [
                    {"index": 1, "id": "call_2", "type": "function", "function": {"name": "f", "arguments": ""}}
                ]
            },
            {"tool_calls": [{"index": 1, "function": {"arguments": "[]"}}]},
            "tool_calls",
            "usage",
        ],
    ),
    "text and a tool call": (
        completion({"content": "So:", "tool_calls": [tool("call_1", "{}")]}, finish_reason="tool_calls"),
        [
            {"role": "assistant", "content": "", "refusal": None},
            {"content": "So:"},
            {
                "tool_calls": [
                    {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
                ]
            },
            {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
            "tool_calls",
            "usage",
        ],
    ),
    "custom tool": (
        completion({"tool_calls": [{"id": "call_1", "type": "custom", "custom": {"name": "g", "input": "x"}}]}),
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"index": 0, "id": "call_1", "type": "custom", "custom": {"name": "g", "input": ""}}],
                "refusal": None,
            },
            {"tool_calls": [{"index": 0, "custom": {"input": "x"}}]},
            "stop",
            "usage",
        ],
    ),
    "refusal": (
        completion({"refusal": "I cannot."}),
        [
            {"role": "assistant", "content": None, "refusal": ""},
            {"refusal": "I"},
            {"refusal": " cannot."},
            "stop",
            "usage",
        ],
    ),
    "deprecated function call": (
        completion({"function_call": {"name": "f", "arguments": "{}"}}, finish_reason="function_call"),
        [
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "f", "arguments": ""},
                "refusal": None,
            },
            {"function_call": {"arguments": "{}"}},
            "function_call",
            "usage",
        ],
    ),
    "audio": (
        completion({"audio": {"id": "audio_1", "data": "QUJD", "expires_at": 9, "transcript": "Hi"}}),
        [
            {"role": "assistant"},
            {"audio": {"id": "audio_1", "transcript": ""}},
            {"audio": {"transcript": "Hi"}},
            {"audio": {"data": "QUJD"}},
            "usage",
            {"audio": {"expires_at": 9}},
        ],
    ),
    "nothing said": (
        completion({"content": ""}, finish_reason="length"),
        [{"role": "assistant", "content": "", "refusal": None}, "length", "usage"],
    ),
    "reasoning first": (
        completion({"content": "Hi", "reasoning_content": "Hm"}),
        [
            {"role": "assistant", "content": "", "refusal": None},
            {"reasoning_content": "Hm"},
            {"content": "Hi"},
            "stop",
            "usage",
        ],
    ),
    "two choices, interleaved": (
        completion({"content": "a"}, {"content": "b c"}),
        [
            {"role": "assistant", "content": "", "refusal": None},
            {"role": "assistant", "content": "", "refusal": None},
            {"content": "a"},
            {"content": "b"},
            "stop",
            {"content": " c"},
            "stop",
            "usage",
        ],
    ),
}


@pytest.mark.parametrize("kind", RECORDED)
def test_recorded_order(kind: str) -> None:
    made, said = RECORDED[kind]
    assert deltas(made) == said


@pytest.mark.parametrize("kind", RECORDED)
def test_there_and_back(kind: str) -> None:
    made, _ = RECORDED[kind]
    back = accumulate(made)
    assert back == made
    assert list(back) == list(made)


def entry(token: str) -> Document:
    return {"token": token, "logprob": -0.5, "bytes": list(token.encode()), "top_logprobs": []}


def logprobs_of(made: Document) -> list[Any]:
    return [choice["logprobs"] for chunk in explode(made) for choice in chunk["choices"]]


def test_logprobs_come_token_by_token() -> None:
    made = completion({"content": "Hello"}, logprobs={"content": [entry("Hel"), entry("lo")], "refusal": None})
    assert logprobs_of(made) == [
        {"content": [], "refusal": None},
        {"content": [entry("Hel")], "refusal": None},
        {"content": [entry("lo")], "refusal": None},
        None,
    ]
    assert deltas(made)[1:3] == [{"content": "Hel"}, {"content": "lo"}]
    assert accumulate(made) == made


def test_logprobs_of_a_refusal() -> None:
    made = completion({"refusal": "No."}, logprobs={"content": None, "refusal": [entry("No.")]})
    assert logprobs_of(made) == [
        {"content": None, "refusal": []},
        {"content": None, "refusal": [entry("No.")]},
        None,
    ]
    assert accumulate(made) == made


def test_logprobs_that_do_not_spell_the_text_are_kept_all_the_same() -> None:
    made = completion({"content": "Hé llo"}, logprobs={"content": [entry("H"), entry("?")], "refusal": None})
    assert accumulate(made) == made


def test_moderation_has_its_own_chunk_before_usage() -> None:
    made = completion({"content": "Hi"}) | {"moderation": {"input": {}, "output": {}}}
    assert deltas(made)[-3:] == ["stop", "moderation", "usage"]
    assert accumulate(made) == made


TEXT = st.text(max_size=30)
NAMES = st.from_regex("[a-z]{1,8}", fullmatch=True)
CALLS = st.one_of(
    st.builds(
        lambda i, n, a: {"id": i, "type": "function", "function": {"name": n, "arguments": a}}, NAMES, NAMES, TEXT
    ),
    st.builds(lambda i, n, a: {"id": i, "type": "custom", "custom": {"name": n, "input": a}}, NAMES, NAMES, TEXT),
)
ENTRIES = st.lists(TEXT.map(entry), max_size=3)
CITED = st.builds(
    lambda url: {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "title": "t", "url": url}},
    TEXT,
)
BASE = {"role": st.just("assistant"), "annotations": st.lists(CITED, max_size=2)}
EXTRAS = {"reasoning_content": TEXT.filter(bool), "images": st.lists(st.fixed_dictionaries({"url": TEXT}), min_size=1)}
SPOKEN = st.fixed_dictionaries({**BASE, "content": TEXT, "refusal": st.none()}, optional=EXTRAS)
CALLED = st.fixed_dictionaries(
    {**BASE, "content": st.none() | TEXT.filter(bool), "refusal": st.none()},
    optional={
        **EXTRAS,
        "tool_calls": st.lists(CALLS, min_size=1, max_size=3),
        "function_call": st.fixed_dictionaries({"name": NAMES, "arguments": TEXT}),
        "audio": st.fixed_dictionaries(
            {"id": NAMES, "data": TEXT, "expires_at": st.integers(0, 9), "transcript": TEXT}
        ),
    },
)
REFUSED = st.fixed_dictionaries({**BASE, "content": st.none(), "refusal": TEXT.filter(bool)}, optional=EXTRAS)
LOGPROBS = st.none() | st.fixed_dictionaries({"content": st.none() | ENTRIES, "refusal": st.none() | ENTRIES})
REASONS = st.sampled_from(["stop", "length", "tool_calls", "content_filter", "function_call"])


@st.composite
def completions(draw: st.DrawFn) -> Document:
    choices = [
        {
            "index": index,
            "message": draw(SPOKEN | CALLED | REFUSED),
            "logprobs": draw(LOGPROBS),
            "finish_reason": draw(REASONS),
        }
        for index in range(draw(st.integers(1, 3)))
    ]
    rest = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "usage": st.just(TAIL["usage"]),
                "service_tier": st.just("default"),
                "system_fingerprint": st.just("fp"),
                "moderation": st.just({"input": {}, "output": {}}),
                "timings": st.just({"ms": 1}),
            },
        )
    )
    head = draw(st.sampled_from([HEAD, {}]))
    return {**head, "choices": choices, **rest}


@given(completions())
def test_accumulate_undoes_explode(made: Document) -> None:
    assert accumulate(made) == made

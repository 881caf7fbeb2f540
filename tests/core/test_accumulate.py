"""Chunks as recorded, and as upstreams really send them, to the completion they spell."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.contract import Document
from hansard.core.accumulate import Accumulator, CompletionTooLarge, IncompleteStream, MalformedStream
from hansard.core.spelled import Speller
from hansard.errors import UpstreamFailed


def accumulate(*chunks: Document) -> Document:
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.feed(chunk)
    return accumulator.finish()


def chunk(delta: Document, index: int = 0, finish_reason: str | None = None, **more: Any) -> Document:
    return {"choices": [{"index": index, "delta": delta, **more, "finish_reason": finish_reason}]}


def stopped(index: int = 0, reason: str = "stop") -> Document:
    return chunk({}, index, reason)


def message(*chunks: Document) -> Document:
    [choice] = accumulate(*chunks)["choices"]
    found: Document = choice["message"]
    return found


OPENER = chunk({"role": "assistant", "content": "", "refusal": None})


def test_plain_text_in_wire_order() -> None:
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "m",
        "service_tier": "default",
        "system_fingerprint": "fp_1",
    }
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}

    completion = accumulate(
        {**head, **OPENER, "usage": None, "obfuscation": "abc"},
        {**head, **chunk({"content": "Hel"}), "usage": None},
        {**head, **chunk({"content": "lo"}), "usage": None},
        {**head, **stopped(), "usage": None},
        {**head, "choices": [], "usage": usage, "obfuscation": "abc"},
    )

    assert completion == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": usage,
        "service_tier": "default",
        "system_fingerprint": "fp_1",
    }
    wire_order = ["id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint"]
    assert list(completion) == wire_order
    assert list(completion["choices"][0]) == ["index", "message", "logprobs", "finish_reason"]
    assert list(completion["choices"][0]["message"]) == ["role", "content", "refusal", "annotations"]


def test_without_the_stamped_keys_it_starts_with_choices() -> None:
    assert list(accumulate(OPENER, stopped(), {"choices": [], "usage": {"total_tokens": 1}})) == ["choices", "usage"]


@pytest.mark.parametrize(
    ("chunks", "content"),
    [
        ([OPENER], ""),
        ([chunk({"role": "assistant", "content": None})], None),
        ([chunk({"role": "assistant"})], None),
        ([chunk({"role": "assistant", "content": None}), chunk({"content": "a"}), chunk({"content": "b"})], "ab"),
        ([chunk({"content": "a"}), chunk({"content": None}), chunk({"content": "b", "reasoning": None})], "ab"),
    ],
)
def test_content(chunks: list[Document], content: str | None) -> None:
    assert message(*chunks, stopped())["content"] == content


def test_one_tool_call() -> None:
    opener = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    assert message(
        chunk({"role": "assistant", "content": None, "tool_calls": [opener], "refusal": None}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
        stopped(reason="tool_calls"),
    ) == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
    }


def test_several_tool_calls_go_by_index_and_keep_their_order_of_keys() -> None:
    calls = message(
        chunk({"role": "assistant", "content": None}),
        chunk({"tool_calls": [{"index": 1, "id": "b", "type": "custom", "custom": {"name": "g", "input": ""}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}, "id": "a"}]}),
        chunk({"tool_calls": [{"index": 1, "custom": {"input": "x"}}, {"index": 0, "function": {"arguments": "{}"}}]}),
        stopped(),
    )["tool_calls"]

    assert calls == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "type": "custom", "custom": {"name": "g", "input": "x"}},
    ]
    assert list(calls[0]) == ["id", "type", "function"]


def test_upstreams_that_repeat_or_empty_what_is_said_once() -> None:
    first = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}}
    emptied = {"index": 0, "id": "", "type": "function", "function": {"name": "", "arguments": "}"}}
    said = message(
        chunk({"role": "assistant", "tool_calls": [first]}),
        chunk({"role": "assistant", "tool_calls": [emptied]}),
        stopped(),
    )
    assert said["role"] == "assistant"
    assert said["tool_calls"] == [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def test_whole_tool_calls_without_an_index() -> None:
    calls = [{"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}} for name in "ab"]
    assert message(OPENER, chunk({"tool_calls": calls}), stopped())["tool_calls"] == calls


def test_an_openers_empty_content_is_null_beside_calls_and_refusals() -> None:
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert message(OPENER, chunk({"tool_calls": [call]}), stopped())["content"] is None
    assert message(OPENER, chunk({"refusal": "No."}), stopped())["content"] is None
    assert (
        message(OPENER, chunk({"content": "Let me see."}), chunk({"tool_calls": [call]}), stopped())["content"]
        == "Let me see."
    )


def test_refusal() -> None:
    refused = message(
        chunk({"role": "assistant", "content": None, "refusal": ""}),
        chunk({"refusal": "I can"}),
        chunk({"refusal": "not."}),
        stopped(),
    )
    assert (refused["content"], refused["refusal"]) == (None, "I cannot.")
    assert message(chunk({"content": None, "refusal": ""}), stopped())["refusal"] is None


def test_function_call() -> None:
    said = message(
        chunk({"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{"}}),
        chunk({"function_call": {"arguments": "}"}}),
        stopped(reason="function_call"),
    )
    assert said["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in said


def test_logprobs() -> None:
    def entry(token: str) -> Document:
        return {"token": token, "logprob": -0.5, "bytes": [97], "top_logprobs": []}

    [choice] = accumulate(
        chunk({"role": "assistant", "content": ""}, logprobs={"content": [], "refusal": None}),
        chunk({"content": "a"}, logprobs={"content": [entry("a")], "refusal": None}),
        chunk({"content": "b"}, logprobs={"content": [entry("b")]}),
        chunk({}, finish_reason="stop", logprobs=None),
    )["choices"]
    assert choice["logprobs"] == {"content": [entry("a"), entry("b")], "refusal": None}


def test_choices_are_kept_apart_and_sorted() -> None:
    choices = accumulate(
        chunk({"role": "assistant", "content": ""}, 1),
        chunk({"role": "assistant", "content": ""}, 0),
        chunk({"content": "one"}, 1),
        chunk({"content": "nought"}, 0),
        stopped(1, "length"),
        stopped(0),
    )["choices"]
    assert [(choice["index"], choice["message"]["content"], choice["finish_reason"]) for choice in choices] == [
        (0, "nought", "stop"),
        (1, "one", "length"),
    ]


def test_unknown_keys_survive_and_unknown_nulls_do_not() -> None:
    completion = accumulate(
        {**OPENER, "provider_name": "p", "nothing": None},
        chunk({"reasoning_content": "Hm", "images": [{"index": 0, "url": "a"}], "none": None}),
        chunk({"reasoning_content": "m.", "images": [{"index": 1, "url": "b"}]}, stop_reason=None),
        chunk({"content": "Hi", "meta": {"a": 1}}, content_filter_results={"hate": {"filtered": False}}),
        {**stopped(), "timings": {"ms": 3}, "moderation": {"input": 1}},
    )
    [choice] = completion["choices"]
    assert choice["message"] == {
        "role": "assistant",
        "content": "Hi",
        "refusal": None,
        "annotations": [],
        "reasoning_content": "Hmm.",
        "images": [{"index": 0, "url": "a"}, {"index": 1, "url": "b"}],
        "meta": {"a": 1},
    }
    assert choice["content_filter_results"] == {"hate": {"filtered": False}}
    assert "stop_reason" not in choice
    assert list(completion) == ["choices", "provider_name", "timings", "moderation"]


def test_a_message_beside_the_deltas_changes_nothing() -> None:
    """Some servers repeat in each chunk all that was said so far."""
    completion = accumulate(
        chunk({"role": "assistant", "content": "a"}, message={"role": "assistant", "content": "a"}),
        chunk({"content": "b"}, message={"role": "assistant", "content": "ab"}),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "message": {"content": "ab"}}]},
    )
    assert completion["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "ab", "refusal": None, "annotations": []},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]


def test_beside_the_delta_what_is_said_again_is_said_anew_and_lists_go_on() -> None:
    filtered = {"hate": {"filtered": False, "severity": "safe"}}
    said = {"provider": "Az", "content_filter_results": filtered, "depth": 1}
    [choice] = accumulate(
        {"choices": [{"index": 0, "delta": {"content": "a"}, **said, "token_ids": [1, 2]}]},
        {"choices": [{"index": 0, "delta": {"content": "b"}, **said, "token_ids": [3]}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "content_filter_results": {}, "depth": 2}]},
    )["choices"]

    assert choice["provider"] == "Az"
    assert choice["content_filter_results"] == filtered
    assert (choice["depth"], choice["token_ids"]) == (2, [1, 2, 3])


def test_annotations_gather() -> None:
    cited = {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "title": "t", "url": "u"}}
    assert message(OPENER, chunk({"annotations": [cited]}), chunk({"annotations": [cited]}), stopped())[
        "annotations"
    ] == [cited, cited]


def test_the_last_of_a_repeated_top_level_value_counts() -> None:
    completion = accumulate(
        {**OPENER, "service_tier": None, "usage": {"total_tokens": 1}},
        {**stopped(), "service_tier": "default", "usage": {"total_tokens": 2}},
        {"choices": [], "usage": None},
    )
    assert (completion["service_tier"], completion["usage"]) == ("default", {"total_tokens": 2})


def test_audio_ends_with_its_expiry_instead_of_a_finish_reason() -> None:
    accumulator = Accumulator()
    for fed in (
        chunk({"role": "assistant"}),
        chunk({"audio": {"id": "audio_1", "transcript": "Hi"}}),
        chunk({"audio": {"transcript": " there"}}),
        chunk({"audio": {"data": "QUJD"}}),
        {"usage": {"total_tokens": 1}},
    ):
        accumulator.feed(fed)
    assert not accumulator.finished
    with pytest.raises(IncompleteStream):
        accumulator.finish()

    accumulator.feed(chunk({"audio": {"expires_at": 9}}))
    assert accumulator.finished
    [choice] = accumulator.finish()["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] is None
    assert choice["message"]["audio"] == {"id": "audio_1", "data": "QUJD", "expires_at": 9, "transcript": "Hi there"}
    assert list(choice["message"]["audio"]) == ["id", "data", "expires_at", "transcript"]


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [{"choices": [], "usage": {"total_tokens": 1}}],
        [OPENER],
        [OPENER, chunk({"content": "a"})],
        [{"choices": [{"index": 0, "message": {"content": "a"}}]}],
        [OPENER, chunk({"role": "assistant"}, 1), stopped(0)],
        [OPENER, {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": ""}]}],
    ],
)
def test_an_unfinished_stream_is_no_completion(chunks: list[Document]) -> None:
    with pytest.raises(IncompleteStream) as caught:
        accumulate(*chunks)
    assert isinstance(caught.value, UpstreamFailed)
    assert (caught.value.status, caught.value.code) == (502, "upstream_incomplete")


def test_finished_waits_for_as_many_choices_as_were_asked_for() -> None:
    accumulator = Accumulator(choices=2)
    assert not accumulator.finished
    accumulator.feed(stopped(0))
    assert not accumulator.finished
    accumulator.feed(stopped(1))
    assert accumulator.finished


def test_a_stream_with_fewer_choices_than_were_asked_for_is_no_completion() -> None:
    accumulator = Accumulator(choices=2)
    accumulator.feed(stopped(0))

    with pytest.raises(IncompleteStream):
        accumulator.finish()


def test_feeding_changes_no_chunk() -> None:
    entry = {"token": "a"}
    fed = [
        chunk({"role": "assistant", "content": "", "x": {"y": ["z"]}}, logprobs={"content": [entry], "refusal": None}),
        chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]}),
        chunk({"content": "a", "x": {"y": ["w"]}}, logprobs={"content": [entry]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
        stopped(),
    ]
    before = repr(fed)
    accumulate(*fed)
    assert repr(fed) == before


@pytest.mark.parametrize("other", [{"a": 1}, 7, True])
def test_a_text_that_goes_on_as_something_else_is_not_lost_without_a_word(other: object) -> None:
    accumulator = Accumulator()
    accumulator.feed(chunk({"content": "Hel"}))

    with pytest.raises(MalformedStream):
        accumulator.feed(chunk({"content": other}))


@pytest.mark.parametrize("said", [{"a": 1}, ["a"]])
def test_what_is_no_text_and_goes_on_as_one_is_not_lost_without_a_word(said: object) -> None:
    accumulator = Accumulator()
    accumulator.feed(chunk({"own": said}))

    with pytest.raises(MalformedStream):
        accumulator.feed(chunk({"own": "text"}))


THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "Hmm"}]}


@pytest.mark.parametrize("opener", [{"role": "assistant", "content": ""}, {"role": "assistant"}])
def test_a_content_of_parts_goes_on_as_text(opener: Document) -> None:
    said = message(
        chunk(opener), chunk({"content": [THOUGHT]}), chunk({"content": "Ans"}), chunk({"content": "wer"}), stopped()
    )
    assert said["content"] == [THOUGHT, {"type": "text", "text": "Answer"}]


def test_a_text_goes_on_as_a_content_of_parts() -> None:
    said = message(chunk({"content": "An"}), chunk({"content": "swer"}), chunk({"content": [THOUGHT]}), stopped())
    assert said["content"] == [{"type": "text", "text": "Answer"}, THOUGHT]


def test_what_is_too_deep_is_the_upstreams_fault() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    accumulator = Accumulator()
    with pytest.raises(MalformedStream):
        accumulator.feed(chunk({"own": {"deep": deep}}))
        accumulator.feed(stopped())
        accumulator.finish()
    while isinstance(deep, list):  # let go of by hand: by itself it goes as deep as it is
        deep = deep.pop()


def test_an_empty_text_may_go_on_as_anything() -> None:
    assert message(chunk({"own": ""}), chunk({"own": {"a": 1}}), stopped())["own"] == {"a": 1}


@pytest.mark.parametrize(
    "chunks",
    [
        [{"choices": 5}],
        [{"choices": [5]}],
        [chunk({}, index=[])],
        [chunk(5)],
        [chunk({"audio": "x"}), stopped()],
        [chunk({"tool_calls": ["x"]}), stopped()],
        [{"choices": [{"index": "x", "finish_reason": "stop"}, {"index": 0, "finish_reason": "stop"}]}],
    ],
)
def test_a_malformed_stream_is_the_upstreams_fault(chunks: list[Any]) -> None:
    with pytest.raises(MalformedStream) as caught:
        accumulate(*chunks)
    assert (caught.value.status, caught.value.code) == (502, "upstream_malformed")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["index", "delta", "content", "tool_calls", "audio", "id", "function", "logprobs", "expires_at"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
CHUNKS = st.fixed_dictionaries(
    {
        "choices": JSON
        | st.lists(
            st.fixed_dictionaries(
                {"index": st.just(0) | JSON, "delta": JSON, "finish_reason": st.just("stop") | JSON, "logprobs": JSON}
            ),
            max_size=2,
        )
    }
)


@given(st.lists(CHUNKS, max_size=3))
def test_whatever_an_upstream_sends_is_a_completion_or_the_upstreams_fault(chunks: list[Document]) -> None:
    with suppress(UpstreamFailed):
        assert accumulate(*chunks)["choices"]


def test_no_more_is_taken_in_than_may_be_held() -> None:
    accumulator = Accumulator(limit_bytes=1000)
    piece = chunk({"content": "x" * 300})

    accumulator.feed(piece)
    accumulator.feed(piece)
    with pytest.raises(CompletionTooLarge, match="1000 bytes"):
        accumulator.feed(piece)


def test_of_chunks_as_they_were_spelled_all_but_their_head_counts() -> None:
    rest = '"choices":[{"index":0,"delta":{"content":"' + "x" * 300 + '"},"finish_reason":null}]'
    payload = '{"id":"' + "i" * 300 + '","object":"o","created":1,"model":"m",' + rest + "}"
    spelled = Speller().look(payload.encode())
    assert spelled is not None
    accumulator = Accumulator(limit_bytes=2 * len(rest))

    accumulator.feed(spelled)
    accumulator.feed(spelled)
    with pytest.raises(CompletionTooLarge):
        accumulator.feed(spelled)


# Chunks of one stream as an upstream may spell them, with ``%s`` for a piece of text as a JSON string. Most are alike.
SPELLINGS = [
    '"choices":[{"index":0,"delta":{"content":%s},"logprobs":null,"finish_reason":null}]',
    '"choices": [{"index": 0, "delta": {"content": %s}, "finish_reason": null}], "usage": null',
    '"service_tier":"default","choices":[{"index":0,"delta":{"content":%s},"finish_reason":null}]',
    '"service_tier":"flex","choices":[{"index":0,"delta":{"content":%s},"finish_reason":null}]',
    '"choices":[{"index":0,"delta":{"content":%s},"token_ids":[7],"finish_reason":null}]',
    '"choices":[{"index":0,"delta":{"content":%s,"content":"twice"},"finish_reason":null}]',
    '"choices":[{"index":0,"delta":{"content":"first","content":%s},"finish_reason":null}]',
    '"content":%s,"choices":[{"index":0,"delta":{"content":"fixed"},"finish_reason":null}]',
    '"choices":[{"index":0,"delta":{"reasoning":%s},"finish_reason":null}]',
    '"choices":[{"index":1,"delta":{"content":%s},"finish_reason":null}]',
    '"choices":[{"index":0,"delta":{"content":%s},"finish_reason":null},{"index":1,"delta":{},"finish_reason":null}]',
    '"choices":[{"index":0,"delta":{"content":null},"said":%s,"finish_reason":null}]',
    '"choices":[{"index":0,"delta":{"role":"assistant","content":%s},"finish_reason":null}]',
    '"choices":[{"index":0,"delta":{"content":"","refusal":%s},"finish_reason":null}]',
]
TEXTS = st.sampled_from(['""', '" token"', r'"\u00e9\n\"content\":\"x\""', '"ü"', '"\\\\"'])
RUNS = st.lists(st.tuples(st.sampled_from(SPELLINGS), st.lists(TEXTS, min_size=1, max_size=4)), max_size=5)


@given(RUNS)
def test_however_chunks_are_spelled_they_say_what_they_say(runs: list[tuple[str, list[str]]]) -> None:
    said = [spelling % text for spelling, texts in runs for text in texts]
    said.append('"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]')
    speller, spelled, decoded = Speller(), Accumulator(), Accumulator()
    for rest in said:
        payload = f'{{"id":"c","object":"chat.completion.chunk","created":1,"model":"m",{rest}}}'.encode()
        spelled.feed(speller.look(payload) or msgspec.json.decode(payload))
        decoded.feed(msgspec.json.decode(payload))
    spelled.feed(chunk({}, 1, "stop"))
    decoded.feed(chunk({}, 1, "stop"))
    assert spelled.finish() == decoded.finish()

"""The engine's chunks, said again in the contract's words. The payloads are as llama.cpp b11549 sends them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from hansard.engines.llamacpp import reply, watch
from hansard.engines.llamacpp.payloads import PromptDetails, Usage
from hansard.engines.llamacpp.reply import Limits, Reply
from hansard.engines.llamacpp.tools import ToolPlan
from hansard.errors import InvalidRequest, UpstreamFailed

OFFERED = [{"type": "function", "function": {"name": "f"}}]
PLAN = ToolPlan(
    offered=OFFERED, forced=False, in_json=False, named=False, parallel=True, custom=frozenset(), legacy=False
)
FORCED = msgspec.structs.replace(PLAN, forced=True, in_json=True)
OPENER = {"role": "assistant", "content": "", "refusal": None}


def payload(delta: dict[str, Any], *, finish: str | None = None, **choice: Any) -> bytes:
    chunk = {
        "choices": [{"finish_reason": finish, "index": 0, "delta": delta, **choice}],
        "created": 1795169247,
        "id": "chatcmpl-qBA5qJuVlwn1TiOvArsDSI5HD67r135v",
        "model": "/model.gguf",
        "system_fingerprint": "b0-unknown",
        "object": "chat.completion.chunk",
    }
    return json.dumps(chunk).encode()


ROLE = payload({"role": "assistant", "content": None})


ROOM = Limits(1024)


def reply_of(
    *, index: int = 0, limits: Limits = ROOM, logprobs: int | None = None, tools: ToolPlan | None = None
) -> Reply:
    return Reply(index=index, fingerprint="fp_1", limits=limits, logprobs=logprobs, tools=tools, mint=lambda: "call_x")


def read(*payloads: bytes, logprobs: int | None = None, tools: ToolPlan | None = None) -> list[dict[str, Any]]:
    answer = reply_of(index=2, logprobs=logprobs, tools=tools)
    return [document for each in payloads for document in answer.feed(each)]


def choices(documents: list[dict[str, Any]]) -> list[tuple[Any, Any, Any]]:
    return [
        (choice["delta"], choice["logprobs"], choice["finish_reason"])
        for document in documents
        for choice in document["choices"]
    ]


def test_a_text_in_the_recorded_order_and_key_order() -> None:
    documents = read(ROLE, payload({"content": "Hel"}), payload({"content": "lo"}), payload({}, finish="stop"))

    assert json.dumps(documents[0]) == (
        '{"service_tier": "default", "system_fingerprint": "fp_1", "choices": [{"index": 2, "delta": '
        '{"role": "assistant", "content": "", "refusal": null}, "logprobs": null, "finish_reason": null}]}'
    )
    assert choices(documents) == [
        (OPENER, None, None),
        ({"content": "Hel"}, None, None),
        ({"content": "lo"}, None, None),
        ({}, None, "stop"),
    ]


def progress(total: int) -> bytes:
    counted = {"total": total, "cache": 0, "processed": 0, "time_ms": 2}
    return json.dumps({"choices": [], "prompt_progress": counted}).encode()


def test_progress_is_not_shown() -> None:
    assert read(payload({"content": None}), progress(9)) == []


@pytest.mark.parametrize(("prompt", "cap"), [(24, 1000), (1023, 1), (1023, None), (1024, 5), (3000, None)])
def test_a_cap_that_fits_is_no_matter_and_a_prompt_that_does_not_is_the_engines(prompt: int, cap: int | None) -> None:
    assert reply_of(limits=Limits(1024, cap)).feed(progress(prompt)) == []


def test_a_cap_that_does_not_fit_is_refused_with_all_numbers() -> None:
    with pytest.raises(InvalidRequest) as caught:
        reply_of(limits=Limits(1024, 1000)).feed(progress(25))

    assert (caught.value.param, caught.value.code) == ("messages", "context_length_exceeded")
    assert caught.value.message == (
        "This model's maximum context length is 1024 tokens. However, you requested 1025 tokens (25 in the messages, "
        "1000 in the completion). Please reduce the length of the messages or completion."
    )


def timed(made: bytes, written: int) -> bytes:
    """The same payload as the engine sends it for a model that thinks: with the tokens written so far."""
    return json.dumps({**json.loads(made), "timings": {"predicted_n": written, "predicted_ms": 1.5}}).encode()


def test_thoughts_come_beside_the_answer_and_without_log_probabilities() -> None:
    answer = reply_of(logprobs=0)
    thoughts = [
        timed(payload({"reasoning_content": "Hm"}, logprobs={"content": [entry("Hm", -0.1)]}), 2),
        timed(payload({"reasoning_content": "!"}, logprobs={"content": [entry("!", -0.1)]}), 3),
    ]
    said = timed(payload({"content": "Hi"}, logprobs={"content": [entry("Hi", -0.5)]}), 5)

    documents = [each for made in (ROLE, *thoughts, said, payload({}, finish="stop")) for each in answer.feed(made)]

    spelled = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    assert choices(documents) == [
        (OPENER, {"content": [], "refusal": None}, None),
        ({"reasoning_content": "Hm"}, None, None),
        ({"reasoning_content": "!"}, None, None),
        ({"content": "Hi"}, {"content": [spelled], "refusal": None}, None),
        ({}, None, "stop"),
    ]
    assert answer.reasoning_tokens == 3


def test_a_thought_that_ends_in_one_step_with_the_beginning_of_the_answer_is_counted() -> None:
    answer = reply_of()

    answer.feed(payload({"reasoning_content": "<"}))
    answer.feed(timed(payload({"content": "Hi"}), 4))
    answer.feed(timed(payload({"content": "!"}), 5))

    assert answer.reasoning_tokens == 4


def test_an_empty_answer_has_its_opener_too() -> None:
    assert choices(read(ROLE, payload({}, finish="length"))) == [(OPENER, None, None), ({}, None, "length")]


def entry(token: str, logprob: float | None, alternatives: int = 0) -> dict[str, Any]:
    alike = {"id": 5, "token": token, "bytes": list(token.encode()), "logprob": logprob}
    return {**alike, "top_logprobs": [alike] * alternatives}


def test_log_probabilities_without_the_engines_extras() -> None:
    documents = read(
        payload({"content": "é"}, logprobs={"content": [entry("é", -0.5, 1), entry("", -0.1, 1)]}),
        payload({"content": "!"}, logprobs={"content": [entry("!", None, 1)]}),
        payload({}, finish="stop"),
        logprobs=0,
    )

    spelled = {"token": "é", "logprob": -0.5, "bytes": [195, 169], "top_logprobs": []}
    unlikely = {"token": "!", "logprob": -9999.0, "bytes": [33], "top_logprobs": []}
    assert choices(documents) == [
        (OPENER, {"content": [], "refusal": None}, None),
        ({"content": "é"}, {"content": [spelled], "refusal": None}, None),
        ({"content": "!"}, {"content": [unlikely], "refusal": None}, None),
        ({}, None, "stop"),
    ]


def test_a_stop_of_ours_ends_the_answer_with_an_entry_for_each_token() -> None:
    answer = Reply(index=0, fingerprint="fp_1", limits=ROOM, logprobs=0, tools=None, mint=str, stops=["bcd"])
    known = json.dumps({"choices": [], "prompt_progress": {"total": 9, "cache": 4, "processed": 4, "time_ms": 2}})
    answer.feed(known.encode())

    documents = [
        each
        for written, piece in enumerate("abcebcd", 1)
        for each in answer.feed(timed(payload({"content": piece}, logprobs={"content": [entry(piece, -0.5)]}), written))
    ]

    said = [(delta.get("content"), logprobs) for delta, logprobs, _ in choices(documents)[1:-1]]
    assert [(text, [each["token"] for each in logprobs["content"]]) for text, logprobs in said] == [
        ("a", ["a"]),
        ("b", ["b"]),
        ("c", ["c"]),
        ("e", ["e"]),
    ]
    assert choices(documents)[-1] == ({}, None, "stop")
    assert answer.stopped
    assert answer.finished
    assert answer.usage == Usage(9, 7, PromptDetails(4))


def test_as_many_alternatives_as_asked() -> None:
    documents = read(payload({"content": "a"}, logprobs={"content": [entry("a", -1.0, 3)]}), logprobs=2)

    alike = {"token": "a", "logprob": -1.0, "bytes": [97]}
    assert documents[1]["choices"][0]["logprobs"]["content"] == [{**alike, "top_logprobs": [alike, alike]}]


def test_a_call_has_no_log_probabilities_and_the_text_before_it_has() -> None:
    documents = read(
        payload({"content": "So"}, logprobs={"content": [entry("So", -0.5)]}),
        payload(json.loads(call(0, "f", "{}"))["choices"][0]["delta"], logprobs={"content": [entry("{}", -0.1)]}),
        payload({}, finish="tool_calls"),
        logprobs=0,
        tools=PLAN,
    )
    silent = read(call(0, "f", "{}"), payload({}, finish="tool_calls"), logprobs=0, tools=PLAN)

    spelled = {"token": "So", "logprob": -0.5, "bytes": [83, 111], "top_logprobs": []}
    assert [logprobs for _, logprobs, _ in choices(documents)] == [
        {"content": [], "refusal": None},
        {"content": [spelled], "refusal": None},
        None,
        None,
        None,
    ]
    assert [logprobs for _, logprobs, _ in choices(silent)] == [None, None, None]


def test_an_answer_that_might_have_been_a_call_has_all_its_log_probabilities() -> None:
    plan = msgspec.structs.replace(PLAN, in_json=True)
    pieces = ('{"', "name", '": 3', "}")

    documents = read(
        *(payload({"content": piece}, logprobs={"content": [entry(piece, -0.5)]}) for piece in pieces),
        payload({}, finish="stop"),
        logprobs=0,
        tools=plan,
    )

    said = [(delta["content"], logprobs) for delta, logprobs, _ in choices(documents) if delta.get("content")]
    assert "".join(text for text, _ in said) == "".join(pieces)
    assert [entry["token"] for _, logprobs in said for entry in logprobs["content"]] == list(pieces)


def call(index: int, name: str | None, arguments: str) -> bytes:
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return payload({"tool_calls": [{"index": index, "id": "QNPOviR2", "type": "function", "function": function}]})


def test_a_tool_call() -> None:
    documents = read(ROLE, call(0, "f", "{"), call(0, None, "}"), payload({}, finish="tool_calls"), tools=PLAN)

    opened = {"index": 0, "id": "call_x", "type": "function", "function": {"name": "f", "arguments": ""}}
    assert choices(documents) == [
        ({"role": "assistant", "content": None, "tool_calls": [opened], "refusal": None}, None, None),
        ({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}, None, None),
        ({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}, None, None),
        ({}, None, "tool_calls"),
    ]


def test_text_before_a_call_stays_text() -> None:
    documents = read(payload({"content": "So: "}), call(0, "f", "{}"), payload({}, finish="tool_calls"), tools=PLAN)

    assert [delta for delta, _, _ in choices(documents)][:2] == [OPENER, {"content": "So: "}]
    assert choices(documents)[-1] == ({}, None, "tool_calls")


@pytest.mark.parametrize(("parallel", "count"), [(True, 2), (False, 1)])
def test_a_second_call_only_where_it_may_be(parallel: bool, count: int) -> None:
    plan = msgspec.structs.replace(PLAN, parallel=parallel)
    documents = read(call(0, "f", "{}"), call(1, "g", "{}"), payload({}, finish="tool_calls"), tools=plan)

    named = [delta for delta, _, _ in choices(documents) if "name" in str(delta)]
    assert len(named) == count


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"named": True}, "stop"), ({}, "tool_calls"), ({"legacy": True}, "function_call")],
)
def test_a_forced_call_is_read_out_of_json(change: dict[str, bool], reason: str) -> None:
    plan = msgspec.structs.replace(PLAN, forced=True, in_json=True, **change)
    documents = read(
        ROLE,
        *(payload({"content": piece}) for piece in ('{"name": "', 'f", "arg', 'uments": {"a"', ": {}}", "}")),
        payload({}, finish="stop"),
        tools=plan,
    )

    deltas = [delta for delta, _, _ in choices(documents)]
    functions = [delta.get("function_call") or delta["tool_calls"][0]["function"] for delta in deltas[:-1]]
    assert functions[0] == {"name": "f", "arguments": ""}
    assert "".join(function["arguments"] for function in functions) == '{"a": {}}'
    assert choices(documents)[-1] == ({}, None, reason)


def test_a_forced_call_cut_off_before_its_name_is_no_call() -> None:
    plan = msgspec.structs.replace(PLAN, forced=True, in_json=True)

    assert choices(read(payload({"content": '{"na'}), payload({}, finish="length"), tools=plan)) == [
        (OPENER, None, None),
        ({}, None, "length"),
    ]


def test_json_that_is_no_call_is_the_answer() -> None:
    plan = msgspec.structs.replace(PLAN, in_json=True)
    pieces = ('{"name": "f", ', '"age": 3', "}")

    documents = read(ROLE, *(payload({"content": piece}) for piece in pieces), payload({}, finish="stop"), tools=plan)

    assert "".join(delta.get("content", "") for delta, _, _ in choices(documents)) == "".join(pieces)
    assert choices(documents)[-1] == ({}, None, "stop")


def usage(prompt: int, completion: int) -> bytes:
    counted = {"completion_tokens": completion, "prompt_tokens": prompt, "total_tokens": prompt + completion}
    return json.dumps({"choices": [], "usage": {**counted, "prompt_tokens_details": {"cached_tokens": 4}}}).encode()


def test_usage_counts_the_prompt_once_and_every_answer() -> None:
    answers = [reply_of(index=index) for index in range(2)]
    for answer, thoughts, tokens in zip(answers, (1, 2), (3, 5), strict=True):
        answer.feed(timed(payload({"reasoning_content": "Hm"}), thoughts))
        answer.feed(usage(9, tokens))

    assert reply.usage_chunk("fp_1", answers) == {
        "service_tier": "default",
        "system_fingerprint": "fp_1",
        "choices": [],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 8,
            "total_tokens": 17,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 3,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    }


def test_an_error_in_the_stream_is_raised() -> None:
    error = {"code": 400, "message": "too long", "type": "exceed_context_size_error"}

    with pytest.raises(InvalidRequest) as caught:
        read(json.dumps({"error": {**error, "n_prompt_tokens": 3009, "n_ctx": 1024}}).encode())

    assert caught.value.code == "context_length_exceeded"
    assert caught.value.param == "messages"
    assert caught.value.message == (
        "This model's maximum context length is 1024 tokens. However, your messages resulted in 3009 tokens. "
        "Please reduce the length of the messages."
    )


def followed(*pieces: str, finish: str, tools: ToolPlan | None = None, may_break_off: bool = False) -> list[Any]:
    watching = watch.by('start: "abcd"', may_break_off=may_break_off)
    answer = Reply(
        index=0, fingerprint="fp_1", limits=ROOM, logprobs=None, tools=tools, mint=lambda: "call_x", watch=watching
    )
    fed = [*(payload({"content": piece}) for piece in pieces), payload({}, finish=finish)]
    return choices([document for each in fed for document in answer.feed(each)])


def test_an_answer_by_its_grammar_is_said() -> None:
    assert followed("ab", "cd", finish="stop")[1:] == [
        ({"content": "ab"}, None, None), ({"content": "cd"}, None, None), ({}, None, "stop")
    ]  # fmt: skip


@pytest.mark.parametrize(("pieces", "finish"), [(["ab"], "length"), (["ab"], "stop")])
def test_what_is_cut_off_may_end_before_its_grammar(pieces: list[str], finish: str) -> None:
    assert followed(*pieces, finish=finish, may_break_off=finish == "stop")[-1] == ({}, None, finish)


@pytest.mark.parametrize("pieces", [["abx"], ["ab", "x"], ["abcd", "e"], ["ab"], []])
@pytest.mark.parametrize(("tools", "param"), [(None, "response_format"), (FORCED, "tools")])
def test_an_answer_that_leaves_its_grammar_is_ended(pieces: list[str], tools: ToolPlan | None, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        followed(*pieces, finish="stop", tools=tools)

    assert caught.value.param == param


def test_what_is_no_json_is_the_engines_failure() -> None:
    with pytest.raises(UpstreamFailed) as caught:
        read(b"{")

    assert caught.value.code == "engine_error"

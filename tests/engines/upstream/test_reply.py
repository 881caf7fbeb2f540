"""engines/upstream/reply.py: what comes back, however it is cut and whatever its quirks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.contract import Document
from hansard.core.accumulate import Accumulator
from hansard.core.spelled import Spelled
from hansard.core.sse import Decoder, encode
from hansard.core.stamp import Stamp
from hansard.engines.upstream import reply
from hansard.errors import HansardError
from tests.engines.upstream.streams import STREAMS


def chunks_of(pieces: list[bytes]) -> list[Document]:
    decoder, read = Decoder(), []
    for piece in pieces:
        read += decoder.feed(piece)
    payloads = [payload for payload in [*read, *decoder.flush()] if payload != b"[DONE]"]
    chunks, failure = reply.Reader().chunks(payloads)
    assert failure is None
    return [decoded(chunk) for chunk in chunks]


def decoded(chunk: Document | Spelled) -> Document:
    return chunk.document if isinstance(chunk, Spelled) else chunk


def completion_of(chunks: Sequence[Document | Spelled]) -> Document:
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.feed(chunk)
    return accumulator.finish()


@pytest.mark.parametrize("name", STREAMS)
def test_every_stream_spells_its_completion(name: str) -> None:
    stream, expected = STREAMS[name]

    completion = completion_of(chunks_of([stream]))

    [choice] = completion["choices"]
    found = {**completion, **choice, **choice["message"]}
    assert {key: found.get(key) for key in expected} == expected


@pytest.mark.parametrize("name", STREAMS)
def test_stamped_and_sent_it_still_spells_its_completion(name: str) -> None:
    stream, expected = STREAMS[name]
    read, _ = reply.Reader().chunks(Decoder().feed(stream.replace(b"[DONE]", b"") + b"\n\n"))
    stamp = Stamp(completion_id="chatcmpl-ours", created=7, model="m", include_usage=True)

    events = b"".join(encode(chunk, noise=b"abcdefghijklmnop") for chunk in stamp.chunks(read))
    sent = [msgspec.json.decode(payload) for payload in Decoder().feed(events)]

    assert {(chunk["id"], chunk["created"], chunk["model"]) for chunk in sent} == {("chatcmpl-ours", 7, "m")}
    assert all("usage" in chunk and "obfuscation" in chunk for chunk in sent)
    [choice] = completion_of(sent)["choices"]
    found = {**completion_of(sent), **choice, **choice["message"]}
    assert {key: found.get(key) for key in expected} == expected


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_cut_in_two_at_any_byte_is_the_same_stream(name: str) -> None:
    stream, _ = STREAMS[name]
    whole = chunks_of([stream])

    for at in range(len(stream) + 1):
        assert chunks_of([stream[:at], stream[at:]]) == whole


@given(name=st.sampled_from(sorted(STREAMS)), cuts=st.lists(st.integers(0, 2000)))
def test_a_stream_cut_anywhere_any_number_of_times_is_the_same_stream(name: str, cuts: list[int]) -> None:
    stream, _ = STREAMS[name]
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]

    pieces = [stream[start:end] for start, end in pairwise(places)]

    assert chunks_of(pieces) == chunks_of([stream])


@pytest.mark.parametrize("name", STREAMS)
def test_byte_by_byte_is_the_same_stream(name: str) -> None:
    stream, _ = STREAMS[name]

    assert chunks_of([stream[at : at + 1] for at in range(len(stream))]) == chunks_of([stream])


def test_a_choice_always_has_a_delta() -> None:
    chunks, _ = reply.Reader().chunks([b'{"choices":[{"index":0,"finish_reason":"stop"},{"index":1,"delta":null}]}'])

    assert [choice["delta"] for choice in decoded(chunks[0])["choices"]] == [{}, {}]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b'{"error":{"message":"Out of memory."}}', "upstream_error"),
        (b'{"error":{}}', "upstream_error"),
        (b"{", "upstream_invalid_response"),
        (b"[]", "upstream_invalid_response"),
        (b"\xff", "upstream_invalid_response"),
        (b"[" * 5000, "upstream_invalid_response"),
    ],
    ids=["error", "empty error", "cut", "no object", "no UTF-8", "deep"],
)
def test_chunks_before_one_that_is_none_are_not_lost(payload: bytes, code: str) -> None:
    good = b'{"choices":[]}'

    chunks, failure = reply.Reader().chunks([good, payload, good])

    assert chunks == [{"choices": []}]
    assert failure is not None
    assert failure.code == code


@pytest.mark.parametrize("head", ["", '"id":"x","object":"chat.completion.chunk","created":1,"model":"m",'])
def test_an_empty_finish_reason_is_null(head: str) -> None:
    payload = f'{{{head}"choices":[{{"index":0,"delta":{{"content":"a"}},"finish_reason":""}}]}}'

    chunks, _ = reply.Reader().chunks([payload.encode()])

    assert decoded(chunks[0])["choices"] == [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]


@pytest.mark.parametrize(
    "payload",
    [
        b'{"object":"error","message":"out of memory","code":500}',
        b'{"detail":"out of memory"}',
        b'{"message":"out of memory","code":"oom"}',
        b'{"message":"out of memory","choices":null}',
    ],
)
def test_a_flat_error_in_place_of_a_chunk_is_an_error(payload: bytes) -> None:
    _, failure = reply.Reader().chunks([payload])

    assert failure is not None
    assert (failure.message, failure.code) == ("out of memory", "upstream_error")


def test_a_chunk_may_have_a_message_of_its_own() -> None:
    payload = b'{"choices":[],"message":"progress","detail":"half"}'

    assert reply.Reader().chunks([payload]) == ([msgspec.json.decode(payload)], None)


@pytest.mark.parametrize("head", ["", '"id":"x","object":"chat.completion.chunk","created":1,"model":"m",'])
@pytest.mark.parametrize(
    "choices",
    [
        "7",
        '{"index":0}',
        '["x"]',
        '[{"index":0,"delta":"x","finish_reason":"stop"}]',
        '[{"index":0,"delta":{},"logprobs":"x","finish_reason":"stop"}]',
        '[{"index":0,"delta":{"tool_calls":[null]},"finish_reason":"stop"}]',
        '[{"index":"0","delta":{},"finish_reason":"stop"}]',
        '[{"index":1.5,"delta":{},"finish_reason":"stop"}]',
    ],
)
def test_what_has_not_the_shape_of_a_chunk_is_unusable_whether_it_is_kept_or_not(head: str, choices: str) -> None:
    _, failure = reply.Reader().chunks([f'{{{head}"choices":{choices}}}'.encode()])

    assert failure is not None
    assert (failure.status, failure.code) == (502, "upstream_invalid_response")


def test_a_null_index_is_the_first() -> None:
    chunks, _ = reply.Reader().chunks([b'{"choices":[{"index":null,"delta":{},"finish_reason":"stop"}]}'])

    assert decoded(chunks[0])["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]


def test_a_null_error_is_none() -> None:
    assert reply.Reader().chunks([b'{"choices":[],"error":null}']) == ([{"choices": [], "error": None}], None)


def test_a_whole_completion_keeps_the_spelling_of_everything() -> None:
    choices = (
        b'[ {"index":0,"message":{"content":"\\u0048i","refusal":null,"role":"assistant","annotations":[]},'
        b'"finish_reason":"stop","logprobs":null} ]'
    )
    body = b'{"id": "x", "choices": ' + choices + b', "cost": 0.10, "big": 12345678901234567890123}'

    completion = reply.completion(body)

    assert msgspec.json.encode(completion) == (
        b'{"id":"x","choices":' + choices + b',"cost":0.10,"big":12345678901234567890123}'
    )


def test_what_a_choice_leaves_out_is_filled_in() -> None:
    """As many local servers answer; the official document has these keys always."""
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    bare = {"finish_reason": "stop", "index": 0, "message": {"role": "assistant", "content": "Hi", "cost": 1}}
    calling = {"index": 1, "message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}

    completion = reply.completion(msgspec.json.encode({"choices": [bare, calling]}))

    assert msgspec.json.decode(msgspec.json.encode(completion)) == {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi", "refusal": None, "annotations": [], "cost": 1},
                "logprobs": None,
                "finish_reason": "stop",
            },
            {
                "index": 1,
                "message": {
                    "role": "assistant",
                    "content": None,
                    "refusal": None,
                    "annotations": [],
                    "tool_calls": [call],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            },
        ]
    }
    first = completion["choices"][0]
    assert list(first) == ["index", "message", "logprobs", "finish_reason"]
    assert list(first["message"]) == ["role", "content", "refusal", "annotations", "cost"]


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"id": 1}', b'{"choices": {}}', b'{"choices": [}', b"\xff"])
def test_what_is_no_completion_is_unusable(body: bytes) -> None:
    with pytest.raises(HansardError) as caught:
        reply.completion(body)
    assert (caught.value.status, caught.value.code) == (502, "upstream_invalid_response")


SAID = '"message":{"role":"assistant","content":"Hi"}'


@pytest.mark.parametrize(
    "choices",
    [
        "[]",
        "[{}]",
        '[null,3,"x"]',
        f'[{{"index":0,{SAID}}}]',
        f'[{{"index":0,{SAID},"finish_reason":null}}]',
        f'[{{"index":0,{SAID},"finish_reason":""}}]',
        f'[{{"index":"0",{SAID},"finish_reason":"stop"}}]',
        '[{"index":0,"message":null,"finish_reason":"stop"}]',
        '[{"index":0,"text":"Hi","finish_reason":"stop"}]',
        '[{"index":0,"message":{"tool_calls":"x"},"finish_reason":"stop"}]',
        '[{"index":0,"message":{"tool_calls":[1]},"finish_reason":"stop"}]',
        f'[{{"index":0,{SAID},"finish_reason":"stop"}},{{}}]',
    ],
)
@pytest.mark.parametrize("read", [reply.completion, reply.exploded])
def test_what_lacks_a_reply_or_its_end_is_no_completion(choices: str, read: Callable[[bytes], object]) -> None:
    """The official document has index, message and finish_reason always; what is kept must be readable for good."""
    with pytest.raises(HansardError) as caught:
        read(f'{{"choices":{choices}}}'.encode())
    assert (caught.value.status, caught.value.code) == (502, "upstream_invalid_response")


def test_choices_without_an_index_are_counted() -> None:
    """As streams without one are taken: which choice it is leaves no doubt."""
    body = f'{{"choices":[{{{SAID},"finish_reason":"stop"}},{{{SAID},"finish_reason":"length"}}]}}'

    completion = reply.completion(body.encode())

    assert [(choice["index"], choice["finish_reason"]) for choice in completion["choices"]] == [
        (0, "stop"),
        (1, "length"),
    ]


def test_an_error_with_status_200_is_an_error() -> None:
    with pytest.raises(HansardError, match=r"No more\."):
        reply.completion(b'{"error": {"message": "No more."}}')


def test_a_whole_completion_can_be_made_a_stream_of() -> None:
    message = {"role": "assistant", "content": "Hi there", "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    completion = {"id": "x", "model": "m", "choices": [choice], "usage": {"total_tokens": 1}}

    assert completion_of(reply.exploded(msgspec.json.encode(completion))) == completion


def test_what_a_message_leaves_out_is_filled_in_before_a_stream_is_made_of_it() -> None:
    body = b'{"choices":[{"message":{"content":"Hi there"},"finish_reason":"stop"}],"usage":{"total_tokens":3}}'

    completion = completion_of(reply.exploded(body))

    [choice] = completion["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hi there", "stop")
    assert completion["usage"] == {"total_tokens": 3}


def test_what_cannot_be_made_a_stream_of_is_unusable() -> None:
    with pytest.raises(HansardError):
        reply.exploded(b'{"choices": [{"index": 0}]}')

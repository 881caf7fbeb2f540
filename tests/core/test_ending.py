"""core/ending.py: it knows when a stream is complete, and agrees with the accumulator about it."""

from __future__ import annotations

import pytest

from hansard.contract import Document
from hansard.core.accumulate import Accumulator, IncompleteStream, MalformedStream
from hansard.core.ending import Ending

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def said(delta: object, finish_reason: str | None = None, index: int = 0) -> Document:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}]}


STREAMS: dict[str, tuple[list[Document], int, bool]] = {
    "said and ended": ([said({"content": "a"}), said({}, "stop")], 1, True),
    "not ended": ([said({"content": "a"})], 1, False),
    "nothing at all": ([], 1, False),
    "only usage": ([{"choices": [], "usage": USAGE}], 1, False),
    "one of two ended": ([said({}), said({}, index=1), said({}, "stop", index=1)], 2, False),
    "an empty reason": ([said({"content": "a"}, "")], 1, False),
    "empty reasons before the real one": ([said({"content": "a"}, ""), said({}, "stop"), said({}, "")], 1, True),
    "both ended": ([said({}, "stop"), said({}, "length", index=1)], 2, True),
    "audio until when it is kept": ([said({"audio": {"id": "a"}}), said({"audio": {"expires_at": 1}})], 1, True),
    "audio cut": ([said({"audio": {"id": "a"}})], 1, False),
    "a delta that is null": ([said(None, "stop")], 1, True),
    "no choices at all": ([said({}, "stop"), {"usage": USAGE}], 1, True),
}


@pytest.mark.parametrize("name", STREAMS)
def test_it_agrees_with_the_accumulator(name: str) -> None:
    chunks, choices, complete = STREAMS[name]
    ending, accumulator = Ending(choices=choices), Accumulator(choices=choices)

    for chunk in chunks:
        ending.feed(chunk)
        accumulator.feed(chunk)

    assert ending.finished is accumulator.finished is complete


def test_an_incomplete_stream_is_an_error() -> None:
    ending = Ending()
    ending.feed(said({"content": "a"}))

    with pytest.raises(IncompleteStream):
        ending.finish()


def test_a_stream_with_fewer_choices_than_were_asked_for_is_an_error() -> None:
    ending = Ending(choices=2)
    ending.feed(said({}, "stop"))

    with pytest.raises(IncompleteStream):
        ending.finish()


def test_it_keeps_the_usage_and_nothing_else() -> None:
    ending = Ending()
    for chunk in (said({"content": "a"}), said({}, "stop"), {"choices": [], "usage": USAGE}):
        ending.feed(chunk)

    assert ending.finish() == {"usage": USAGE}


@pytest.mark.parametrize("chunk", [{"choices": 7}, {"choices": ["a"]}, {"choices": [{"index": [], "delta": {}}]}])
def test_what_has_not_the_shape_of_a_chunk_is_an_error(chunk: Document) -> None:
    with pytest.raises(MalformedStream):
        Ending().feed(chunk)


@pytest.mark.parametrize("name", [name for name, (_, _, complete) in STREAMS.items() if complete])
def test_it_knows_why_the_first_choice_ended_as_the_accumulator_does(name: str) -> None:
    chunks, choices, _ = STREAMS[name]
    ending, accumulator = Ending(choices=choices), Accumulator(choices=choices)

    for chunk in chunks:
        ending.feed(chunk)
        accumulator.feed(chunk)

    assert ending.finish_reason == accumulator.finish()["choices"][0]["finish_reason"]

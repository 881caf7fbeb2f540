"""core/stamp.py: the four keys every reply of one completion carries."""

from __future__ import annotations

from hansard.contract import Document
from hansard.core.stamp import Stamp

CHOICE: Document = {"index": 0, "delta": {"content": "Hi"}, "logprobs": None, "finish_reason": None}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
HEAD = {"id": "chatcmpl-ours", "object": "chat.completion.chunk", "created": 7, "model": "m"}


def stamp(*, include_usage: bool = False) -> Stamp:
    return Stamp(completion_id="chatcmpl-ours", created=7, model="m", include_usage=include_usage)


def test_the_four_keys_come_first_and_the_rest_keeps_its_order() -> None:
    shown = stamp().chunk({"service_tier": "default", "choices": [CHOICE], "timings": {}})

    assert shown is not None
    assert list(shown.items()) == [
        *HEAD.items(),
        ("service_tier", "default"),
        ("choices", [CHOICE]),
        ("timings", {}),
    ]


def test_an_upstreams_own_four_keys_are_replaced_but_for_the_model_it_resolved() -> None:
    theirs = {"id": "chatcmpl-7", "object": "x", "created": 1, "model": "m-2026", "choices": [CHOICE]}

    assert stamp().chunk(theirs) == {**HEAD, "model": "m-2026", "choices": [CHOICE]}


def test_who_asked_for_usage_sees_it_in_every_chunk() -> None:
    asked = stamp(include_usage=True)

    assert asked.chunk({"choices": [CHOICE]}) == {**HEAD, "choices": [CHOICE], "usage": None}
    assert asked.chunk({"choices": [], "usage": USAGE}) == {**HEAD, "choices": [], "usage": USAGE}


def test_who_did_not_ask_sees_none() -> None:
    assert stamp().chunk({"choices": [], "usage": USAGE}) is None
    # Some upstreams put it on the last chunk with a choice: the choice must not be lost with it.
    assert stamp().chunk({"choices": [CHOICE], "usage": USAGE}) == {**HEAD, "choices": [CHOICE]}
    assert stamp().chunk({"choices": [CHOICE], "usage": None}) == {**HEAD, "choices": [CHOICE]}


def test_what_else_a_usage_chunk_says_is_not_lost_with_it() -> None:
    # llama-server's last chunk; who did not ask for usage may read choices[0] of every chunk (official document).
    last: Document = {"choices": [], "usage": USAGE, "timings": {"ms": 1.5}, "citations": ["u"]}
    silent: Document = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": None}

    assert stamp().chunk(last) == {**HEAD, "choices": [silent], "timings": {"ms": 1.5}, "citations": ["u"]}
    assert stamp(include_usage=True).chunk(last) == {**HEAD, **last}


def test_a_usage_chunk_that_only_repeats_what_every_chunk_says_is_not_shown() -> None:
    every = {"service_tier": "default", "system_fingerprint": "fp", "obfuscation": "ab", "id": "theirs", "x": None}

    assert stamp().chunk({**every, "choices": [], "usage": USAGE}) is None


def test_a_whole_completion_is_called_so_and_keeps_its_usage() -> None:
    made = {"choices": [], "usage": USAGE}

    assert stamp().completion(made) == {**HEAD, "object": "chat.completion", "choices": [], "usage": USAGE}


def test_what_the_engine_made_is_left_as_it_was() -> None:
    made: Document = {"choices": [CHOICE], "usage": USAGE}

    stamp().chunk(made)

    assert made == {"choices": [CHOICE], "usage": USAGE}

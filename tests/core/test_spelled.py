"""core/spelled.py: chunks in their own spelling, and what is too unusual for that."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hansard.core.accumulate import Accumulator
from hansard.core.ending import Ending
from hansard.core.spelled import Speller
from hansard.core.sse import encode
from hansard.core.stamp import Stamp

HEAD = '"id":"x","object":"chat.completion.chunk","created":1,"model":"m"'
CHOICE = '{"index":0,"delta":{"content":"Hi"},"finish_reason":null}'
PLAIN = f'{{{HEAD},"choices":[{CHOICE}]}}'


def stamp(*, include_usage: bool = False) -> Stamp:
    return Stamp(completion_id="chatcmpl-ours", created=7, model="asked", include_usage=include_usage)


def relayed(payload: str, **options: bool) -> str:
    """What the client sees of a chunk that passes through as it is spelled."""
    spelled = Speller().look(payload.encode())
    assert spelled is not None
    [text] = stamp(**options).chunks([spelled])
    assert isinstance(text, bytes)
    return text.decode()


OURS = '{"id":"chatcmpl-ours","object":"chat.completion.chunk","created":7,"model":"m",'


@pytest.mark.parametrize(
    ("payload", "rest"),
    [
        (PLAIN, f'"choices":[{CHOICE}]'),
        # the order, the spaces and the keys of others
        (
            '{ "model": "m", "created" : 1, "id": "x", "object":"o", "choices": [ {"delta": {"content": "\\u00e9"}} ]}',
            '"choices": [ {"delta": {"content": "\\u00e9"}} ]',
        ),
        (
            f'{{{HEAD},"system_fingerprint":null,"choices":[{{"delta":{{}},"p":1.0e2}}],"timings":{{"ms":0.10}}}}',
            '"system_fingerprint":null,"choices":[{"delta":{},"p":1.0e2}],"timings":{"ms":0.10}',
        ),
        (f'{{{HEAD},"choices":[{{"delta":{{"content":"é"}}}}]}}', '"choices":[{"delta":{"content":"é"}}]'),
        # text that only looks like keys
        (
            f'{{{HEAD},"choices":[{{"delta":{{"content":"\\"usage\\":1,\\"error\\":2"}}}}]}}',
            '"choices":[{"delta":{"content":"\\"usage\\":1,\\"error\\":2"}}]',
        ),
    ],
)
def test_only_the_four_keys_are_edited(payload: str, rest: str) -> None:
    assert relayed(payload) == OURS + rest + "}"
    assert relayed(payload, include_usage=True) == OURS + rest + ',"usage":null}'


def test_a_null_for_usage_is_shown_to_those_who_asked() -> None:
    payload = PLAIN[:-1] + ',"usage":null}'

    assert relayed(payload) == OURS + f'"choices":[{CHOICE}]}}'
    assert relayed(payload, include_usage=True) == OURS + f'"choices":[{CHOICE}],"usage":null}}'


UNUSUAL: dict[str, str | bytes] = {
    "usage": PLAIN[:-1] + ',"usage":{"total_tokens":1}}',
    "a null for usage that is not last": f'{{{HEAD},"usage":null,"choices":[{CHOICE}]}}',
    "an error": PLAIN[:-1] + ',"error":{"message":"no"}}',
    "noise of its own": PLAIN[:-1] + ',"obfuscation":"abc"}',
    "no choices": f'{{{HEAD},"choices":[]}}',
    "choices that are null": f'{{{HEAD},"choices":null}}',
    "no key for choices": f'{{{HEAD},"x":1}}',
    "no delta": f'{{{HEAD},"choices":[{{"index":0,"finish_reason":"stop"}}]}}',
    "a delta that is null": f'{{{HEAD},"choices":[{{"index":0,"delta":null}}]}}',
    "a reason that is empty": PLAIN.replace('"finish_reason":null', '"finish_reason":""'),
    "audio": f'{{{HEAD},"choices":[{{"delta":{{"audio":{{"id":"a"}}}}}}]}}',
    "keys elsewhere": f'{{"choices":[{CHOICE}],{HEAD}}}',
    "a key missing": f'{{"id":"x","object":"o","created":1,"choices":[{CHOICE}]}}',
    "a key twice": f'{{"id":"x","id":"y","created":1,"model":"m","choices":[{CHOICE}]}}',
    "no model": PLAIN.replace('"model":"m"', '"model":""'),
    "cut": PLAIN[:-3],
    "more behind it": PLAIN + "}",
    "no JSON": PLAIN.replace("null", "nil"),
    "more than one line": PLAIN.replace(',"choices"', ',\n"choices"'),
    "no UTF-8": PLAIN.encode().replace(b"Hi", b"\xff"),
    "an index that is none": PLAIN.replace('"index":0', '"index":"0"'),
    "nothing": "",
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_unusual_has_to_be_decoded(name: str) -> None:
    payload = UNUSUAL[name]
    speller = Speller()
    speller.look(PLAIN.encode())  # a stream that was usual so far

    assert speller.look(payload if isinstance(payload, bytes) else payload.encode()) is None


def test_a_head_that_changes_midway_is_noticed() -> None:
    speller, ours = Speller(), stamp()
    payloads = [PLAIN, PLAIN.replace('"created":1', '"created":2'), PLAIN.replace('"m"', '"other"')]

    spelled = [speller.look(payload.encode()) for payload in payloads]

    texts = ours.chunks([chunk for chunk in spelled if chunk is not None])
    assert [json.loads(text)["model"] for text in texts if isinstance(text, bytes)] == ["m", "m", "other"]
    assert len(texts) == 3


def test_both_forms_of_a_chunk_can_come_in_one_stream() -> None:
    spelled = Speller().look(PLAIN.encode())
    assert spelled is not None

    shown = stamp().chunks([spelled, {"choices": [], "x": 1}])

    assert [json.loads(one) if isinstance(one, bytes) else one for one in shown] == [
        json.loads(OURS + f'"choices":[{CHOICE}]}}'),
        # what names no model goes by the name that was said before
        {**json.loads(OURS[:-1] + "}"), "choices": [], "x": 1},
    ]


@pytest.mark.parametrize("text", ["Hi", "Héllo", "日本", ""])
def test_its_length_is_hidden_like_that_of_any_chunk(text: str) -> None:
    event = encode(relayed(PLAIN.replace("Hi", text)).encode(), noise=b"abcdefghijklmnop").decode()

    assert event.startswith("data: ")
    assert event.endswith('"}\n\n')
    assert len(event[6:-2]) % 16 == 1


def test_who_needs_more_of_it_gets_it() -> None:
    payloads = (PLAIN, PLAIN.replace('"finish_reason":null', '"finish_reason":"stop"'))
    speller, accumulator, ending = Speller(), Accumulator(), Ending()

    for payload in payloads:
        spelled = speller.look(payload.encode())
        assert spelled is not None
        accumulator.feed(spelled)
        ending.feed(spelled)

    choice: dict[str, Any] = accumulator.finish()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("HiHi", "stop")
    assert ending.finish() == {}

"""core/spelled.py: chunks in their own spelling, and what is too unusual for that."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
NOT_TO_BE_LEARNED_FROM = PLAIN[:-1] + ',"own":1e999}'


def test_a_first_chunk_that_only_a_full_look_cannot_read_has_to_be_decoded() -> None:
    assert Speller().look(NOT_TO_BE_LEARNED_FROM.encode()) is None


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


def chunk(text: str, *, created: int = 1, more: str = "", end: str = "") -> bytes:
    """A chunk that says ``text``, and what else is spelled out."""
    head = HEAD.replace('"created":1', f'"created":{created}')
    choice = f'{{"index":0,"delta":{{"content":{json.dumps(text)}{more}}},"finish_reason":null}}'
    return f'{{{head},"choices":[{choice}]{end}}}'.encode()


def test_of_chunks_that_are_alike_only_the_text_is_read() -> None:
    speller = Speller()

    first, second, third = (speller.look(chunk(text)) for text in ("The", ' "a\\b"\n', "ayes"))

    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.piece, second.piece, third.piece) == (None, ' "a\\b"\n', "ayes")
    assert second.choices is first.choices
    assert second.document == json.loads(chunk(' "a\\b"\n'))
    assert second.body == {"choices": json.loads(chunk(' "a\\b"\n'))["choices"]}


@pytest.mark.parametrize(
    "unlike",
    [
        chunk("a", more=',"role":"assistant"'),
        chunk("a", end=',"usage":null'),
        chunk("a", created=2),
        chunk("a").replace(b"null", b'"stop"'),
        chunk("a").replace(b'"a"', b"null"),
    ],
)
def test_what_differs_in_more_is_looked_at_whole(unlike: bytes) -> None:
    speller = Speller()
    for text in ("a", "b"):
        speller.look(chunk(text))

    found, after = speller.look(unlike), speller.look(chunk("c"))

    assert found is not None
    assert found.piece is None
    assert found.document == json.loads(unlike)
    assert after is not None
    assert after.document == json.loads(chunk("c"))
    assert stamp().chunks([after]) == [(OURS + chunk("c").decode().partition('"model":"m",')[2]).encode()]


@pytest.mark.parametrize("broken", [b'"\xff"', b'"a\nb"', b'"a" ,"b":1', b'\n"a"', b'"a"\n', b"", b'"'])
def test_what_is_no_text_in_the_place_of_one_is_no_chunk_like_the_others(broken: bytes) -> None:
    speller = Speller()
    for text in ("a", "b"):
        speller.look(chunk(text))

    found = speller.look(chunk("a").replace(b'"a"', broken))

    assert found is None or found.piece is None


# A second place that says the same, and the same key twice: which of them is the text is not for a pattern to guess.
@pytest.mark.parametrize("twin", ['"content":"a"},"x":{"content":"a"', '"content":"b","content":"a"'])
def test_a_text_in_doubt_is_no_pattern(twin: str) -> None:
    payload = chunk("a").replace(b'"content":"a"', twin.encode())
    speller = Speller()
    speller.look(payload)

    again = speller.look(payload)

    assert again is not None
    assert again.piece is None
    assert again.document == json.loads(payload)


PARTS = st.sampled_from(
    [
        chunk("a"),
        chunk("é\\"),
        chunk("", created=2),
        chunk("b", created=2),
        chunk("c", more=',"reasoning":"why"'),
        chunk("d", more=',"reasoning":"so"'),
        chunk("e", end=',"system_fingerprint":"fp"'),
        chunk("f", end=',"system_fingerprint":"pf"'),
        chunk("g").replace(b'"index":0,', b""),
        chunk("h").replace(b'"index":0', b'"index":1'),
        chunk("").replace(b'"content":""', b'"tool_calls":[{"index":0,"function":{"arguments":"{"}}]'),
    ]
)


@given(st.lists(PARTS, max_size=30))
def test_what_is_accumulated_does_not_depend_on_the_form(payloads: list[bytes]) -> None:
    speller, as_spelled, as_documents = Speller(), Accumulator(choices=2), Accumulator(choices=2)
    for payload in [*payloads, *(chunk("!").replace(b"null", b'"stop"').replace(b":0", b":%d" % n) for n in (0, 1))]:
        spelled = speller.look(payload)
        assert spelled is not None
        as_spelled.feed(spelled)
        as_documents.feed(json.loads(payload))

    assert as_spelled.finish() == as_documents.finish()


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b"\xc3"])
@pytest.mark.parametrize("place", [b'"x"', b'"m"', b'"Hi"'])
def test_what_is_no_utf8_has_to_be_decoded(text: bytes, place: bytes) -> None:
    """Which says what is wrong with it."""
    payload = PLAIN.encode().replace(place, b'"%s"' % text)

    assert Speller().look(payload) is None


def test_a_head_that_is_said_again_behind_another_counts() -> None:
    """Of what is said several times the last counts, in whatever form it came."""
    speller, accumulator = Speller(), Accumulator()
    for payload in (PLAIN, PLAIN.replace("null", '"stop"')):
        spelled = speller.look(payload.encode())
        assert spelled is not None
        accumulator.feed({"created": 2, "choices": []})
        accumulator.feed(spelled)

    assert accumulator.finish()["created"] == 1

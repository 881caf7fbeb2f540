"""Server-sent events: any split of the bytes gives the same payloads, and our own form is the API's."""

from __future__ import annotations

import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.core import sse

NOISE = string.ascii_letters.encode()


def decode(*pieces: bytes) -> list[bytes]:
    decoder = sse.Decoder()
    payloads = [payload for piece in pieces for payload in decoder.feed(piece)]
    return payloads + decoder.flush()


@pytest.mark.parametrize(
    ("stream", "payloads"),
    [
        (b"", []),
        (b"data: a\n\n", [b"a"]),
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\n\ndata: [DONE]\n\n", [b"a", b"[DONE]"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data: a\ndata\ndata: b\n\n", [b"a\nb"]),
        (b": ping\n\ndata: a\n\n: pong\n\n", [b"a"]),
        (b"event: error\nid: 7\nretry: 10\ndata: a\n\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"]),
        (b"data: a", [b"a"]),
        (b"data: a\n", [b"a"]),
        (b"data: a\n\n\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: \n\n", []),
        (b"data:\n\ndata: a\n\n", [b"a"]),
        (b"database: a\n\n", []),
    ],
)
def test_payloads(stream: bytes, payloads: list[bytes]) -> None:
    assert decode(stream) == payloads


def test_a_data_line_without_a_colon_is_an_empty_line() -> None:
    assert decode(b"data: a\ndata:\ndata: b\n\n") == [b"a\n\nb"]


EVENTS = st.lists(
    st.sampled_from(
        [
            b"data: ",
            b"data:",
            b"data",
            b"x",
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b": c",
            b"event: e",
            b"\xef\xbb\xbf",
            b"data: y\n\n",
        ]
    ),
    max_size=20,
).map(b"".join)


@given(EVENTS, st.data())
def test_any_split_gives_the_same(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert decode(*pieces) == decode(stream) == decode(*(bytes([byte]) for byte in stream))


def test_flush_ends_one_stream() -> None:
    decoder = sse.Decoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.flush() == [b"a"]
    assert decoder.flush() == []


def test_a_long_line_in_many_reads() -> None:
    assert decode(b"data: ", *[b"x" * 1000] * 50, b"\n", b"\n") == [b"x" * 50_000]


def test_encode_without_noise() -> None:
    assert (
        sse.encode({"id": "a", "n": 1e-7, "é": None}, noise=None) == 'data: {"id":"a","n":1e-7,"é":null}\n\n'.encode()
    )


def test_encode_with_noise() -> None:
    # {"a":1} has 7 characters, the key with its quotes 17: 9 more make 33, which is 1 mod 16.
    assert sse.encode({"a": 1}, noise=NOISE) == b'data: {"a":1,"obfuscation":"abcdefghi"}\n\n'


def test_noise_counts_characters_and_not_bytes() -> None:
    assert sse.encode({"a": "é"}, noise=NOISE) == 'data: {"a":"é","obfuscation":"abcdefg"}\n\n'.encode()


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=40), min_size=1, max_size=5))
def test_obfuscated_length_is_one_more_than_a_multiple_of_sixteen(chunk: dict[str, str]) -> None:
    event = sse.encode(chunk, noise=NOISE)

    text = event.decode().removeprefix("data: ").removesuffix("\n\n")
    shown = msgspec.json.decode(text)
    noise = shown.pop("obfuscation")
    assert len(text) % 16 == 1
    assert len(noise) <= 15
    assert shown == {key: value for key, value in chunk.items() if key != "obfuscation"}


def test_noise_of_an_upstream_is_kept_or_left_out() -> None:
    assert sse.encode({"a": 1, "obfuscation": "zz"}, noise=None) == b'data: {"a":1}\n\n'
    assert sse.encode({"a": 1, "obfuscation": "zz"}, noise=NOISE) == b'data: {"a":1,"obfuscation":"zz"}\n\n'


def test_noise_differs_from_event_to_event_and_never_ends() -> None:
    encoder = sse.Encoder(noise=NOISE)
    shown = [msgspec.json.decode(encoder.events([{"a": 1}])[6:])["obfuscation"] for _ in range(100)]

    assert shown[:3] == ["abcdefghi", "jklmnopqr", "stuvwxyzA"]
    assert {len(noise) for noise in shown} == {9}


@given(st.binary(max_size=200))
def test_noise_is_alphanumeric(entropy: bytes) -> None:
    noise = sse.noise(entropy)
    assert len(noise) == len(entropy)
    assert noise == b"" or noise.decode().isalnum()
    assert noise.isascii()


def test_noise_may_be_any_alphanumeric() -> None:
    assert set(sse.noise(bytes(range(256))).decode()) == set(string.ascii_letters + string.digits)


def test_errors_and_the_end() -> None:
    assert sse.encode_error({"error": {"message": "m"}}) == b'data: {"error":{"message":"m"}}\n\n'
    assert sse.DONE == b"data: [DONE]\n\n"


@given(st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=9), min_size=1), max_size=4))
def test_what_is_encoded_is_decoded(chunks: list[dict[str, str]]) -> None:
    stream = b"".join(sse.encode(chunk, noise=None) for chunk in chunks)

    shown = [{key: value for key, value in chunk.items() if key != "obfuscation"} for chunk in chunks]
    assert [msgspec.json.decode(payload) for payload in decode(stream)] == shown

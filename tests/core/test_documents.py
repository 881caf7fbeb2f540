"""Reading JSON whose numbers no plain value holds."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.core import documents

DIGITS = b"9" * 5_000


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":' + DIGITS + b"}",
        b'{"a":[{"b":-' + DIGITS + b'}],"c":"h\xc3\xa9"}',
        b'{"a":1e999,"b":-1E+400,"c":' + b"1" * 400 + b".5}",
    ],
)
def test_a_number_that_is_not_held_is_written_as_it_was_spelled(text: bytes) -> None:
    assert msgspec.json.encode(documents.read(text)) == text


def test_the_others_beside_it_are_plain() -> None:
    document, holds_numbers = documents.noted(b'{"a":1e999,"b":1,"c":1.5,"d":[true,null,"x"]}')

    assert not holds_numbers
    assert {**document, "a": None} == {"a": None, "b": 1, "c": 1.5, "d": [True, None, "x"]}


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1e999,"b":NaN}',
        b'{"a":1e999,"b":-Infinity}',
        b'{"a":1e999,"b":"\\ud800 alone"}',
        b'{"a":1e999,"b":"\xff"}',
        b'{"a":1e999',
        b'{"a":1e999,}',
        b"-1e999.",
        b"01e999",
    ],
)
def test_what_is_no_json_is_none_beside_such_a_number(text: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        documents.read(text)


def test_deep_json_beside_such_a_number() -> None:
    with pytest.raises(RecursionError):
        documents.read(b"[1e999," + b"[" * 100_000 + b"]" * 100_000 + b"]")


@pytest.mark.parametrize(
    ("text", "is_integer", "is_negative"),
    [(DIGITS, True, False), (b"-" + DIGITS, True, True), (b"1e999", False, False), (b"-1e999", False, True)],
)
def test_what_can_be_said_of_one(text: bytes, is_integer: bool, is_negative: bool) -> None:
    number = documents.read(text)

    assert documents.is_integer(number) is is_integer
    assert documents.is_negative(number) is is_negative


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=4)))
def test_plain_values_are_read_alike_by_both_readers(value: object) -> None:
    text = b"[1e999," + msgspec.json.encode(value) + b"]"

    assert documents.read(text)[1] == msgspec.json.decode(msgspec.json.encode(value))

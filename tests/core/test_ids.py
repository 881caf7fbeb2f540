"""Ids: shapes as recorded from the API, order of time, and no guessing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.core import ids

ENTROPY = bytes(range(ids.ENTROPY_BYTES))


def test_shapes() -> None:
    assert re.fullmatch("chatcmpl-[0-9A-Za-z]{29}", ids.completion_id(1_763_633_000_000, ENTROPY))
    assert re.fullmatch("call_[0-9A-Za-z]{24}", ids.tool_call_id(ENTROPY))
    assert re.fullmatch("req_[0-9a-f]{32}", ids.request_id(ENTROPY))


def test_literal_ids() -> None:
    assert ids.completion_id(0, bytes(18)) == "chatcmpl-" + "0" * 29
    assert ids.completion_id(62, bytes(17) + b"\x3d") == "chatcmpl-" + "00000010" + "0" * 20 + "z"
    assert ids.request_id(ENTROPY) == "req_000102030405060708090a0b0c0d0e0f"


@given(st.integers(0, 2**47), st.integers(0, 2**47), st.binary(min_size=18, max_size=18))
def test_ascii_order_is_order_of_time(one: int, other: int, entropy: bytes) -> None:
    low, high = sorted((one, other))
    assert ids.completion_id(low, entropy) <= ids.completion_id(high, entropy)
    if low < high:
        assert ids.completion_id(low, b"\xff" * 18) < ids.completion_id(high, bytes(18))


@given(st.binary(min_size=18, max_size=18), st.binary(min_size=18, max_size=18))
def test_a_bit_of_entropy_makes_another_id(one: bytes, other: bytes) -> None:
    # The last 15 bytes are all inside the 125 bits that an id holds.
    assert (ids.completion_id(7, one) == ids.completion_id(7, other)) <= (one[-15:] == other[-15:])


@pytest.mark.parametrize("mint", [lambda short: ids.completion_id(0, short), ids.tool_call_id, ids.request_id])
def test_too_little_entropy_is_refused(mint: object) -> None:
    with pytest.raises(ValueError, match="entropy"):
        mint(b"short")  # type: ignore[operator]

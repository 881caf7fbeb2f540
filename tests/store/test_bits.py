"""bits.py: whatever is set in all of some bitmaps, in whichever of the two ways each of them lies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.store.bits import between, changed, common, packed, unpacked, without

SPAN = 100
some = st.frozensets(st.integers(0, SPAN - 1))
few = st.frozensets(st.integers(0, SPAN - 1), max_size=6)


@pytest.mark.parametrize(
    ("offsets", "span", "bits"),
    [
        ([], 16, b""),
        ([0, 9], 16, b"\x01\x02"),
        ([300, 1], 65_536, b"\x01\x00\x2c\x01"),
        ([0, 1, 2, 3, 4, 99], 100, b"\x00\x00\x01\x00\x02\x00\x03\x00\x04\x00\x63\x00"),
        ([0, 1, 2, 3, 4, 5, 99], 100, b"\x3f" + bytes(11) + b"\x08"),
    ],
)
def test_it_lies_in_the_shorter_way(offsets: list[int], span: int, bits: bytes) -> None:
    assert packed(offsets, span) == bits
    assert list(unpacked(bits, span)) == sorted(offsets)


@given(st.lists(st.one_of(some, few), min_size=1, max_size=4), st.integers(0, SPAN - 1), st.integers(0, SPAN - 1))
def test_what_is_set_in_all_of_them(carried: list[frozenset[int]], first: int, last: int) -> None:
    met = common([packed(each, SPAN) for each in carried], SPAN)
    expected = sorted(each for each in frozenset.intersection(*carried) if first <= each <= last)
    assert list(between(met, first, last, "asc")) == expected
    assert list(between(met, first, last, "desc")) == expected[::-1]


@given(st.one_of(some, few), st.one_of(some, few), st.booleans())
def test_a_change_of_some(offsets: frozenset[int], those: frozenset[int], on: bool) -> None:
    bits = changed(packed(offsets, SPAN), those, SPAN, on=on)
    assert list(unpacked(bits, SPAN)) == sorted(offsets | those if on else offsets - those)


@given(st.lists(st.one_of(some, few), min_size=1, max_size=2), st.one_of(some, few))
def test_what_is_gone_is_left_out(carried: list[frozenset[int]], gone: frozenset[int]) -> None:
    met = without(common([packed(each, SPAN) for each in carried], SPAN), packed(gone, SPAN), SPAN)
    assert list(between(met, 0, SPAN - 1, "asc")) == sorted(frozenset.intersection(*carried) - gone)

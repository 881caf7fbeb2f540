"""How a bitmap lies in the database, and what several have in common. Pure.

A bit for each place of a window, or, where that is shorter, two bytes for each that is set: how far it stands behind
the first. Both little-endian, and told apart by their length.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from hansard.core.paging import Order

Bits: TypeAlias = bytes

Common: TypeAlias = Sequence[int] | int
"""Offsets, which rise, or a number with these bits."""

MOST: Final = 65_536
"""The longest window: an offset has two bytes."""

_BITS: Final = 8
_OFFSETS: Final = "H"
_ITEM: Final = array(_OFFSETS).itemsize


def packed(offsets: Iterable[int], span: int) -> Bits:
    """The bitmap of a window of ``span`` numbers in which these are set."""
    some = array(_OFFSETS, sorted(offsets))
    if len(some) * _ITEM < _size(span):
        return _little(some).tobytes()
    return _whole(some, span)


def unpacked(bits: Bits, span: int) -> Sequence[int]:
    """The offsets that are set, rising."""
    if len(bits) < _size(span):
        return _read(bits)
    return [index * _BITS + bit for index, byte in enumerate(bits) for bit in range(_BITS) if byte >> bit & 1]


def changed(bits: Bits, offsets: Collection[int], span: int, *, on: bool) -> Bits:
    """The bitmap with these set, or not."""
    if len(bits) < _size(span):
        some = _read(bits)
        for offset in offsets:
            _set(some, offset, on=on)
        return _little(some).tobytes() if len(some) * _ITEM < _size(span) else packed(some, span)
    whole = bytearray(bits)
    for offset in offsets:
        byte, mask = offset // _BITS, 1 << offset % _BITS
        whole[byte] = whole[byte] | mask if on else whole[byte] & ~mask
    return bytes(whole)


def _set(offsets: array[int], offset: int, *, on: bool) -> None:
    at = bisect_left(offsets, offset)
    if (at < len(offsets) and offsets[at] == offset) is on:
        return
    if on:
        offsets.insert(at, offset)
    else:
        del offsets[at]


def without(met: Common, gone: Bits, span: int) -> Common:
    """What is set, but for what is set in the bitmap."""
    if isinstance(met, int) and len(gone) >= _size(span):
        return met & ~int.from_bytes(gone, "little")
    if isinstance(met, int):
        return met & ~int.from_bytes(_whole(_read(gone), span), "little")
    if len(gone) < _size(span):
        left_out = set(_read(gone))
        return [offset for offset in met if offset not in left_out]
    return [offset for offset in met if not gone[offset // _BITS] >> offset % _BITS & 1]


def common(some: Sequence[Bits], span: int) -> Common:
    """What is set in all of them."""
    short = sorted((bits for bits in some if len(bits) < _size(span)), key=len)
    whole = [bits for bits in some if len(bits) >= _size(span)]
    if not short:
        met = int.from_bytes(whole[0], "little")
        for bits in whole[1:]:
            met &= int.from_bytes(bits, "little")
        return met
    offsets: Collection[int] = _read(short[0])
    for bits in short[1:]:
        offsets = set(offsets).intersection(_read(bits))
    for bits in whole:
        offsets = [offset for offset in offsets if bits[offset // _BITS] >> offset % _BITS & 1]
    return sorted(offsets)


def between(met: Common, first: int, last: int, order: Order) -> Iterator[int]:
    """Those from ``first`` to ``last``, in order. No more of them are told apart than are asked for."""
    if isinstance(met, int):
        some = (met & ((1 << last + 1) - 1)) >> first << first
        return _rising(some) if order == "asc" else _falling(some)
    offsets = met[bisect_left(met, first) : bisect_right(met, last)]
    return iter(offsets) if order == "asc" else reversed(offsets)


def _whole(offsets: Iterable[int], span: int) -> Bits:
    bits = bytearray(_size(span))
    for offset in offsets:
        bits[offset // _BITS] |= 1 << offset % _BITS
    return bytes(bits)


def _size(span: int) -> int:
    return -(-span // _BITS)


def _read(bits: Bits) -> array[int]:
    return _little(array(_OFFSETS, bits))


def _little(some: array[int]) -> array[int]:
    if sys.byteorder == "big":
        some.byteswap()
    return some


def _rising(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _falling(bits: int) -> Iterator[int]:
    while bits:
        highest = bits.bit_length() - 1
        yield highest
        bits ^= 1 << highest

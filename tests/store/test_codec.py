"""codec.py: what was packed comes back, whatever it is, and damage is never another text."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.core.pieces import Cut
from hansard.store.codec import Body, pack, pack_body, unpack, unpack_body

REQUEST = b'{"model":"m","messages":[{"role":"user","content":"Well?"}],"store":true,"metadata":{"a":"b"}}'


@given(st.binary(max_size=3000))
def test_what_was_packed_comes_back(content: bytes) -> None:
    assert unpack(pack(content)) == content


def test_a_short_request_takes_less_room_than_it_is_long() -> None:
    assert len(pack(REQUEST)) < len(REQUEST) * 0.7


def test_a_body_comes_back() -> None:
    parts = Cut(REQUEST, 24, 34, 7, (), b"")
    assert unpack_body(pack_body(parts, b"{}")) == Body(REQUEST, 24, 34, 7, b"{}")


@given(st.data())
def test_damage_is_an_error(data: st.DataObject) -> None:
    packed = bytearray(pack(REQUEST))
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] ^= data.draw(st.integers(1, 255))
    try:
        assert unpack(bytes(packed)) == REQUEST  # some bits of a frame's head say nothing
    except ValueError:
        return


@pytest.mark.parametrize("packed", [b"", b"\x02", b"\x01", pack(b"a" * 99)[:-1], b"\x00" + pack(b"a")[1:]])
def test_what_is_no_frame_is_an_error(packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(damaged content|content of an unknown kind)$"):
        unpack(packed)


def test_what_is_no_body_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^damaged content$"):
        unpack_body(pack(b"{}"))


def test_what_databases_hold_can_still_be_read() -> None:
    """A frame written with the first dictionary, on the day when it was made: changing that would lose every body."""
    frame = bytes.fromhex(FIRST)
    assert unpack(frame) == REQUEST


def test_threads_do_not_share_what_they_compress_with() -> None:
    contents = [bytes([number]) * 200_000 for number in range(8)]
    packed: dict[int, bytes] = {}
    threads = [
        threading.Thread(target=lambda number=number: packed.update({number: unpack(pack(contents[number]))}))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [packed[number] for number in range(8)] == contents


FIRST = "0128b52ffd245e0501006857656c6c3f61223a2262227d7d061009ca2a00e8eabe3978127c6410140602c9879f41"

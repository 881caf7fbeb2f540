"""pace.py: when a change rests before it begins."""

from __future__ import annotations

import pytest

from hansard.store.pace import Pace

pytestmark = pytest.mark.anyio


class Time:
    """A clock that is moved by hand, and by pauses; ``reads`` so far."""

    def __init__(self) -> None:
        self.now = 100.0
        self.reads = 0
        self.paused: list[float] = []
        self.pace = Pace(reads=lambda: self.reads, clock=lambda: self.now, pause=self._pause)

    async def _pause(self, seconds: float) -> None:
        self.paused.append(round(seconds, 6))
        self.now += seconds

    async def change(self, *, takes_s: float = 0.002, reads: int = 0) -> None:
        async with self.pace.kept():
            self.now += takes_s
            self.reads += reads


async def test_nobody_rests_where_nobody_reads() -> None:
    time = Time()
    for _ in range(3):
        await time.change()
    assert time.paused == []


async def test_a_change_after_one_beside_reads_rests_four_times_as_long_as_that_took() -> None:
    time = Time()
    for _ in range(3):
        await time.change(takes_s=0.002, reads=1)
    assert time.paused == [0.008, 0.008]


async def test_what_has_passed_since_then_counts() -> None:
    time = Time()
    await time.change(takes_s=0.002, reads=1)
    time.now += 0.001
    await time.change(reads=1)
    time.now += 1
    await time.change(reads=1)
    assert time.paused == [0.007]


async def test_one_that_hung_is_not_rested_for_as_long() -> None:
    time = Time()
    await time.change(takes_s=10, reads=1)
    await time.change()
    assert time.paused == [0.02]


async def test_one_that_failed_counts_as_well() -> None:
    time = Time()
    with pytest.raises(ZeroDivisionError):
        async with time.pace.kept():
            time.now += 0.002
            time.reads += 1
            raise ZeroDivisionError
    await time.change()
    assert time.paused == [0.008]

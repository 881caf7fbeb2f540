"""The waiting line."""

from __future__ import annotations

import asyncio

import pytest

from hansard.engines.llamacpp.admission import Admission
from hansard.errors import EngineBusy, EngineUnavailable

pytestmark = pytest.mark.anyio


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


class Guests:
    """Tasks that hold a slot until told to leave, by name, in the order they got in."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._leave: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.seated: list[str] = []

    async def come(self, name: str) -> None:
        self._leave[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._stay(name))
        await settle()

    async def go(self, name: str) -> None:
        self._leave[name].set()
        await settle()

    async def _stay(self, name: str) -> None:
        async with self._admission.slot():
            self.seated.append(name)
            await self._leave[name].wait()
            self.seated.remove(name)


async def test_never_more_than_the_slots_and_first_come_first_served() -> None:
    guests = Guests(Admission(slots=2, queue_limit=9))
    for name in "abcd":
        await guests.come(name)
    assert guests.seated == ["a", "b"]

    await guests.go("b")
    assert guests.seated == ["a", "c"]
    await guests.go("a")
    assert guests.seated == ["c", "d"]

    await guests.go("c")
    await guests.go("d")


async def test_who_comes_to_a_full_line_is_sent_away_with_a_time() -> None:
    admission = Admission(slots=1, queue_limit=1)
    guests = Guests(admission)
    admission.check()
    await guests.come("a")
    admission.check()
    await guests.come("b")

    with pytest.raises(EngineBusy) as caught:
        admission.check()

    assert (caught.value.status, caught.value.retry_after_s) == (503, 1)
    await guests.go("a")
    admission.check()
    await guests.go("b")


async def test_who_is_cancelled_leaves_the_line() -> None:
    admission = Admission(slots=1, queue_limit=9)
    guests = Guests(admission)
    for name in "abc":
        await guests.come(name)

    guests.tasks["b"].cancel()
    await settle()
    assert admission.waiting == 1

    await guests.go("a")
    assert guests.seated == ["c"]
    await guests.go("c")


async def test_a_slot_given_to_who_is_cancelled_in_that_moment_is_not_lost() -> None:
    admission = Admission(slots=1, queue_limit=9)
    guests = Guests(admission)
    for name in "ab":
        await guests.come(name)

    guests._leave["a"].set()
    while admission.waiting:
        await asyncio.sleep(0)
    guests.tasks["b"].cancel()
    await settle()

    await guests.come("c")
    assert guests.seated == ["c"]
    await guests.go("c")


async def test_a_failure_inside_gives_the_slot_back() -> None:
    admission = Admission(slots=1, queue_limit=0)
    with pytest.raises(ValueError, match="inside"):
        async with admission.slot():
            raise ValueError("inside")

    admission.check()


async def test_the_line_can_be_sent_home() -> None:
    admission = Admission(slots=1, queue_limit=9)
    guests = Guests(admission)
    for name in "abc":
        await guests.come(name)

    admission.refuse_waiting(EngineUnavailable("Closed."))
    await settle()

    assert [type(guests.tasks[name].exception()) for name in "bc"] == [EngineUnavailable, EngineUnavailable]
    await guests.go("a")
    await guests.come("d")
    assert guests.seated == ["d"]
    await guests.go("d")

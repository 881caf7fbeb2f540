"""janitor.py: when it sweeps, how much it takes at a time, and what it tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from hansard.errors import StoreUnavailable
from hansard.janitor import Janitor
from hansard.observe import Crashed, Event, RecordsExpired
from hansard.store.base import Expired

pytestmark = pytest.mark.anyio

NOW = 1_700_000_000


class Shelf:
    """An ``Expiring`` with so much to forget by project, each piece of which takes ``each_s``."""

    def __init__(self, *, each_s: float = 0.0, free_bytes: Sequence[int] = (), **left: int) -> None:
        self.left = left
        self.each_s = each_s
        self.free_bytes = list(free_bytes)
        self.asked: list[tuple[str, int]] = []
        self.times: set[int] = set()
        self.error: Exception | None = None
        self.steps_s: Sequence[float] = ()
        self.tended = 0

    async def due(self, *, now: int) -> Sequence[str]:
        self.times.add(now)
        if self.error is not None:
            raise self.error
        return [project for project, count in self.left.items() if count]

    async def expire(self, project: str, *, now: int, most: int) -> Expired:
        self.times.add(now)
        self.asked.append((project, most))
        done = min(most, self.left[project])
        self.left[project] -= done
        records = done // 2
        return Expired(records=records, bodies=done - records, took_s=done * self.each_s)

    async def tend(self) -> AsyncGenerator[float, None]:
        self.tended += 1
        for took_s in self.steps_s:
            yield took_s

    async def give_back(self) -> int:
        return self.free_bytes.pop(0) if self.free_bytes else 0


def janitor(shelf: Shelf, told: list[Event]) -> Janitor:
    return Janitor(store=shelf, observer=told.append, clock=lambda: NOW + 0.9, looks_every_s=0.001, tends_every_s=0.001)


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not look():
            await asyncio.sleep(0.001)


async def test_it_forgets_what_there_is_and_tells_of_it_once() -> None:
    told: list[Event] = []
    shelf = Shelf(p=100, free_bytes=[4096, 512])

    assert await janitor(shelf, told).sweep() is False

    assert shelf.left == {"p": 0}
    assert shelf.asked == [("p", 64)] * 3
    assert shelf.times == {NOW}  # whole seconds that have passed
    [event] = told
    assert isinstance(event, RecordsExpired)
    assert (event.records, event.bodies, event.freed_bytes) == (50, 50, 4608)
    assert event.duration_s > 0


async def test_where_nothing_is_due_nobody_is_told_and_nothing_given_back() -> None:
    told: list[Event] = []
    shelf = Shelf(p=0, free_bytes=[4096])

    await janitor(shelf, told).sweep()

    assert (told, shelf.asked, shelf.free_bytes) == ([], [], [4096])


async def test_projects_take_turns() -> None:
    shelf = Shelf(p=150, q=10)
    await janitor(shelf, []).sweep()
    assert [project for project, _ in shelf.asked] == ["p", "q", "p", "q", "p", "p"]


async def test_slow_batches_become_small_and_quick_ones_large_again() -> None:
    shelf = Shelf(p=130, each_s=0.001)
    one = janitor(shelf, [])
    await one.sweep()
    sizes = [most for _, most in shelf.asked]
    assert sizes[:4] == [64, 32, 16, 16]  # 64 ms, 32 ms, 16 ms: that is near enough to 10

    shelf.each_s, shelf.left, shelf.asked = 0.0, {"p": 1000}, []
    await one.sweep()
    sizes = [most for _, most in shelf.asked]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 64


async def test_it_rests_far_longer_than_it_works() -> None:
    shelf = Shelf(p=64, each_s=0.0002)
    assert await _rested_s(janitor(shelf, [])) >= 24 * 0.0128


async def test_no_rest_is_long() -> None:
    shelf = Shelf(p=1, each_s=5.0)
    assert await _rested_s(janitor(shelf, [])) == 0.5


async def test_it_hurries_once_it_is_behind_and_no_longer() -> None:
    shelf = Shelf(p=3 * 64, each_s=0.0002)
    one = Janitor(store=shelf, observer=lambda _: None, clock=lambda: NOW, tells_every_s=0.1)
    hurried_s, calm_s = 4 * 0.0128, 24 * 0.0128

    assert await _rested_s(one) >= calm_s
    assert hurried_s <= await _rested_s(one) < calm_s

    shelf.left["p"] = 0
    await one.sweep()  # nothing is left: it is in time again
    shelf.left["p"] = 64
    assert await _rested_s(one) >= calm_s


async def _rested_s(one: Janitor) -> float:
    """In one sweep: as it asked the loop, however late a busy machine wakes it."""
    loop = asyncio.get_running_loop()
    call_later, rests_s = loop.call_later, []

    def noted(delay_s: float, *call: Any) -> asyncio.TimerHandle:
        rests_s.append(delay_s)
        return call_later(delay_s, *call)

    loop.call_later = noted  # type: ignore[assignment,method-assign]
    try:
        await one.sweep()
    finally:
        del loop.call_later
    return sum(rests_s)


async def test_while_at_work_it_looks_again_and_again() -> None:
    told: list[Event] = []
    shelf = Shelf(p=1)
    async with janitor(shelf, told).at_work():
        await until(lambda: told)
        shelf.left["p"] = 1
        await until(lambda: len(told) == 2)
    assert shelf.left == {"p": 0}


@pytest.mark.parametrize("error", [StoreUnavailable("It is away."), KeyError("a bug")])
async def test_no_failure_ends_it(error: Exception) -> None:
    told: list[Event] = []
    shelf = Shelf(p=1)
    shelf.error = error
    async with janitor(shelf, told).at_work():
        await until(lambda: shelf.times)
        shelf.error = None
        await until(lambda: not shelf.left["p"])
    crashes = [event for event in told if isinstance(event, Crashed)]
    assert [crash.exception for crash in crashes[:1]] == ([] if isinstance(error, StoreUnavailable) else [error])


async def test_what_was_done_before_a_failure_is_told() -> None:
    told: list[Event] = []

    class Failing(Shelf):
        async def expire(self, project: str, *, now: int, most: int) -> Expired:
            if self.asked:
                raise StoreUnavailable("It is away.")
            return await super().expire(project, now=now, most=most)

    with pytest.raises(StoreUnavailable):
        await janitor(Failing(p=100), told).sweep()

    assert [(event.records, event.bodies) for event in told if isinstance(event, RecordsExpired)] == [(32, 32)]


async def test_it_ends_at_once() -> None:
    async def at_work(looks_every_s: float) -> None:
        one = Janitor(store=Shelf(), observer=lambda _: None, looks_every_s=looks_every_s)
        async with one.at_work():
            await asyncio.sleep(0)

    work: Awaitable[None] = at_work(3600)
    await asyncio.wait_for(work, 5)


async def test_an_error_beside_it_comes_through() -> None:
    with pytest.raises(KeyError):
        async with Janitor(store=Shelf(), observer=lambda _: None).at_work():
            raise KeyError


async def test_it_tends_the_store_beside_it_and_rests_between_the_steps() -> None:
    shelf = Shelf(p=1)
    shelf.steps_s = [0.0, 0.0]
    async with janitor(shelf, []).at_work():
        await until(lambda: shelf.tended > 1 and not shelf.left["p"])


async def test_a_failure_to_tend_is_told_and_ends_nothing() -> None:
    told: list[Event] = []

    class Failing(Shelf):
        async def tend(self) -> AsyncGenerator[float, None]:
            self.tended += 1
            raise KeyError("a bug")
            yield 0.0

    shelf = Failing(p=1)
    async with janitor(shelf, told).at_work():
        await until(lambda: shelf.tended > 1 and not shelf.left["p"])
    assert [type(event.exception) for event in told if isinstance(event, Crashed)][:1] == [KeyError]


async def test_outcomes_alone_are_forgotten_and_their_room_is_given_back_without_a_word() -> None:
    told: list[Event] = []

    class OfOutcomes(Shelf):
        async def expire(self, project: str, *, now: int, most: int) -> Expired:
            expired = await super().expire(project, now=now, most=most)
            return Expired(outcomes=expired.records + expired.bodies)

    shelf = OfOutcomes(free_bytes=[4096], p=100)
    await janitor(shelf, told).sweep()

    assert (shelf.left, shelf.free_bytes, told) == ({"p": 0}, [], [])

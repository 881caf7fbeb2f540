"""departure.py: what is closed is cleared, whatever came between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from hansard.administration import Actor, Administration
from hansard.departure import Departure
from hansard.errors import InvalidRequest, NotFound, StoreUnavailable
from hansard.observe import Crashed, Event
from hansard.store.tenants import DEFAULT_PROJECT, Project
from tests.memory_store import MemoryStore
from tests.memory_tenants import MemoryTenants
from tests.store.records import record

pytestmark = pytest.mark.anyio

ME = Actor(name="key_1", request_id="req_1")
SHOP = "proj_shop"


class Failing(MemoryStore):
    """Fails so often with these before it clears anything."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = list(errors)

    async def clear_some(self, project: str) -> int:
        if self.errors:
            raise self.errors.pop(0)
        return await super().clear_some(project)


class Scrubbed(Failing):
    """Scrubs for as long as nobody says that it is over."""

    def __init__(self) -> None:
        super().__init__()
        self.over = asyncio.Event()
        self.has_begun = False

    async def scrub(self) -> None:
        self.has_begun = True
        await self.over.wait()


class Site:
    def __init__(self, *errors: Exception, looks_every_s: float = 60.0, store: Failing | None = None) -> None:
        self.store = store or Failing(*errors)
        self.told: list[Event] = []
        self.heard = 0
        projects = [Project(id=each, name=each[-4:], created=1) for each in (SHOP, DEFAULT_PROJECT)]
        self.departure = Departure(
            store=self.store,
            administration=Administration(tenants=MemoryTenants(*projects)),
            changed=self.changed,
            observer=self.told.append,
            looks_every_s=looks_every_s,
            rest_s=0.0,
        )

    async def changed(self) -> None:
        self.heard += 1


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not look():
            await asyncio.sleep(0.001)


async def test_what_is_closed_is_cleared_at_once() -> None:
    site = Site()
    await site.store.insert(record("a", project=SHOP))
    await site.store.insert(record("b", project="proj_other"))
    async with site.departure.at_work():
        closed = await site.departure.delete(ME, SHOP)
        await until(lambda: "chatcmpl-a" not in site.store.records)

    assert (closed.completions_left, closed.done, site.heard) == (1, False, 1)
    assert list(site.store.records) == ["chatcmpl-b"]


@pytest.mark.parametrize(
    ("error", "told"), [(StoreUnavailable("Away."), []), (ZeroDivisionError(), [Crashed])], ids=["outage", "bug"]
)
async def test_after_a_failure_it_goes_on(error: Exception, told: list[type[Event]]) -> None:
    site = Site(error, looks_every_s=0.001)
    await site.store.insert(record("a", project=SHOP))
    async with site.departure.at_work():
        await site.departure.delete(ME, SHOP)
        await until(lambda: not site.store.records)

    assert [type(event) for event in site.told] == told


async def test_it_is_done_once_its_words_are_gone_as_well() -> None:
    store = Scrubbed()
    site = Site(store=store)
    await store.insert(record("a", project=SHOP))
    async with site.departure.at_work():
        await site.departure.delete(ME, SHOP)
        await until(lambda: store.has_begun)
        meanwhile = await site.departure.deletion(SHOP)
        store.over.set()
        async with asyncio.timeout(5):
            while not (await site.departure.deletion(SHOP)).done:
                await asyncio.sleep(0.001)

    assert (meanwhile.completions_left, meanwhile.done) == (0, False)


async def test_what_was_cleared_before_the_start_is_done_once_it_has_been_scrubbed() -> None:
    """Whoever cleared it may have been killed before it had scrubbed."""
    store = Scrubbed()
    store.closed.add(SHOP)
    site = Site(store=store)
    async with site.departure.at_work():
        await until(lambda: store.has_begun)
        asked = await site.departure.deletion(SHOP)
        store.over.set()
        async with asyncio.timeout(5):
            while not (await site.departure.deletion(SHOP)).done:
                await asyncio.sleep(0.001)

    assert not asked.done


async def test_one_that_another_server_cleared_is_scrubbed_when_it_is_asked_about() -> None:
    class Cleared(Failing):
        async def closed_projects(self) -> list[str]:
            return []  # nothing of it is left

    store = Cleared()
    store.closed.add(SHOP)
    site = Site(store=store)
    async with site.departure.at_work():
        first = await site.departure.deletion(SHOP)
        async with asyncio.timeout(5):
            while not (await site.departure.deletion(SHOP)).done:
                await asyncio.sleep(0.001)

    assert not first.done


async def test_of_a_project_that_is_not_closed_nothing_is_told() -> None:
    with pytest.raises(NotFound):
        await Site().departure.deletion(SHOP)


async def test_the_default_project_is_not_closed() -> None:
    site = Site()
    with pytest.raises(InvalidRequest):
        await site.departure.delete(ME, DEFAULT_PROJECT)

    assert site.store.closed == set()

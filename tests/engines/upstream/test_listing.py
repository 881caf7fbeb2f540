"""engines/upstream/listing.py: what an upstream says it serves, and what it means if it does not."""

from __future__ import annotations

import asyncio

import pytest

from hansard.engines.client import ChatClient, Reply
from hansard.engines.patience import Timeouts
from hansard.engines.upstream import listing as module
from hansard.engines.upstream.listing import Listing
from hansard.errors import EngineBusy
from tests.engines.mock import Asked, Mock, hello, serving

pytestmark = pytest.mark.anyio


async def listed(mock: Mock) -> tuple[Listing, list[str]]:
    """A listing after its first question, and the changes it told."""
    changes: list[str] = []
    client = ChatClient(base_url=mock.base_url)
    listing = Listing(client, on_change=changes.append)
    await listing.start()
    await listing.stop()
    await client.close()
    return listing, changes


async def test_it_knows_the_models_and_what_is_said_of_them() -> None:
    async with serving(hello) as mock:
        mock.models = {"data": [{"id": "a"}, {"id": "org/b", "created": 7, "owned_by": "org", "x": 1}]}
        listing, changes = await listed(mock)

    assert [(model.id, model.created, model.owned_by) for model in listing.models] == [
        ("a", 0, "upstream"),
        ("org/b", 7, "org"),
    ]
    assert (listing.trouble, changes) == ("", [])


@pytest.mark.parametrize("body", [{"error": "no"}, {"data": None}, [], {"data": [{"name": "x"}]}])
async def test_an_upstream_without_a_list_may_still_answer(body: object) -> None:
    async with serving(hello) as mock:
        mock.models = body
        listing, _ = await listed(mock)

    assert (listing.models, listing.trouble) == ((), "")


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        (404, ""),
        (401, "/models answered with status 401: the key is missing or wrong"),
        (500, "/models answered with status 500"),
    ],
)
async def test_what_it_answers_instead_may_be_trouble(status: int, trouble: str) -> None:
    async def answer(asked: Asked) -> None:
        await asked.reply(status, {})

    async with serving(hello) as mock:
        mock.answer = answer  # type: ignore[method-assign]
        listing, changes = await listed(mock)

    assert listing.trouble == trouble
    assert changes == ([trouble] if trouble else [])


async def test_a_slow_upstream_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_START_S", 0.01)

    async def silent(_: Asked) -> None:
        await asyncio.Event().wait()

    async with serving(hello) as mock:
        mock.answer = silent  # type: ignore[method-assign]
        listing, _ = await listed(mock)

    assert listing.models == ()


async def test_it_asks_again_and_tells_when_something_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PERIOD_S", 0.001)
    statuses = iter([200, 500, 500, 200])
    changes: list[str] = []
    told = asyncio.Event()

    def on_change(trouble: str) -> None:
        changes.append(trouble)
        if len(changes) == 2:
            told.set()

    async def answer(asked: Asked) -> None:
        await asked.reply(next(statuses, 200), {"data": [{"id": "a"}]})

    async with serving(hello) as mock:
        mock.answer = answer  # type: ignore[method-assign]
        client = ChatClient(base_url=mock.base_url)
        listing = Listing(client, on_change=on_change)
        await listing.start()
        async with asyncio.timeout(5):
            await told.wait()
        await listing.stop()
        await client.close()

    assert changes == ["/models answered with status 500", ""]
    # What was listed before it went is what it will serve when it is back.
    assert [model.id for model in listing.models] == ["a"]


async def test_a_line_of_our_own_changes_nothing_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()

    class Watched(ChatClient):
        async def get(self, path: str) -> Reply:
            try:
                return await super().get(path)
            except EngineBusy:
                asked.set()
                raise

    monkeypatch.setattr(module, "PERIOD_S", 0.001)
    changes: list[str] = []
    async with serving(hello) as mock:
        client = Watched(base_url=mock.base_url, timeouts=Timeouts(first_byte_s=5), max_connections=1)
        listing = Listing(client, on_change=changes.append)
        await listing.start()
        client._timeouts = Timeouts(first_byte_s=0.001)
        taken = await client._pool.take()
        async with asyncio.timeout(5):
            await asked.wait()
        await listing.stop()
        client._pool.give_back(taken)
        await client.close()

    assert (changes, listing.trouble) == ([], "")
    assert [model.id for model in listing.models] == ["m", "org/m2"]

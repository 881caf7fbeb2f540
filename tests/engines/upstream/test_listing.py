"""engines/upstream/listing.py: what an upstream says it serves, and what it means if it does not."""

from __future__ import annotations

import asyncio

import pytest

from hansard.engines.client import ChatClient, Reply
from hansard.engines.patience import Timeouts
from hansard.engines.upstream import listing as module
from hansard.engines.upstream.listing import Listing
from hansard.errors import EngineBusy
from hansard.observe import Crashed, EngineChanged, Event
from tests.engines.mock import Asked, Mock, hello, serving

pytestmark = pytest.mark.anyio


async def listed(mock: Mock) -> tuple[Listing, list[str]]:
    """A listing after its first question, and the changes it told."""
    events: list[Event] = []
    client = ChatClient(base_url=mock.base_url)
    listing = Listing(client, name="office", observer=events.append)
    await listing.start()
    await listing.stop()
    await client.close()
    return listing, reasons(events)


def reasons(events: list[Event]) -> list[str]:
    return [event.reason for event in events if isinstance(event, EngineChanged)]


async def test_it_knows_the_models_and_what_is_said_of_them() -> None:
    async with serving(hello) as mock:
        mock.models = {"data": [{"id": "a"}, {"id": "org/b", "created": 7, "owned_by": "org", "x": 1}]}
        listing, changes = await listed(mock)

    assert [(model.id, model.created, model.owned_by) for model in listing.models] == [
        ("a", 0, "upstream"),
        ("org/b", 7, "org"),
    ]
    assert (listing.trouble, changes) == ("", [])


@pytest.mark.parametrize(
    "odd",
    [{"created": None}, {"owned_by": None}, {"created": 1.5}, {"created": "x"}, {"created": True}, {"created": -1}],
    ids=str,
)
async def test_what_is_odd_about_an_entry_does_not_unlist_it(odd: dict[str, object]) -> None:
    async with serving(hello) as mock:
        mock.models = {"data": [{"id": "a", "created": 7, "owned_by": "org"}, {"id": "b", **odd}]}
        listing, changes = await listed(mock)

    assert [(model.id, model.created, model.owned_by) for model in listing.models] == [
        ("a", 7, "org"),
        ("b", 0, "upstream"),
    ]
    assert changes == []


@pytest.mark.parametrize("odd", [{}, {"id": ""}, {"id": None}, {"id": 7}, "a", None], ids=str)
async def test_an_entry_without_a_name_is_left_out_alone(odd: object) -> None:
    async with serving(hello) as mock:
        mock.models = {"data": [odd, {"id": "a"}]}
        listing, changes = await listed(mock)

    assert ([model.id for model in listing.models], changes) == (["a"], [])


async def test_a_bare_array_is_a_list_too() -> None:
    async with serving(hello) as mock:
        mock.models = [{"id": "a"}, {"id": "b"}]
        listing, _ = await listed(mock)

    assert [model.id for model in listing.models] == ["a", "b"]


@pytest.mark.parametrize("body", [[], {"data": []}, {"data": None}], ids=str)
async def test_a_list_may_be_empty(body: object) -> None:
    async with serving(hello) as mock:
        mock.models = body
        listing, changes = await listed(mock)

    assert (listing.models, listing.remark, changes) == ((), "", [])


@pytest.mark.parametrize(
    "body",
    [{"error": "no"}, {"data": 7}, "x", b"<html>", b"\xff", b"[" * 100_000, {"data": [{"name": "x"}]}],
    ids=["object", "number", "text", "html", "bytes", "nested", "nameless"],
)
async def test_a_list_that_cannot_be_read_is_told_and_no_trouble(body: object) -> None:
    async def answer(asked: Asked) -> None:
        await asked.reply(200, body)

    async with serving(hello) as mock:
        mock.answer = answer  # type: ignore[method-assign]
        listing, changes = await listed(mock)

    told = "/models answered with something that is no list of models"
    assert (listing.models, listing.trouble, listing.remark, changes) == ((), "", told, [told])


async def test_it_is_told_once_until_it_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PERIOD_S", 0.001)
    lists: list[object] = [{"data": [{"id": "a"}]}, "x", "x", {"data": [{"id": "b"}]}, "x", "x"]
    left, all_read = iter(lists), asyncio.Event()
    events: list[Event] = []

    async def answer(asked: Asked) -> None:
        body = next(left, None)
        if body is None:
            all_read.set()
        await asked.reply(200, body or "x")

    async with serving(hello) as mock:
        mock.answer = answer  # type: ignore[method-assign]
        client = ChatClient(base_url=mock.base_url)
        listing = Listing(client, name="office", observer=events.append)
        await listing.start()
        async with asyncio.timeout(5):
            await all_read.wait()
        await listing.stop()
        await client.close()

    assert len(reasons(events)) == 2
    # Nothing says that what it listed before is gone.
    assert [model.id for model in listing.models] == ["b"]


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
    events: list[Event] = []
    told = asyncio.Event()

    def observer(event: Event) -> None:
        events.append(event)
        if len(events) == 2:
            told.set()

    async def answer(asked: Asked) -> None:
        await asked.reply(next(statuses, 200), {"data": [{"id": "a"}]})

    async with serving(hello) as mock:
        mock.answer = answer  # type: ignore[method-assign]
        client = ChatClient(base_url=mock.base_url)
        listing = Listing(client, name="office", observer=observer)
        await listing.start()
        async with asyncio.timeout(5):
            await told.wait()
        await listing.stop()
        await client.close()

    assert events == [
        EngineChanged(engine="office", state="lost", reason="/models answered with status 500"),
        EngineChanged(engine="office", state="back"),
    ]
    # What was listed before it went is what it will serve when it is back.
    assert [model.id for model in listing.models] == ["a"]


async def test_a_bug_is_told_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PERIOD_S", 0.001)
    events: list[Event] = []
    back = asyncio.Event()
    statuses = iter([500, 500])

    def observer(event: Event) -> None:
        if not events and isinstance(event, EngineChanged):
            events.append(event)
            raise RuntimeError("a bug")
        events.append(event)
        if event == EngineChanged(engine="office", state="back"):
            back.set()

    async def answer(asked: Asked) -> None:
        await asked.reply(next(statuses, 200), {"data": [{"id": "a"}]})

    async with serving(hello) as mock:
        mock.answer = answer  # type: ignore[method-assign]
        client = ChatClient(base_url=mock.base_url)
        listing = Listing(client, name="office", observer=observer)
        async with asyncio.timeout(5):
            await listing.start()
            await back.wait()
        await listing.stop()
        await client.close()

    crashes = [(event.request_id, str(event.exception)) for event in events if isinstance(event, Crashed)]
    assert crashes == [("the list of models of office", "a bug")]
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
    events: list[Event] = []
    async with serving(hello) as mock:
        client = Watched(base_url=mock.base_url, timeouts=Timeouts(first_byte_s=5), max_connections=1)
        listing = Listing(client, name="office", observer=events.append)
        await listing.start()
        client._timeouts = Timeouts(first_byte_s=0.001)
        taken = await client._pool.take()
        async with asyncio.timeout(5):
            await asked.wait()
        await listing.stop()
        client._pool.give_back(taken)
        await client.close()

    assert (events, listing.trouble) == ([], "")
    assert [model.id for model in listing.models] == ["m", "org/m2"]

"""repeats.py, through the use cases: who runs, who waits, and what everybody gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from hansard.completions import Completions
from hansard.contract import Document
from hansard.core.accumulate import Accumulator
from hansard.core.idempotency import idempotency_key
from hansard.core.paging import ListQuery
from hansard.core.validate import parse_create
from hansard.engines.router import Router
from hansard.errors import Conflict, EngineBusy, IdempotencyKeyReused, StoreUnavailable, UpstreamFailed
from hansard.observe import Event, RecordLost
from hansard.recorder import Recorder
from hansard.runs import Asked, Progress, Shown
from hansard.store.base import Outcome
from hansard.tenancy import Principal
from tests.engines.scripted import ScriptedEngine, Step, finish, opener, said, usage
from tests.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

MINE, THEIRS = Principal("mine"), Principal("theirs")
HELLO: tuple[Step, ...] = (opener(), said("Hel"), said("lo"), finish(), usage(3, 2))


class SlowStore(MemoryStore):
    """Its ``recall`` waits until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.looking = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def recall(self, project: str, key: str, *, now: int) -> Outcome | None:
        self.looking.set()
        await self.go_on.wait()
        return await super().recall(project, key, now=now)


class FullStore(MemoryStore):
    """Can be read, and takes nothing more."""

    healthy = False

    async def ready(self) -> bool:
        return False


class House:
    """The use cases over a scripted engine and a store in memory, for requests under keys."""

    def __init__(self, *steps: Step, store: MemoryStore | None = None, policy: str = "asked", ttl_s: int = 60) -> None:
        self.engine = ScriptedEngine(*(steps or HELLO))
        self.store = store or SlowStore()
        self.events: list[Event] = []
        self.recorder = Recorder(store=self.store, observer=self.events.append, policy=policy)  # type: ignore[arg-type]
        self.completions = Completions(
            router=Router(engines=[self.engine], aliases={}),
            store=self.store,
            recorder=self.recorder,
            idempotency_ttl_s=ttl_s,
        )
        self.progress = Progress()

    @property
    def calls(self) -> int:
        return len(self.engine.calls)

    async def create(self, key: str = "k", *, principal: Principal = MINE, **fields: object) -> bytes:
        self.progress = Progress()
        return await self.completions.create(asked(key, principal, **fields), self.progress)

    def chunks(self, key: str = "k", **fields: object) -> AsyncGenerator[Shown, None]:
        self.progress = Progress()
        return self.completions.stream(asked(key, MINE, stream=True, **fields), self.progress)

    async def stream(self, key: str = "k", **fields: object) -> Document:
        """What the chunks of a stream add up to, under their common stamp."""
        accumulator = Accumulator()
        stamps = set()
        async for together in self.chunks(key, **fields):
            for chunk in together:
                assert isinstance(chunk, dict)
                stamps.add((chunk["id"], chunk["created"], chunk["model"]))
                accumulator.feed(chunk)
        [(completion_id, created, model)] = stamps
        return {**accumulator.finish(), "id": completion_id, "created": created, "model": model}


def asked(key: str, principal: Principal, **fields: object) -> Asked:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}).encode()
    return Asked(
        principal=principal,
        received=parse_create(body),
        request_id="req_1",
        idempotency_key=idempotency_key(key, by=principal.key, body=body, metadata=None),
    )


async def waits(task: asyncio.Task[Any]) -> None:
    """Let everything run that can; the task is not done then."""
    for _ in range(20):
        await asyncio.sleep(0)
    assert not task.done()


@pytest.mark.parametrize(
    ("policy", "store"), [("asked", True), ("asked", False), ("always", True), ("always", False), ("never", False)]
)
async def test_a_repeat_gets_the_same_bytes_and_runs_nothing(policy: str, store: bool) -> None:
    house = House(policy=policy)

    first = await house.create(store=store)
    made = house.progress
    again = await house.create(store=store)

    assert (again, house.calls) == (first, 1)
    assert (made.replayed, made.stored) == (False, store or policy == "always")
    assert house.progress == Progress(completion_id=json.loads(first)["id"], model="m", replayed=True)


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": True}}])
async def test_a_streamed_repeat_says_the_same_under_the_same_stamp(store: bool, options: dict[str, Any]) -> None:
    house = House()

    first = await house.stream(store=store, **options)
    again = await house.stream(store=store, **options)

    assert first["choices"][0]["message"]["content"] == "Hello"
    assert ("usage" in first) == bool(options)
    assert again == first
    assert (house.calls, house.progress.replayed) == (1, True)


async def test_without_a_store_nothing_is_written_down() -> None:
    house = House(policy="never")
    await house.create()
    assert (house.store.outcomes, house.store.records) == ({}, {})


async def test_keys_are_apart_and_so_are_projects() -> None:
    house = House()
    first, other_key, other_project = (
        await house.create("k"),
        await house.create("K"),
        await house.create("k", principal=THEIRS),
    )
    assert len({json.loads(reply)["id"] for reply in (first, other_key, other_project)}) == 3
    assert await house.create("k", principal=THEIRS) == other_project
    assert await house.create("k") == first


async def test_another_request_under_the_key_is_a_conflict_before_and_after() -> None:
    gate = asyncio.Event()
    house = House(gate, *HELLO)
    first = asyncio.create_task(house.create())
    await waits(first)

    with pytest.raises(IdempotencyKeyReused):
        await house.create(temperature=1)
    gate.set()
    await first
    with pytest.raises(IdempotencyKeyReused) as refused:
        await house.create(temperature=1)

    assert (refused.value.status, refused.value.type, refused.value.param, refused.value.code) == (
        409,
        "invalid_request_error",
        None,
        "idempotency_key_reused",
    )
    assert house.calls == 1


async def test_a_key_is_free_again_when_its_time_is_over() -> None:
    house = House(ttl_s=-1)
    assert await house.create() != await house.create()
    assert house.calls == 2


@pytest.mark.parametrize("streamed", [True, False])
async def test_those_who_come_meanwhile_wait_and_get_the_same(streamed: bool) -> None:
    gate = asyncio.Event()
    house = House(opener(), gate, said("Hello"), finish(), usage(3, 2))
    ask = house.stream if streamed else house.create

    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(ask(store=True)) for _ in range(8)]
    await waits(tasks[7])
    gate.set()
    replies = await asyncio.gather(*tasks)

    assert replies == [replies[0]] * 8
    assert (house.calls, len(house.store.records)) == (1, 1)


@pytest.mark.parametrize("streamed", [True, False])
async def test_whoever_leaves_finds_it_done_when_they_come_back(streamed: bool) -> None:
    gate = asyncio.Event()
    house = House(opener(), gate, said("Hello"), finish(), usage(3, 2))
    ask = house.stream if streamed else house.create
    first: asyncio.Task[Any] = asyncio.create_task(ask())
    await waits(first)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first

    back: asyncio.Task[Any] = asyncio.create_task(ask())
    await waits(back)
    gate.set()
    await house.recorder.drain()

    assert "Hello" in str(await back)
    assert house.calls == 1


async def test_a_reader_that_stalls_holds_nobody_up() -> None:
    """The connection of a client that timed out may hang for minutes before it breaks."""
    words = [said("word ") for _ in range(100)]
    house = House(opener(), *words, finish())
    async with aclosing(house.chunks()) as stalled:
        await anext(stalled)
        reply = await asyncio.wait_for(house.stream(), 5)
    assert reply["choices"][0]["message"]["content"] == "word " * 100
    assert house.calls == 1


async def test_a_failure_is_told_to_those_who_wait_and_not_remembered() -> None:
    gate = asyncio.Event()
    house = House(gate, EngineBusy("full"))
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(house.create()) for _ in range(3)]
    await waits(tasks[2])
    gate.set()

    failures = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(failure) for failure in failures] == [EngineBusy] * 3
    assert house.calls == 1
    house.engine.steps = HELLO
    assert json.loads(await house.create())["choices"]
    assert house.calls == 2


async def test_a_stream_that_fails_midway_is_not_remembered() -> None:
    house = House(opener(), said("Hel"), UpstreamFailed("gone"))
    with pytest.raises(UpstreamFailed):
        await house.stream()
    house.engine.steps = HELLO
    assert (await house.stream())["choices"][0]["message"]["content"] == "Hello"


async def test_a_deleted_completion_is_made_anew() -> None:
    house = House()
    first = json.loads(await house.create(store=True))
    await house.completions.delete(MINE, first["id"])

    again = json.loads(await house.create(store=True))

    assert again["id"] != first["id"]
    assert len((await house.completions.page(MINE, ListQuery()))["data"]) == 1


async def test_what_was_remembered_counts_also_for_those_who_come_while_it_is_looked_for() -> None:
    """One with a wrong request is looking; one with the right request comes, and must not be told that it is wrong."""
    store = SlowStore()
    house = House(store=store)
    first = await house.create()
    store.go_on.clear()
    wrong = asyncio.create_task(house.create(temperature=1))
    await waits(wrong)
    right = asyncio.create_task(house.create())
    await waits(right)
    store.go_on.set()

    with pytest.raises(IdempotencyKeyReused):
        await wrong
    assert await right == first


async def test_one_who_leaves_while_looking_leaves_the_key_to_the_next() -> None:
    store = SlowStore()
    house = House(store=store)
    store.go_on.clear()
    first = asyncio.create_task(house.create())
    await store.looking.wait()
    second = asyncio.create_task(house.create())
    await waits(second)
    first.cancel()
    store.go_on.set()

    assert json.loads(await second)["choices"]
    assert first.cancelled()
    assert house.calls == 1


async def test_a_run_cut_off_by_a_shutdown_is_not_remembered() -> None:
    house = House(opener(), asyncio.Event())
    first = asyncio.create_task(house.create(store=True))
    await waits(first)

    await house.recorder.drain(within_s=0.01)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(first, 5)
    assert (house.store.outcomes, house.store.records) == ({}, {})


@pytest.mark.parametrize("store", [True, False])
async def test_nothing_is_generated_while_it_could_not_be_remembered(store: bool) -> None:
    house = House()
    house.store.down = True
    with pytest.raises(StoreUnavailable):
        await house.create(store=store)
    assert house.calls == 0


@pytest.mark.parametrize("store", [True, False])
async def test_nothing_is_generated_while_the_disk_is_full(store: bool) -> None:
    house = House(store=FullStore())
    with pytest.raises(StoreUnavailable):
        await house.create(store=store)
    assert house.calls == 0
    assert json.loads(await House(store=FullStore(), policy="never").create())["choices"]


@pytest.mark.parametrize(("store", "told"), [(True, [RecordLost]), (False, [])])
async def test_a_commit_that_fails_is_never_acknowledged(store: bool, told: list[type]) -> None:
    gate = asyncio.Event()
    house = House(opener(), gate, said("Hello"), finish())
    task = asyncio.create_task(house.create(store=store))
    await waits(task)
    house.store.down = True
    gate.set()

    with pytest.raises(StoreUnavailable):
        await task
    assert [type(event) for event in house.events] == told


async def test_of_two_servers_on_one_database_the_first_is_right() -> None:
    gate = asyncio.Event()
    here = House(opener(), gate, said("Hello"), finish())
    there = House(store=here.store)
    late = asyncio.create_task(here.create(store=True))
    late_stream = asyncio.create_task(here.stream("s", store=True))
    await waits(late)

    first = await there.create(store=True)
    streamed = await there.stream("s", store=True)
    gate.set()

    assert await late == first
    with pytest.raises(Conflict) as refused:  # it has shown its own chunks already
        await late_stream
    assert refused.value.code == "idempotency_key_in_use"
    assert await here.stream("s", store=True) == streamed
    assert len(here.store.records) == 2

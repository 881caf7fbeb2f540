"""completions.py: what is stamped, what is stored and when, and what happens when somebody leaves or fails."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncGenerator

import msgspec
import pytest

from hansard.completions import Completions, Readiness
from hansard.contract import Document
from hansard.core.accumulate import IncompleteStream
from hansard.core.paging import ListQuery, MessagesQuery
from hansard.core.policies import Policy
from hansard.core.validate import Received, parse_create
from hansard.engines.base import Call, Chunks, Health
from hansard.engines.echo import EchoEngine
from hansard.engines.router import Router, Target
from hansard.errors import (
    BrokenOff,
    CompletionNotFound,
    HansardError,
    InvalidRequest,
    ModelForbidden,
    StoreUnavailable,
    UpstreamFailed,
    UpstreamTimeout,
)
from hansard.observe import Event, RecordLost
from hansard.recorder import Recorder
from hansard.runs import Asked, Progress
from hansard.tenancy import Principal
from tests.engines.scripted import ScriptedEngine, Step, finish, opener, said, usage
from tests.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

ME = Principal("mine")
HELLO: tuple[Step, ...] = (opener(), said("Hel"), said("lo"), finish(), usage(3, 2))


class House:
    """The use cases over a scripted engine and a store in memory."""

    def __init__(
        self,
        *steps: Step,
        on_disconnect: str = "cancel",
        metadata_without_store: str = "refuse",
        policy: str = "asked",
        **engine: object,
    ) -> None:
        self.engine = ScriptedEngine(*(steps or HELLO), **engine)  # type: ignore[arg-type]
        self.store = MemoryStore()
        self.events: list[Event] = []
        self.recorder = Recorder(
            store=self.store,
            observer=self.events.append,
            policy=policy,  # type: ignore[arg-type]
            metadata_without_store=metadata_without_store,  # type: ignore[arg-type]
        )
        self.completions = Completions(
            router=Router(engines=[self.engine], aliases={"gpt": "m"}),
            store=self.store,
            recorder=self.recorder,
            on_disconnect=on_disconnect,  # type: ignore[arg-type]
        )

    async def create(self, **fields: object) -> Document:
        reply: Document = json.loads(await self.completions.create(asked(**fields), Progress()))
        return reply

    async def stream(self, **fields: object) -> list[Document]:
        stream = self.completions.stream(asked(stream=True, **fields), Progress())
        return [chunk async for together in stream for chunk in together]

    async def stored(self) -> list[Document]:
        return list((await self.completions.page(ME, ListQuery()))["data"])


def asked(principal: Principal = ME, **fields: object) -> Asked:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return Asked(principal=principal, received=parse_create(json.dumps(body).encode()), request_id="req_1")


async def test_models_that_an_upstream_may_take_instead_have_to_be_allowed_as_well() -> None:
    bound = Principal("mine", policy=Policy(models=("m", "n")))
    completions = House().completions

    for more in (["n", "other"], "other"):
        with pytest.raises(ModelForbidden, match="`other`"):
            await completions.create(asked(bound, models=more), Progress())
    for fine in (["n"], [], "n", None, [7]):
        assert await completions.create(asked(bound, models=fine), Progress())
    assert await completions.create(asked(models=["other"]), Progress())


async def test_a_reply_carries_our_id_time_and_model_first() -> None:
    reply = await House().create()

    assert list(reply)[:4] == ["id", "object", "created", "model"]
    assert reply["id"].startswith("chatcmpl-")
    assert (reply["object"], reply["model"]) == ("chat.completion", "m")
    assert reply["choices"][0]["message"]["content"] == "Hello"


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_request_that_is_over_is_let_go_at_once(streamed: bool) -> None:
    """Not by the garbage collector, which comes after thousands of them, each with its whole body."""
    store = MemoryStore()
    recorder = Recorder(store=store, observer=lambda _: None)
    completions = Completions(router=Router(engines=[EchoEngine()], aliases={}), store=store, recorder=recorder)
    gc.collect()
    gc.disable()
    try:
        if streamed:
            async for _ in completions.stream(asked(model="echo", stream=True), Progress()):
                pass
        else:
            await completions.create(asked(model="echo"), Progress())
        left = [each for each in gc.get_objects() if isinstance(each, Received)]
    finally:
        gc.enable()

    assert left == []


async def test_an_alias_answers_under_the_name_of_its_model() -> None:
    assert (await House().create(model="gpt"))["model"] == "m"


async def test_every_chunk_of_a_stream_carries_the_same_stamp() -> None:
    chunks = await House().stream()

    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    assert chunks[0]["object"] == "chat.completion.chunk"


async def test_usage_is_shown_to_those_who_asked_and_to_nobody_else() -> None:
    unasked = await House().stream()
    wanted = await House().stream(stream_options={"include_usage": True})

    assert all("usage" not in chunk for chunk in unasked)
    assert [chunk["usage"] for chunk in wanted[:-1]] == [None] * 4
    assert wanted[-1]["choices"] == []
    assert wanted[-1]["usage"]["total_tokens"] == 5


async def test_what_comes_with_usage_nobody_asked_for_is_shown_and_stored() -> None:
    house = House(opener(), said("Hi"), finish(), {**usage(1, 1), "timings": {"ms": 1.5}})  # as llama-server ends

    chunks = await house.stream(store=True)

    assert all(chunk["choices"] and "usage" not in chunk for chunk in chunks)
    assert chunks[-1]["timings"] == {"ms": 1.5}
    [record] = house.store.records.values()
    assert record is not None
    assert json.loads(record.reply)["timings"] == {"ms": 1.5}


async def test_only_what_asks_to_be_stored_is_stored() -> None:
    house = House()

    await house.create()
    reply = await house.create(store=True, metadata={"a": "b"})

    [stored] = await house.stored()
    assert (stored["id"], stored["metadata"], stored["request_id"]) == (reply["id"], {"a": "b"}, "req_1")


async def test_metadata_on_what_is_not_stored_is_refused_as_the_live_api_does() -> None:
    with pytest.raises(InvalidRequest) as refused:
        await House().create(metadata={"a": "b"})
    assert refused.value.message == "The 'metadata' parameter is only allowed when 'store' is enabled."
    assert (refused.value.param, refused.value.code) == ("metadata", None)


async def test_a_setting_ignores_metadata_on_what_is_not_stored() -> None:
    house = House(metadata_without_store="accept")

    await house.create(metadata={"a": "b"})

    assert await house.stored() == []


async def test_the_record_holds_the_request_and_the_reply_verbatim() -> None:
    house = House()
    body = b'{"store": true, "temperature": 1.0e0, "model":"m", "messages": [{"content":"\\u0048i","role":"user"}]}'

    reply = await house.completions.create(
        Asked(principal=ME, received=parse_create(body), request_id="req_1"), Progress()
    )

    [record] = house.store.records.values()
    assert record is not None
    assert (record.request, record.reply) == (body, reply)


async def test_a_stream_is_stored_before_it_ends_and_with_usage_nobody_asked_for() -> None:
    house = House()

    async for _ in house.completions.stream(asked(stream=True, store=True), Progress()):
        pass

    [stored] = await house.stored()
    assert stored["choices"][0]["message"]["content"] == "Hello"
    assert stored["usage"]["total_tokens"] == 5


async def test_a_seed_of_ones_own_is_kept_and_otherwise_one_is_drawn() -> None:
    house = House()

    await house.create(store=True, seed=7)
    await house.create(store=True)

    sent, drawn = [stored["seed"] for stored in await house.stored()]
    assert sent == 7
    assert 0 <= drawn < 2**31
    assert [call.seed for call in house.engine.calls] == [sent, drawn]


async def test_a_stream_that_ends_early_is_an_error_and_not_stored() -> None:
    house = House(opener(), said("Hel"))

    with pytest.raises(IncompleteStream):
        await house.stream(store=True)
    assert await house.stored() == []


@pytest.mark.parametrize("failure", [BrokenOff, UpstreamTimeout])
@pytest.mark.parametrize("store", [True, False])
async def test_a_stream_cut_off_behind_its_finish_is_complete(store: bool, failure: type[HansardError]) -> None:
    """What is missing is ``[DONE]``, or usage: nothing that was said."""
    house = House(*HELLO[:-1], failure("cut"))

    chunks = await house.stream(store=store)

    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert [one["choices"][0]["message"]["content"] for one in await house.stored()] == ["Hello"] * store


@pytest.mark.parametrize("store", [True, False])
async def test_a_stream_cut_off_before_each_choice_has_finished_is_an_error(store: bool) -> None:
    house = House(*HELLO[:-1], opener(1), BrokenOff("cut"))

    with pytest.raises(BrokenOff):
        await house.stream(store=store, n=2)
    assert await house.stored() == []


async def test_an_engine_that_fails_midway_leaves_nothing_behind() -> None:
    house = House(opener(), said("Hel"), UpstreamFailed("gone"))

    with pytest.raises(UpstreamFailed):
        await house.stream(store=True)
    assert await house.stored() == []


async def test_nothing_is_generated_for_a_store_known_to_be_down() -> None:
    house = House()
    house.store.down = True

    with pytest.raises(StoreUnavailable):
        await house.create(store=True)
    assert house.engine.calls == []


async def test_a_commit_that_fails_is_never_acknowledged() -> None:
    gate = asyncio.Event()
    house = House(opener(), gate, said("Hello"), finish())
    stream = house.completions.stream(asked(stream=True, store=True), Progress())

    await anext(stream)
    house.store.down = True
    gate.set()

    with pytest.raises(StoreUnavailable):
        async for _ in stream:
            pass
    assert [type(event) for event in house.events] == [RecordLost]


async def test_a_client_that_leaves_midway_stops_the_engine_and_stores_nothing() -> None:
    house = House()
    stream = house.completions.stream(asked(stream=True, store=True), Progress())

    await anext(stream)
    await stream.aclose()

    assert house.engine.closed == 1
    assert await house.stored() == []


async def test_a_client_that_leaves_after_the_finish_still_has_its_completion_stored() -> None:
    house = House()
    stream = house.completions.stream(asked(stream=True, store=True), Progress())

    for _ in range(4):
        await anext(stream)
    await stream.aclose()

    assert len(await house.stored()) == 1


async def test_a_cancelled_reader_stops_an_engine_that_waits() -> None:
    house = House(opener(), asyncio.Event())
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in house.completions.stream(asked(stream=True, store=True), Progress()):
            begun.set()

    reader = asyncio.create_task(read())
    await begun.wait()
    reader.cancel()

    with pytest.raises(asyncio.CancelledError):
        await reader
    assert house.engine.closed == 1


@pytest.mark.parametrize("streamed", [True, False])
async def test_on_disconnect_finish_runs_a_stored_completion_to_its_end(streamed: bool) -> None:
    gate = asyncio.Event()
    house = House(opener(), gate, said("Hello"), finish(), on_disconnect="finish")

    reader = asyncio.create_task(house.stream(store=True) if streamed else house.create(store=True))
    while not house.engine.calls:
        await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    gate.set()
    await house.recorder.drain()

    assert [stored["choices"][0]["message"]["content"] for stored in await house.stored()] == ["Hello"]


async def test_an_upstreams_own_id_and_model_name_are_kept() -> None:
    named = {**said("Hello"), "id": "chatcmpl-7", "model": "m-2026-01-01"}
    house = House(opener(), named, finish())

    reply = await house.create(store=True)

    [record] = house.store.records.values()
    assert record is not None
    assert (record.upstream_id, record.model, record.requested_model) == ("chatcmpl-7", "m-2026-01-01", "m")
    assert record.upstream_model == "m-2026-01-01"
    assert (reply["id"], reply["model"]) == (record.id, "m-2026-01-01")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_record_tells_how_it_ended_with_which_key_and_when(stream: bool) -> None:
    """A completion waits, is taken up, begins to be said, and ends, in this order."""
    house = House(opener(), said("He"), finish("length"), usage(1, 1), opener(1), finish("stop", 1))
    principal = Principal("mine", key="0123456789ab")
    request = msgspec.structs.replace(asked(store=True, n=2, stream=stream), principal=principal)

    if stream:
        assert [together async for together in house.completions.stream(request, Progress())]
    else:
        await house.completions.create(request, Progress())

    [record] = house.store.records.values()
    assert record is not None
    assert (record.finish_reason, record.key, record.upstream_model) == ("length", "0123456789ab", "m")
    assert record.queue_ms is not None
    assert record.total_ms is not None
    assert 0 <= record.queue_ms <= (record.first_token_ms or record.queue_ms) <= record.total_ms


def test_a_field_outside_the_contract_reaches_only_those_who_may_know_it() -> None:
    assert House().completions.takes_unknown_parameters("m")
    assert not House(takes_unknown_parameters=False).completions.takes_unknown_parameters("m")


def test_what_is_wrong_with_a_name_that_nobody_serves_is_the_name() -> None:
    assert House(takes_unknown_parameters=False).completions.takes_unknown_parameters("nobody")


async def test_messages_are_the_input_messages_page_by_page() -> None:
    house = House()
    said_before = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    made = (await house.create(store=True, messages=said_before))["id"]

    first = await house.completions.messages(ME, made, MessagesQuery(limit=1))
    second = await house.completions.messages(ME, made, MessagesQuery(limit=1, after=f"{made}-0"))

    assert [message["id"] for message in first["data"]] == [f"{made}-0"]
    assert first["has_more"] is True
    assert [message["content"] for message in second["data"]] == ["Hi"]
    assert second["has_more"] is False


async def test_a_page_of_large_completions_is_shorter_and_tells_that_there_are_more() -> None:
    house = House()
    made = [(await house.create(store=True))["id"] for _ in range(3)]
    for name in made:
        kept = house.store.records[name]
        assert kept is not None
        answer = kept.reply.replace(b"Hello", b"o" * 9_000_000)
        house.store.records[name] = msgspec.structs.replace(kept, reply=answer)

    pages = [await house.completions.page(ME, ListQuery(after=after)) for after in (None, made[0], made[1])]

    told = [([each["id"] for each in page["data"]], page["last_id"], page["has_more"]) for page in pages]
    assert told == [(made[:2], made[1], True), (made[1:], made[2], False), (made[2:], made[2], False)]


async def test_an_unknown_cursor_is_refused() -> None:
    house = House()
    made = (await house.create(store=True))["id"]

    for page in (
        house.completions.page(ME, ListQuery(after="chatcmpl-none")),
        house.completions.messages(ME, made, MessagesQuery(after="none")),
    ):
        with pytest.raises(InvalidRequest) as refused:
            await page
        assert (refused.value.param, refused.value.code) == ("after", "invalid_value")


async def test_a_deleted_completion_is_unknown_but_still_a_cursor() -> None:
    house = House()
    first, second = [(await house.create(store=True))["id"] for _ in range(2)]

    await house.completions.delete(ME, first)

    with pytest.raises(CompletionNotFound):
        await house.completions.get(ME, first)
    with pytest.raises(CompletionNotFound):
        await house.completions.delete(ME, first)
    page = await house.completions.page(ME, ListQuery(after=first))
    assert [stored["id"] for stored in page["data"]] == [second]


async def test_another_projects_completion_is_unknown() -> None:
    house = House()
    made = (await house.create(store=True))["id"]
    other = Principal("other")

    for attempt in (
        house.completions.get(other, made),
        house.completions.update(other, made, {}),
        house.completions.delete(other, made),
    ):
        with pytest.raises(CompletionNotFound):
            await attempt
    assert len(await house.stored()) == 1


OURS, OURS_DOWN = Health(ready=True), Health(ready=False)
THEIRS, THEIRS_DOWN = Health(ready=True, elsewhere=True), Health(ready=False, elsewhere=True)


@pytest.mark.parametrize(
    ("store", "engines", "ready"),
    [
        (True, [OURS], True),
        (False, [OURS], False),
        (True, [OURS, OURS_DOWN], False),
        (True, [THEIRS, THEIRS_DOWN], True),
        (True, [THEIRS_DOWN, THEIRS_DOWN], False),
        (True, [OURS, THEIRS_DOWN], False),
        (True, [OURS_DOWN, THEIRS], False),
        (True, [OURS, THEIRS_DOWN, THEIRS], True),
    ],
)
async def test_readiness_needs_the_store_every_engine_of_ours_and_one_upstream(
    store: bool, engines: list[Health], ready: bool
) -> None:
    named = {str(number): health for number, health in enumerate(engines)}

    assert Readiness(store=store, engines=named, targets={}).ready is ready


async def test_update_replaces_the_metadata() -> None:
    house = House()
    made = (await house.create(store=True, metadata={"a": "1", "b": "2"}))["id"]

    updated = await house.completions.update(ME, made, {"b": "3"})

    assert updated["metadata"] == {"b": "3"}
    assert (await house.completions.get(ME, made))["metadata"] == {"b": "3"}


async def test_metadata_from_beside_the_body_is_stored_and_the_bodys_own_wins() -> None:
    house = House()
    beside = msgspec.structs.replace(asked(store=True, metadata={"a": "body"}), metadata={"a": "header", "b": "header"})

    await house.completions.create(beside, Progress())

    [stored] = await house.stored()
    assert stored["metadata"] == {"a": "body", "b": "header"}


async def test_always_stores_what_nobody_asked_to_have_stored() -> None:
    house = House(policy="always")

    await house.create(metadata={"a": "b"})
    await house.stream(store=False)

    assert [stored["metadata"] for stored in await house.stored()] == [{"a": "b"}, {}]


async def test_never_refuses_to_store_and_answers_everything_else() -> None:
    house = House(policy="never")

    with pytest.raises(InvalidRequest) as refused:
        await house.create(store=True)
    await house.create(store=False)

    assert (refused.value.param, refused.value.code) == ("store", "unsupported_value")
    assert await house.stored() == []


async def test_a_reply_may_keep_its_spelling_and_its_usage_is_still_known() -> None:
    house = House()
    house.engine.complete = spelled  # type: ignore[method-assign]
    progress = Progress()

    reply = await house.completions.create(asked(store=True), progress)

    assert reply.endswith(
        b',"choices":[{"index": 0, "finish_reason": "stop", "x": 1.0e2}],"usage":{"total_tokens": 3}}'
    )
    assert progress.usage == {"total_tokens": 3}
    [record] = house.store.records.values()
    assert record is not None
    assert record.reply == reply


async def spelled(_: object) -> Document:
    return {
        "choices": msgspec.Raw(b'[{"index": 0, "finish_reason": "stop", "x": 1.0e2}]'),
        "usage": msgspec.Raw(b'{"total_tokens": 3}'),
    }


async def test_a_slow_reader_of_a_stream_that_would_outlive_it_slows_its_engine() -> None:
    words = [said("x") for _ in range(1000)]
    house = House(opener(), *words, finish(), on_disconnect="finish")
    taken = 0
    original = house.engine.stream

    async def counted(call: Call) -> AsyncGenerator[Chunks, None]:
        nonlocal taken
        async for chunks in original(call):
            taken += 1
            yield chunks

    house.engine.stream = counted  # type: ignore[method-assign]
    stream = house.completions.stream(asked(stream=True, store=True), Progress())

    await anext(stream)
    for _ in range(100):
        await asyncio.sleep(0)
    ahead = taken
    await stream.aclose()
    await house.recorder.drain()

    assert ahead < 30
    assert [stored["choices"][0]["message"]["content"] for stored in await house.stored()] == ["x" * 1000]


async def test_a_target_that_answered_in_anothers_place_is_on_record() -> None:
    house = House()
    down = ScriptedEngine(UpstreamFailed("gone"), name="down")
    router = Router(
        engines=[house.engine, down],
        aliases={},
        targets={"chat": [Target(down, "big"), Target(house.engine, "m")]},
    )
    completions = Completions(router=router, store=house.store, recorder=house.recorder)
    progress = Progress()

    reply = json.loads(await completions.create(asked(model="chat", store=True), progress))

    [record] = house.store.records.values()
    assert record is not None
    assert (record.engine, record.model, record.requested_model) == ("scripted", "m", "chat")
    assert (reply["model"], progress.model) == ("m", "m")


async def test_what_runs_is_counted_until_it_ends_however_it_does() -> None:
    gate = asyncio.Event()
    house = House(opener(), gate, finish())
    load = house.completions.load

    running = asyncio.create_task(house.create())
    left = asyncio.create_task(house.stream())
    while len(house.engine.calls) < 2:
        await asyncio.sleep(0)
    assert (load.running["m"], load.waiting["m"]) == (2, 0)

    left.cancel()
    await asyncio.wait([left])
    assert load.running["m"] == 1
    gate.set()
    await running
    assert (load.running["m"], load.waiting["m"]) == (0, 0)


def test_who_shuts_down_is_not_ready() -> None:
    assert Readiness(store=True, engines={"m": OURS}, targets={}, shuts_down=True).ready is False

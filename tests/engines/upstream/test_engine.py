"""engines/upstream/engine.py: one upstream, relayed; on a real socket, every byte of it decided here."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest

from hansard.core.accumulate import Accumulator, IncompleteStream
from hansard.core.spelled import Spelled
from hansard.core.validate import parse_create
from hansard.engines.base import Call
from hansard.engines.patience import Timeouts
from hansard.engines.router import Router, Target
from hansard.engines.upstream import Breaker, Pauses, UpstreamEngine
from hansard.errors import (
    EngineBusy,
    HansardError,
    InvalidRequest,
    RateLimited,
    Unavailable,
    UpstreamFailed,
    UpstreamTimeout,
)
from hansard.observe import EngineChanged, Event, UpstreamTried
from tests.engines.mock import HELLO, Asked, Mock, chunk, completion, event, hello, serving

pytestmark = pytest.mark.anyio


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def relaying(base_url: str, **options: Any) -> AsyncIterator[UpstreamEngine]:
    """A started engine whose retries do not wait."""
    given = {"name": "u", "observer": lambda _: None, "chance": lambda: 0.0, **options}
    engine = UpstreamEngine(base_url=base_url, **given)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


def call(body: bytes = b"{}", *, model: str = "m", authorization: str | None = None) -> Call:
    asked = {"model": model, "messages": [{"role": "user", "content": "Hi"}], **msgspec.json.decode(body)}
    received = parse_create(msgspec.json.encode(asked))
    return Call(request=received.request, document=received.document, model=model, seed=1, authorization=authorization)


async def text(engine: UpstreamEngine, *, streamed: bool) -> str:
    """What it says, either way."""
    if streamed:
        accumulator = Accumulator()
        async with aclosing(engine.stream(call(b'{"stream": true}'))) as stream:
            async for chunks in stream:
                for one in chunks:
                    accumulator.feed(one)
        made = accumulator.finish()
    else:
        made = msgspec.json.decode(msgspec.json.encode(await engine.complete(call())))
    said: str = made["choices"][0]["message"]["content"]
    return said


def failing(times: int, *, status: int = 500, **headers: str) -> Any:
    """Answers so often with that status, then says hello."""
    left = [times]

    async def handler(asked: Asked) -> None:
        if left[0]:
            left[0] -= 1
            await asked.reply(status, {"error": {"message": "Not now."}}, **headers)
        else:
            await hello(asked)

    return handler


async def silent(_: Asked) -> None:
    await asyncio.Event().wait()


async def cutting(asked: Asked) -> None:
    asked.cut()


BOTH = pytest.mark.parametrize("streamed", [True, False])


def quoting(status: int) -> Any:
    """Refuses in words that repeat what it was sent in every header."""

    async def handler(asked: Asked) -> None:
        said = " ".join(asked.headers.values())
        await asked.reply(status, {"error": {"message": said, "type": said, "param": said, "code": said}})

    return handler


@BOTH
@pytest.mark.parametrize("status", [200, 400, 404, 409, 422, 429, 500, 503])
async def test_an_upstream_that_quotes_the_operators_key_does_not_tell_the_client(
    status: int, *, streamed: bool
) -> None:
    options = {"key": "sk-upstream-of-ours", "headers": {"x-second": "another secret", "x-short": "no"}, "retries": 0}
    async with serving(quoting(status)) as mock, relaying(mock.base_url, **options) as relay:
        with pytest.raises(HansardError) as caught:
            await text(relay, streamed=streamed)

    error = caught.value
    told = " ".join(filter(None, (str(error), error.message, error.type, error.param, error.code)))
    assert "sk-upstream" not in told
    assert "another secret" not in told
    assert "Bearer [hidden]" in error.message
    assert " no" in error.message


async def test_nor_does_one_that_breaks_off_midway_with_it() -> None:
    async def handler(asked: Asked) -> None:
        await asked.stream(
            chunk({"content": "Hel"}), {"error": {"message": f"Lost: {asked.headers['authorization']}."}}
        )

    async with serving(handler) as mock, relaying(mock.base_url, key="sk-upstream-of-ours") as relay:
        with pytest.raises(HansardError, match=r"^Lost: Bearer \[hidden\]\.$"):
            await text(relay, streamed=True)


async def test_it_lists_what_the_upstream_lists() -> None:
    async with serving(hello) as mock, relaying(mock.base_url) as relay:
        assert [(model.id, model.created) for model in relay.models()] == [("m", 0), ("org/m2", 7)]
        assert relay.health().ready


async def test_an_upstream_that_is_away_is_reported_and_not_waited_for() -> None:
    events: list[Event] = []
    async with relaying("http://127.0.0.1:9/v1", observer=events.append) as relay:
        assert list(relay.models()) == []
        assert (relay.health().ready, relay.health().reason) == (False, "The model server could not be reached.")
    assert [event.state for event in events if isinstance(event, EngineChanged)] == ["lost"]


@BOTH
async def test_a_reply_comes_back(streamed: bool) -> None:
    async with serving(hello) as mock, relaying(mock.base_url) as relay:
        assert await text(relay, streamed=streamed) == "Hello"


async def test_a_reply_keeps_what_nobody_here_knows() -> None:
    async def handler(asked: Asked) -> None:
        await asked.reply(200, completion(timings={"ms": 1.5}, citations=["a"]))

    async with serving(handler) as mock, relaying(mock.base_url) as relay:
        made = await relay.complete(call())

    assert list(made) == ["id", "object", "created", "model", "choices", "usage", "timings", "citations"]
    assert (made["id"], made["model"], bytes(made["timings"])) == ("chatcmpl-1", "m-2026-01-01", b'{"ms": 1.5}')


async def test_our_key_goes_there_and_the_clients_does_not() -> None:
    async with serving(hello) as mock, relaying(mock.base_url, key="ours", headers={"X-Team": "a"}) as relay:
        await relay.complete(call(authorization="Bearer theirs"))

    [asked] = mock.asked
    assert (asked.headers["authorization"], asked.headers["x-team"]) == ("Bearer ours", "a")


async def test_without_a_key_none_goes_there() -> None:
    async with serving(hello) as mock, relaying(mock.base_url) as relay:
        await relay.complete(call(authorization="Bearer theirs"))

    assert "authorization" not in mock.asked[0].headers


@BOTH
async def test_the_clients_key_goes_where_it_is_meant_to(streamed: bool) -> None:
    async with serving(hello) as mock, relaying(mock.base_url, takes_client_key=True) as relay:
        asked = call(authorization="Bearer theirs")
        if streamed:
            await anext(relay.stream(asked))
        else:
            await relay.complete(asked)
        await relay.complete(call())

    assert [asked.headers.get("authorization") for asked in mock.asked] == ["Bearer theirs", None]


@BOTH
async def test_a_field_it_cannot_take_is_refused_before_anything_is_sent(streamed: bool) -> None:
    async with serving(hello) as mock, relaying(mock.base_url, unsupported={"logprobs"}) as relay:
        asked = call(b'{"logprobs": true}')
        with pytest.raises(InvalidRequest) as refused:
            await (anext(relay.stream(asked)) if streamed else relay.complete(asked))

    assert (refused.value.param, mock.asked) == ("logprobs", [])


async def test_chunks_that_came_in_one_read_stay_together() -> None:
    async def handler(asked: Asked) -> None:
        await asked.start_stream()
        await asked.send(b"".join(map(event, HELLO)))
        await asked.write(b"0\r\n\r\n")

    async with serving(handler) as mock, relaying(mock.base_url) as relay:
        assert [len(chunks) async for chunks in relay.stream(call())] == [5]


async def test_a_chunk_is_passed_on_before_the_next_is_there() -> None:
    more = asyncio.Event()

    async def handler(asked: Asked) -> None:
        await asked.start_stream()
        await asked.send(event(chunk({"content": "a"})))
        await more.wait()
        await asked.send(event(chunk({}, "stop")) + event("[DONE]"))
        await asked.write(b"0\r\n\r\n")

    async with serving(handler) as mock, relaying(mock.base_url) as relay:
        stream = relay.stream(call())
        [first] = await anext(stream)
        more.set()
        [last] = await anext(stream)

    assert isinstance(first, Spelled)
    assert isinstance(last, Spelled)
    assert first.document["choices"][0]["delta"] == {"content": "a"}
    assert last.choices[0].finish_reason == "stop"


async def test_an_upstream_that_does_not_stream_is_streamed_all_the_same() -> None:
    async def handler(asked: Asked) -> None:
        await asked.reply(200, completion("one two"))

    async with serving(handler) as mock, relaying(mock.base_url) as relay:
        assert await text(relay, streamed=True) == "one two"


async def test_an_error_frame_midway_is_an_error_after_what_came_before_it() -> None:
    async def handler(asked: Asked) -> None:
        await asked.start_stream()
        await asked.send(event(chunk({"content": "a"})) + event({"error": {"message": "Lost my voice."}}))
        await asked.write(b"0\r\n\r\n")

    async with serving(handler) as mock, relaying(mock.base_url) as relay:
        stream = relay.stream(call())
        assert len(await anext(stream)) == 1
        with pytest.raises(UpstreamFailed, match="Lost my voice"):
            await anext(stream)
    assert len(mock.asked) == 1


async def test_a_stream_cut_midway_is_an_error_and_not_tried_again() -> None:
    async def handler(asked: Asked) -> None:
        await asked.start_stream()
        await asked.send(event(chunk({"content": "a"})))
        asked.cut()

    async with serving(handler) as mock, relaying(mock.base_url) as relay:
        stream = relay.stream(call())
        with pytest.raises(UpstreamFailed) as failed:
            async for _ in stream:
                pass
    assert failed.value.code == "upstream_unreachable"
    assert len(mock.asked) == 1


@pytest.mark.parametrize("sent", [b"", b": nothing\n\n", b"data: [DONE]\n\n"])
async def test_a_stream_without_a_chunk_is_an_error(sent: bytes) -> None:
    async def handler(asked: Asked) -> None:
        await asked.start_stream()
        if sent:
            await asked.send(sent)
        await asked.write(b"0\r\n\r\n")

    async with serving(handler) as mock, relaying(mock.base_url) as relay:
        with pytest.raises(IncompleteStream):
            await anext(relay.stream(call()))


# How it fails


async def nobody(**options: Any) -> HansardError:
    async with relaying("http://127.0.0.1:9/v1", retries=0, **options) as relay:
        with pytest.raises(HansardError) as failed:
            await relay.complete(call())
    return failed.value


async def test_refused_is_unreachable() -> None:
    error = await nobody()

    assert (error.status, error.code) == (502, "upstream_unreachable")


@BOTH
async def test_a_reset_is_unreachable(streamed: bool) -> None:
    async with serving(cutting) as mock, relaying(mock.base_url, retries=0) as relay:
        with pytest.raises(UpstreamFailed) as failed:
            await text(relay, streamed=streamed)

    assert (failed.value.status, failed.value.code) == (502, "upstream_unreachable")


async def test_no_tls_where_tls_is_meant_is_unreachable() -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 X\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, relaying(f"https://127.0.0.1:{port}/v1", retries=0) as relay:
        with pytest.raises(UpstreamFailed) as failed:
            await relay.complete(call())

    assert (failed.value.status, failed.value.code) == (502, "upstream_unreachable")
    assert failed.value.message == "A secure connection to the model server could not be made."


async def starting_a_stream(asked: Asked) -> None:
    await asked.start_stream()
    await asked.send(event(chunk({"content": "a"})))
    await asyncio.Event().wait()


async def starting_a_reply(asked: Asked) -> None:
    await asked.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{")
    await asyncio.Event().wait()


async def never_ending(asked: Asked) -> None:
    await asked.start_stream()
    while True:
        await asked.send(event(chunk({"content": "a"})))
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("handler", "timeouts", "streamed"),
    [
        (silent, Timeouts(first_byte_s=0.05), False),
        (silent, Timeouts(first_byte_s=0.05), True),
        (starting_a_reply, Timeouts(between_chunks_s=0.05), False),
        (starting_a_stream, Timeouts(between_chunks_s=0.05), True),
        (never_ending, Timeouts(total_s=0.05), True),
        (silent, Timeouts(total_s=0.05), False),
    ],
)
async def test_every_time_limit_is_a_504(handler: Any, timeouts: Timeouts, streamed: bool) -> None:
    async with serving(handler) as mock, relaying(mock.base_url, timeouts=timeouts) as relay:
        with pytest.raises(UpstreamTimeout) as late:
            await text(relay, streamed=streamed)
        assert (late.value.status, late.value.code) == (504, "upstream_timeout")
        assert len(mock.asked) == 1


async def test_a_connection_that_takes_too_long_is_a_504() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # accepts, and never shakes hands
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    limits = Timeouts(connect_s=0.05)
    async with server, relaying(f"https://127.0.0.1:{port}/v1", timeouts=limits) as relay:
        with pytest.raises(UpstreamTimeout) as late:
            await relay.complete(call())

    assert (late.value.status, late.value.code) == (504, "upstream_timeout")


# Tried again


@BOTH
async def test_what_may_pass_is_tried_again(streamed: bool) -> None:
    events: list[Event] = []
    async with serving(failing(2)) as mock, relaying(mock.base_url, observer=events.append) as relay:
        assert await text(relay, streamed=streamed) == "Hello"

    tries = [event.outcome for event in events if isinstance(event, UpstreamTried)]
    assert tries == ["upstream_error", "upstream_error", "ok"]


@BOTH
async def test_no_more_than_so_often(streamed: bool) -> None:
    async with serving(failing(9)) as mock, relaying(mock.base_url, retries=1) as relay:
        with pytest.raises(UpstreamFailed, match="Not now"):
            await text(relay, streamed=streamed)
        assert len(mock.asked) == 2


@BOTH
async def test_all_tries_share_the_total_time(streamed: bool) -> None:
    """The first two take half of it each, so there is none left for a third."""

    async def handler(asked: Asked) -> None:
        await asyncio.sleep(0.15)
        await asked.reply(500, {"error": {"message": "Not now."}})

    async with (
        serving(handler) as mock,
        relaying(mock.base_url, timeouts=Timeouts(total_s=0.3), retries=9) as relay,
    ):
        with pytest.raises(HansardError):
            await text(relay, streamed=streamed)
        assert len(mock.asked) <= 3


async def test_a_pause_longer_than_what_is_left_of_the_total_time_is_not_begun() -> None:
    async with (
        serving(failing(1, status=503, retry_after="2")) as mock,
        relaying(mock.base_url, timeouts=Timeouts(total_s=1)) as relay,
    ):
        with pytest.raises(Unavailable):
            await relay.complete(call())
        assert len(mock.asked) == 1


async def test_an_upstream_that_does_not_say_when_is_asked_again_at_once() -> None:
    pauses = Pauses(longest_s=0.5)  # less than the second that our own clients are told to wait
    async with serving(failing(2, status=503)) as mock, relaying(mock.base_url, pauses=pauses) as relay:
        assert await text(relay, streamed=False) == "Hello"


PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "streamed", "tries"),
    [
        (b"", False, 2),
        (b"", True, 2),
        (b"HTTP/1.1 502 X\r\ncontent-length: 9\r\n\r\n", False, 2),
        (b"H", False, 1),
        (PLAIN, False, 1),
        (PLAIN + b'{"id"', False, 1),
        (EVENTS, True, 1),
        (EVENTS + b": ping\n\n", True, 1),
        (EVENTS + event({"error": {"message": "Overloaded."}}), True, 1),
    ],
)
async def test_what_has_begun_is_not_asked_for_again(sent: bytes, streamed: bool, tries: int) -> None:
    cuts = [1]

    async def handler(asked: Asked) -> None:
        if not cuts[0]:
            await hello(asked)
            return
        cuts[0] -= 1
        if sent:
            await asked.write(sent)
        asked.cut()

    async with serving(handler) as mock, relaying(mock.base_url) as relay:
        [answer] = await asyncio.gather(text(relay, streamed=streamed), return_exceptions=True)
        if tries == 2:
            assert answer == "Hello"
        else:
            assert isinstance(answer, HansardError)
            assert answer.has_begun
        assert len(mock.asked) == tries


async def test_headers_without_end_are_a_502() -> None:
    async def handler(asked: Asked) -> None:
        await asked.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            await asked.write(b"x-more: " + b"a" * 1000 + b"\r\n")
            await asyncio.sleep(0)

    async with serving(handler) as mock, relaying(mock.base_url) as relay:
        with pytest.raises(UpstreamFailed) as failed:
            await relay.complete(call())
        await mock.until(lambda: len(mock.connections) <= 1)

    assert (failed.value.status, failed.value.code) == (502, "upstream_invalid_response")


@pytest.mark.parametrize(
    ("status", "ours"), [(400, InvalidRequest), (429, RateLimited), (401, UpstreamFailed), (307, UpstreamFailed)]
)
@BOTH
async def test_a_refusal_is_passed_on_at_once(status: int, ours: type[HansardError], streamed: bool) -> None:
    async with serving(failing(1, status=status, retry_after="7")) as mock, relaying(mock.base_url) as relay:
        with pytest.raises(ours):
            await text(relay, streamed=streamed)
        assert len(mock.asked) == 1


async def test_who_says_to_come_back_much_later_is_not_asked_again() -> None:
    async with serving(failing(1, status=503, retry_after="60")) as mock, relaying(mock.base_url) as relay:
        with pytest.raises(Unavailable) as refused:
            await relay.complete(call())
    assert (refused.value.retry_after_s, len(mock.asked)) == (60, 1)


# The breaker


async def test_an_upstream_that_keeps_failing_is_left_alone_until_a_probe_succeeds() -> None:
    clock, events = Clock(), list[Event]()
    async with (
        serving(failing(5)) as mock,
        relaying(mock.base_url, retries=0, clock=clock, observer=events.append) as relay,
    ):
        for _ in range(5):
            with pytest.raises(UpstreamFailed):
                await relay.complete(call())
        with pytest.raises(Unavailable) as resting:
            await relay.complete(call())
        left_alone = (len(mock.asked), relay.health().ready, relay.health().reason)
        clock.now = 2.0
        assert relay.health().ready
        assert await text(relay, streamed=True) == "Hello"

    assert (resting.value.status, resting.value.code, resting.value.retry_after_s) == (503, "upstream_unavailable", 2)
    assert left_alone == (5, False, "breaker open: several calls in a row failed")
    assert [event.state for event in events if isinstance(event, EngineChanged)] == ["left alone", "back"]


async def test_a_probe_whose_client_leaves_makes_room_for_another() -> None:
    clock = Clock()
    async with serving(failing(5)) as mock, relaying(mock.base_url, retries=0, clock=clock) as relay:
        for _ in range(5):
            with pytest.raises(UpstreamFailed):
                await relay.complete(call())
        clock.now = 2.0
        mock.handler = silent
        probe = asyncio.create_task(relay.complete(call()))
        await mock.until(lambda: len(mock.asked) == 6)
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        mock.handler = hello

        assert await text(relay, streamed=False) == "Hello"


async def test_our_own_line_does_not_open_it() -> None:
    events = list[Event]()
    async with (
        serving(silent) as mock,
        relaying(
            mock.base_url,
            max_connections=1,
            timeouts=Timeouts(first_byte_s=0.05, total_s=5),
            breaker=Breaker(failures=2, pause_s=30),
            observer=events.append,
        ) as relay,
    ):
        mock.handler = starting_a_stream
        stream = relay.stream(call(b'{"stream": true}'))
        await anext(stream)
        outcomes = await asyncio.gather(*(relay.complete(call()) for _ in range(6)), return_exceptions=True)
        await stream.aclose()
        mock.handler = hello

        assert await text(relay, streamed=False) == "Hello"

    assert {(type(outcome), getattr(outcome, "code", None)) for outcome in outcomes} == {(EngineBusy, "upstream_busy")}
    assert not [event for event in events if isinstance(event, EngineChanged)]


async def test_refusals_do_not_open_it() -> None:
    async with serving(failing(20, status=400)) as mock, relaying(mock.base_url) as relay:
        for _ in range(20):
            with pytest.raises(InvalidRequest):
                await relay.complete(call())
        assert relay.health().ready


# Who leaves


async def leave(relay: UpstreamEngine, mock: Mock, handler: Any, *, streamed: bool) -> None:
    """Ask, wait until the upstream is at it, leave, and wait until it has been left."""
    mock.handler = handler
    before = len(mock.asked)
    working = asyncio.create_task(text(relay, streamed=streamed))
    await mock.until(lambda: len(mock.asked) > before)
    await asyncio.sleep(0)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    async with asyncio.timeout(1):
        await mock.until(lambda: mock.live == 0)


@pytest.mark.parametrize(
    ("handler", "streamed"),
    [(silent, False), (silent, True), (starting_a_reply, False), (starting_a_stream, True), (never_ending, True)],
)
async def test_who_leaves_closes_the_connection_in_every_phase(handler: Any, streamed: bool) -> None:
    async with serving(hello) as mock:
        mock.models = {"data": []}
        async with relaying(mock.base_url) as relay:
            await leave(relay, mock, handler, streamed=streamed)


async def test_one_whose_list_cannot_be_read_is_ready_and_says_so() -> None:
    async with serving(hello) as mock:
        mock.models = "none"
        async with relaying(mock.base_url) as relay:
            health = relay.health()

    assert (health.ready, health.reason) == (True, "/models answered with something that is no list of models")


async def test_who_leaves_the_line_for_a_connection_never_asks() -> None:
    async with serving(silent) as mock, relaying(mock.base_url, max_connections=1) as relay:
        first = asyncio.create_task(relay.complete(call()))
        await mock.until(lambda: len(mock.asked) == 1)
        queued = [asyncio.create_task(relay.complete(call())) for _ in range(3)]
        await asyncio.sleep(0)
        for task in (*queued, first):
            task.cancel()
        await asyncio.gather(first, *queued, return_exceptions=True)
        await mock.until(lambda: mock.live == 0)
        mock.handler = hello

        assert await text(relay, streamed=False) == "Hello"
        assert len(mock.asked) == 2


async def test_connections_are_kept_and_no_more_than_so_many() -> None:
    async with serving(hello) as mock, relaying(mock.base_url, max_connections=2) as relay:
        await asyncio.gather(*(text(relay, streamed=bool(number % 2)) for number in range(12)))
        assert len(mock.asked) == 12
        assert mock.live <= 2


@pytest.mark.parametrize("seed", range(3))
async def test_in_a_storm_every_reply_is_its_own_requests(seed: int) -> None:
    chance = random.Random(seed)

    async def stormy(asked: Asked) -> None:
        word = asked.json["user"]
        await asyncio.sleep(chance.random() * 0.003)
        match chance.randrange(6):
            case 0:
                asked.cut()
            case 1:
                await asked.reply(500, {"error": {"message": word}})
            case _ if asked.json.get("stream"):
                await asked.start_stream()
                await asked.send(event(chunk({"content": word})))
                await asyncio.sleep(0.0005)
                await asked.send(event(chunk({"content": word}, "stop")) + event("[DONE]"))
                await asked.write(b"0\r\n\r\n")
            case _:
                await asked.reply(200, completion(word * 5))

    async def ask(relay: UpstreamEngine, number: int) -> None:
        streamed = b"false" if number % 2 else b"true"
        asked, said = call(b'{"user": "<%d>", "stream": %s}' % (number, streamed)), ""
        with suppress(HansardError, TimeoutError):
            async with asyncio.timeout(chance.random() * 0.02):
                if number % 2:
                    said = msgspec.json.encode(await relay.complete(asked)).decode()
                else:
                    async with aclosing(relay.stream(asked)) as stream:
                        async for chunks in stream:
                            said += "".join(one.payload.decode() for one in chunks if isinstance(one, Spelled))
                            if number % 4 == 0:  # lingers, and leaves with the rest unread
                                await asyncio.sleep(0.002)
                                break
        assert set(re.findall(r"<\d+>", said)) <= {f"<{number}>"}

    async with serving(stormy) as mock, relaying(mock.base_url, max_connections=8) as relay:
        for start in range(0, 600, 60):
            relay._attempts.breaker.succeeded()
            await asyncio.gather(*(ask(relay, number) for number in range(start, start + 60)))
        await mock.until(lambda: mock.live <= 8)
        mock.handler = hello
        relay._attempts.breaker.succeeded()

        assert await text(relay, streamed=True) == "Hello"


# Slow readers


async def test_a_slow_reader_slows_its_own_upstream_and_nothing_else() -> None:
    written = [0]
    piece = event(chunk({"content": "x" * 1000}))

    async def flooding(asked: Asked) -> None:
        await asked.start_stream()
        while True:
            await asked.send(piece)
            written[0] += len(piece)
            await asyncio.sleep(0)

    async with serving(flooding) as mock, relaying(mock.base_url) as relay:
        async with aclosing(relay.stream(call())) as slow:
            await anext(slow)
            stuck = await _until_it_stops(written)
            mock.handler = hello
            assert await text(relay, streamed=True) == "Hello"
        # What the kernel's two socket buffers and ours hold, and not a byte more.
        assert written[0] == stuck < 16 * 1024 * 1024


async def _until_it_stops(written: list[int]) -> int:
    """The count once it has not moved for a while."""
    last = -1
    while written[0] != last:
        last = written[0]
        for _ in range(200):
            await asyncio.sleep(0.0005)
    return last


@pytest.mark.parametrize("chance", [0.0, 0.99])
async def test_a_field_that_one_of_several_targets_cannot_take_goes_to_the_other(chance: float) -> None:
    async with (
        serving(hello) as without,
        serving(hello) as knowing,
        relaying(without.base_url, name="without", unsupported={"n"}) as narrow,
        relaying(knowing.base_url, name="knowing") as wide,
    ):
        targets = [Target(narrow, "m", 1.0), Target(wide, "m", 1.0)]
        router = Router(engines=[narrow, wide], aliases={}, targets={"chat": targets}, chance=lambda: chance)
        route = router.pick("chat")
        await route.complete(call(b'{"n": 2}', model="chat"))

    assert route.answered.engine is wide


async def test_a_list_that_hangs_holds_up_neither_the_start_nor_the_only_upstreams_clients() -> None:
    """A server is to answer within 1.5 seconds from its start, of which this is only a part."""

    async def without_list(asked: Asked) -> None:
        await (silent(asked) if asked.path.endswith("/models") else hello(asked))

    async with serving(hello) as mock:
        mock.answer = without_list  # type: ignore[method-assign]
        before = time.monotonic()
        async with relaying(mock.base_url, takes_any_model=True) as relay:
            took_s = time.monotonic() - before
            assert relay.models() == ()
            assert await text(relay, streamed=False) == "Hello"

    assert took_s < 1.0


async def test_a_list_that_comes_after_the_start_is_taken() -> None:
    may_come, listed = asyncio.Event(), asyncio.Event()

    async def late(asked: Asked) -> None:
        await may_come.wait()
        await asked.reply(200, {"data": [{"id": "m"}]})
        listed.set()

    async with serving(hello) as mock:
        mock.answer = late  # type: ignore[method-assign]
        async with relaying(mock.base_url) as relay, asyncio.timeout(5):
            assert relay.models() == ()
            may_come.set()
            await listed.wait()
            while not relay.models():
                await asyncio.sleep(0)

    assert [model.id for model in relay.models()] == ["m"]

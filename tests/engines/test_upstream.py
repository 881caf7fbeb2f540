"""engines/upstream.py: what goes out, what comes back, and how an upstream's refusals read here."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from hansard.core.validate import parse_create
from hansard.engines.base import Call
from hansard.engines.client import Reply
from hansard.engines.upstream import UpstreamEngine, refusal
from hansard.errors import HansardError, RateLimited, UpstreamFailed
from hansard.observe import EngineChanged, Event
from tests.acceptance.upstream import TEXT, USAGE, WORDS, Upstream

pytestmark = pytest.mark.anyio


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream().running() as running:
        yield running


@asynccontextmanager
async def engine(
    base_url: str, *, key: str | None = None, events: list[Event] | None = None
) -> AsyncIterator[UpstreamEngine]:
    observer = (events if events is not None else []).append
    made = UpstreamEngine(name="u", base_url=base_url, key=key, takes_any_model=True, observer=observer)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def call(body: bytes, *, model: str = "steady") -> Call:
    received = parse_create(body)
    return Call(request=received.request, document=received.document, model=model, seed=1)


def hello(model: str = "steady") -> Call:
    return call(b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}', model=model)


async def test_it_lists_what_the_upstream_lists(upstream: Upstream) -> None:
    async with engine(upstream.base_url) as relay:
        assert "steady" in [model.id for model in relay.models()]
        assert relay.ready()


async def test_an_upstream_that_is_away_is_reported_and_not_waited_for() -> None:
    events: list[Event] = []
    async with engine("http://127.0.0.1:9/v1", events=events) as relay:
        assert list(relay.models()) == []
        assert not relay.ready()
    assert [event.state for event in events if isinstance(event, EngineChanged)] == ["lost"]


async def test_the_request_goes_out_as_received_with_only_our_keys_edited(upstream: Upstream) -> None:
    body = (
        b'{"store": true, "metadata": {"a": "b"}, "top_k": 5, "temperature": 0.50,'
        b' "model": "gpt", "messages": [{"role": "user", "content": "H\\u00e9", "x": 1.0e2}]}'
    )
    async with engine(upstream.base_url, key="upstream-key") as relay:
        await relay.complete(call(body))

    [sent] = upstream.received
    assert sent == {
        "top_k": 5,
        "temperature": 0.5,
        "model": "steady",
        "messages": [{"role": "user", "content": "Hé", "x": 100.0}],
    }
    assert upstream.keys == ["Bearer upstream-key"]


async def test_a_stream_asks_for_usage_and_keeps_the_clients_own_options(upstream: Upstream) -> None:
    body = (
        b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": true,'
        b' "stream_options": {"include_obfuscation": false}}'
    )
    async with engine(upstream.base_url) as relay:
        chunks = [chunk async for together in relay.stream(call(body)) for chunk in together]

    assert upstream.received[0]["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    said = [choice["delta"].get("content") for chunk in chunks for choice in chunk["choices"]]
    assert said == [*WORDS, None]
    assert chunks[-1]["usage"] == USAGE


async def test_a_plain_reply_comes_back_as_sent(upstream: Upstream) -> None:
    async with engine(upstream.base_url) as relay:
        completion = await relay.complete(hello())

    assert completion["model"] == "steady-2026-01-01"
    assert completion["choices"][0]["message"]["content"] == TEXT


async def test_an_error_frame_midway_is_an_error(upstream: Upstream) -> None:
    async with engine(upstream.base_url) as relay:
        with pytest.raises(UpstreamFailed, match="The speaker lost their voice"):
            async for _ in relay.stream(hello("fails")):
                pass


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_rate_limit_is_passed_on_with_its_time(upstream: Upstream, streamed: bool) -> None:
    async with engine(upstream.base_url) as relay:
        with pytest.raises(RateLimited, match="Slow down") as refused:
            await (anext(relay.stream(hello("limits"))) if streamed else relay.complete(hello("limits")))
    assert refused.value.retry_after_s == 7


@pytest.mark.parametrize(
    ("status", "ours", "code"),
    [
        (400, 400, "bad"),
        (401, 502, "upstream_auth"),
        (403, 502, "upstream_auth"),
        (404, 404, "bad"),
        (422, 400, "bad"),
        (429, 429, "rate_limit_exceeded"),
        (500, 502, "upstream_error"),
        (503, 503, None),
    ],
)
def test_refusals_by_status(status: int, ours: int, code: str | None) -> None:
    body = json.dumps({"error": {"message": "No.", "type": "t", "param": "p", "code": "bad"}}).encode()

    error = refusal(Reply(status=status, headers={"retry-after": "2"}, body=body))

    assert (error.status, error.code) == (ours, code)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error": "No."}', b'{"detail": []}', b'{"error": {"code": 7}}'])
def test_a_refusal_need_not_be_an_envelope(body: bytes) -> None:
    error = refusal(Reply(status=418, headers={}, body=body))

    assert isinstance(error, HansardError)
    assert error.status == 400
    assert error.message in {"No.", "The model server answered with status 418."}

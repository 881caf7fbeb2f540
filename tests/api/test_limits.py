"""api/: what a client with limits reads on its replies, and what it has come to however its request ends."""

from __future__ import annotations

import asyncio
import json

import pytest

from hansard.api.front import Front
from hansard.api.routes import application
from hansard.completions import Completions
from hansard.core.policies import Limits, Policy
from hansard.engines.router import Router
from hansard.errors import UpstreamFailed
from hansard.limits import Limiter
from hansard.observe import ignore
from hansard.observe.metrics import Metrics
from hansard.recorder import Recorder
from hansard.tenancy import Gate, Principal
from tests.api.asgi import Client, Reply
from tests.engines.scripted import ScriptedEngine, Step, finish, opener, said, usage
from tests.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

HELLO: tuple[Step, ...] = (opener(), said("Hel"), said("lo"), finish(), usage(3, 2))
ASKED = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
OF_LIMITS = [
    f"x-ratelimit-{what}-{unit}" for unit in ("requests", "tokens") for what in ("limit", "remaining", "reset")
]


class Limited(Gate):
    """Everyone is one key with these limits."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(key=None)
        self._limits = limits

    async def admit(self, authorization: str | None, api_key: str | None = None) -> Principal:
        return Principal("acme", "k1", policy=Policy(limits=self._limits))


class Site:
    def __init__(self, limits: Limits, *steps: Step, on_disconnect: str = "cancel") -> None:
        store = MemoryStore()
        self.now = 0.0
        self.recorder = Recorder(store=store, observer=ignore)
        completions = Completions(
            router=Router(engines=[ScriptedEngine(*(steps or HELLO))], aliases={}),
            store=store,
            recorder=self.recorder,
            limiter=Limiter(clock=lambda: self.now),
            on_disconnect=on_disconnect,  # type: ignore[arg-type]
        )
        front = Front(gate=Limited(limits), observer=ignore, max_body_bytes=10_000)
        self.client = Client(application(completions, front, metrics=Metrics(), version="1.2.3", default_order="asc"))

    async def create(self, *, key: str | None = None, **fields: object) -> Reply:
        headers = {} if key is None else {"idempotency-key": key}
        return await self.client.post("/v1/chat/completions", {**ASKED, **fields}, headers=headers)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_reply_says_where_its_client_stands(stream: bool) -> None:
    reply = await Site(Limits(requests_per_minute=60, tokens_per_minute=6000)).create(
        stream=stream, max_completion_tokens=80
    )

    assert reply.status == 200
    prompt = -(-len(json.dumps({**ASKED, "stream": stream, "max_completion_tokens": 80})) // 4)
    assert [reply.headers[name] for name in OF_LIMITS] == [
        "60",
        "59",
        "1s",
        "6000",
        str(6000 - 80 - prompt),
        f"{(80 + prompt) * 10}ms" if 80 + prompt < 100 else f"{(80 + prompt) / 100:g}s",
    ]


async def test_who_has_no_limit_is_told_of_none() -> None:
    reply = await Site(Limits(concurrent_requests=5)).create()

    assert not [name for name in reply.headers if name.startswith("x-ratelimit")]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_too_much_is_refused_before_anything_is_sent(stream: bool) -> None:
    site = Site(Limits(requests_per_minute=1))
    await site.create(stream=stream)

    reply = await site.create(stream=stream)

    assert reply.status == 429
    assert reply.json["error"] == {
        "message": "Rate limit reached for m in project acme with this key on requests per min (RPM): Limit 1, Used 1, "
        "Requested 1. Please try again in 1m0s.",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert reply.headers["retry-after"] == "60"
    assert reply.headers["retry-after-ms"] == "60000"
    assert reply.headers["x-ratelimit-remaining-requests"] == "0"


async def test_a_used_up_month_is_not_to_be_asked_again() -> None:
    site = Site(Limits(tokens_per_month=10))

    reply = await site.create()

    assert reply.json["error"]["code"] == "insufficient_quota"
    assert reply.headers["x-should-retry"] == "false"
    assert int(reply.headers["retry-after"]) >= 1


@pytest.mark.parametrize("stream", [False, True])
async def test_in_the_end_the_usage_of_the_engine_counts(stream: bool) -> None:
    site = Site(Limits(tokens_per_minute=1000))
    await site.create(stream=stream, max_completion_tokens=900)

    reply = await site.create(max_completion_tokens=900)

    assert reply.status == 200  # of the first one 5 tokens are left


async def test_a_failed_request_has_used_no_tokens() -> None:
    site = Site(Limits(tokens_per_minute=1000), UpstreamFailed("away"))
    await site.create(max_completion_tokens=900)

    assert (await site.create(max_completion_tokens=900)).status == 502


async def test_a_client_that_leaves_a_stream_pays_for_what_it_had_and_frees_its_place() -> None:
    waits = asyncio.Event()
    site = Site(Limits(concurrent_streams=1, tokens_per_minute=1000), opener(), said("Hel"), waits, finish())
    request = asyncio.create_task(site.create(stream=True, max_completion_tokens=900))
    await site.client.got_piece.wait()
    assert (await _second(site)).status == 429

    site.client.leave.set()
    await request

    waits.set()
    site.client.leave = asyncio.Event()
    assert (await site.create(stream=True, max_completion_tokens=900)).status == 200


async def test_what_outlives_its_client_holds_its_place_until_it_ends() -> None:
    waits = asyncio.Event()
    site = Site(Limits(concurrent_requests=1), opener(), waits, finish(), on_disconnect="finish")
    request = asyncio.create_task(site.create(stream=True, store=True))
    await site.client.got_piece.wait()
    site.client.leave.set()
    await request

    assert (await _second(site)).status == 429

    waits.set()
    await site.recorder.drain()
    assert (await _second(site)).status == 200


async def test_a_repeat_that_is_answered_again_does_not_count() -> None:
    site = Site(Limits(requests_per_minute=1))
    first = await site.create(key="same", store=True)

    again = await site.create(key="same", store=True)

    assert (again.status, again.json["id"]) == (200, first.json["id"])


async def test_a_check_that_asks_for_a_completion_counts_as_one() -> None:
    site = Site(Limits(requests_per_minute=1))
    assert (await site.client.request("POST", "/v1/check", query=b"ask=list")).status == 200

    asked = [await site.client.request("POST", "/v1/check", query=b"ask=completion") for _ in range(2)]

    assert [reply.status for reply in asked] == [200, 429]
    assert [reply.headers["x-ratelimit-remaining-requests"] for reply in asked] == ["0", "0"]
    assert (await site.create()).status == 429


async def test_a_check_counts_the_tokens_of_its_question() -> None:
    site = Site(Limits(tokens_per_minute=1000))

    await site.client.request("POST", "/v1/check", query=b"ask=completion")

    reply = await site.create(max_completion_tokens=970)
    assert reply.status == 429


async def _second(site: Site) -> Reply:
    """Of another client, which stays."""
    return await Client(site.client.app).post("/v1/chat/completions", {**ASKED, "stream": True})

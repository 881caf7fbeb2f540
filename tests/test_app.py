"""app.py: what the settings say, wired and running, over upstreams on real sockets."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import time
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from hansard.app import House
from hansard.config import resolve
from hansard.core.paging import ListQuery
from hansard.errors import StartupError
from hansard.observe import Event, Observer, RequestServed, ignore
from hansard.tenancy import Gate
from tests.api.asgi import Client, Reply
from tests.engines.mock import Asked, chunk, completion, event, hello, serving
from tests.memory_tenants import MemoryTenants

pytestmark = pytest.mark.anyio

ASKED = {"messages": [{"role": "user", "content": "Hi"}]}
DOCS = Path(__file__).parent.parent / "docs"


class Running:
    """A house that is open, and a client before it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.client = Client(house.application(own_lifespan=False))

    async def create(self, headers: dict[str, str] | None = None, **fields: Any) -> Reply:
        return await self.client.post("/v1/chat/completions", {"model": "m", **ASKED, **fields}, headers=headers)

    async def stored(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = (await self.client.get("/v1/chat/completions")).json["data"]
        return listed


@asynccontextmanager
async def running(
    directory: Path, toml: str = "", *, observer: Observer = ignore, **flags: object
) -> AsyncIterator[Running]:
    (directory / "config").mkdir()
    (directory / "config" / "hansard.toml").write_text(toml)
    settings = resolve(flags, {}, config_dir=directory / "config", data_dir=directory / "data")
    house = House(settings, observer=observer)
    async with house.opened():
        yield Running(house)


def upstream(name: str, base_url: str, more: str = "") -> str:
    return f'[[upstreams]]\nname = "{name}"\nbase_url = "{base_url}"\nretries = 0\n{more}\n'


async def down(asked: Asked) -> None:
    await asked.reply(500, {"error": {"message": "Down."}})


async def test_one_upstream_takes_every_name_and_what_it_says_is_kept(tmp_path: Path) -> None:
    async def handler(asked: Asked) -> None:
        await asked.reply(200, completion("Hi", reasoning_content="Hm.", timings={"ms": 1.50}))

    async with serving(handler) as mock, running(tmp_path, upstreams=[mock.base_url]) as server:
        made = await server.create(model="never listed", store=True, top_k=5)
        [stored] = await server.stored()

    assert mock.asked[0].json == {"model": "never listed", **ASKED, "top_k": 5}
    assert (made.status, made.json["timings"], made.json["model"]) == (200, {"ms": 1.5}, "m-2026-01-01")
    assert (stored["id"], stored["model"]) == (made.json["id"], "m-2026-01-01")


async def test_roles_parts_and_tools_beyond_the_contract_reach_an_upstream_and_the_record(tmp_path: Path) -> None:
    messages = [
        {"role": "wizard", "spell": "x"},
        {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}]},
    ]
    beyond = {"messages": messages, "tools": [{"type": "web_search"}], "response_format": {"type": "regex"}}

    async with serving(hello) as mock, running(tmp_path, upstreams=[mock.base_url]) as server:
        made = await server.create(model="m", store=True, metadata={"a": "b"}, **beyond)
        [stored] = await server.stored()

    assert made.status == 200
    assert mock.asked[0].json == {"model": "m", **beyond}
    assert (stored["metadata"], stored["tools"]) == ({"a": "b"}, [{"type": "web_search"}])


async def test_targets_fall_back_and_the_record_says_who_answered(tmp_path: Path) -> None:
    async with serving(down) as broken, serving(hello) as sound:
        toml = upstream("a", broken.base_url) + upstream("b", sound.base_url)
        toml += (
            '[[models]]\nname = "chat"\ntargets = [{ upstream = "a", model = "x" }, { upstream = "b", model = "y" }]\n'
        )
        async with running(tmp_path, toml) as server:
            plain = await server.create(model="chat", store=True)
            streamed = await server.create(model="chat", stream=True)
            names = [model["id"] for model in (await server.client.get("/v1/models")).json["data"]]
            counted = (await server.client.get("/metrics")).body.decode()

    assert [asked.json["model"] for asked in sound.asked] == ["y", "y"]
    assert (plain.status, streamed.status, streamed.events[-1]) == (200, 200, "[DONE]")
    assert names == ["chat", "m", "org/m2"]
    assert 'hansard_targets_failed_total{engine="a",reason="upstream_error"} 2' in counted
    assert 'hansard_upstream_tries_total{upstream="b",outcome="ok"} 2' in counted


async def test_an_upstream_behind_a_socket(tmp_path: Path) -> None:
    async with (
        serving(hello, socket=tmp_path / "s") as mock,
        running(tmp_path, upstreams=[f"unix://{tmp_path}/s"]) as server,
    ):
        assert (await server.create()).json["choices"][0]["message"]["content"] == "Hello"
    assert mock.asked[0].path == "/v1/chat/completions"


async def test_the_clients_key_goes_only_where_it_is_meant_to(tmp_path: Path) -> None:
    async with serving(hello) as theirs, serving(hello) as ours:
        ours.models = {"data": [{"id": "other"}]}
        (tmp_path / "key").write_text("sk-ours")
        toml = upstream("a", theirs.base_url, 'key = "client"')
        toml += upstream("b", ours.base_url, f'key_file = "{tmp_path}/key"')
        async with running(tmp_path, toml) as server:
            for model in ("m", "other"):
                await server.create({"authorization": "Bearer sk-theirs"}, model=model)

    assert theirs.asked[0].headers["authorization"] == "Bearer sk-theirs"
    assert ours.asked[0].headers["authorization"] == "Bearer sk-ours"


@pytest.mark.parametrize(("policy", "status", "kept"), [("asked", 200, 1), ("always", 200, 2), ("never", 400, 0)])
async def test_the_policy_decides_what_is_kept(tmp_path: Path, policy: str, status: int, kept: int) -> None:
    async with serving(hello) as mock, running(tmp_path, upstreams=[mock.base_url], store=policy) as server:
        assert (await server.create(store=True)).status == status
        assert (await server.create()).status == 200
        assert len(await server.stored()) == kept


async def test_a_stream_that_ends_without_a_reason_is_an_error_and_nothing_is_kept(tmp_path: Path) -> None:
    async def handler(asked: Asked) -> None:
        await asked.stream({"id": "x", "choices": [{"index": 0, "delta": {"content": "Hel"}}]}, "[DONE]")

    async with serving(handler) as mock, running(tmp_path, upstreams=[mock.base_url]) as server:
        for fields in ({}, {"store": True}):
            reply = await server.create(stream=True, **fields)
            assert json.loads(reply.events[-2])["error"]["code"] == "upstream_incomplete"
        assert await server.stored() == []


@pytest.mark.parametrize("asked_for", [True, False])
@pytest.mark.parametrize("kept", [True, False])
async def test_usage_is_asked_for_kept_and_hidden_from_who_did_not_ask(
    tmp_path: Path, asked_for: bool, kept: bool
) -> None:
    options = {"stream_options": {"include_usage": True}} if asked_for else {}
    async with serving(hello) as mock, running(tmp_path, upstreams=[mock.base_url]) as server:
        reply = await server.create(stream=True, store=kept, **options)
        stored = await server.stored()

    chunks = [json.loads(event) for event in reply.events[:-1]]
    assert mock.asked[0].json["stream_options"]["include_usage"] is True
    assert [chunk["usage"] is not None for chunk in chunks if "usage" in chunk] == ([False] * 4 + [True]) * asked_for
    assert len(chunks) == 4 + asked_for
    assert [one["usage"]["total_tokens"] for one in stored] == [5] * kept


async def test_what_runs_here_refuses_what_it_does_not_know_and_an_upstream_is_sent_it(tmp_path: Path) -> None:
    async with serving(hello) as mock:
        toml = upstream("a", mock.base_url) + '[[models]]\npath = "echo"\n'
        toml += '[[models]]\nname = "both"\ntargets = [{ upstream = "a", model = "m" }, { model = "echo" }]\n'
        async with running(tmp_path, toml) as server:
            replies = {name: await server.create(model=name, top_k=5) for name in ("echo", "both", "m")}

    for name in ("echo", "both"):
        error = replies[name].json["error"]
        assert (replies[name].status, error["code"], error["param"]) == (400, "unknown_parameter", "top_k")
    assert replies["m"].status == 200
    assert [asked.json["top_k"] for asked in mock.asked] == [5]


async def silent(_: Asked) -> None:
    await asyncio.Event().wait()


async def begun(asked: Asked) -> None:
    await asked.start_stream()
    await asked.send(b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n')
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("handler", "streamed"), [(silent, False), (silent, True), (begun, True)], ids=["plain", "before", "midway"]
)
async def test_a_client_that_leaves_frees_the_upstream_within_a_second(
    tmp_path: Path, handler: Any, streamed: bool
) -> None:
    async with serving(handler) as mock, running(tmp_path, upstreams=[mock.base_url]) as server:
        listing = mock.live
        working = asyncio.create_task(server.create(stream=streamed))
        await mock.until(lambda: len(mock.asked) == 1)
        if handler is begun:
            await server.client.got_piece.wait()
        server.client.leave.set()
        async with asyncio.timeout(1):
            await working
            await mock.until(lambda: mock.live < listing + 1)


async def endless(asked: Asked) -> None:
    await asked.start_stream()
    while True:
        await asked.send(event({"choices": [{"index": 0, "delta": {"content": "x" * 1000}}]}))


async def test_a_stored_stream_that_never_ends_is_ended_and_nothing_is_kept(tmp_path: Path) -> None:
    async with (
        serving(endless) as mock,
        running(tmp_path, upstreams=[mock.base_url], max_completion_bytes="4000000") as server,
    ):
        listing = mock.live
        reply = await server.create(stream=True, store=True)
        error = json.loads(reply.events[-2])["error"]

        assert (error["code"], len(reply.body) < 10_000_000) == ("upstream_invalid_response", True)
        assert "4000000 bytes" in error["message"]
        assert await server.stored() == []
        async with asyncio.timeout(1):
            await mock.until(lambda: mock.live <= listing)


async def test_a_plain_reply_may_not_be_larger_either(tmp_path: Path) -> None:
    async def large(asked: Asked) -> None:
        await asked.reply(200, completion("x" * 100_000))

    async with (
        serving(large) as mock,
        running(tmp_path, upstreams=[mock.base_url], max_completion_bytes="100000") as server,
    ):
        reply = await server.create(store=True)

        assert (reply.status, reply.json["error"]["code"]) == (502, "upstream_invalid_response")
        assert await server.stored() == []


async def test_the_limits_of_tries_and_breaker_are_those_of_the_file(tmp_path: Path) -> None:
    limits = "breaker_failures = 2\nbreaker_pause_s = 90\nbreaker_longest_pause_s = 90"
    async with serving(down) as mock, running(tmp_path, upstream("a", mock.base_url, limits)) as server:
        replies = [await server.create() for _ in range(3)]

    assert [reply.status for reply in replies] == [502, 502, 503]
    assert replies[2].headers["retry-after"] == "90"


async def test_what_outlived_its_client_gets_only_what_is_left_of_the_time_to_drain(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(30),
        serving(silent) as mock,
        running(tmp_path, upstreams=[mock.base_url], on_disconnect="finish", drain="600") as server,
    ):
        working = asyncio.create_task(server.create(store=True))
        await mock.until(lambda: len(mock.asked) == 1)
        server.client.leave.set()
        await working
        server.house.closing(at=time.monotonic() - 600)


async def test_a_database_that_goes_before_keys_are_known_is_said_in_a_line(tmp_path: Path) -> None:
    settings = resolve({"models": ["echo"], "data": str(tmp_path)}, {}, config_dir=tmp_path)
    house, tenants = House(settings, observer=ignore), MemoryTenants()
    tenants.down = True
    house.gate = Gate(key=None, tenants=tenants)

    with pytest.raises(StartupError, match=r"^It cannot be told which keys there are\. The store is down\.$"):
        async with house.opened():
            pass


async def test_the_example_in_the_docs_is_one(tmp_path: Path) -> None:
    [upstreams] = re.findall(r"```toml\n(\[\[upstreams.*?)```", (DOCS / "upstreams.md").read_text(), re.DOTALL)
    (tmp_path / "hansard.toml").write_text(upstreams)

    settings = resolve({}, {"OFFICE_KEY": "k", "AZURE_KEY": "k"}, config_dir=tmp_path, data_dir=tmp_path)

    assert settings.upstreams[0].unsupported == ("verbosity", "logprobs")


async def test_what_a_slow_reader_makes_wait_is_small(tmp_path: Path) -> None:
    """Held for a client that takes nothing more, here and in what is read ahead; the server's own buffer has its limit
    in ``api.corked``.
    """
    # Measured: 48 KB alone, 66 KB in a process that has run the other tests; before reads were small, 229 KB.
    streams, limit_bytes = 10, 96 * 1024
    written = [0]
    together = event(chunk({"content": "hello"})) * 64

    async def flooding(asked: Asked) -> None:
        await asked.start_stream()
        while True:
            await asked.send(together)
            written[0] += len(together)
            await asyncio.sleep(0)

    async with serving(hello) as mock, running(tmp_path, upstreams=[mock.base_url]) as here:
        await here.create(stream=True)
        mock.handler = flooding
        app = here.house.application(own_lifespan=False)

        async def stalled(scope: Scope, receive: Receive, send: Send) -> None:
            async def once(message: Message) -> None:
                await send(message)
                if message["type"] == "http.response.body":
                    await asyncio.Event().wait()

            await app(scope, receive, once)

        clients = [Client(stalled) for _ in range(2 * streams)]
        asking: list[asyncio.Task[Reply]] = []

        async def held_bytes(clients: Sequence[Client]) -> int:
            """By all streams so far, once these clients take nothing more either."""
            asked = {"model": "m", **ASKED, "stream": True}
            asking.extend(asyncio.create_task(client.post("/v1/chat/completions", asked)) for client in clients)
            before = 0
            while not before or written[0] != before:
                before = written[0]
                await asyncio.sleep(0.2)
            gc.collect()
            ours = tracemalloc.Filter(inclusive=True, filename_pattern="*/hansard/*")
            found = tracemalloc.take_snapshot().filter_traces([ours]).statistics("filename")
            return sum(each.size for each in found)

        tracemalloc.start()
        try:
            few = await held_bytes(clients[:streams])
            many = await held_bytes(clients[streams:])
        finally:
            tracemalloc.stop()
            for client in clients:
                client.leave.set()
            await asyncio.gather(*asking, return_exceptions=True)

    assert written[0] > streams * limit_bytes  # there was more to be had
    assert 0 < many - few < streams * limit_bytes


async def test_the_settings_say_how_long_completions_are_kept_and_a_request_may_say_otherwise(tmp_path: Path) -> None:
    async with running(tmp_path, models=["echo"], retention="1h", retention_bodies="60") as server:
        await server.create(model="echo", store=True)
        await server.create({"x-hansard-ttl": "never", "x-hansard-body-ttl": "2h"}, model="echo", store=True)
        first, second = await server.house.store.page("default", ListQuery(), after=None, limit=9)

    assert first.expires is not None
    assert first.body_expires == first.expires - 3600 + 60
    assert second.expires is None
    assert second.body_expires is not None


async def test_what_was_said_is_forgotten_before_the_rest_while_it_runs(tmp_path: Path) -> None:
    async with running(tmp_path, models=["echo"], retention_bodies="1s") as server:
        made = (await server.create(model="echo", store=True, temperature=0.5)).json
        address = f"/v1/chat/completions/{made['id']}"
        async with asyncio.timeout(20):
            while (await server.client.get(f"{address}/messages")).json["data"]:
                await asyncio.sleep(0.05)
        stored = (await server.client.get(address)).json
        listed = (await server.client.get("/v1/chat/completions")).json["data"]

    assert stored["choices"] == [
        {
            "index": 0,
            "message": {
                "content": None,
                "role": "assistant",
                "tool_calls": None,
                "function_call": None,
                "refusal": None,
                "annotations": [],
            },
            "finish_reason": "stop",
            "logprobs": None,
        }
    ]
    assert stored["usage"] == made["usage"]
    assert stored["temperature"] == 0.5
    assert listed == [stored]


async def test_pages_may_ask_where_their_origin_is_named_and_nowhere_else(tmp_path: Path) -> None:
    shop = {"origin": "https://shop.example"}
    async with (
        serving(hello) as mock,
        running(tmp_path, upstream("a", mock.base_url), cors=["https://shop.example"]) as server,
    ):
        named = await server.create(headers=shop)
        other = await server.create(headers={"origin": "https://elsewhere.example"})
        asked = {**shop, "access-control-request-method": "DELETE"}
        before = await server.client.request("OPTIONS", "/v1/chat/completions/x", headers=asked)

    assert (named.status, named.headers["access-control-allow-origin"]) == (200, "https://shop.example")
    assert other.status == 200
    assert "access-control-allow-origin" not in other.headers
    assert (before.status, before.headers["access-control-allow-origin"]) == (200, "https://shop.example")
    assert "access-control-allow-credentials" not in named.headers
    # What the official client reads of a reply, and what a limit says (dossier, section c).
    shown = named.headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "retry-after", "retry-after-ms", "x-should-retry"} <= set(shown)
    standing = {f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")}
    assert standing <= set(shown)


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"origin": "https://shop.example", "access-control-request-method": "POST"}, 200, None),
        (
            {"origin": "https://elsewhere.example", "access-control-request-method": "POST"},
            400,
            "This server refuses the preflight request of a page: Disallowed CORS origin.",
        ),
        (
            {"origin": "https://shop.example", "access-control-request-method": "PATCH"},
            400,
            "This server refuses the preflight request of a page: Disallowed CORS method.",
        ),
    ],
)
async def test_what_browsers_ask_before_has_an_id_and_a_line_and_a_refusal_its_envelope(
    tmp_path: Path, asked: dict[str, str], status: int, said: str | None
) -> None:
    events: list[Event] = []
    async with (
        serving(hello) as mock,
        running(
            tmp_path, upstream("a", mock.base_url), observer=events.append, cors=["https://shop.example"]
        ) as server,
    ):
        before = await server.client.request("OPTIONS", "/v1/chat/completions", headers=asked)

    assert before.status == status
    assert before.headers["vary"].startswith("Origin")
    [line] = [event for event in events if isinstance(event, RequestServed)]
    assert (line.method, line.path, line.status) == ("OPTIONS", "/v1/chat/completions", status)
    assert line.request_id == before.headers["x-request-id"]
    if said is None:
        assert before.headers["access-control-allow-methods"] == "GET, POST, DELETE"
    else:
        assert before.json["error"] == {
            "message": said,
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }


async def test_without_it_no_page_may(tmp_path: Path) -> None:
    async with serving(hello) as mock, running(tmp_path, upstream("a", mock.base_url)) as server:
        reply = await server.create(headers={"origin": "https://shop.example"})

    assert not [name for name in reply.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("wrong", ["shop.example", "https://shop.example/path", "ftp://shop.example", "null"])
def test_what_is_no_origin_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(StartupError, match="is no origin"):
        resolve({"cors": [wrong]}, {}, config_dir=tmp_path, data_dir=tmp_path)

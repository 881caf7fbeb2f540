"""api/bodies.py: how many bodies come at once, and how much of all of them is held."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from hansard.api.bodies import ALWAYS_BYTES
from hansard.api.front import Front
from hansard.api.routes import application
from hansard.completions import Completions
from hansard.core.policies import Limits, Policy
from hansard.engines.echo import EchoEngine
from hansard.engines.router import Router
from hansard.observe import ignore
from hansard.observe.metrics import Metrics
from hansard.recorder import Recorder
from hansard.tenancy import Gate, Principal
from tests.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

IN_ALL = 4 * ALWAYS_BYTES
HELLO = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}).encode()
GONE: dict[str, Any] = {"type": "http.disconnect"}


class ByKey(Gate):
    """Everyone is the key that it names, in one project."""

    def __init__(self, own: Limits, of_project: Limits) -> None:
        super().__init__(key=None)
        self._own, self._of_project = Policy(limits=own), Policy(limits=of_project)

    async def admit(self, authorization: str | None, api_key: str | None = None) -> Principal:
        return Principal("acme", authorization, policy=self._own, project_policy=self._of_project)


class Site:
    def __init__(self, *, own: Limits | None = None, of_project: Limits | None = None) -> None:
        store = MemoryStore()
        completions = Completions(
            router=Router(engines=[EchoEngine()], aliases={}),
            store=store,
            recorder=Recorder(store=store, observer=ignore),
        )
        front = Front(
            gate=ByKey(own or Limits(), of_project or Limits()),
            observer=ignore,
            max_body_bytes=IN_ALL,
            max_bodies_bytes=IN_ALL,
        )
        self.app = application(completions, front, metrics=Metrics(), version="1.2.3", default_order="asc")

    async def create(self, body: bytes = HELLO, *, key: str = "k1") -> Sent:
        """A create whose body has come whole, answered."""
        sent = Sent(self, key)
        await sent.go_on(body, is_all=True)
        await sent.task
        return sent


class Sent:
    """A create under way: its body comes piece by piece."""

    def __init__(self, site: Site, key: str = "k1") -> None:
        self.status = 0
        self.body = b""
        self.headers: dict[bytes, bytes] = {}
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/chat/completions",
            "raw_path": b"/v1/chat/completions",
            "query_string": b"",
            "headers": [(b"authorization", key.encode())],
        }
        self.task = asyncio.ensure_future(site.app(scope, self._receive, self._send))

    async def go_on(self, piece: bytes, *, is_all: bool = False) -> Sent:
        """Send so much more, and wait until it is taken, or answered."""
        await self._messages.put({"type": "http.request", "body": piece, "more_body": not is_all})
        while not (self._messages.empty() or self.task.done()):
            await asyncio.sleep(0)
        for _ in range(5):  # it is taken; what is made of it takes a few turns of the loop
            await asyncio.sleep(0)
        return self

    async def leave(self) -> None:
        await self._messages.put(GONE)
        await self.task

    @property
    def error(self) -> Any:
        return json.loads(self.body)["error"]

    async def _receive(self) -> Any:
        return await self._messages.get()

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body += message.get("body", b"")


ONE = Limits(concurrent_requests=1)


@pytest.mark.parametrize("limits", [{"own": ONE}, {"of_project": ONE}])
async def test_as_many_bodies_come_at_once_as_may_run(limits: dict[str, Limits]) -> None:
    site = Site(**limits)
    slow = await Sent(site).go_on(HELLO[:5])

    refused = Sent(site)  # and nothing of its body has come, or is waited for
    await refused.task

    assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
    assert "on concurrent requests: Limit 1, Used 1, Requested 1." in refused.error["message"]
    await slow.go_on(HELLO[5:], is_all=True)
    await slow.task
    assert slow.status == 200
    assert (await site.create()).status == 200


async def test_who_has_no_limit_sends_as_many_as_it_likes() -> None:
    site = Site()
    slow = [await Sent(site).go_on(HELLO[:5]) for _ in range(3)]

    assert (await site.create()).status == 200
    for each in slow:
        await each.leave()


async def test_of_two_keys_each_has_its_own() -> None:
    site = Site(own=ONE)
    slow = await Sent(site, "k1").go_on(HELLO[:5])

    assert (await site.create(key="k2")).status == 200
    await slow.leave()


async def test_who_leaves_gives_its_place_back() -> None:
    site = Site(own=ONE)
    slow = await Sent(site).go_on(HELLO[:5])
    await slow.leave()

    assert (await site.create()).status == 200


async def test_all_bodies_together_are_bounded_and_small_ones_are_always_taken() -> None:
    site = Site()
    slow = await Sent(site).go_on(b" " * (IN_ALL - ALWAYS_BYTES))

    too_much = await Sent(site).go_on(b" " * (2 * ALWAYS_BYTES))
    await too_much.task

    assert (too_much.status, too_much.error["code"]) == (503, "too_many_bodies")
    assert too_much.headers[b"retry-after"] == b"1"
    assert (await site.create()).status == 200
    assert (await site.create(HELLO.ljust(ALWAYS_BYTES))).status == 200
    await slow.leave()
    large = await site.create(HELLO.ljust(IN_ALL))
    assert large.status == 200

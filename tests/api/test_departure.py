"""A project leaves over the admin API: all of it comes out, and all of it goes, a restart between the two or not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from hansard.administration import Actor, logged
from hansard.app import House
from hansard.config import resolve
from hansard.core.keys import USUAL, digest
from hansard.errors import StoreUnavailable
from hansard.observe import ignore
from hansard.store.tenants import Key, Project
from tests.api.asgi import Client, Reply

pytestmark = pytest.mark.anyio

OPERATOR, OWNER = "sk-operator-0123456789", "sk-hansard-owner"
SHOP = "proj_" + "s" * 24
ADDRESS = "/hansard/v1/projects"


class Site:
    """A server in this process with a project and its key."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.client = Client(house.application(own_lifespan=False))

    async def ask(self, method: str, path: str, body: object = b"", *, key: str = OPERATOR) -> Reply:
        path, _, query = path.partition("?")
        headers = {"authorization": f"Bearer {key}"}
        return await self.client.request(method, path, body, query=query.encode(), headers=headers)

    async def stored(self, count: int) -> list[str]:
        asked = {"model": "echo", "messages": [{"role": "user", "content": 'Hi,\n"you"'}], "store": True}
        replies = [await self.ask("POST", "/v1/chat/completions", asked, key=OWNER) for _ in range(count)]
        return [reply.json["id"] for reply in replies]

    async def until_done(self, project: str) -> None:
        async with asyncio.timeout(20):
            while not (await self.ask("GET", f"{ADDRESS}/{project}/deletion")).json["done"]:
                await asyncio.sleep(0.01)

    async def acts(self) -> list[tuple[str, str]]:
        log = await self.ask("GET", f"/hansard/v1/audit?project={SHOP}")
        return [(entry["act"], entry["target"]) for entry in log.json["data"]]


@asynccontextmanager
async def opened(place: Path, *, audit: str = "acts") -> AsyncIterator[Site]:
    flags = {"models": ["echo"], "data": str(place), "search": "on", "audit": audit}
    house = House(resolve(flags, {"HANSARD_API_KEY": OPERATOR}, config_dir=place), observer=ignore)
    async with house.opened():
        yield Site(house)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with opened(tmp_path) as site:
        key = Key(id="key_1", project=SHOP, digest=digest(OWNER), name="k", shown="", created=1, scopes=USUAL)
        await site.house.store.tenants.keep([Project(id=SHOP, name="shop", created=1), key], [])
        await site.house.gate.look()
        yield site


@pytest.mark.parametrize("named", [SHOP, "shop"])
async def test_all_of_a_project_comes_out_the_oldest_first(site: Site, named: str) -> None:
    made = await site.stored(40)

    reply = await site.ask("GET", f"{ADDRESS}/{named}/export")

    lines = [json.loads(line) for line in reply.body.splitlines()]
    assert (reply.status, reply.headers["content-type"]) == (200, "application/jsonl")
    assert [line["id"] for line in lines] == made
    assert lines[0]["request"]["messages"] == [{"role": "user", "content": 'Hi,\n"you"'}]
    assert lines[0]["reply"]["id"] == made[0]
    assert await site.acts() == [("project.exported", SHOP)]


async def test_whoever_asks_for_the_head_of_an_export_gets_no_lines(site: Site) -> None:
    await site.stored(1)

    reply = await site.ask("HEAD", f"{ADDRESS}/shop/export")

    assert (reply.status, reply.body) == (200, b"")


async def test_an_export_goes_on_behind_the_last_line(site: Site) -> None:
    made = await site.stored(5)

    reply = await site.ask("GET", f"{ADDRESS}/shop/export?after={made[2]}")

    assert [json.loads(line)["id"] for line in reply.body.splitlines()] == made[3:]


@pytest.mark.parametrize(
    ("path", "status", "param"),
    [("shop/export?after=chatcmpl-1", 400, "after"), ("nowhere/export", 404, None), ("shop/deletion", 404, None)],
)
async def test_what_is_not_there_is_said(site: Site, path: str, status: int, param: str | None) -> None:
    reply = await site.ask("GET", f"{ADDRESS}/{path}")

    assert (reply.status, reply.json["error"]["param"]) == (status, param)


async def test_no_more_is_read_than_is_taken(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line waits for its reader, and meanwhile the second page is not asked for."""
    await site.stored(40)
    read: list[int] = []
    page = site.house.store.page
    taken, may_go = asyncio.Event(), asyncio.Event()

    async def counted(*args: object, **named: object) -> object:
        records = await page(*args, **named)  # type: ignore[arg-type]
        read.append(len(records))
        return records

    monkeypatch.setattr(site.house.store, "page", counted)

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        if message.get("body"):
            taken.set()
            await may_go.wait()

    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError

    path = f"{ADDRESS}/{SHOP}/export"
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    headers = [(b"authorization", f"Bearer {OPERATOR}".encode())]
    asked = asyncio.ensure_future(site.client.app({**scope, "headers": headers}, receive, send))  # type: ignore[arg-type]
    await taken.wait()
    assert read == [16]
    may_go.set()
    await asked
    assert read == [16, 16, 8, 0]


async def test_an_export_that_breaks_off_says_so_in_its_last_line(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await site.stored(20)
    page = site.house.store.page

    async def once(*args: object, **named: object) -> object:
        if named["after"] is not None:
            raise StoreUnavailable("The store is away.")
        return await page(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(site.house.store, "page", once)
    reply = await site.ask("GET", f"{ADDRESS}/shop/export")

    *lines, last = [json.loads(line) for line in reply.body.splitlines()]
    assert [line["id"] for line in lines] == made[:16]
    assert last["error"]["message"] == "The store is away."


async def test_a_project_is_closed_at_once_and_then_goes_whole(site: Site) -> None:
    await site.stored(3)

    closed = await site.ask("DELETE", f"{ADDRESS}/shop")

    assert (closed.status, closed.json["object"], closed.json["id"]) == (200, "hansard.project.deletion", SHOP)
    assert (await site.ask("GET", "/v1/models", key=OWNER)).status == 401
    await site.until_done(SHOP)
    assert await site.house.store.left_of(SHOP) == (0, False)
    assert (await site.ask("GET", f"{ADDRESS}/shop")).status == 404
    again = await site.ask("DELETE", f"{ADDRESS}/{SHOP}")
    assert (again.status, again.json["completions_left"], again.json["done"]) == (200, 0, True)
    assert await site.acts() == [("project.deleted", SHOP)]


async def test_the_default_project_stays(site: Site) -> None:
    assert (await site.ask("DELETE", f"{ADDRESS}/default")).status == 400
    assert (await site.ask("DELETE", f"{ADDRESS}/nowhere")).status == 404


async def test_after_a_restart_it_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as site:
        key = Key(id="key_1", project=SHOP, digest=digest(OWNER), name="k", shown="", created=1, scopes=USUAL)
        await site.house.store.tenants.keep([Project(id=SHOP, name="shop", created=1), key], [])
        await site.house.gate.look()
        await site.stored(3)
        # By another, as it were: this one does not look for a minute.
        entry = logged(Actor(name="cli"), "project.deleted", project=SHOP, target=SHOP, details={})
        await site.house.store.close_project(SHOP, entry)
        assert await site.house.store.closed_projects() == [SHOP]

    async with opened(tmp_path) as site:
        await site.until_done(SHOP)
        assert await site.house.store.closed_projects() == []


async def test_rows_whose_project_was_lost_in_another_way_stay(site: Site) -> None:
    made = await site.stored(1)

    def lose(connection: Connection) -> None:
        for table in ("keys", "projects"):
            connection.execute(text(f"DELETE FROM {table} WHERE project = :project"), {"project": SHOP})

    await site.house.store._writer.write(lose)

    assert await site.house.store.closed_projects() == []
    assert await site.house.store.left_of(SHOP) is None
    assert await site.house.store.get(SHOP, made[0]) is not None

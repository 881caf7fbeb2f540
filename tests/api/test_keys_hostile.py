"""api/: what hostile headers get, and what is never said of a key."""

from __future__ import annotations

import sqlite3
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from hansard.app import House
from hansard.config import resolve
from hansard.observe import Event
from hansard.observe.console import console
from tests.api.asgi import Client, Reply

pytestmark = pytest.mark.anyio

OPERATOR = "sk-operator-0123456789abcdef"
ASKED = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}], "store": True}

HOSTILE = [
    "Bearer '; DROP TABLE keys; --",
    "Bearer ' OR '1'='1",
    'Bearer " UNION SELECT digest FROM keys --',
    "Bearer \\x00\\x00",
    "Bearer \xff\xfe\x80",
    f"Bearer {'x' * 8192}",
    f"Bearer {'é' * 4096}",
    "Bearer ${jndi:ldap://127.0.0.1/a}",
    "Bearer %s%n%x",
    "Bearer ../../../etc/passwd",
    f"Basic {b64encode(b':' + b'x' * 6000).decode()}",
]
NOT_UTF8 = f"Basic {b64encode(b':' + bytes(range(256))).decode()}"
NO_KEYS = [NOT_UTF8, "Bearer", "Bearer ", "Basic !!!!", "Basic ", "Digest username=a", "Negotiate YII=", "\xff"]


class Site:
    def __init__(self, house: House, events: list[Event], directory: Path) -> None:
        self.house = house
        self.client = Client(house.application(own_lifespan=False))
        self.events = events
        self.directory = directory

    async def ask(self, key: str | None, method: str, path: str, body: object = b"") -> Reply:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return await self.client.request(method, path, body, headers=headers)

    async def key(self, project: str, **fields: object) -> tuple[str, str]:
        """A new one's id and all of it."""
        made = await self.ask(OPERATOR, "POST", "/hansard/v1/keys", {"project": project, "name": "n", **fields})
        return made.json["id"], made.json["key"]


@asynccontextmanager
async def site_of(tmp_path: Path, *, operator: str = OPERATOR, **flags: object) -> AsyncIterator[Site]:
    events: list[Event] = []
    flags = {"models": ["echo"], "data": str(tmp_path / "data"), **flags}
    settings = resolve(flags, {"HANSARD_API_KEY": operator}, config_dir=tmp_path, data_dir=tmp_path)
    house = House(settings, observer=events.append)
    async with house.opened():
        yield Site(house, events, tmp_path / "data")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with site_of(tmp_path) as site:
        yield site


@pytest.mark.parametrize("header", ["authorization", "api-key"])
async def test_a_hostile_key_is_only_wrong(site: Site, header: str) -> None:
    _, right = await site.key("default")
    for said in HOSTILE:
        sent = said if header == "authorization" else said.partition(" ")[2]
        reply = await site.client.get("/v1/models", headers={header: sent})
        assert (reply.status, reply.json["error"]["code"]) == (401, "invalid_api_key"), said
        assert list(reply.json["error"]) == ["message", "type", "param", "code"]
        assert len(reply.body) < 20_000
    assert (await site.ask(right, "GET", "/v1/models")).status == 200
    with closing(sqlite3.connect(site.directory / "hansard.sqlite3")) as connection:
        assert connection.execute("SELECT count(*) FROM keys").fetchone() == (1,)


@pytest.mark.parametrize("said", NO_KEYS)
async def test_what_holds_no_key_is_told_how_to_send_one(site: Site, said: str) -> None:
    reply = await site.client.get("/v1/models", headers={"authorization": said})

    assert (reply.status, reply.json["error"]["code"]) == (401, None)
    assert reply.json["error"]["message"].startswith("You didn't provide an API key")


@pytest.mark.parametrize("header", ["openai-project", "openai-organization"])
@pytest.mark.parametrize("said", ["'; DROP TABLE projects; --", "x" * 8192, "\xff\xfe", "default\tx"])
async def test_hostile_names_of_projects_are_only_others(site: Site, header: str, said: str) -> None:
    reply = await site.client.get("/v1/models", headers={"authorization": f"Bearer {OPERATOR}", header: said})

    # No organization is set on this server, so any is taken.
    assert reply.status == (401 if header == "openai-project" else 200)
    assert said not in reply.body.decode()


# What proxies and frameworks elsewhere let decide who is asking, for which host, or for what.
CLAIMS = {
    "host": "127.0.0.1",
    "x-forwarded-host": "localhost",
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-user": "admin",
    "x-real-ip": "::1",
    "forwarded": "for=127.0.0.1;host=localhost;proto=https",
    "x-original-url": "/health",
    "x-rewrite-url": "/health",
    "x-http-method-override": "GET",
    "x-forwarded-prefix": "/health",
    "origin": "http://localhost",
    "referer": "http://localhost/admin",
    "cookie": "session=admin",
}


@pytest.mark.parametrize("claim", CLAIMS)
async def test_what_a_header_claims_of_its_sender_decides_nothing(site: Site, claim: str) -> None:
    """Whoever has no key is told so, and a key reaches no farther than it does."""
    _, narrow = await site.key("default", scopes=["create"])
    for said in (CLAIMS[claim], "attacker.example"):
        for key, method, path, status in (
            (None, "GET", "/v1/models", 401),
            (None, "DELETE", "/v1/chat/completions/chatcmpl-1", 401),
            (narrow, "GET", "/hansard/v1/keys", 403),
            (narrow, "POST", "/v1/chat/completions/chatcmpl-1", 403),
            (narrow, "GET", "/v1/models", 200),
        ):
            headers = {} if key is None else {"authorization": f"Bearer {key}"}
            reply = await site.client.request(method, path, headers={**headers, claim: said})
            assert reply.status == status, (method, path, said)
            assert said not in str(reply.headers)


@pytest.mark.parametrize("name", ["a\x00b", "a\x1b[2Jb", "a\nb", "\x9b2J", ""])
@pytest.mark.parametrize("what", ["projects", "keys"])
async def test_names_hold_no_control_characters(site: Site, what: str, name: str) -> None:
    """PostgreSQL holds no NUL at all, and others would move the cursor of whoever lists names."""
    body = {"name": name} | ({"project": "default"} if what == "keys" else {})

    assert (await site.ask(OPERATOR, "POST", f"/hansard/v1/{what}", body)).status == 400


async def test_nobody_makes_the_first_key_over_http(tmp_path: Path) -> None:
    """Any page in the operator's browser could, and would shut out everyone without one."""
    async with site_of(tmp_path, operator="") as site:
        for method, path in (
            ("POST", "/hansard/v1/projects"),
            ("POST", "/hansard/v1/projects/default"),
            ("POST", "/hansard/v1/keys"),
            ("POST", "/hansard/v1/keys/key_1/rotate"),
            ("DELETE", "/hansard/v1/keys/key_1"),
        ):
            body = b"{}" if method == "DELETE" or path.count("/") > 3 else b'{"name": "a", "project": "default"}'
            if path == "/hansard/v1/projects":
                body = b'{"name": "a"}'
            reply = await site.ask(None, method, path, body)
            assert (reply.status, reply.json["error"]["type"]) == (403, "invalid_request_error"), path
        assert (await site.ask(None, "GET", "/hansard/v1/keys")).json["data"] == []
        assert (await site.ask(None, "GET", "/v1/models")).status == 200


async def test_a_key_is_said_once_and_lies_nowhere(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Not in a later reply, not in a line of the log, not in an error, not in a file."""
    made = await site.ask(OPERATOR, "POST", "/hansard/v1/keys", {"project": "default", "name": "n"})
    key_id, secret = made.json["id"], made.json["key"]
    assert made.headers["cache-control"] == "no-store"

    stored = await site.ask(secret, "POST", "/v1/chat/completions", {**ASKED, "metadata": {"a": "b"}})
    said = [await site.ask(secret, "GET", f"/v1/chat/completions/{stored.json['id']}")]
    said += [await site.ask(secret, "GET", "/v1/nowhere"), await site.ask(secret, "POST", "/v1/chat/completions", b"{")]
    said += [await site.ask(OPERATOR, "GET", f"/hansard/v1/{what}") for what in ("keys", "projects", "audit")]
    said += [await site.ask(OPERATOR, "DELETE", f"/hansard/v1/keys/{key_id}")]
    refused = await site.ask(secret, "GET", "/v1/models")

    assert refused.status == 401
    for event in site.events:
        console(event)
    logged = capsys.readouterr()
    for text in (*(reply.body.decode() for reply in [*said, refused]), logged.out, logged.err, repr(site.events)):
        for key in (secret, OPERATOR):
            assert key not in text
            assert key[11:] not in text
    assert len(site.events) >= 9
    for file in site.directory.iterdir():
        content = file.read_bytes()
        assert secret.encode() not in content
        assert OPERATOR.encode() not in content

"""Every operation with every kind of key, on the real store; and what one project sees of another: nothing."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from hansard.administration import Actor
from hansard.api.routes import PREFIXES
from hansard.app import House
from hansard.config import resolve
from hansard.core.keys import Scope, digest
from hansard.core.policies import UNBOUND, Policy
from hansard.observe import ignore
from hansard.store.tenants import Entry, Key, Project
from tests.api.asgi import Client, Reply

pytestmark = pytest.mark.anyio

OPERATOR = "sk-operator-0123456789"
ASKED = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}], "store": True}
SECRETS = {
    name: f"sk-hansard-{name}-key"
    for name in ("owner", "reads", "creates", "writes", "counts", "admin", "other", "expired", "revoked", "archived")
}
SCOPES: dict[str, set[Scope]] = {
    "reads": {"read"},
    "creates": {"create"},
    "writes": {"write"},
    "counts": {"metrics"},
    "admin": {"admin"},
}


def key(name: str, **fields: Any) -> Key:
    project = {"other": "proj_other", "archived": "proj_old"}.get(name, "proj_mine")
    return Key(
        **{
            "id": f"key_{name}",
            "project": project,
            "digest": digest(SECRETS[name]),
            "name": name,
            "shown": "",
            "created": 1,
            "scopes": frozenset(SCOPES.get(name, {"create", "read", "write"})),
            **fields,
        }
    )


class Site:
    """A server in this process, with a key of each kind."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.client = Client(house.application(own_lifespan=False))

    async def ask(self, who: str, method: str, path: str, body: object = b"", **headers: str) -> Reply:
        secret = {"operator": OPERATOR, "wrong": "sk-hansard-wrong", "none": None}.get(who, SECRETS.get(who))
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if secret is not None:
            given = {"authorization": f"Bearer {secret}", **given}
        path, _, query = path.partition("?")
        return await self.client.request(method, path, body, query=query.encode(), headers=given)

    async def have(self, owner: Policy, *, project: Policy = UNBOUND) -> None:
        """From now on the owner's key says this, and its project that."""
        tenants = self.house.store.tenants
        entries = [Entry(id=each, project="proj_mine", at=1, actor="", act="", target="") for each in ("1", "2")]
        await tenants.change_project("proj_mine", lambda old: structs.replace(old, policy=project), entries[0])
        await tenants.change_key("key_owner", lambda old: [structs.replace(old, policy=owner)], entries[1])
        await self.house.gate.look()

    async def stored(self, who: str = "owner", **fields: object) -> str:
        reply = await self.ask(who, "POST", "/v1/chat/completions", {**ASKED, **fields})
        assert reply.status == 200
        return str(reply.json["id"])


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    flags = {"models": ["echo"], "data": str(tmp_path), "search": "on", "organization": "org-ours"}
    settings = resolve(flags, {"HANSARD_API_KEY": OPERATOR}, config_dir=tmp_path)
    house = House(settings, observer=ignore)
    async with house.opened():
        mine, other = (Project(id=f"proj_{name}", name=name, created=1) for name in ("mine", "other"))
        old = Project(id="proj_old", name="old", created=1, archived=2)
        ended = {"expired": {"expires": int(time.time()) - 1}, "revoked": {"revoked": 2}}
        keys = [key(name, **ended.get(name, {})) for name in SECRETS]
        left = Project(id="left", name="left", created=1)
        await house.store.tenants.keep([mine, other, old, left, *keys], [])
        await house.gate.look()
        yield Site(house)


KINDS = [
    *("none", "wrong", "expired", "revoked", "archived"),
    *("other", "reads", "creates", "writes", "counts", "admin", "owner", "operator"),
]
PROJECT = b'{"name": "new"}'
KEY = b'{"project": "mine", "name": "new"}'
# fmt: off
MATRIX = [
    #                                                 none bad  exp. rev. arch oth. read cre. wri. met. adm. own op.
    ("POST", "/v1/chat/completions", ASKED,            401, 401, 401, 401, 401, 200, 403, 200, 403, 403, 403, 200, 200),
    ("GET", "/v1/chat/completions", b"",               401, 401, 401, 401, 401, 200, 200, 403, 403, 403, 403, 200, 200),
    ("GET", "/v1/chat/completions/ID", b"",            401, 401, 401, 401, 401, 404, 200, 403, 403, 403, 403, 200, 404),
    ("GET", "/v1/chat/completions/ID/messages", b"",   401, 401, 401, 401, 401, 404, 200, 403, 403, 403, 403, 200, 404),
    ("POST", "/v1/chat/completions/ID", b'{"metadata":{}}',
                                                       401, 401, 401, 401, 401, 404, 403, 403, 403, 403, 403, 200, 404),
    ("DELETE", "/v1/chat/completions/ID", b"",         401, 401, 401, 401, 401, 404, 403, 403, 200, 403, 403, 200, 404),
    ("GET", "/v1/models", b"",                         401, 401, 401, 401, 401, 200, 200, 200, 200, 200, 200, 200, 200),
    ("GET", "/v1/models/echo", b"",                    401, 401, 401, 401, 401, 200, 200, 200, 200, 200, 200, 200, 200),
    ("GET", "/hansard/v1/search?q=hi", b"",            401, 401, 401, 401, 401, 200, 200, 403, 403, 403, 403, 200, 200),
    ("GET", "/hansard/v1/facets", b"",                 401, 401, 401, 401, 401, 200, 200, 403, 403, 403, 403, 200, 200),
    ("POST", "/check", b"",                            401, 401, 401, 401, 401, 200, 403, 200, 403, 403, 403, 200, 200),
    ("GET", "/metrics", b"",                           401, 401, 401, 401, 401, 403, 403, 403, 403, 200, 200, 403, 200),
    ("GET", "/hansard/v1/projects", b"",               401, 401, 401, 401, 401, 403, 403, 403, 403, 403, 200, 403, 200),
    ("POST", "/hansard/v1/projects", PROJECT,          401, 401, 401, 401, 401, 403, 403, 403, 403, 403, 200, 403, 200),
    ("GET", "/hansard/v1/projects/mine", b"",          401, 401, 401, 401, 401, 403, 403, 403, 403, 403, 200, 403, 200),
    ("POST", "/hansard/v1/projects/mine", b"{}",       401, 401, 401, 401, 401, 403, 403, 403, 403, 403, 200, 403, 200),
    ("GET", "/hansard/v1/projects/mine/export", b"",   401, 401, 401, 401, 401, 403, 403, 403, 403, 403, 200, 403, 200),
    ("GET", "/hansard/v1/projects/left/deletion", b"", 401, 401, 401, 401, 401, 403, 403, 403, 403, 403, 200, 403, 200),
    ("DELETE", "/hansard/v1/projects/left", b"",       401, 401, 401, 401, 401, 403, 403, 403, 403, 403, 200, 403, 200),
    ("GET", "/hansard/v1/keys", b"",                   401, 401, 401, 401, 401, 403, 403, 403, 403, 403, 200, 403, 200),
    ("POST", "/hansard/v1/keys", KEY,                  401, 401, 401, 401, 401, 403, 403, 403, 403, 403, 200, 403, 200),
    ("GET", "/hansard/v1/keys/key_reads", b"",         401, 401, 401, 401, 401, 403, 403, 403, 403, 403, 200, 403, 200),
    ("POST", "/hansard/v1/keys/key_reads/rotate", b"", 401, 401, 401, 401, 401, 403, 403, 403, 403, 403, 200, 403, 200),
    ("DELETE", "/hansard/v1/keys/key_reads", b"",      401, 401, 401, 401, 401, 403, 403, 403, 403, 403, 200, 403, 200),
    ("GET", "/hansard/v1/audit", b"",                  401, 401, 401, 401, 401, 403, 403, 403, 403, 403, 200, 403, 200),
    ("GET", "/health", b"",                            200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200),
    ("GET", "/livez", b"",                             200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200),
    ("GET", "/readyz", b"",                            200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200),
    ("GET", "/openapi.json", b"",                      200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200),
    ("GET", "/v1/nowhere", b"",                        404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404),
    ("PUT", "/v1/chat/completions", b"",               401, 401, 401, 401, 401, 405, 405, 405, 405, 405, 405, 405, 405),
]
# fmt: on


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("who", KINDS)
async def test_every_operation_with_every_kind_of_key(site: Site, who: str, prefix: str) -> None:
    """Wherever it is served, and a HEAD as the GET that it stands for (RFC 9110, section 9.3.2)."""
    await site.house.departure.delete(Actor(name="test"), "left")
    column = 3 + KINDS.index(who)
    seen, expected = {}, {}
    for row in MATRIX:
        method, path, body = row[:3]
        mine = await site.stored() if "ID" in path else ""
        address = prefix + path.removeprefix("/v1").replace("ID", mine)
        for said in ("GET", "HEAD") if method == "GET" else (method,):
            reply = await site.ask(who, said, address, body)
            seen[f"{said} {path}"], expected[f"{said} {path}"] = reply.status, row[column]
    assert seen == expected


async def test_every_guarded_address_is_in_the_matrix(site: Site) -> None:
    """What is served and what is tried above are the same."""
    described = (await site.ask("none", "GET", "/openapi.json")).json["paths"]
    served = {
        f"{method.upper()} {re.sub(r'{[^}]*}', '*', path)}"
        for path, operations in described.items()
        for method in operations
        if method in ("get", "post", "delete")
    }
    names = ("ID", "echo", "mine", "left", "key_reads")
    tried = set()
    for method, path, *_ in MATRIX:
        parts = [("*" if part in names else part) for part in path.partition("?")[0].removeprefix("/v1").split("/")]
        tried.add(f"{method} {'/'.join(parts)}")
    assert served - tried == set()


def without_chance(reply: Reply, completion_id: str) -> tuple[int, bytes, dict[str, str]]:
    """All of a reply but what differs from request to request, and the id that was asked for."""
    headers = {
        name: value for name, value in reply.headers.items() if name not in ("x-request-id", "openai-processing-ms")
    }
    return reply.status, reply.body.replace(completion_id.encode(), b"ID"), headers


@pytest.mark.parametrize(
    ("method", "path", "body"), [(method, path, body) for method, path, body, *_ in MATRIX if "ID" in path]
)
async def test_a_foreign_id_and_an_unknown_one_get_the_same_reply(
    site: Site, method: str, path: str, body: object
) -> None:
    foreign, deleted = await site.stored("other"), await site.stored("other")
    await site.ask("other", "DELETE", f"/v1/chat/completions/{deleted}")
    unknown = "chatcmpl-" + "0" * 29
    replies = [
        without_chance(await site.ask("owner", method, path.replace("ID", each), body), each)
        for each in (foreign, deleted, unknown)
    ]
    assert replies[0] == replies[1] == replies[2]
    assert replies[0][0] == 404


async def test_a_foreign_cursor_and_an_unknown_one_get_the_same_reply(site: Site) -> None:
    foreign, unknown = await site.stored("other"), "chatcmpl-" + "0" * 29
    for path in ("/v1/chat/completions?after=ID", "/hansard/v1/search?q=hi&after=ID"):
        one, other = [
            without_chance(await site.ask("owner", "GET", path.replace("ID", each)), each)
            for each in (foreign, unknown)
        ]
        assert one == other
        assert one[0] == 400


async def test_lists_search_and_facets_have_nothing_of_another_project(site: Site) -> None:
    await site.stored("other", metadata={"secret": "theirs"})
    for path in ("/v1/chat/completions", "/hansard/v1/search?q=hi", "/hansard/v1/facets"):
        assert (await site.ask("owner", "GET", path)).json["data"] == []


async def test_an_idempotency_key_is_its_projects_own(site: Site) -> None:
    first, second = [
        await site.ask(who, "POST", "/v1/chat/completions", ASKED, idempotency_key="one") for who in ("owner", "other")
    ]
    assert first.json["id"] != second.json["id"]


async def test_an_idempotency_key_is_the_api_keys_own(site: Site) -> None:
    """Or who may not read is given what another was answered, and nothing in the log says so."""
    first, again, other = [
        await site.ask(who, "POST", "/v1/chat/completions", ASKED, idempotency_key="one")
        for who in ("owner", "owner", "creates")
    ]

    assert again.json == first.json
    assert (other.status, other.json["id"] != first.json["id"]) == (200, True)
    assert "idempotent-replayed" not in other.headers
    unlike = await site.ask("creates", "POST", "/v1/chat/completions", {**ASKED, "n": 2}, idempotency_key="two")
    assert (await site.ask("owner", "POST", "/v1/chat/completions", ASKED, idempotency_key="two")).status == 200
    assert unlike.status == 200


async def test_a_missing_scope_is_said_in_the_live_apis_words(site: Site) -> None:
    reply = await site.ask("reads", "POST", "/v1/chat/completions", ASKED)
    assert reply.json["error"] == {
        "message": "You have insufficient permissions for this operation. Missing scopes: create. Check that you have "
        "the correct role in your organization (Reader, Writer, Owner) and project (Member, Owner), and if you're "
        "using a restricted API key, that it has the necessary scopes.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


async def test_a_model_that_is_not_allowed_is_said_in_the_live_apis_words_and_not_listed(site: Site) -> None:
    await site.have(Policy(models=("other",)))

    for fields in ({}, {"stream": True}, {"store": False}):
        reply = await site.ask("owner", "POST", "/v1/chat/completions", {**ASKED, **fields})
        # https://github.com/cursor/cursor/issues/2953
        assert (reply.status, reply.json["error"]) == (
            403,
            {
                "message": "Project `proj_mine` does not have access to model `echo`",
                "type": "invalid_request_error",
                "param": None,
                "code": "model_not_found",
            },
        )
    assert (await site.ask("owner", "GET", "/v1/models")).json["data"] == []
    assert (await site.ask("owner", "GET", "/v1/models/echo")).status == 404


async def test_a_check_names_and_asks_only_models_that_its_key_may_use(site: Site) -> None:
    assert [row["id"] for row in (await site.ask("owner", "POST", "/v1/check")).json["data"]] == ["echo"]
    await site.have(Policy(models=("other",)))

    for ask in ("list", "completion"):
        named = await site.ask("owner", "POST", f"/v1/check?ask={ask}&model=echo")
        assert (named.status, named.json["error"]["code"]) == (403, "model_not_found")
        assert (await site.ask("owner", "POST", f"/v1/check?ask={ask}")).json["data"] == []


async def test_what_a_key_says_goes_before_what_its_project_says(site: Site) -> None:
    project = Policy(models=("x",), metadata={"team": "p", "site": "p"})
    await site.have(Policy(models=("echo",), metadata={"team": "k", "user": "k"}), project=project)

    made = await site.stored(metadata={"user": "r"})

    stored = (await site.ask("owner", "GET", f"/v1/chat/completions/{made}")).json
    assert stored["metadata"] == {"site": "p", "team": "k", "user": "r"}


async def test_what_project_and_key_add_leaves_metadata_that_its_client_can_send_back(site: Site) -> None:
    """16 pairs are the most (official document, Metadata); a request's own are never the ones that give way."""
    project = Policy(metadata={f"p{each}": "p" for each in range(16)})
    await site.have(Policy(metadata={f"k{each}": "k" for each in range(4)}), project=project)
    asked = {f"r{each}": "r" for each in range(11)}

    made = await site.stored(metadata=asked)
    stored = (await site.ask("owner", "GET", f"/v1/chat/completions/{made}")).json["metadata"]
    back = await site.ask("owner", "POST", f"/v1/chat/completions/{made}", {"metadata": stored})

    assert stored == {**asked, "k0": "k", "k1": "k", "k2": "k", "k3": "k", "p0": "p"}
    assert (back.status, back.json["metadata"]) == (200, stored)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"openai_project": "proj_mine"}, 200, None),
        ({"openai_project": "mine"}, 200, None),
        ({"openai_project": "proj_other"}, 401, "mismatched_project"),
        ({"openai_organization": "org-ours"}, 200, None),
        ({"openai_organization": "org-theirs"}, 401, "mismatched_organization"),
    ],
)
async def test_the_headers_of_project_and_organization_are_checked(
    site: Site, headers: dict[str, str], status: int, code: str | None
) -> None:
    reply = await site.ask("owner", "GET", "/v1/chat/completions", **headers)
    assert reply.status == status
    if code is not None:
        what = code.removeprefix("mismatched_")
        message = f"OpenAI-{what.capitalize()} header should match {what} for API key"
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        assert reply.json == {"error": error}
    else:
        assert reply.headers["openai-project"] == "proj_mine"
        assert reply.headers["openai-organization"] == "org-ours"


async def test_azures_header_and_prefix(site: Site) -> None:
    reply = await site.client.post(
        "/openai/v1/chat/completions", ASKED, headers={"api-key": SECRETS["owner"], "content-type": "application/json"}
    )
    assert reply.status == 200
    wrong = await site.client.get("/openai/v1/chat/completions", headers={"api-key": "sk-no"})
    assert (wrong.status, wrong.json["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("prefix", ["/openai", "/openai/deployments/tiny", "/openai/deployments/org/tiny"])
async def test_azures_older_addresses(site: Site, prefix: str) -> None:
    """Its client names the model in the path of a create, and in the body, which counts here."""
    made = await site.ask("owner", "POST", f"{prefix}/chat/completions?api-version=2025-02-01-preview", ASKED)
    assert (made.status, made.json["model"]) == (200, "echo")
    listed = await site.ask("owner", "GET", f"{prefix}/chat/completions?api-version=2025-02-01-preview")
    assert [each["id"] for each in listed.json["data"]] == [made.json["id"]]
    assert (await site.ask("owner", "GET", f"{prefix}/chat/completions/{made.json['id']}")).status == 200
    nameless = await site.ask("owner", "POST", f"{prefix}/chat/completions", {"messages": ASKED["messages"]})
    assert (nameless.status, nameless.json["error"]["message"]) == (400, "you must provide a model parameter")
    assert (await site.ask("none", "POST", f"{prefix}/chat/completions", ASKED)).status == 401
    assert (await site.ask("reads", "POST", f"{prefix}/chat/completions", ASKED)).status == 403


async def test_a_key_is_shown_once_counts_at_once_and_ends_at_once(site: Site) -> None:
    made = (await site.ask("admin", "POST", "/hansard/v1/keys", {"project": "mine", "name": "till"})).json
    SECRETS["made"] = secret = made["key"]
    assert (await site.ask("made", "GET", "/v1/chat/completions")).status == 200

    for path in ("/hansard/v1/keys", f"/hansard/v1/keys/{made['id']}", "/hansard/v1/audit"):
        assert secret not in (await site.ask("admin", "GET", path)).body.decode()

    new = (await site.ask("admin", "POST", f"/hansard/v1/keys/{made['id']}/rotate", {})).json
    assert (await site.ask("made", "GET", "/v1/chat/completions")).status == 401
    SECRETS["made"] = new["key"]
    assert (await site.ask("made", "GET", "/v1/chat/completions")).status == 200

    revoked = (await site.ask("admin", "DELETE", f"/hansard/v1/keys/{new['id']}")).json
    assert revoked["revoked_at"] is not None
    assert (await site.ask("made", "GET", "/v1/chat/completions")).status == 401


async def test_with_grace_both_keys_count(site: Site) -> None:
    new = (await site.ask("admin", "POST", "/hansard/v1/keys/key_owner/rotate", {"grace_s": 600})).json
    SECRETS["made"] = new["key"]
    assert [(await site.ask(who, "GET", "/v1/models")).status for who in ("owner", "made")] == [200, 200]
    old = (await site.ask("admin", "GET", "/hansard/v1/keys/key_owner")).json
    assert 0 < old["expires_at"] - time.time() <= 600


async def test_a_key_that_counts_no_more_is_not_replaced(site: Site) -> None:
    """Its replacement would be dead already."""
    before = (await site.ask("admin", "GET", "/hansard/v1/keys")).json

    refused = [
        (await site.ask("admin", "POST", f"/hansard/v1/keys/key_{each}/rotate", {})).json["error"]
        for each in ("expired", "revoked")
    ]

    assert [each["code"] for each in refused] == ["key_expired", "key_revoked"]
    assert refused[0]["message"] == "The key key_expired has expired. Make a new one."
    assert (await site.ask("admin", "GET", "/hansard/v1/audit")).json["data"] == []
    assert (await site.ask("admin", "GET", "/hansard/v1/keys")).json == before


async def test_a_replacement_ends_when_what_it_replaces_would_have(site: Site) -> None:
    """And that was shortened by the first of two."""
    ends = int(time.time()) + 100
    first = (
        await site.ask("admin", "POST", "/hansard/v1/keys", {"project": "mine", "name": "a", "expires_at": ends})
    ).json

    second = (await site.ask("admin", "POST", f"/hansard/v1/keys/{first['id']}/rotate", {"grace_s": 50})).json
    third = (await site.ask("admin", "POST", f"/hansard/v1/keys/{first['id']}/rotate", {"grace_s": 90})).json

    assert second["expires_at"] == ends
    assert third["expires_at"] == (await site.ask("admin", "GET", f"/hansard/v1/keys/{first['id']}")).json["expires_at"]
    assert third["expires_at"] < ends


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/hansard/v1/projects", {"name": "mine"}, 409),
        ("POST", "/hansard/v1/projects", {"name": ""}, 400),
        ("POST", "/hansard/v1/projects", {"name": "x", "polizy": {}}, 400),
        ("POST", "/hansard/v1/projects", b"{", 400),
        ("POST", "/hansard/v1/projects/default", {"archived": True}, 400),
        ("GET", "/hansard/v1/projects/none", b"", 404),
        ("POST", "/hansard/v1/keys", {"project": "none", "name": "x"}, 404),
        ("POST", "/hansard/v1/keys", {"project": "mine", "name": "x", "scopes": ["all"]}, 400),
        ("POST", "/hansard/v1/keys", {"project": "mine", "name": "x", "scopes": []}, 400),
        ("POST", "/hansard/v1/keys", {"project": "mine", "name": "x", "expires_at": 5}, 400),
        ("POST", "/hansard/v1/keys/key_revoked/rotate", {}, 409),
        ("POST", "/hansard/v1/keys/key_expired/rotate", {}, 409),
        ("POST", "/hansard/v1/keys/key_expired/rotate", {"grace_s": 600}, 409),
        ("DELETE", "/hansard/v1/keys/key_none", b"", 404),
        ("GET", "/hansard/v1/audit?after=x", b"", 400),
        ("GET", "/hansard/v1/audit?limit=0", b"", 400),
        ("GET", "/hansard/v1/audit?limit=1001", b"", 400),
        ("GET", "/hansard/v1/audit?limit=-1", b"", 400),
        ("GET", "/hansard/v1/audit?limit=00000000100000000", b"", 400),
        ("GET", "/hansard/v1/audit?limit=000000001" + "9" * 5000, b"", 400),
    ],
)
async def test_what_cannot_be_is_refused(site: Site, method: str, path: str, body: object, status: int) -> None:
    reply = await site.ask("admin", method, path, body)
    assert (reply.status, list(reply.json["error"])) == (status, ["message", "type", "param", "code"])


@pytest.mark.parametrize("path", ["/hansard/v1/projects/mine", "/hansard/v1/keys/key_owner/rotate"])
async def test_where_nothing_has_to_be_said_no_body_is_needed(site: Site, path: str) -> None:
    reply = await site.ask("admin", "POST", path, b"")
    assert (reply.status, reply.json["object"]) == (200, "hansard.project" if "projects" in path else "hansard.key")


async def test_an_archived_project_lets_its_keys_in_no_more_and_then_again(site: Site) -> None:
    statuses = []
    for archived in (True, False):
        await site.ask("admin", "POST", "/hansard/v1/projects/mine", {"archived": archived})
        statuses.append((await site.ask("owner", "GET", "/v1/models")).status)
    # The admin's own key is one of the project's, and is shut out by its own act.
    assert statuses == [401, 401]
    await site.ask("operator", "POST", "/hansard/v1/projects/mine", {"archived": False})
    assert (await site.ask("owner", "GET", "/v1/models")).status == 200


async def test_who_may_not_read_is_not_shown_a_completion_by_changing_it(site: Site) -> None:
    """The reply to an update is the whole stored object (official document)."""
    made = await site.stored()

    reply = await site.ask("writes", "POST", f"/v1/chat/completions/{made}", {"metadata": {"a": "b"}})

    assert (reply.status, "Missing scopes: read" in reply.json["error"]["message"]) == (403, True)
    assert (await site.ask("owner", "GET", f"/v1/chat/completions/{made}")).json["metadata"] == {}
    assert (await site.ask("writes", "DELETE", f"/v1/chat/completions/{made}")).status == 200


async def test_acts_and_reads_are_in_the_log_with_who_and_what(site: Site) -> None:
    made = await site.stored()
    read = await site.ask("owner", "GET", f"/v1/chat/completions/{made}")
    await site.ask("reads", "GET", "/v1/chat/completions?metadata[secret]=word")
    await site.ask("owner", "POST", f"/v1/chat/completions/{made}", {"metadata": {"secret": "word"}})
    deleted = [(await site.ask("writes", "DELETE", f"/v1/chat/completions/{made}")).status for _ in range(2)]
    act = await site.ask("admin", "POST", "/hansard/v1/projects", {"name": "new"})

    page = (await site.ask("operator", "GET", "/hansard/v1/audit?limit=2")).json
    rest = (await site.ask("operator", "GET", f"/hansard/v1/audit?after={page['next_after']}")).json

    assert deleted == [200, 404]
    assert (len(page["data"]), page["has_more"], rest["has_more"]) == (2, True, False)
    assert [
        (entry["project"], entry["actor"], entry["act"], entry["target"]) for entry in [*page["data"], *rest["data"]]
    ] == [
        ("proj_mine", "key_owner", "completion.read", made),
        ("proj_mine", "key_reads", "completions.listed", ""),
        ("proj_mine", "key_owner", "completion.updated", made),
        ("proj_mine", "key_writes", "completion.deleted", made),
        (act.json["id"], "key_admin", "project.created", act.json["id"]),
    ]
    assert page["data"][0]["request_id"] == read.headers["x-request-id"]
    assert "word" not in json.dumps([page, rest])

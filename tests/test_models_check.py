"""POST /check over upstreams on real sockets: who answers is found out then, not remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from hansard.engines.check import NO_LIST, NOT_LISTED
from tests.api.asgi import Reply
from tests.engines.mock import Asked, Mock, hello, serving
from tests.test_app import Running, running, upstream

pytestmark = pytest.mark.anyio

GHOST = """
[[models]]
path = "echo"
[[models]]
name = "ghost"
targets = [{ upstream = "a", model = "not-there" }, { model = "echo" }]
"""


async def check(server: Running, query: bytes = b"") -> Reply:
    return await server.client.request("POST", "/v1/check", query=query)


def found(reply: Reply) -> list[tuple[str, ...]]:
    assert (reply.status, reply.json["object"]) == (200, "list")
    return [tuple(row[key] for key in ("id", "engine", "model", "answers", "reason")) for row in reply.json["data"]]


async def knows_one(asked: Asked) -> None:
    if asked.json["model"] == "m":
        await hello(asked)
    else:
        await asked.reply(404, {"error": {"message": "No such model."}})


async def test_a_name_that_the_upstream_does_not_have_is_found_out(tmp_path: Path) -> None:
    async with serving(knows_one) as mock, running(tmp_path, upstream("a", mock.base_url) + GHOST) as server:
        by_list = await check(server, b"model=ghost&model=m")
        assert mock.asked == []
        by_reply = await check(server, b"model=ghost&model=m&ask=completion")

    assert found(by_list) == [
        ("ghost", "a", "not-there", "no", NOT_LISTED),
        ("ghost", "echo", "echo", "yes", ""),
        ("m", "a", "m", "yes", ""),
    ]
    assert found(by_reply) == [
        ("ghost", "a", "not-there", "no", "No such model."),
        ("ghost", "echo", "echo", "yes", ""),
        ("m", "a", "m", "yes", ""),
    ]
    assert {row["asked"] for row in by_reply.json["data"]} == {"completion"}
    assert {asked.json["model"] for asked in mock.asked} == {"not-there", "m"}


async def test_a_model_pulled_since_and_an_upstream_gone_since_are_found_out(tmp_path: Path) -> None:
    async with serving(hello) as mock:
        mock.models = {"data": [{"id": "m"}]}
        async with running(tmp_path, upstream("a", mock.base_url)) as server:
            mock.models = {"data": [{"id": "m"}, {"id": "new"}]}
            pulled = await check(server)
            await gone(mock)
            away = await check(server)

    assert found(pulled) == [("m", "a", "m", "yes", ""), ("new", "a", "new", "yes", "")]
    assert [(name, answers) for name, _, _, answers, _ in found(away)] == [("m", "no"), ("new", "no")]
    assert all(reason for *_, reason in found(away))


async def gone(mock: Mock) -> None:
    async def cut(asked: Asked) -> None:
        asked.cut()

    mock.answer = cut  # type: ignore[method-assign]


@pytest.mark.parametrize("status", [401, 404])
async def test_without_a_list_only_a_reply_can_tell(tmp_path: Path, status: int) -> None:
    """401 where the key is the client's: the list is not asked for with it."""

    async def answer(asked: Asked) -> None:
        if asked.method == "GET":
            await asked.reply(status, {})
        else:
            mock.asked.append(asked)
            await hello(asked)

    async with serving(hello) as mock:
        mock.answer = answer  # type: ignore[method-assign]
        async with running(tmp_path, upstream("a", mock.base_url, 'key = "client"')) as server:
            by_list = await check(server, b"model=any")
            headers = {"authorization": "Bearer mine"}
            by_reply = await server.client.request("POST", "/check", query=b"model=any&ask=completion", headers=headers)
            ready = await server.client.get("/readyz")

    assert found(by_list) == [("any", "a", "any", "unknown", NO_LIST)]
    assert found(by_reply) == [("any", "a", "any", "yes", "")]
    assert [asked.headers["authorization"] for asked in mock.asked] == ["Bearer mine"]
    assert ready.status == 200


async def test_nothing_is_stored_and_what_is_asked_wrongly_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path, '[[models]]\npath = "echo"\n', store="always") as server:
        asked = await check(server, b"ask=completion")
        wrong = await check(server, b"ask=nicely")
        unknown = await check(server, b"model=nobody")

        assert found(asked) == [("echo", "echo", "echo", "yes", "")]
        assert await server.stored() == []
    assert (wrong.status, wrong.json["error"]["param"]) == (400, "ask")
    assert (unknown.status, unknown.json["error"]["code"]) == (404, "model_not_found")

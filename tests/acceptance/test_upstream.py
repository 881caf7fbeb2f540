"""Hansard in front of somebody else's server: a second Hansard, and one that misbehaves in every way we know of."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import openai
import pytest

from .conftest import Workshop
from .server import ECHO, Server, eventually, question
from .upstream import KEY, TEXT, USAGE, Upstream
from .wire import DONE, send, stream, texts

ELSEWHERE = "not-listed-anywhere"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream().running() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Hansard in front of it, with a key for it and an alias for every name."""
    arguments = ("--upstream", upstream.base_url, "--alias", "gpt-4o=steady", "--alias", "*=steady")
    environment = {"HANSARD_UPSTREAM_KEY": KEY}
    with Server(tmp_path_factory.mktemp("front"), *arguments, model=(), environment=environment) as server:
        yield server.start()


def test_create(server: Server, upstream: Upstream) -> None:
    metadata = {"test": "create"}
    reply = server.ask("Order?", model="steady", store=True, metadata=metadata, temperature=0.5, some_option=[1.50])

    completion = reply.json()
    assert reply.text == TEXT
    assert len(completion["id"]) == len("chatcmpl-") + 29
    assert completion["model"] == "steady-2026-01-01"
    assert completion["usage"] == USAGE
    assert upstream.keys[-1] == f"Bearer {KEY}"
    assert upstream.received[-1] == {
        "model": "steady",
        "messages": [{"role": "user", "content": "Order?"}],
        "temperature": 0.5,
        "some_option": [1.50],
    }
    stored = server.get(f"/chat/completions/{completion['id']}").json()
    assert stored["metadata"] == metadata
    assert stored["choices"][0]["message"]["content"] == TEXT


def test_stream(server: Server, upstream: Upstream) -> None:
    asked = question("Order?", model="steady", store=True, stream=True)
    with stream(f"{server.base_url}/chat/completions", asked) as reply:
        *payloads, done = reply
    assert done == DONE
    assert texts(payloads) == {0: TEXT}
    chunks = [json.loads(payload) for payload in payloads]
    assert all("usage" not in chunk for chunk in chunks)
    assert upstream.received[-1]["stream_options"] == {"include_usage": True}
    stored = server.get(f"/chat/completions/{chunks[0]['id']}").json()
    assert stored["choices"][0]["message"]["content"] == TEXT
    assert {"total_tokens": 7}.items() <= stored["usage"].items()


def test_an_upstream_that_repeats_its_ids_fills_the_store_all_the_same(server: Server) -> None:
    metadata = {"test": "repeated ids"}
    ids = [server.ask("Order?", model="steady", store=True, metadata=metadata).json()["id"] for _ in range(3)]
    listed = server.get("/chat/completions?metadata[test]=repeated%20ids").json()["data"]
    assert [stored["id"] for stored in listed] == ids


@pytest.mark.parametrize("name", ["gpt-4o", ELSEWHERE])
def test_aliases(server: Server, upstream: Upstream, name: str) -> None:
    assert server.ask("Order?", model=name).text == TEXT
    assert upstream.received[-1]["model"] == "steady"


def test_models_are_the_upstreams_and_the_aliases(server: Server) -> None:
    listed = [model["id"] for model in server.get("/models").json()["data"]]
    assert listed == ["steady", "breaks", "fails", "pauses", "waits", "silent", "limits", "refuses-key", "gpt-4o"]


def test_the_official_client_raises_where_a_commit_fails(make_server: Workshop) -> None:
    """Decision 21: the error frame stands where ``[DONE]`` would."""
    with Upstream().running() as upstream:
        server = make_server("--upstream", upstream.base_url, model=()).start()
        client = openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0)
        messages = [{"role": "user", "content": "Go on."}]
        with (
            client,
            client.chat.completions.create(model="pauses", messages=messages, store=True, stream=True) as chunks,  # type: ignore[call-overload]
            closing(sqlite3.connect(server.data / "hansard.sqlite3", isolation_level=None)) as other,
        ):
            next(chunks)
            other.execute("BEGIN IMMEDIATE")  # and keeps it, longer than anybody waits
            upstream.release.set()
            with pytest.raises(openai.APIError, match="The store is unavailable") as raised:
                list(chunks)
            other.execute("ROLLBACK")
        assert raised.value.code == "store_unavailable"
        assert server.stored_ids == []


@pytest.mark.parametrize("model", ["breaks", "fails"])
def test_a_stream_that_goes_wrong_ends_with_an_error_frame_and_is_not_stored(server: Server, model: str) -> None:
    before = server.stored_ids
    asked = question("Order?", model=model, store=True, stream=True)
    with stream(f"{server.base_url}/chat/completions", asked) as reply:
        first, failure, done = reply
    assert texts([first]) == {0: "Order, "}
    error = json.loads(failure)["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert done == DONE
    assert server.stored_ids == before


def test_a_limit_is_passed_on(server: Server) -> None:
    reply = server.ask("Order?", model="limits")
    assert reply.status == 429
    assert reply.headers["retry-after"] == "7"
    assert reply.error["message"] == "Slow down."


def test_our_key_is_not_the_clients_affair(server: Server) -> None:
    reply = server.ask("Order?", model="refuses-key")
    assert reply.status == 502
    assert reply.error["code"] == "upstream_auth"
    assert "s3cret" not in reply.body.decode()


def test_in_front_of_another_hansard(make_server: Workshop) -> None:
    inner = make_server(model=ECHO, name="inner").start()
    outer = make_server("--upstream", inner.base_url, model=(), name="outer").start()

    plain = outer.ask("The ayes have it.", model="echo", store=True, metadata={"who": "outer"}, n=2).json()
    asked = question("The noes have it.", model="echo", store=True, stream=True)
    with stream(f"{outer.base_url}/chat/completions", asked) as reply:
        *payloads, done = reply

    assert done == DONE
    assert [choice["message"]["content"] for choice in plain["choices"]] == ["The ayes have it."] * 2
    assert texts(payloads) == {0: "The noes have it."}
    assert outer.stored_ids == [json.loads(payloads[0])["id"], plain["id"]]
    assert inner.stored_ids == []
    refused = outer.ask("Order?", model="echo", temperature=3)
    assert (refused.status, refused.error["param"]) == (400, "temperature")


def test_an_upstream_that_is_not_there_yet(make_server: Workshop, tmp_path: Path) -> None:
    """It is no reason not to start: what is stored can be read, and the upstream may come up later."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    server = make_server("--upstream", f"http://127.0.0.1:{port}/v1", model=())
    server.spawn()
    eventually(lambda: "listens on" in server.stderr, "the banner", server=server)
    server.base_url = server.stderr.split("listens on ")[1].split()[0]

    assert server.get("/chat/completions").json()["data"] == []
    assert send("GET", f"{server.root}/readyz").status == 503
    reply = server.ask("Is anybody there?", model="any")
    assert reply.status in (502, 503)
    assert reply.error["type"] == "server_error"


def test_an_upstream_that_goes_away(make_server: Workshop) -> None:
    inner = make_server(model=ECHO, name="inner").start()
    outer = make_server("--upstream", inner.base_url, model=(), name="outer").start()
    made = outer.ask("Here.", model="echo", store=True).json()["id"]
    inner.kill()
    reply = outer.ask("Gone?", model="echo", store=True)
    assert reply.status in (502, 503)
    assert outer.stored_ids == [made]

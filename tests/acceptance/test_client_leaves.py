"""Clients that hang up: the engine is free for the next one at once, and what is kept follows the setting."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .conftest import Workshop
from .server import LONG, Server, busy, eventually, question
from .upstream import TEXT, Upstream
from .wire import stream

LEFT = " 499 "  # in the request's line


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "plain"])
def test_the_engine_is_free_for_the_next(make_server: Workshop, streamed: bool) -> None:
    server = make_server("--parallel", "1").start()
    engine = server.engine()
    idle_s = engine.cpu_times().user
    whole = server.post("/chat/completions", {**LONG, "store": True}).json()
    took_s = engine.cpu_times().user - idle_s

    hang_up_midway(server, {**LONG, "store": True, "stream": streamed})
    left_s = engine.cpu_times().user
    assert server.ask("What is the capital of France?").text == "The capital of France is Paris."

    took_more_s = engine.cpu_times().user - left_s  # of the processor: a busy machine makes everything late
    assert took_more_s < took_s / 2, "the engine went on for somebody who had left"
    eventually(lambda: LEFT in server.stderr, "the request's line", server=server)
    assert server.stored_ids == [whole["id"]]
    assert server.is_ready()


def test_who_reads_nothing_is_not_waited_for(make_server: Workshop) -> None:
    server = make_server("--parallel", "1", "--unread-s", "1").start()
    engine = server.engine()
    # Token 2 ends its answers; with so much beside each token the kernel's buffers do not hold all of it.
    endless = question("Go on.", stream=True, store=True, logit_bias={"2": -100}, logprobs=True, top_logprobs=20)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", urlsplit(server.root).port))
        body = json.dumps(endless).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
        client.sendall(head + body)
        eventually(lambda: busy(engine), "the engine to work", server=server)

        assert server.ask("What is the capital of France?").text == "The capital of France is Paris."

        eventually(lambda: LEFT in server.stderr, "the request's line", server=server)
    assert server.engine() == engine
    assert server.stored_ids == []


def test_those_who_leave_while_they_wait_make_room(make_server: Workshop) -> None:
    """More than fit into the line, all of them gone before it was their turn."""
    server = make_server("--parallel", "1", "--queue", "4").start()
    with stream(f"{server.base_url}/chat/completions", {**LONG, "stream": True}) as reply:
        next(iter(reply))
        for left in range(1, 13):
            send_only(server, {**LONG, "store": True}).close()
            eventually(lambda left=left: server.stderr.count(LEFT) == left, "the line to be left", server=server)
    eventually(lambda: server.stderr.count(LEFT) == 13, "thirteen lines", server=server)
    assert server.ask("What is the capital of France?").text == "The capital of France is Paris."
    assert server.stored_ids == []


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "plain"])
def test_finish_keeps_what_the_client_did_not_wait_for(make_server: Workshop, streamed: bool) -> None:
    server = make_server("--parallel", "1", "--on-disconnect", "finish").start()
    hang_up_midway(server, {**LONG, "store": True, "stream": streamed, "metadata": {"left": "yes"}})

    (completion_id,) = eventually(lambda: server.stored_ids, "the completion to be stored", within_s=30, server=server)

    stored = server.get(f"/chat/completions/{completion_id}").json()
    (choice,) = stored["choices"]
    assert choice["finish_reason"] in ("stop", "length")
    if choice["finish_reason"] == "stop":
        assert len(json.loads(choice["message"]["content"])["n"]) >= 250
    assert stored["metadata"] == {"left": "yes"}


def test_finish_does_not_go_on_for_what_is_not_stored(make_server: Workshop) -> None:
    with Upstream().running() as upstream:
        server = make_server("--upstream", upstream.base_url, "--on-disconnect", "finish", model=()).start()
        asked = question("Go on.", model="pauses", stream=True)
        with stream(f"{server.base_url}/chat/completions", asked) as reply:
            next(iter(reply))
        eventually(upstream.left.is_set, "the upstream to be left as well", server=server)


def test_an_upstream_is_left_as_well(make_server: Workshop) -> None:
    with Upstream().running() as upstream:
        server = make_server("--upstream", upstream.base_url, model=()).start()
        asked = question("Go on.", model="pauses", stream=True, store=True)
        with stream(f"{server.base_url}/chat/completions", asked) as reply:
            next(iter(reply))
        eventually(upstream.left.is_set, "the upstream to be left as well", server=server)
        assert server.stored_ids == []


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "plain"])
def test_an_upstream_that_has_said_nothing_is_left_within_a_second(make_server: Workshop, streamed: bool) -> None:
    with Upstream().running() as upstream:
        server = make_server("--upstream", upstream.base_url, model=()).start()
        client = send_only(server, question("Go on.", model="silent", stream=streamed, store=True))
        eventually(lambda: upstream.received, "the upstream to be asked", server=server)
        assert len(upstream.live) == 1

        client.close()

        eventually(lambda: not upstream.live, "the upstream's socket to be closed", within_s=1, server=server)
        eventually(lambda: LEFT in server.stderr, "the request's line", server=server)
        assert server.stored_ids == []


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "plain"])
def test_who_leaves_while_it_waits_for_a_connection_never_gets_to_the_upstream(
    make_server: Workshop, tmp_path: Path, streamed: bool
) -> None:
    with Upstream().running() as upstream:
        file = tmp_path / "one.toml"
        file.write_text(f'[[upstreams]]\nbase_url = "{upstream.base_url}"\nmax_connections = 1\n')
        server = make_server("--config", str(file), model=()).start()
        first = send_only(server, question("Go on.", model="silent", stream=streamed))
        eventually(lambda: upstream.received, "the upstream to be asked", server=server)
        for left in range(1, 4):
            send_only(server, question("Me too.", model="steady", stream=streamed)).close()
            eventually(lambda left=left: server.stderr.count(LEFT) == left, "the queue to be left", server=server)
        assert (len(upstream.live), len(upstream.received)) == (1, 1)

        first.close()

        eventually(lambda: not upstream.live, "the upstream's socket to be closed", within_s=1, server=server)
        assert server.ask("Order?", model="steady").text == TEXT
        assert [asked["model"] for asked in upstream.received] == ["silent", "steady"]


def test_shutdown_waits_for_what_outlives_its_client(make_server: Workshop) -> None:
    server = make_server("--parallel", "1", "--on-disconnect", "finish").start()
    hang_up_midway(server, {**LONG, "store": True, "stream": True})
    assert server.stop() == 0
    server.start()
    assert len(server.stored_ids) == 1


def test_shutdown_does_not_wait_for_ever(make_server: Workshop) -> None:
    with Upstream().running() as upstream:
        arguments = ("--upstream", upstream.base_url, "--on-disconnect", "finish", "--drain", "1")
        server = make_server(*arguments, model=()).start()
        hang_up_midway(server, question("Go on.", model="pauses", stream=True, store=True), chunks=1)
        assert server.stop() == 0
        assert upstream.left.wait(10)
        server.start()
        assert server.stored_ids == []


def hang_up_midway(server: Server, body: dict[str, object], *, chunks: int = 3) -> None:
    """Ask, wait until the engine is at work, and close the connection."""
    if body.get("stream"):
        with stream(f"{server.base_url}/chat/completions", body) as reply:
            payloads = iter(reply)
            assert [next(payloads) for _ in range(chunks)]
        return
    engine = server.engine()
    connection = send_only(server, body)
    eventually(lambda: busy(engine), "the engine to work", server=server)
    connection.close()


def send_only(server: Server, body: dict[str, object]) -> http.client.HTTPConnection:
    """A request whose reply nobody reads."""
    connection = http.client.HTTPConnection(urlsplit(server.root).netloc, timeout=30)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
    assert isinstance(connection.sock, socket.socket)
    return connection

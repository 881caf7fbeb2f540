"""The engine's process dies under load: those who waited for it are told, it comes back, and nobody else notices."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil

from .conftest import Workshop
from .server import LONG, MODEL, Server, busy, eventually, question
from .wire import DONE, Reply, send, stream

STREAMS = 4


class Repeatedly:
    """Does something over and over on a thread of its own, and keeps what came of it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.outcomes: list[Any] = []

    def __enter__(self) -> Repeatedly:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._enough.is_set():
            try:
                self.outcomes.append(self._work())
            except (OSError, http.client.HTTPException) as broken:
                self.outcomes.append(broken)


def test_stored_reads_never_notice(make_server: Workshop) -> None:
    server = make_server("--parallel", str(STREAMS)).start()
    made = server.ask("Hello!", store=True).json()["id"]

    def read() -> tuple[int, int]:
        return (server.get(f"/chat/completions/{made}").status, server.get("/chat/completions").status)

    with Repeatedly(read) as reading, Repeatedly(lambda: streamed(server)) as streaming:
        for _ in range(3):
            enough = len(reading.outcomes) + 5
            eventually(lambda enough=enough: len(reading.outcomes) >= enough, "some reads")
            kill(server.engine())
            eventually(server.is_ready, "a new engine", server=server)
    assert set(reading.outcomes) == {(200, 200)}
    assert all(isinstance(outcome, list | int) for outcome in streaming.outcomes), streaming.outcomes


def test_streams_under_way_end_with_an_error_frame(make_server: Workshop) -> None:
    server = make_server("--parallel", str(STREAMS)).start()
    started = threading.Barrier(STREAMS + 1, timeout=30)
    outcomes: list[list[str]] = []

    def listen() -> None:
        with stream(f"{server.base_url}/chat/completions", {**LONG, "stream": True, "store": True}) as reply:
            payloads = iter(reply)
            first = [next(payloads), next(payloads)]
            started.wait()
            outcomes.append([*first, *payloads])

    listening = [threading.Thread(target=listen) for _ in range(STREAMS)]
    for thread in listening:
        thread.start()
    started.wait()
    server.engine().kill()
    for thread in listening:
        thread.join()

    assert len(outcomes) == STREAMS
    for *_, failure, done in outcomes:
        assert done == DONE
        error = json.loads(failure)["error"]
        assert error["type"] == "server_error"
        assert "engine" in error["message"]
    assert server.stored_ids == []


def test_a_plain_request_under_way_gets_a_5xx(make_server: Workshop) -> None:
    server = make_server("--parallel", "1").start()
    replies: list[Reply] = []
    asking = threading.Thread(target=lambda: replies.append(server.post("/chat/completions", {**LONG, "store": True})))
    asking.start()
    engine = server.engine()
    eventually(lambda: engine.cpu_times().user > 0 and busy(engine), "the engine to work", server=server)
    engine.kill()
    asking.join()

    (reply,) = replies
    assert reply.status in (502, 503), reply
    assert reply.error["type"] == "server_error"
    assert server.stored_ids == []


def test_new_requests_get_503_and_soon_work_again(make_server: Workshop) -> None:
    server = make_server().start()
    server.engine().kill()

    killed = time.monotonic()
    replies = [server.ask("Hello!")]
    while replies[-1].status != 200 and time.monotonic() < killed + 5:
        replies.append(server.ask("Hello!"))

    *refusals, answer = replies
    assert answer.status == 200, f"no answer within 5 s: {answer}"
    assert refusals, "the engine's death was not even noticed"
    for refusal in refusals:
        assert refusal.status == 503
        assert refusal.error["code"] == "engine_unavailable"
        assert int(refusal.headers["retry-after"]) >= 1


def test_it_says_so_while_the_engine_is_gone(make_server: Workshop) -> None:
    server = make_server().start()
    parent = psutil.Process(server.pid)

    def not_ready() -> Reply | None:
        for engine in alive(parent):  # and every one that comes after it, so that it cannot be missed
            kill(engine)
        reply = send("GET", f"{server.root}/readyz")
        return reply if reply.status == 503 else None

    seen = eventually(not_ready, "/readyz to notice", server=server)

    assert seen.headers["retry-after"]
    assert send("GET", f"{server.root}/health").status == 200
    assert server.get("/chat/completions").status == 200
    eventually(server.is_ready, "a new engine", server=server)
    assert f"engine {MODEL}: lost" in server.stderr


def test_killed_again_and_again_it_comes_back(make_server: Workshop) -> None:
    server = make_server().start()
    for times in (1, 2, 3):
        kill(server.engine())
        eventually(lambda times=times: server.stderr.count(": lost (") == times, "it to notice", server=server)
        eventually(server.is_ready, "a new engine", server=server)
    assert server.ask("Hello!").status == 200
    assert server.stop() == 0
    server.assert_nothing_remains()


def test_killed_as_soon_as_it_is_born_it_comes_back_all_the_same(make_server: Workshop) -> None:
    server = make_server().start()
    parent = psutil.Process(server.pid)
    for _ in range(3):
        (engine,) = eventually(lambda: alive(parent), "an engine process", server=server)
        kill(engine)
    eventually(lambda: server.ask("Hello!").status == 200, "an answer", server=server)


def kill(engine: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # it ended by itself, or somebody was faster
        engine.kill()


def alive(parent: psutil.Process) -> list[psutil.Process]:
    """Its living children, found faster than by their mark."""
    children = []
    for child in parent.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE:
                children.append(child)
    return children


def streamed(server: Server) -> list[str] | int:
    """Its payloads, or the status it was refused with."""
    with stream(f"{server.base_url}/chat/completions", question("Hello!", stream=True)) as reply:
        if reply.status != 200:
            assert reply.status == 503
            return reply.status
        payloads = list(reply)
        assert payloads[-1] == DONE
        return payloads

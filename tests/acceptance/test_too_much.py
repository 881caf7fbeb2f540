"""More than the server can take: of requests, and of what is to be stored. What it cannot do it says, at once."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .conftest import Workshop
from .server import ECHO, LONG, mounted, question
from .wire import DONE, Reply, stream, texts

OVERLOADED = "That model is currently overloaded with other requests."


def test_a_full_line_is_refused_at_once(make_server: Workshop) -> None:
    server = make_server("--parallel", "1", "--queue", "0").start()
    with stream(f"{server.base_url}/chat/completions", {**LONG, "stream": True}) as reply:
        next(iter(reply))
        refused = server.ask("Me too!")
        assert refused.status == 503
        assert (refused.error["type"], refused.error["code"]) == ("server_error", None)
        assert refused.error["message"].startswith(OVERLOADED)
        assert int(refused.headers["retry-after"]) >= 1


def test_a_crowd_is_served_or_refused_and_the_record_agrees(make_server: Workshop) -> None:
    server = make_server("--parallel", "2", "--queue", "6").start()

    def ask(number: int) -> Reply:
        return server.ask("What is the capital of France?", store=True, metadata={"number": str(number)})

    with ThreadPoolExecutor(40) as crowd:
        replies = list(crowd.map(ask, range(40)))

    statuses = Counter(reply.status for reply in replies)
    assert set(statuses) <= {200, 503}
    assert statuses[200] >= 8
    assert all(reply.error["message"].startswith(OVERLOADED) for reply in replies if reply.status == 503)
    served = {reply.json()["id"] for reply in replies if reply.status == 200}
    assert set(server.stored_ids) == served
    assert all(reply.text == "The capital of France is Paris." for reply in replies if reply.status == 200)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
def test_a_disk_that_fills_up(make_server: Workshop, tmp_path: Path, streamed: bool) -> None:
    """What cannot be committed is not acknowledged; everything that needs no room goes on."""
    data = tmp_path / "mounted"
    server = make_server(model=ECHO, data=data, wrapper=mounted(data, "size=1m")).start()

    acknowledged: list[str] = []
    while True:
        asked = question("x" * 10_000, model="echo", store=True, stream=streamed)
        completion_id, error = outcome(server.base_url, asked)
        if error is not None:
            break
        acknowledged.append(completion_id)
        assert len(acknowledged) < 100

    assert error["code"] == "store_unavailable"
    assert error["type"] == "server_error"
    assert acknowledged
    assert set(server.stored_ids) == set(acknowledged)
    assert server.ask("Aye.", model="echo").text == "Aye."


def outcome(base_url: str, asked: dict[str, object]) -> tuple[str, dict[str, str] | None]:
    """The id of what was acknowledged, and the error of what was not."""
    with stream(f"{base_url}/chat/completions", asked) as reply:
        if not asked["stream"] or reply.status != 200:
            document = json.loads(b"".join(reply.rest()))
            return document.get("id", ""), document.get("error")
        *payloads, last = reply
    if last != DONE:  # the error stands in its place
        return json.loads(payloads[0])["id"], json.loads(last)["error"]
    assert texts(payloads) == {0: "x" * 10_000}
    return json.loads(payloads[0])["id"], None

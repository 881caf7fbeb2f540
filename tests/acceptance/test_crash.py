"""``200 means stored``: the server is killed again and again while it works, and nothing it acknowledged is lost.

Acknowledged is what a client has in full: a 200 with its whole body, or a stream up to ``[DONE]``.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import threading
import time
import urllib.parse
from typing import Any, NamedTuple

import pytest

from .conftest import Workshop
from .server import Server, question
from .wire import DONE, send, stream, texts

ROUNDS = int(os.environ.get("HANSARD_CRASH_ROUNDS", "20"))
SEED = int(os.environ.get("HANSARD_CRASH_SEED", random.SystemRandom().randrange(2**32)))
CLIENTS = 6

# When to kill: at any time, and in every other round in the very moment after an acknowledgement,
# where a server that acknowledges too early is caught most often.
WORKING_S = (0.15, 0.7)
ACKNOWLEDGEMENTS = (1, 25)


class Acknowledged(NamedTuple):
    """What a client knows to be stored."""

    id: str
    prompt: str
    metadata: dict[str, str]
    texts: dict[int, str]


class Clients:
    """Some clients that ask for stored completions, plain and streamed, one or two choices, until they are cut off."""

    def __init__(self, server: Server, *, crash: int) -> None:
        self._url = f"{server.base_url}/chat/completions"
        self._crash = crash
        self._news = threading.Condition()
        self.acknowledged: list[Acknowledged] = []
        self.complaints: list[str] = []
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wait_for(self, count: int) -> None:
        """Return as soon as so many completions are acknowledged, or the clients have given up."""
        with self._news:
            self._news.wait_for(lambda: len(self.acknowledged) >= count or self.complaints, timeout=30)

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _work(self, client: int) -> None:
        for number in itertools.count():
            prompt = f"Hello! This is request {number} of client {client} before crash {self._crash}."
            metadata = {"crash": str(self._crash), "client": str(client), "number": str(number)}
            body = question(prompt, store=True, metadata=metadata, max_tokens=12, n=1 + number % 2)
            try:
                # Which kind comes first depends on the client, so that every moment has both.
                ask = self._streamed if (number // 2 + client) % 2 else self._plain
                said = ask(body)
            except (OSError, http.client.HTTPException):
                return  # the server is dead; what was under way is not acknowledged
            except AssertionError as complaint:
                self._tell(self.complaints, str(complaint))
                return
            self._tell(self.acknowledged, Acknowledged(said["id"], prompt, metadata, said["texts"]))

    def _tell(self, news: list[Any], item: Any) -> None:
        with self._news:
            news.append(item)
            self._news.notify()

    def _plain(self, body: dict[str, Any]) -> dict[str, Any]:
        reply = send("POST", self._url, body=body)
        assert reply.status == 200, reply
        completion = reply.json()
        said = {choice["index"]: choice["message"]["content"] for choice in completion["choices"]}
        return {"id": completion["id"], "texts": said}

    def _streamed(self, body: dict[str, Any]) -> dict[str, Any]:
        with stream(self._url, {**body, "stream": True}) as reply:
            assert reply.status == 200, reply.status
            payloads = list(reply)
        if not payloads or payloads.pop() != DONE:
            raise http.client.IncompleteRead(b"")
        return {"id": json.loads(payloads[0])["id"], "texts": texts(payloads)}


@pytest.mark.timeout(60 + 12 * ROUNDS)
def test_what_was_acknowledged_survives_every_kill(make_server: Workshop) -> None:
    print(f"HANSARD_CRASH_SEED={SEED}")
    chance = random.Random(SEED)
    server = make_server().start()
    acknowledged: list[Acknowledged] = []
    for crash in range(ROUNDS):
        clients = Clients(server, crash=crash)
        clients.start()
        if crash % 2:
            clients.wait_for(chance.randint(*ACKNOWLEDGEMENTS))
        else:
            time.sleep(chance.uniform(*WORKING_S))  # waits for nothing: this is the random moment
        server.kill()
        clients.join()
        server.assert_nothing_remains()
        assert not clients.complaints, clients.complaints

        server.start()
        verify(server, crash, clients.acknowledged)
        acknowledged += clients.acknowledged

    listed = [stored["id"] for stored in everything(server)]
    assert len(set(listed)) == len(listed)
    assert {one.id for one in acknowledged} <= set(listed)
    assert len(acknowledged) >= ROUNDS, "the kills came before anything was acknowledged"
    assert server.stop() == 0
    server.assert_nothing_remains()


def test_a_kill_while_starting_leaves_nothing(make_server: Workshop) -> None:
    server = make_server()
    for moment in starting():
        server.spawn()
        time.sleep(moment)  # waits for nothing: this is the random moment
        server.kill()
        server.assert_nothing_remains()
    assert server.start().ask("Hello!", store=True).status == 200


def test_a_sigterm_while_starting_leaves_nothing(make_server: Workshop) -> None:
    server = make_server()
    for moment in starting():
        server.spawn()
        time.sleep(moment)  # waits for nothing: this is the random moment
        server.stop()
        server.assert_nothing_remains()


def starting() -> list[float]:
    """Moments from before the first import to after the banner, in seconds."""
    print(f"HANSARD_CRASH_SEED={SEED}")
    chance = random.Random(SEED)
    return [chance.uniform(0.2, 1.2) for _ in range(6)]


def verify(server: Server, crash: int | str, acknowledged: list[Acknowledged]) -> None:
    """Every acknowledged completion is listed once and is what its client saw; whatever else is listed is whole."""
    stored = everything(server, crash=str(crash))
    ids = [completion["id"] for completion in stored]
    assert len(set(ids)) == len(ids)
    by_id = dict(zip(ids, stored, strict=True))
    for one in acknowledged:
        assert one.id in by_id, f"{one} was acknowledged and is lost"
        found = by_id[one.id]
        assert {choice["index"]: choice["message"]["content"] for choice in found["choices"]} == one.texts
        assert found["metadata"] == one.metadata
    for completion in stored:
        assert all(choice["finish_reason"] in ("stop", "length") for choice in completion["choices"])
        assert completion["usage"]["completion_tokens"] > 0
    # The messages have an address of their own: the last of each client, which was nearest to the kill.
    for one in {one.metadata["client"]: one for one in acknowledged}.values():
        (message,) = server.get(f"/chat/completions/{one.id}/messages").json()["data"]
        assert message["content"] == one.prompt


def everything(server: Server, **metadata: str) -> list[dict[str, Any]]:
    """Every stored completion, page by page."""
    found: list[dict[str, Any]] = []
    query = {"limit": "100", **{f"metadata[{key}]": value for key, value in metadata.items()}}
    while True:
        page = server.get(f"/chat/completions?{urllib.parse.urlencode(query)}").json()
        found += page["data"]
        if not page["has_more"]:
            return found
        query["after"] = page["last_id"]

"""Clients that ask for stored completions, plain and streamed, and know of each what they were told."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
from collections.abc import Mapping
from typing import Any

import msgspec

from tests.acceptance.server import question
from tests.acceptance.wire import DONE, send, stream, texts

CLIENTS = 6
TIMEOUT_S = 40.0

# A refused client asks again after a moment, or it would do nothing else.
PAUSE_S = 0.02


class Request(msgspec.Struct, frozen=True):
    """One create request, and by what it is known: its metadata."""

    round: str
    number: str
    body: bytes
    headers: Mapping[str, str]
    prompt: str
    streamed: bool

    @property
    def metadata(self) -> dict[str, str]:
        return {"round": self.round, "number": self.number}


class Seen(msgspec.Struct, frozen=True):
    """What a client has in full. ``body`` is a plain reply's; ``texts`` and ``ends`` are by choice."""

    id: str
    created: int
    model: str
    texts: Mapping[int, str]
    ends: Mapping[int, str]
    body: bytes | None = None


class Load:
    """Runs from ``start`` to ``end``. Each request is acknowledged, refused, or left without an answer."""

    def __init__(self, base_url: str, *, name: str, seed: int) -> None:
        self._url = f"{base_url}/chat/completions"
        self.name = name
        self._seed = seed
        self._news = threading.Condition()
        self._ends = threading.Event()
        self._may_break = threading.Event()
        self.asked: dict[str, Request] = {}
        self.acknowledged: dict[str, Seen] = {}
        self.refused: set[str] = set()
        self.complaints: list[str] = []
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wait_for(self, more: int) -> None:
        """Return once so many more are acknowledged."""
        enough = len(self.acknowledged) + more
        with self._news:
            done = self._news.wait_for(lambda: len(self.acknowledged) >= enough or self.complaints, TIMEOUT_S)
        assert done, f"{more} more acknowledgements did not come within {TIMEOUT_S:.0f} s"

    def expect_the_end(self) -> None:
        """From now on a connection may break."""
        self._may_break.set()

    def end(self) -> None:
        """Return once nobody asks any more. Raises AssertionError for what no client may be told."""
        self._ends.set()
        for thread in self._threads:
            thread.join()
        assert not self.complaints, self.complaints

    def _work(self, client: int) -> None:
        chance = random.Random(f"{self._seed} {self.name} {client}")
        for number in itertools.count():
            if self._ends.is_set():
                return
            request = made_up(self.name, f"{client}-{number}", chance)
            self.asked[request.number] = request
            try:
                seen = ask(self._url, request)
            except (OSError, http.client.HTTPException) as error:
                if not self._may_break.is_set():
                    self._tell(self.complaints.append, f"{request.number}: {error!r}")
                return
            except AssertionError as complaint:
                self._tell(self.complaints.append, f"{request.number}: {complaint}")
                return
            if seen is None:
                self._tell(self.refused.add, request.number)
                self._ends.wait(PAUSE_S)
            else:
                self._tell(lambda one: self.acknowledged.update({one[0]: one[1]}), (request.number, seen))

    def _tell(self, change: Any, item: Any) -> None:
        with self._news:
            change(item)
            self._news.notify_all()


def made_up(name: str, number: str, chance: random.Random) -> Request:
    """Of a few bytes or of several pages; one choice or two; plain or streamed; one in three with a key of its own."""
    prompt = f"Request {number} of round {name}: " + "why? " * chance.choice((1, 10, 100, 2000))
    streamed = chance.random() < 0.5
    fields: dict[str, Any] = {"stream": True} if streamed else {}
    document = question(
        prompt,
        store=True,
        metadata={"round": name, "number": number},
        max_tokens=chance.randint(1, 30),
        n=chance.randint(1, 2),
        **fields,
    )
    headers = {"idempotency-key": f"{name}-{number}"} if chance.random() < 0.33 else {}
    return Request(name, number, json.dumps({**document, "model": "echo"}).encode(), headers, prompt, streamed)


def ask(url: str, request: Request) -> Seen | None:
    """What the client has in full in the end; None if it was refused. Raises OSError where the connection breaks."""
    return _streamed(url, request) if request.streamed else _plain(url, request)


def _plain(url: str, request: Request) -> Seen | None:
    reply = send("POST", url, body=request.body, headers=request.headers)
    if reply.status != 200:
        _is_refusal(reply.status, reply.error)
        return None
    completion = reply.json()
    said = {choice["index"]: choice["message"]["content"] for choice in completion["choices"]}
    ends = {choice["index"]: choice["finish_reason"] for choice in completion["choices"]}
    return Seen(completion["id"], completion["created"], completion["model"], said, ends, reply.body)


def _streamed(url: str, request: Request) -> Seen | None:
    with stream(url, request.body, headers=request.headers) as reply:
        if reply.status != 200:
            _is_refusal(reply.status, json.loads(b"".join(reply.rest()))["error"])
            return None
        payloads = list(reply)
    failed = [error for payload in payloads if payload != DONE and (error := json.loads(payload).get("error"))]
    if failed:
        _is_refusal(503, failed[0])
        return None
    if not payloads or payloads.pop() != DONE:
        raise http.client.IncompleteRead(b"")
    chunks = [json.loads(payload) for payload in payloads]
    ends = {c["index"]: c["finish_reason"] for chunk in chunks for c in chunk["choices"] if c["finish_reason"]}
    return Seen(chunks[0]["id"], chunks[0]["created"], chunks[0]["model"], texts(payloads), ends)


def _is_refusal(status: int, error: dict[str, Any]) -> None:
    """Whatever is wrong with the database or the server, it is said as that."""
    assert status == 503, (status, error)
    assert error["code"] in ("store_unavailable", None), error

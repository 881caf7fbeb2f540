"""Clients that go on asking for stored completions whatever happens, and what they know about each of them."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import openai

from .server import question
from .test_crash import Acknowledged
from .wire import DONE, send, stream, texts

Said = tuple[str, dict[int, str]]
"""The id and what each choice says, of a reply that is whole."""

# Longer than a database is waited for. A create that has no key is never sent twice.
PATIENCE_S = 60.0


class Counts(NamedTuple):
    acknowledged: int
    unknown: int
    longest_gap_s: float

    def __str__(self) -> str:
        return f"{self.acknowledged} acknowledged, {self.unknown} unknown, longest gap {self.longest_gap_s:.2f} s"


class Load:
    """``keyed`` clients are the official one, kept alive, and send a create again under its key until it is whole;
    ``plain`` ones take a new connection each time, have no key, and leave what fails.

    Each begins at another of the ``urls`` and goes on to the next when its own fails. Half of each kind stream.
    """

    def __init__(self, urls: Sequence[str], *, name: str, keyed: int = 4, plain: int = 4) -> None:
        self._urls = urls
        self.name = name
        self._news = threading.Condition()
        self._over = threading.Event()
        self._official: list[openai.OpenAI] = []
        self._moments = [time.monotonic()]
        self.acknowledged: list[Acknowledged] = []
        self.unknown: list[str] = []
        """What failed, with its reason. It may have been stored, at most once."""
        self.complaints: list[str] = []
        kinds = [self._ask_until_answered] * keyed + [self._ask_once] * plain
        self._threads = [threading.Thread(target=self._work, args=each) for each in enumerate(kinds)]

    @contextmanager
    def running(self) -> Iterator[Load]:
        with ExitStack() as stack:
            for url in self._urls:
                self._official.append(stack.enter_context(openai.OpenAI(base_url=url, api_key="none")))
            for thread in self._threads:
                thread.start()
            try:
                yield self
            finally:
                self._over.set()
                for thread in self._threads:
                    thread.join()

    def wait_for(self, more: int) -> None:
        """Return once so many more completions are acknowledged."""
        with self._news:
            wanted = len(self.acknowledged) + more
            self._news.wait_for(lambda: len(self.acknowledged) >= wanted or self.complaints, timeout=PATIENCE_S)
            assert len(self.acknowledged) >= wanted or self.complaints, "nothing is acknowledged any more"

    @property
    def counts(self) -> Counts:
        gaps = [later - sooner for sooner, later in itertools.pairwise(self._moments)]
        return Counts(len(self.acknowledged), len(self.unknown), max(gaps))

    def _work(self, client: int, ask: Callable[[str, dict[str, Any], int], Said | None]) -> None:
        for number in itertools.count():
            if self._over.is_set():
                return
            prompt = f"Hello! This is request {number} of client {client} in {self.name}."
            metadata = {"crash": self.name, "client": str(client), "number": str(number)}
            body = question(prompt, store=True, metadata=metadata, n=1 + number % 2, stream=bool(number // 2 % 2))
            try:
                said = ask(f"{self.name}-{client}-{number}", body, client)
            except AssertionError as complaint:
                self.complaints.append(str(complaint))
                return
            if said is not None:
                with self._news:
                    self._moments.append(time.monotonic())
                    self.acknowledged.append(Acknowledged(said[0], prompt, metadata, said[1]))
                    self._news.notify_all()

    def _ask_once(self, name: str, body: dict[str, Any], client: int) -> Said | None:
        for at in range(len(self._urls)):
            url = f"{self._urls[(client + at) % len(self._urls)]}/chat/completions"
            try:
                return _streamed(url, body) if body["stream"] else _plain(url, body)
            except ConnectionRefusedError:
                continue  # nobody has seen it
            except (OSError, http.client.HTTPException, _Failed) as error:
                self.unknown.append(f"{name}: {error!r}")
                return None
        self.unknown.append(f"{name}: nobody listens")
        return None

    def _ask_until_answered(self, name: str, body: dict[str, Any], client: int) -> Said:
        deadline = time.monotonic() + PATIENCE_S
        for at in itertools.count(client):
            try:
                return _official(self._official[at % len(self._urls)], body, key=name)
            except openai.APIError as error:
                if time.monotonic() > deadline:
                    raise AssertionError(f"{name}: {error!r}") from error
                time.sleep(0.05)  # between tries, as a client does
        raise AssertionError


class _Failed(Exception):
    """A reply that is not whole, or says that it failed."""


def _plain(url: str, body: dict[str, Any]) -> Said:
    reply = send("POST", url, body=body)
    if reply.status != 200:
        raise _Failed(reply.status, reply.body)
    completion = reply.json()
    return completion["id"], {choice["index"]: choice["message"]["content"] for choice in completion["choices"]}


def _streamed(url: str, body: dict[str, Any]) -> Said:
    with stream(url, body) as reply:
        if reply.status != 200:
            raise _Failed(reply.status, b"".join(reply.rest()))
        payloads = list(reply)
    if not payloads or payloads.pop() != DONE:
        raise _Failed("cut off")
    if '"error"' in payloads[-1]:
        raise _Failed(payloads[-1])
    return json.loads(payloads[0])["id"], texts(payloads)


def _official(client: openai.OpenAI, body: dict[str, Any], *, key: str) -> Said:
    """It does not tell whether ``[DONE]`` came, but raises if the body of a reply does not end as it should."""
    reply = client.chat.completions.create(**body, extra_headers={"Idempotency-Key": key})
    if not body["stream"]:
        return reply.id, {choice.index: choice.message.content for choice in reply.choices}
    said: dict[int, str] = {}
    with reply as chunks:
        for chunk in chunks:
            name = chunk.id
            for choice in chunk.choices:
                said[choice.index] = said.get(choice.index, "") + (choice.delta.content or "")
    return name, said

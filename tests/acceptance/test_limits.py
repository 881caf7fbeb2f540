"""Limits that two server processes share through PostgreSQL: what docs/limits.md says of several servers."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from .conftest import Workshop
from .server import ECHO, Server, eventually, question
from .test_keys import hansard
from .wire import Reply

LIMIT = 40
HEARD_S = 1.0
"""A quarter of a second, and the time of a transaction on a machine that is busy."""


@pytest.fixture
def servers(make_server: Workshop, url: str) -> list[Server]:
    return [make_server("--db", url, model=ECHO, name=name).start() for name in ("one", "two")]


def limited_key(url: str, name: str, **limits: int) -> str:
    """A key of a project of its own, whose limits are the project's."""
    hansard("projects", "create", name, "--policy", json.dumps({"limits": limits}), "--db", url)
    return hansard("keys", "create", "--project", name, "--name", name, "--db", url)[0]


def ask(server: Server, key: str, **fields: object) -> Reply:
    body = question("Order!", model="echo", **fields)
    return server.post("/chat/completions", body, authorization=f"Bearer {key}")


def test_what_one_has_let_in_the_other_refuses(servers: list[Server], url: str) -> None:
    one, two = servers
    key = limited_key(url, "minute", requests_per_minute=LIMIT)
    while (last := ask(one, key)).status == 200:
        pass
    assert (last.status, last.error["code"]) == (429, "rate_limit_exceeded")

    # The first one to a server that has not heard yet is what a server may let in too much.
    ask(two, key)
    eventually(lambda: ask(two, key).status == 429, "the other to hear of it", within_s=HEARD_S + 60 / LIMIT)


def test_the_tokens_of_a_month_are_those_of_both(servers: list[Server], url: str) -> None:
    one, two = servers
    key = limited_key(url, "month", tokens_per_month=200)
    while (last := ask(one, key)).status == 200:
        pass
    assert last.error["code"] == "insufficient_quota"

    ask(two, key)
    eventually(lambda: ask(two, key).status == 429, "the other to hear of it", within_s=HEARD_S)
    assert ask(two, key).error["code"] == "insufficient_quota"


def test_both_at_once_let_in_no_more_than_is_said_and_it_is_paid_back(servers: list[Server], url: str) -> None:
    key = limited_key(url, "rush", requests_per_minute=LIMIT)
    over = threading.Event()

    def rush(server: Server) -> int:
        """How many it was let in."""
        admitted = 0
        while not over.is_set():
            admitted += ask(server, key).status == 200
        return admitted

    # Before the first key of all is known here whoever asks is let in, with or without one.
    eventually(lambda: all(ask(each, "none").status == 401 for each in servers), "the doors to be shut")
    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(rush, server) for server in servers * 2]
        over.wait(2)
        over.set()
        admitted = sum(each.result() for each in asking)
    took_s = time.monotonic() - began

    assert LIMIT <= admitted <= len(servers) * LIMIT + LIMIT * took_s / 60 + 1
    too_much_s = (admitted - LIMIT) * 60 / LIMIT - took_s  # until which all that was let in has run out to the limit
    if too_much_s > HEARD_S:
        eventually(lambda: all(ask(each, key).status == 429 for each in servers), "both to know", within_s=HEARD_S)

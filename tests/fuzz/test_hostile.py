"""Hostile requests in short; ``make fuzz`` is the long form. The seed of what fails is in what is told of it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.fuzz import judge
from tests.fuzz.attacks import Attack, attack
from tests.fuzz.hostile import Run, served

REQUESTS = 5000
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@pytest.mark.timeout(300)
def test_nothing_hostile_does_harm(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        run = Run(server, seed=time.time_ns() % 10**9, requests=REQUESTS)
        asyncio.run(run.go())

    assert not run.findings, str(run)
    assert run.counts["200"] > REQUESTS // 20, str(run)


def test_a_seed_makes_the_same_again() -> None:
    assert [attack(7, number) for number in range(300)] == [attack(7, number) for number in range(300)]
    assert attack(7, 0) != attack(8, 0)


@pytest.mark.parametrize(
    "data",
    [
        WHOLE.replace(b"200 OK", b"500 Internal Server Error"),
        WHOLE.replace(b"200 OK", b"503 Service Unavailable"),
        WHOLE.replace(b"200 OK", b"404 Not Found"),
        WHOLE + WHOLE,
        WHOLE + b"HTTP/1.1 20",
        WHOLE.replace(b"{}", b"{'").replace(b"OK", b"OK\r\ncontent-type: application/json"),
        b"HTTP/1.1 200 OK\r\ncontent-length: 33\r\n\r\nTraceback (most recent call last)",
    ],
)
def test_a_broken_server_would_be_complained_of(data: bytes) -> None:
    got, rest = judge.replies(data)
    assert judge.complaints(Attack("any", ()), got, rest)


@pytest.mark.parametrize("data", [b"HTTP/1.0 200 OK\r\n\r\n", b"<html>", b"HTTP/1.1 200 OK\r\n\r\nx", WHOLE + b"{}"])
def test_what_is_no_http_is_none(data: bytes) -> None:
    with pytest.raises(judge.NotHttp):
        judge.replies(data)

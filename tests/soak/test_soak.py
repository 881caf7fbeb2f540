"""The soak in short, and its judge; ``make soak`` is the long form, which holds memory to its bar."""

from __future__ import annotations

import asyncio
import math
import mmap
import os
import random
import socket
import sys
import threading
from pathlib import Path

import pytest

from tests.soak import judge, process
from tests.soak.judge import Held
from tests.soak.run import Run, ended, served, soaked

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read from /proc")

GROSSLY = 0.5
"""Seconds tell a leak of a few bytes from caches that fill no better than this."""


@pytest.mark.timeout(300)
def test_after_the_load_nothing_is_left_over(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        run = Run(server, seed=random.randrange(10**9), per_s=40, weight=lambda: 0)
        told = asyncio.run(soaked(run, warm_s=3, measured_s=8, rest_s=4, at_most=GROSSLY))
        run.wrong += ended(server)

    assert not run.wrong, f"{told}\n{run.wrong}"
    assert len(run.counts) > 20, told


AT_REST = Held(files=26, sockets=3, threads=7, tasks=9)


def test_a_level_that_swings_is_flat() -> None:
    chance = random.Random(1)
    levels = [80 + 3 * math.sin(second / 40) + chance.gauss(0, 1) for second in range(1800)]
    levels[100:140] = [160.0] * 40

    assert abs(judge.growth(levels)) < judge.MOST_GROWTH
    assert judge.complaints({"memory": levels}, before=AT_REST, after=AT_REST) == []


@pytest.mark.parametrize("part", [0.03, 0.5])
def test_a_level_that_rises_has_grown_by_so_much(part: float) -> None:
    chance = random.Random(1)
    levels = [80 + 80 * part * second / 1800 + chance.gauss(0, 0.5) for second in range(1800)]

    assert judge.growth(levels) == pytest.approx(part, rel=0.15)
    levels_by_name = {"blocks": [80.0] * 1800, "memory": levels}
    [missed] = judge.complaints(levels_by_name, before=AT_REST, after=AT_REST)
    assert missed.startswith("memory grew by ")


def test_a_level_that_falls_has_not_grown() -> None:
    assert judge.growth([100.0, 95.0, 90.0]) == pytest.approx(-0.15)
    assert judge.complaints({"memory": [100.0, 95.0, 90.0]}, before=AT_REST, after=AT_REST) == []


def test_a_line_through_two_points_is_none() -> None:
    with pytest.raises(ValueError, match="three levels"):
        judge.growth([1.0, 2.0])


@pytest.mark.parametrize("name", Held._fields)
def test_whatever_there_is_more_of_at_rest_is_missed(name: str) -> None:
    flat = {"memory": [80.0] * 30}
    more = AT_REST._replace(**{name: getattr(AT_REST, name) + 1})

    [missed] = judge.complaints(flat, before=AT_REST, after=more)
    assert missed.startswith(f"1 more {name} than before")
    assert judge.complaints(flat, before=more, after=AT_REST) == []


def test_what_a_process_holds_is_seen() -> None:
    """Of this process: an open socket, a thread, and memory that is written to."""
    pid = os.getpid()
    files, threads, memory = process.files(pid), process.threads(pid), process.memory(pid)
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    with socket.socket():
        thread.start()
        held = mmap.mmap(
            -1, 50_000_000, flags=mmap.MAP_PRIVATE
        )  # fresh pages: memory that Python has may be there already
        held.write(b"x" * len(held))
        more = process.files(pid)
        grown = process.memory(pid).own - memory.own
        size = len(held)
        held.close()
        more_threads = process.threads(pid)
        over.set()
        thread.join()

    assert sum(each.startswith("socket:") for each in more) == sum(each.startswith("socket:") for each in files) + 1
    assert more_threads == threads + 1
    assert grown == pytest.approx(size / 1e6, abs=5)
    assert memory.own <= memory.resident

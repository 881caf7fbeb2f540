"""The servers of one run: the mock upstream and whoever stands in front of it, on processors apart from the load."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.processes import OURS, Server, alive, free_port, running
from bench.proxy.load import Target, play
from bench.proxy.peers import CannotInstall, Peer, Place

FIRST_ANSWER_S = 120.0
LOG = "log"  # in the server's folder: all it wrote
# A short conversation, the size most requests of chat applications have.
MESSAGES = (
    {"role": "system", "content": "You are the Speaker of the House. Answer briefly, and keep order at all times."},
    {"role": "user", "content": "Honourable members are shouting across the floor. What do you say to them now?"},
    {"role": "assistant", "content": "Order! The House must come to order, or I shall suspend the sitting."},
    {"role": "user", "content": "They go on. Please say it again, more firmly, and name the one who began."},
)


@dataclass(frozen=True)
class Cores:
    """``server`` has one of its own, where there are two; the upstream and the load share the others."""

    server: tuple[int, ...]
    others: tuple[int, ...]

    @classmethod
    def of_this_machine(cls) -> Cores:
        """The last is the server's."""
        *others, last = sorted(os.sched_getaffinity(0))
        return cls((last,), tuple(others)) if others else cls((), ())


@dataclass(frozen=True)
class Front:
    """One server under measurement, answering; ``cold_start_s`` is from its start to its first answer."""

    peer: Peer
    place: Place
    server: Server
    cold_start_s: float

    def target(self, *, stream: bool, store: bool, model: str | None = None) -> Target:
        """One kind of request to it."""
        return chat(self.peer, self.place, stream=stream, store=store, model=model)


def chat(peer: Peer, place: Place, *, stream: bool, store: bool, model: str | None = None) -> Target:
    """One kind of request to a peer."""
    body: dict[str, object] = {"model": model or peer.model, "messages": MESSAGES}
    body |= {"stream": True} if stream else {}
    body |= {"store": True} if store else {}
    return Target.chat(place.port, body, peer.headers(place), contents=64 if stream else 1)


@contextmanager
def upstream(cores: Cores, folder: Path, *, usual: str) -> Iterator[Server]:
    """The mock upstream, listening; ``usual`` is what it does when asked for ``mock``."""
    port = free_port()
    command = [sys.executable, "-m", "bench.mock_upstream", "--port", str(port), "--usual", usual]
    log = folder / "upstream.log"
    with running("upstream", command, port=port, log=log, environment=OURS, cores=cores.others) as server:
        _wait_listening(port)
        yield server


def _wait_listening(port: int) -> None:
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.01)


@contextmanager
def front(peer: Peer, place: Place, cores: Cores) -> Iterator[Front]:
    """The peer, once it has given its first right answer."""
    place.folder.mkdir(parents=True, exist_ok=True)
    log = place.folder / LOG
    own = {"HOME": str(place.folder), "XDG_CONFIG_HOME": str(place.folder), **peer.environment}
    command = peer.command(place)
    with running(peer.name, command, port=place.port, log=log, environment=own, cores=cores.server) as server:
        yield Front(peer, place, server, first_answer_s(server, chat(peer, place, stream=False, store=False), log))


def first_answer_s(server: Server, target: Target, log: Path) -> float:
    """Seconds from its start to its first right answer; CannotInstall with the end of its log if there is none."""
    problem = ""
    while time.perf_counter() < server.started + FIRST_ANSWER_S:
        if not alive(server):
            raise CannotInstall(f"{server.name} ended: {log.read_text()[-500:]}")
        problem = _ask_once(target)
        if not problem:
            return time.perf_counter() - server.started
        time.sleep(0.01)
    raise CannotInstall(f"{server.name} gave no right answer: {problem}\n{log.read_text()[-500:]}")


def _ask_once(target: Target) -> str:
    """What is wrong with its answer, if anything."""
    try:
        outcome = asyncio.run(play(target, connections=1, seconds=0))
    except ExceptionGroup as failures:
        return str(failures.exceptions[0])
    return outcome.failures[0] if outcome.failures else ""


@contextmanager
def prepared(cores: Cores) -> Iterator[None]:
    """This process is the load: off the server's processor, and allowed a socket per stream."""
    everywhere = os.sched_getaffinity(0)
    if cores.others:
        os.sched_setaffinity(0, cores.others)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        yield
    finally:
        os.sched_setaffinity(0, everywhere)


def place_for(peer: Peer, upstream_port: int, *, folder: Path, environments: Path) -> Place:
    """A free port and a folder for it."""
    return Place(free_port(), upstream_port, folder / peer.name.lower(), environments)

"""A PostgreSQL that answers nobody, and has not gone away: the server ends all the same, and keeps what it said."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import psutil
import psycopg
import pytest

from tests.postgres import PostgresServer, postgres_server

from .conftest import Workshop
from .server import ECHO, MODEL, Server, eventually, question
from .test_keys import hansard
from .wire import send

ENDS_S = 10.0
"""What docs/operating.md adds to ``drain`` where the database hangs."""
AT_ONCE_S = 1.0

# Of a machine that does much else: a process takes a second to end.
SLACK_S = 6.0

Hang = Callable[[PostgresServer, str], AbstractContextManager[None]]


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """Of each test's own, since it is stopped in it."""
    with postgres_server() as server:
        yield server


@contextmanager
def locked(_: PostgresServer, url: str) -> Iterator[None]:
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE completions, keys IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def stopped(postgres: PostgresServer, _: str) -> Iterator[None]:
    """Each process of it: its clients stay connected, and are answered nothing."""
    processes = postgres.processes()
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("hang", [locked, stopped], ids=["lock", "SIGSTOP"])
@pytest.mark.parametrize(
    ("signals", "drain_s", "within_s"), [(1, 1, 1 + ENDS_S), (2, 60, AT_ONCE_S)], ids=["one signal", "two signals"]
)
def test_a_server_ends_though_its_database_hangs(
    make_server: Workshop, postgres: PostgresServer, hang: Hang, signals: int, drain_s: int, within_s: float
) -> None:
    url = postgres.new_database()
    server = make_server("--db", url, "--drain", str(drain_s), model=(*ECHO, "--alias", f"{MODEL}=echo")).start()
    hansard("projects", "create", "shop", "--db", url)
    key, _ = hansard(
        "keys", "create", "--project", "shop", "--name", "x", "--scope", "create", "--scope", "read", "--db", url
    )
    known = {"authorization": f"Bearer {key}"}
    eventually(lambda: server.get("/models").status == 401, "the first key to be known", server=server)
    kept = server.post("/chat/completions", question("Hello!", store=True), **known).json()["id"]

    with hang(postgres, url), ExitStack() as clients:
        for number in range(6):
            clients.enter_context(_asks(server, f"sk-nobody-{number}"))
        assert send("GET", f"{server.root}/health").status == 200  # so those before it have been heard
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        if signals == 2:
            eventually(lambda: not _listens(server), "the first signal to be heard", server=server)
            began = time.monotonic()
            server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert time.monotonic() - began < within_s + SLACK_S

    server.start()
    reply = server.get(f"/chat/completions/{kept}", **known).json()
    assert reply.get("id") == kept, reply


def _asks(server: Server, key: str) -> socket.socket:
    """A client that has asked with a key that nobody knows, and waits."""
    client = socket.create_connection(_address(server))
    client.sendall(f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    return client


def _listens(server: Server) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(_address(server)):
        return True
    return False


def _address(server: Server) -> tuple[str, int]:
    host, _, port = server.root.removeprefix("http://").rpartition(":")
    return host, int(port)

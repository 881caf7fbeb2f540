"""Two servers, Node, and the run of each client against the server it needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.npm import node_with_packages
from tests.acceptance.server import Server

from .clients import CLIENTS, KEY, NODE, Run, python_of, run


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the built-in model, which wants a key and keeps what asks for it."""
    with Server(tmp_path_factory.mktemp("asked"), environment={"HANSARD_API_KEY": KEY}) as server:
        yield server.start()


@pytest.fixture(scope="session")
def always(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same for a client that cannot ask."""
    with Server(tmp_path_factory.mktemp("always"), "--store", "always", environment={"HANSARD_API_KEY": KEY}) as server:
        yield server.start()


@pytest.fixture(scope="session")
def node() -> str:
    """Node, with the clients installed from the lock file."""
    return node_with_packages(NODE)


@pytest.fixture(scope="session")
def runs() -> dict[str, Run]:
    """What has been run already: each program runs once, in whatever order the tests ask for it."""
    return {}


@pytest.fixture(params=list(CLIENTS))
def ran(request: pytest.FixtureRequest, runs: dict[str, Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One client's run."""
    name, client = request.param, CLIENTS[request.param]
    interpreter = python_of(client) if client.environment else request.getfixturevalue("node")
    if name not in runs:
        server = request.getfixturevalue("asked" if client.asks_to_store else "always")
        runs[name] = run(client, server, interpreter=interpreter, home=tmp_path_factory.mktemp(name))
    return runs[name]

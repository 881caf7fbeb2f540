"""Servers for the acceptance tests: one that everybody reads from, and a workshop for those who break theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.postgres import PostgresServer, postgres_server

from .server import MODEL, Server

Workshop = Callable[..., Server]


@pytest.fixture(scope="session")
def hansard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server with the built-in model, shared: find your own completions by your own metadata."""
    with Server(tmp_path_factory.mktemp("shared"), "--alias", f"gpt-4o={MODEL}") as server:
        yield server.start()


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A database server of this file's tests."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    """Of an empty database."""
    return postgres.new_database()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Workshop]:
    """Makes servers of a test's own, not yet started; all are ended and swept up after it."""
    with ExitStack() as stack:

        def make(*arguments: str, name: str = "server", **options: object) -> Server:
            return stack.enter_context(Server(tmp_path / name, *arguments, **options))  # type: ignore[arg-type]

        yield make

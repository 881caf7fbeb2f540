"""Fixtures of the store's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event

from hansard.store.sql import SqlStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hansard.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(path=path)
    await store.start()
    yield store
    await store.stop()


@pytest.fixture
def commits() -> Iterator[list[Connection]]:
    """Grows by one with each COMMIT of a writer; readers commit nothing, but end the same way."""
    seen: list[Connection] = []

    def committed(connection: Connection) -> None:
        if not connection.exec_driver_sql("PRAGMA query_only").scalar():
            seen.append(connection)

    event.listen(Engine, "commit", committed)
    yield seen
    event.remove(Engine, "commit", committed)

"""The promise: what was acknowledged is there after kill -9, once and whole."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from hansard.core.paging import ListQuery
from hansard.store.database import database
from hansard.store.sql import SqlStore
from tests.postgres import PostgresServer
from tests.store.inserter import numbered

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


def acknowledged_before_kill(url: str, prefix: str, *, after: int) -> list[str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.store.inserter", url, prefix],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with child:
        assert child.stdout is not None
        names = [child.stdout.readline().strip() for _ in range(after)]
        child.kill()
        # The last line may be cut: an id is acknowledged once its newline is out.
        return names + [line.strip() for line in child.stdout if line.endswith("\n")]


async def kept(url: str, prefix: str) -> list[str]:
    """The names of a round, paged through, and each record compared with what it must be."""
    store = SqlStore(database(url))
    await store.start()
    found: list[str] = []
    cursor = None
    while page := await store.page("p", ListQuery(metadata=(("round", prefix),)), after=cursor, limit=100, whole=True):
        for each in page:
            assert each == numbered(each.metadata["name"])
            found.append(each.metadata["name"])
        cursor = await store.locate("p", page[-1].id)
    await store.stop()
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{path}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


async def test_kill_9_loses_nothing_that_was_acknowledged(url: str) -> None:
    chance = random.Random(7)
    for number in range(4):
        acknowledged = acknowledged_before_kill(url, str(number), after=chance.randrange(1, 150))
        found = await kept(url, str(number))
        assert len(found) == len(set(found))
        assert set(acknowledged) <= set(found)
        # What was on its way may be there or not: one for each of the 16 that were inserting.
        assert len(found) <= len(acknowledged) + 16

"""Behind PgBouncer in transaction mode, where each transaction may have another connection of the server's."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from hansard.core.paging import ListQuery
from hansard.store.postgresql import Postgresql
from tests.postgres import PostgresServer
from tests.store.conftest import Start
from tests.store.records import outcome, record

pytestmark = pytest.mark.anyio

PGBOUNCER = os.environ.get("HANSARD_TEST_PGBOUNCER") or shutil.which("pgbouncer", path=f"{os.defpath}:/usr/sbin")

CONFIGURATION = """
[databases]
* = host={directory} user=postgres
[pgbouncer]
pool_mode = transaction
default_pool_size = 2
auth_type = any
listen_port = 6432
unix_socket_dir = {directory}
server_reset_query_always = 1
server_reset_query = DISCARD ALL
"""


@pytest.fixture
def database(postgres: PostgresServer, tmp_path: Path) -> Iterator[Postgresql]:
    """A pool of two connections, each as good as new for every transaction."""
    if PGBOUNCER is None:
        pytest.skip("pgbouncer is not installed")
    url = postgres.new_database()
    file = postgres.directory / "pgbouncer.ini"
    file.write_text(CONFIGURATION.format(directory=postgres.directory))
    file.chmod(0o644)
    process = subprocess.Popen([PGBOUNCER, "-q", str(file)], user=postgres.user, cwd=postgres.directory)
    try:
        for _ in range(200):
            try:
                psycopg.connect(f"{url}&port=6432", prepare_threshold=None).close()
                break
            except psycopg.OperationalError:
                time.sleep(0.05)
        yield Postgresql(f"{url}&port=6432")
    finally:
        process.terminate()
        process.wait(30)


async def test_everything_works_behind_it(start: Start, database: Postgresql) -> None:
    stores = await asyncio.gather(*(start() for _ in range(3)))
    await asyncio.gather(*(store.insert(record(f"{n}-{i}")) for n, store in enumerate(stores) for i in range(50)))
    for store in stores:
        assert len(await store.page("p", ListQuery(model="tiny"), after=None, limit=200)) == 150
    assert await stores[0].set_metadata("p", "chatcmpl-1-7", {"tier": "gold"}) is not None
    assert [each.id for each in await stores[1].page("p", ListQuery(metadata=(("tier", "gold"),)), after=None, limit=9)]
    assert await stores[2].delete("p", "chatcmpl-1-7") is True
    kept = await asyncio.gather(
        *(store.remember(outcome("k", of=str(n)), record(str(n))) for n, store in enumerate(stores))
    )
    assert len({each.reply for each in kept}) == 1

"""Trouble, round after round: a server works for some clients, something breaks, and what they were told must be true.

Each round ends with the death of the server. Then a store opens the database, the server starts again, and everything
that was acknowledged must be there, whole, once; and nothing that is half.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeAlias

import psycopg
import pytest

from hansard.core.paging import ListQuery
from hansard.store.database import Database, database
from hansard.store.sql import SqlStore
from tests.acceptance.server import ECHO, Server, eventually
from tests.durability import shim
from tests.durability.counts import ROUNDS, SEED
from tests.durability.judge import Verdict, judge_records, judge_replies, judge_tables
from tests.durability.load import Load
from tests.durability.proxy import Moment, Proxy
from tests.durability.shim import BROKEN, FULL, Control, Operation
from tests.postgres import PostgresServer, postgres_server
from tests.store.records import record

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120 + 60 * ROUNDS)]

# What is read is mostly in memory, so reading alone would hardly ever fail.
BREAKS = (Operation.WRITE, Operation.SYNC, Operation.WRITE | Operation.SYNC | Operation.READ)


class World:
    """A server on a database of its own, and what can break there."""

    def __init__(self, server: Server, url: str, control: Control | None) -> None:
        self.server = server
        self.database: Database = database(url)
        self._control = control

    @property
    def control(self) -> Control:
        return shim.needed(self._control)

    def slow_down(self, chance: random.Random) -> None:
        """A disk that takes its time: who does not wait for it is ahead of it."""
        if self._control is not None:
            self._control.slow_down(chance.choice((0, 500, 3000)))

    def heal(self) -> None:
        """Whatever was broken on purpose is whole again."""
        if self._control is not None:
            self._control.heal()
            self._control.slow_down(0)


class Postgres(NamedTuple):
    """A server that may be broken, and what breaks its disk and its connections; ``proxy`` listens in ``place``."""

    server: PostgresServer
    control: Control | None
    proxy: Proxy
    place: Path


class PostgresWorld(World):
    def __init__(self, server: Server, url: str, postgres: Postgres) -> None:
        super().__init__(server, url, postgres.control)
        self.postgres = postgres.server
        self.proxy = postgres.proxy

    def heal(self) -> None:
        super().heal()
        self.proxy.disarm()

    def crash(self) -> None:
        """As if the machine of PostgreSQL stopped, and started again at once."""
        self.postgres.stop(how=signal.SIGQUIT)
        self.postgres.start()


def wait_at_random(chance: random.Random, *, at_most_s: float) -> None:
    time.sleep(chance.uniform(0, at_most_s))  # waits for nothing: what comes next comes at a random moment


# What happens to a server under load. Each ends with the server dead.


def die(world: World, load: Load) -> None:
    load.expect_the_end()
    world.server.kill()
    load.end()


def killed(world: World, load: Load, chance: random.Random) -> None:
    """At any moment, or right after an acknowledgement, where one that comes too early is caught most often."""
    world.slow_down(chance)
    if chance.random() < 0.5:
        wait_at_random(chance, at_most_s=0.4)
    else:
        load.wait_for(chance.randint(1, 10))
    die(world, load)


def stopped(world: World, load: Load, chance: random.Random) -> None:
    wait_at_random(chance, at_most_s=0.4)
    load.expect_the_end()
    assert world.server.stop() == 0
    load.end()


def disk_fails(world: World, load: Load, chance: random.Random, error: int, operations: Operation) -> None:
    """For a while, or until the server is dead."""
    world.control.fail(error, operations, spared=chance.randint(0, 20), every=chance.choice((1, 1, 3)))
    eventually(lambda: world.control.failed > 0, "the disk to fail", within_s=20, server=world.server)
    wait_at_random(chance, at_most_s=0.3)
    if isinstance(world, PostgresWorld):
        world.heal()
        world.crash()  # if it has not gone down by itself, as it does where its log cannot be written
        load.wait_for(10)
    elif chance.random() < 0.7:
        world.heal()
        load.wait_for(10)  # by itself, as soon as the disk is well again
    die(world, load)


def disk_full(world: World, load: Load, chance: random.Random) -> None:
    disk_fails(world, load, chance, FULL, Operation.GROW)


def disk_broken(world: World, load: Load, chance: random.Random) -> None:
    disk_fails(world, load, chance, BROKEN, chance.choice(BREAKS))


def postgres_crashes(world: World, load: Load, chance: random.Random) -> None:
    assert isinstance(world, PostgresWorld)
    wait_at_random(chance, at_most_s=0.3)
    world.crash()
    load.wait_for(10)
    die(world, load)


def backend_killed(world: World, load: Load, chance: random.Random) -> None:
    """``kill -9`` of one process of PostgreSQL, which then throws all of them away and recovers."""
    assert isinstance(world, PostgresWorld)
    wait_at_random(chance, at_most_s=0.3)
    with psycopg.connect(world.postgres.url("postgres"), autocommit=True) as connection:
        ours = "SELECT pid FROM pg_stat_activity WHERE application_name = 'hansard'"
        pids = [pid for (pid,) in connection.execute(ours)]
        os.kill(chance.choice(pids), signal.SIGKILL)
    load.wait_for(10)
    die(world, load)


def connection_lost(world: World, load: Load, chance: random.Random) -> None:
    """Several times, mostly around a COMMIT."""
    assert isinstance(world, PostgresWorld)
    for _ in range(chance.randint(1, 5)):
        moment = chance.choice((*Moment, None))
        if moment is None:
            world.proxy.break_all()
        else:
            world.proxy.arm(moment)
            eventually(lambda: not world.proxy.is_armed, "a COMMIT", server=world.server)
        wait_at_random(chance, at_most_s=0.05)
    load.wait_for(10)
    die(world, load)


Trouble: TypeAlias = Callable[[World, Load, random.Random], None]

ON_SQLITE: tuple[Trouble, ...] = (killed, stopped, disk_full, disk_broken)
ON_POSTGRESQL: tuple[Trouble, ...] = (
    *(killed, stopped, disk_full, disk_broken, postgres_crashes, backend_killed, connection_lost),
)


async def survive(world: World, trouble: Trouble, kind: str) -> Verdict:
    print(f"HANSARD_DURABILITY_SEED={SEED}")
    chance = random.Random(f"{SEED} {kind}")
    verdict = Verdict(kind)
    world.server.start()
    for number in range(ROUNDS):
        load = Load(world.server.base_url, name=f"r{number}", seed=SEED)
        load.start()
        try:
            load.wait_for(chance.randint(1, 40))
            trouble(world, load, chance)
        finally:
            load.expect_the_end()
            world.heal()
            load.end()
        await judge_records(verdict, load, world.database)
        world.server.start()
        judge_replies(verdict, load, world.server, chance)
        judge_tables(verdict, world.database)
    print(verdict)
    return verdict


@pytest.fixture(scope="module")
def shared_object(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    return shim.compiled(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="module")
def postgres(shared_object: Path | None) -> Iterator[Postgres]:
    with TemporaryDirectory(prefix="hansard-shim-") as name, postgres_server() as server:
        place, control = Path(name), None
        place.chmod(0o755)  # PostgreSQL may run as another user
        if shared_object is not None:
            control = Control(place / "control")
            readable = Path(shutil.copy(shared_object, place))
            server.stop()
            server.environment = shim.environment(readable, server.directory / "data", control=control)
            server.start()
        proxy = Proxy(place, server.directory)
        yield Postgres(server, control, proxy, place)
        proxy.close()


@pytest.mark.parametrize("trouble", ON_SQLITE, ids=lambda trouble: trouble.__name__)
async def test_sqlite(trouble: Trouble, shared_object: Path | None, tmp_path: Path) -> None:
    environment, control, data = {}, None, tmp_path / "data"
    if shared_object is not None:
        data.mkdir()
        control = Control(tmp_path / "control")
        environment = shim.environment(shared_object, data, control=control)
    with Server(tmp_path, model=ECHO, environment=environment, data=data) as server:
        world = World(server, f"sqlite:///{data / 'hansard.sqlite3'}", control)
        verdict = await survive(world, trouble, f"sqlite {trouble.__name__}")
    verdict.assert_good()
    # Who was refused has nothing there. Except where the very sync of a commit failed: if the file is opened anew
    # before it was written again, by this process or the next, the commit is in it.
    assert trouble is disk_broken or not verdict.refused_and_found, verdict.refused_and_found


@pytest.mark.parametrize("trouble", ON_POSTGRESQL, ids=lambda trouble: trouble.__name__)
async def test_postgresql(trouble: Trouble, postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.server.new_database()
    through = url.replace(str(postgres.server.directory), str(postgres.place))
    with Server(tmp_path, "--db", through, model=ECHO) as server:
        world = PostgresWorld(server, url, postgres)
        verdict = await survive(world, trouble, f"postgresql {trouble.__name__}")
    verdict.assert_good()
    assert not verdict.refused_and_found, verdict.refused_and_found


async def test_a_commit_that_takes_postgresql_down_is_ridden_out(postgres: Postgres) -> None:
    """It says PANIC and an I/O error in one; whether the commit took place is known when it is back."""
    control = shim.needed(postgres.control)
    store = SqlStore(database(postgres.server.new_database()))
    await store.start()
    control.fail(BROKEN, Operation.SYNC)
    writing = asyncio.create_task(store.insert(record("a")))
    await asyncio.to_thread(eventually, lambda: control.failed > 0, "the disk to fail")
    control.heal()
    postgres.server.stop(how=signal.SIGQUIT)
    postgres.server.start()
    await writing
    assert await store.page("p", ListQuery(), after=None, limit=9) == [record("a")]
    await store.stop()

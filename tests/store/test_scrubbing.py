"""scrubbing.py: of what was deleted not a word stays in SQLite's file, whichever way it went."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection

from hansard.errors import StartupError
from hansard.store import leaving, maintenance, scrubbing
from hansard.store.scrubbing import Scrubbing
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite
from hansard.store.tenants import Entry, Project
from tests.store.sound import sound_record

pytestmark = pytest.mark.anyio

PROJECT = "proj_" + "a" * 24
SECRET = "zqxmark"  # no other word begins as it does, so that FTS5 has to spell it whole
KEPT = "another"


@asynccontextmanager
async def started(path: Path, *, search: bool = True, database: Sqlite | None = None) -> AsyncIterator[SqlStore]:
    store = SqlStore(database or Sqlite(path), search=search)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


async def fill(store: SqlStore) -> None:
    await store.tenants.keep([Project(id=PROJECT, name="shop", created=1)], [entry("project.created")])
    for name, text, project in (("secret", SECRET, PROJECT), ("kept", KEPT, "default"), ("old", SECRET, "default")):
        request = {"model": "m", "messages": [{"role": "user", "content": f"the {text} of it"}], "store": True}
        await store.insert(sound_record(name, project=project, request=json.dumps(request).encode()))


def entry(act: str) -> Entry:
    return Entry(id=f"audit_{act}", project=PROJECT, at=time.time_ns() // 1000, actor="cli", act=act, target=PROJECT)


def has(path: Path, word: str) -> bool:
    """Whether the index spells that word, deleted or not."""
    with sqlite3.connect(path) as connection:
        blocks = [bytes(block) for (block,) in connection.execute("SELECT block FROM search_words_data")]
    connection.close()
    return any(word.encode() in block for block in blocks)


async def delete_both(store: SqlStore) -> None:
    assert await store.delete(PROJECT, "chatcmpl-secret")
    assert await store.delete("default", "chatcmpl-old")


async def test_a_scrub_leaves_nothing_of_what_was_deleted(path: Path) -> None:
    async with started(path) as store:
        await fill(store)
        await delete_both(store)
        assert has(path, SECRET)

        await store.scrub()

        assert not has(path, SECRET)
        assert has(path, KEPT)


async def test_tending_scrubs_an_hour_after_the_start_and_then_each_day(path: Path) -> None:
    now = [0.0]
    async with started(path) as store:
        await fill(store)
        scrubs = Scrubbing(Sqlite(path), write=store._writer.write, between=store._writer.between, clock=lambda: now[0])

        async def is_scrubbed(at: float) -> bool:
            now[0] = at
            async with aclosing(scrubs.steps()) as steps:
                return [took_s async for took_s in steps] != []

        assert not await is_scrubbed(scrubbing.FIRST_S - 1)
        assert await is_scrubbed(scrubbing.FIRST_S)
        assert not await is_scrubbed(scrubbing.FIRST_S + scrubbing.EVERY_S - 1)
        await delete_both(store)
        assert await is_scrubbed(scrubbing.FIRST_S + scrubbing.EVERY_S)
        assert not has(path, SECRET)


async def test_a_project_that_is_deleted_by_command_leaves_nothing(path: Path) -> None:
    async with started(path) as store:
        await fill(store)
        await store.delete("default", "chatcmpl-old")
        with leaving.opened(Sqlite(path)) as leaver:
            leaver.close(PROJECT, entry("project.deleted"))
            leaver.clear(PROJECT, lambda _: None)

        assert not has(path, SECRET)
        assert has(path, KEPT)


async def test_a_vacuum_leaves_nothing_of_what_was_deleted(path: Path) -> None:
    async with started(path) as store:
        await fill(store)
        await delete_both(store)
    assert has(path, SECRET)

    maintenance.vacuum(path, tell=lambda *_: None)

    assert not has(path, SECRET)
    assert has(path, KEPT)
    assert not maintenance.examine(path, tell=lambda *_: None).findings


LABEL = "qxvlabel"
GONE = (SECRET, LABEL, "chatcmpl-of-shop-")


def spelled_in_files(path: Path) -> set[str]:
    """What of a project that has left the file and the log beside it still spell."""
    held = b"".join(each.read_bytes() for each in (path, path.with_name(f"{path.name}-wal")))
    return {each for each in GONE if each.encode() in held}


async def fill_both(store: SqlStore, *, most: int = 150) -> None:
    """A project that is to leave, all among another's."""
    await store.tenants.keep([Project(id=PROJECT, name="shop", created=1)], [entry("project.created")])
    for number in range(most):
        for project, name, text, label in (
            (PROJECT, f"of-shop-{number}", SECRET, LABEL),
            ("default", f"kept-{number}", KEPT, KEPT),
        ):
            request = {"model": "m", "messages": [{"role": "user", "content": f"the {text}{number} of it"}]}
            said = json.dumps({**request, "store": True}).encode()
            await store.insert(
                sound_record(name, project=project, created=number, request=said, metadata={label: f"{label}-{number}"})
            )


async def clear(store: SqlStore) -> None:
    assert await store.close_project(PROJECT, entry("project.deleted"))
    while await store.clear_some(PROJECT):
        pass


@pytest.mark.parametrize("search", [False, True])
async def test_after_a_scrub_neither_the_file_nor_its_log_has_anything_of_what_has_left(
    path: Path, search: bool
) -> None:
    async with started(path, search=search) as store:
        await fill_both(store)
        assert spelled_in_files(path) == set(GONE)
        await clear(store)

        await store.scrub()

        assert spelled_in_files(path) == set()


@dataclass(frozen=True)
class Tried(Sqlite):
    """Tells whenever it has tried to empty the log, and whether it did."""

    tell: Callable[[bool], object] = bool

    def empty_log(self, connection: Connection) -> bool:
        is_empty = super().empty_log(connection)
        self.tell(is_empty)
        return is_empty


async def test_a_scrub_is_over_only_when_no_reader_holds_the_log_any_more(path: Path) -> None:
    tries: asyncio.Queue[bool] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    database = Tried(path, tell=lambda is_empty: loop.call_soon_threadsafe(tries.put_nowait, is_empty))
    async with started(path, database=database) as store:
        await fill_both(store)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM completions").fetchone()
            await clear(store)
            scrubbing = asyncio.create_task(store.scrub())
            assert [await tries.get() for _ in range(2)] == [False, False]
            assert not scrubbing.done()
            await store.insert(sound_record("meanwhile"))  # nobody who writes is held up
            reader.execute("ROLLBACK")
            async with asyncio.timeout(10):
                await scrubbing

        assert spelled_in_files(path) == set()


async def test_a_command_that_a_reader_keeps_from_it_says_so(path: Path) -> None:
    async with started(path) as store:
        await fill_both(store, most=5)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM completions").fetchone()
            with leaving.opened(Sqlite(path)) as leaver:
                leaver._patience_s = 0.0
                leaver.close(PROJECT, entry("project.deleted"))
                with pytest.raises(StartupError, match="hansard db vacuum"):
                    leaver.clear(PROJECT, lambda _: None)
        assert leaver.left(PROJECT) == {}

        maintenance.vacuum(path, tell=lambda *_: None)

        assert spelled_in_files(path) == set()

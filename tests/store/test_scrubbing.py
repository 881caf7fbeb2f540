"""scrubbing.py: of what was deleted not a word stays in SQLite's file, whichever way it went."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

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
async def started(path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(Sqlite(path), search=True)
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
        scrubs = Scrubbing(write=store._writer.write, clock=lambda: now[0])

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

"""leaving.py and closing.py: all of a project comes out, all of it goes, and nothing comes behind it."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from hansard.core.paging import ListQuery, search_query
from hansard.errors import AuthenticationFailed, ProjectGone
from hansard.store import leaving, migrate
from hansard.store.base import Record, Tally, line
from hansard.store.database import Database
from hansard.store.leaving import Leaver
from hansard.store.sql import SqlStore
from hansard.store.tenants import Entry, Key, Project
from hansard.tenancy import Gate
from tests.store.conftest import Start
from tests.store.records import outcome
from tests.store.sound import CONVERSATION, examined, sound_outcome, sound_record

pytestmark = pytest.mark.anyio

MINE, THEIRS = "proj_" + "a" * 24, "proj_" + "b" * 24
MONTH = "2026-11"


def entry(name: str, project: str = MINE) -> Entry:
    return Entry(id=f"audit_{name}", project=project, at=time.time_ns() // 1000, actor="cli", act=name, target=project)


async def fill(store: SqlStore, project: str, *, more: int = 3) -> list[Record]:
    """Everything that a project can have."""
    key = Key(
        id=f"key_{project}",
        project=project,
        digest=project.encode(),
        name="k",
        shown="",
        created=1,
        scopes=frozenset({"create"}),
    )
    await store.tenants.keep([Project(id=project, name=f"name of {project}", created=1), key], [entry("made", project)])
    kept = [
        sound_record("plain", project=project, created=1, metadata={"tier": "tin"}),
        sound_record("shared", project=project, created=2, request=CONVERSATION),
        *(sound_record(f"more-{number}", project=project, created=3 + number) for number in range(more)),
    ]
    for each in kept:
        await store.insert(each)
    await store.remember(sound_outcome("unstored", project=project, expires=4_000_000_000))
    await store.insert(sound_record("gone", project=project))
    await store.delete(project, "chatcmpl-gone")
    await store.tally([Tally(project, "", MONTH, 5.0), Tally(project, "k", "tokens", 2.5, 0.1)])
    return kept


@pytest.fixture
def leaver(database: Database) -> Iterator[Leaver]:
    """On a database whose servers are started in the test, and run beside it."""
    database.make()
    engine = database.engine_for_writing()
    with engine.begin() as connection:
        migrate.create(connection)
    engine.dispose()
    with leaving.opened(database) as leaver:
        yield leaver


@pytest.mark.parametrize("search", [False, True])
async def test_a_project_goes_whole_and_the_other_stays(start: Start, leaver: Leaver, search: bool) -> None:
    store = await start(search=search)
    await fill(store, MINE, more=150)
    theirs = await fill(store, THEIRS)
    told: list[int] = []

    assert await asyncio.to_thread(leaver.close, MINE, entry("deleted"))
    done = await asyncio.to_thread(leaver.clear, MINE, told.append)

    assert done["completions"] == 152
    assert told == sorted(told)
    assert told[-1] == sum(done.values())
    assert await asyncio.to_thread(leaver.left, MINE) == {}
    assert leaver.left(THEIRS)["completions"] == len(theirs)
    assert [record.id for record in await store.page(THEIRS, ListQuery(), after=None, limit=50)] == [
        record.id for record in theirs
    ]
    assert [*await store.tenants.holders([MINE.encode(), THEIRS.encode()])] == [THEIRS.encode()]
    if search:
        query = search_query(b"q=aye")
        assert (await store.search(MINE, query, after=None)).hits == []
        assert len((await store.search(THEIRS, query, after=None)).hits) == len(theirs)


async def test_a_server_closes_and_clears_it_too(start: Start) -> None:
    store = await start(search=True)
    await fill(store, MINE, more=70)
    theirs = await fill(store, THEIRS)
    said = entry(leaving.CLOSED)
    assert (await store.left_of(MINE), await store.closed_projects()) == (None, [])

    assert await store.close_project(MINE, said)
    closed = await store.tenants.state()
    assert await store.close_project(MINE, said)  # as after a commit whose answer was lost
    # Nor is that acknowledged but by a commit that has written something, and so is in every copy.
    assert (await store.tenants.state()).revision > closed.revision
    assert not await store.close_project(MINE, entry("again"))
    assert (await store.left_of(MINE), await store.closed_projects()) == ((72, True), [MINE])
    with pytest.raises(ProjectGone):
        await store.insert(sound_record("late", project=MINE))
    steps = [count async for count in _cleared(store)]

    assert steps[:2] == [64, 8]
    assert (await store.left_of(MINE), await store.closed_projects()) == ((0, False), [])
    assert len(await store.page(THEIRS, ListQuery(), after=None, limit=50)) == len(theirs)
    assert await store.left_of(THEIRS) is None


async def _cleared(store: SqlStore) -> AsyncIterator[int]:
    while count := await store.clear_some(MINE):
        yield count


async def test_what_is_left_is_sound(start: Start, leaver: Leaver, database: Database) -> None:
    store = await start(search=True)
    await fill(store, MINE)
    await fill(store, THEIRS)
    leaver.close(MINE, entry("deleted"))
    leaver.clear(MINE, lambda _: None)

    assert examined(database).findings == ()


async def test_the_log_stays_and_says_that_it_was_deleted(start: Start, leaver: Leaver) -> None:
    store = await start()
    await fill(store, MINE)
    leaver.close(MINE, entry("deleted"))
    leaver.clear(MINE, lambda _: None)

    assert [each.act for each in await store.tenants.audit(project=MINE, after=None, limit=9)] == ["made", "deleted"]


async def test_every_server_hears_that_its_keys_are_gone(start: Start, leaver: Leaver) -> None:
    store = await start()
    await fill(store, MINE)
    before = await store.tenants.state()

    leaver.close(MINE, entry("deleted"))

    assert (await store.tenants.state()).revision > before.revision


async def test_nothing_is_written_for_a_project_that_is_gone(start: Start, leaver: Leaver) -> None:
    store = await start()
    await fill(store, MINE)
    await fill(store, THEIRS)
    leaver.close(MINE, entry("deleted"))
    leaver.clear(MINE, lambda _: None)

    with pytest.raises(ProjectGone):
        await store.insert(sound_record("late", project=MINE))
    with pytest.raises(ProjectGone):
        await store.remember(outcome("late", project=MINE, expires=4_000_000_000))
    with pytest.raises(ProjectGone):
        await store.remember(
            outcome("later", project=MINE, of="late", expires=4_000_000_000), sound_record("late", project=MINE)
        )
    assert await store.tally([Tally(MINE, "", MONTH, 5.0), Tally(THEIRS, "", MONTH, 1.0)]) == [0.0, 6.0]
    assert await store.set_metadata(MINE, "chatcmpl-plain", {"late": "late"}) is None
    assert not await store.delete(MINE, "chatcmpl-plain")
    assert leaver.left(MINE) == {}


async def test_those_who_write_for_others_in_the_same_transaction_are_not_held_up(start: Start, leaver: Leaver) -> None:
    store = await start()
    await fill(store, MINE)
    await fill(store, THEIRS)
    leaver.close(MINE, entry("deleted"))

    late, other = await asyncio.gather(
        store.insert(sound_record("late", project=MINE)),
        store.insert(sound_record("other", project=THEIRS)),
        return_exceptions=True,
    )

    assert isinstance(late, ProjectGone)
    assert other is None
    assert await store.get(THEIRS, "chatcmpl-other") is not None


async def test_while_it_is_being_written_to_nothing_is_left_behind(start: Start, leaver: Leaver) -> None:
    store = await start(search=True)
    await fill(store, MINE)
    stored, refused = 0, 0

    async def write(writer: int) -> None:
        nonlocal stored, refused
        # Until it is refused: SQLite's lock is asked for again and again, and may be had only after many of them.
        for number in itertools.count():
            record = sound_record(f"w-{writer}-{number}", project=MINE, request=CONVERSATION)
            try:
                await store.insert(record)
            except ProjectGone:
                refused += 1
                return
            stored += 1

    def leave() -> None:
        leaver.close(MINE, entry("deleted"))
        leaver.clear(MINE, lambda _: None)

    writers = [asyncio.create_task(write(writer)) for writer in range(8)]
    while stored < 40:
        await asyncio.sleep(0)
    await asyncio.to_thread(leave)
    await asyncio.gather(*writers)

    assert refused == 8
    assert leaver.left(MINE) == {}


async def test_a_deletion_that_was_interrupted_goes_on(start: Start, leaver: Leaver) -> None:
    store = await start()
    await fill(store, MINE, more=100)
    leaver.close(MINE, entry("deleted"))

    class Killed(Exception):
        pass

    def die(_: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        leaver.clear(MINE, die)
    assert leaver.left(MINE)["completions"] == 102 - leaving.AT_ONCE

    assert not leaver.close(MINE, entry("again"))
    leaver.clear(MINE, lambda _: None)
    assert leaver.left(MINE) == {}


async def test_all_of_it_comes_out_as_it_went_in(start: Start, leaver: Leaver) -> None:
    store = await start()
    kept = await fill(store, MINE, more=150)
    await fill(store, THEIRS)

    out = list(leaver.records(MINE))

    assert [each.id for each in out] == [each.id for each in kept]
    assert out == kept
    assert leaver.count(MINE) == len(kept)
    assert list(leaver.records(MINE, after=kept[99].id)) == kept[100:]
    with pytest.raises(LookupError):
        list(leaver.records(MINE, after="chatcmpl-never"))


def test_a_line_has_the_whole_record_and_no_line_break_of_its_requests() -> None:
    record = sound_record("a", request=b'{\n "messages": [],\r\n "temperature": 1.0, "user": "a\\nb"}')

    said = line(record)

    assert said.count(b"\n") == 1
    assert b'"temperature": 1.0' in said
    assert json.loads(said)["request"] == {"messages": [], "temperature": 1.0, "user": "a\nb"}
    assert json.loads(said)["id"] == "chatcmpl-a"


async def test_a_project_is_found_by_its_id_and_by_its_name(start: Start, leaver: Leaver) -> None:
    store = await start()
    await fill(store, MINE)

    assert [found and found.id for found in map(leaver.find, [MINE, f"name of {MINE}", "other"])] == [MINE, MINE, None]


async def test_a_server_lets_in_nobody_without_a_key_after_the_last_of_them_has_left(
    store: SqlStore, database: Database
) -> None:
    """Not the one that runs, and not the next one."""
    await fill(store, MINE)
    running = Gate(key=None, tenants=store.tenants)
    await running.look()
    engine = database.engine_for_writing()
    with engine.begin() as connection:
        assert leaving.close(connection, MINE, entry("closed"))
    engine.dispose()

    await running.look()
    started = Gate(key=None, tenants=store.tenants)
    await started.look()

    assert await store.tenants.keys() == []
    for gate in (running, started):
        with pytest.raises(AuthenticationFailed):
            await gate.admit(None)
        with pytest.raises(AuthenticationFailed):
            await gate.admit(f"Bearer {MINE}")

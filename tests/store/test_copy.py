"""copy.py: everything arrives, in both directions, whenever it is interrupted; and nothing is mixed with other rows."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path

import msgspec
import pytest

from hansard.core.paging import ListQuery
from hansard.errors import StartupError
from hansard.store import copy as copying
from hansard.store import migrate
from hansard.store.base import Record, Tally
from hansard.store.copy import Copied, copy
from hansard.store.database import Database
from hansard.store.lock import alone
from hansard.store.parts import PARTS
from hansard.store.postgresql import Postgresql
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite
from hansard.store.tenants import Entry, Key, Project
from tests.postgres import PostgresServer, postgres_server
from tests.store.files import set_version, write_first_version
from tests.store.records import noise, outcome
from tests.store.sound import CONVERSATION, examined, sound_outcome, sound_record
from tests.store.test_maintenance import small_disk

__all__ = ["small_disk"]

pytestmark = pytest.mark.anyio

ODD = "a\x00b\x01c\x7f \N{GRINNING FACE} \u00e9\U0010ffff"

KINDS = ["sqlite", "postgresql"]
DIRECTIONS = [(one, other) for one in KINDS for other in KINDS]

New = Callable[[str], Database]


@pytest.fixture
def new(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[New]:
    """Makes an empty database of a kind."""
    numbers = count()

    def make(kind: str) -> Database:
        if kind == "sqlite":
            return Sqlite(tmp_path / f"{next(numbers)}.db")
        return Postgresql(lent.enter_context(request.getfixturevalue("postgres").lent_database()))

    with ExitStack() as lent:
        yield make


async def started(database: Database) -> SqlStore:
    store = SqlStore(database)
    await store.start()
    return store


def long(project: str, name: str, turns: int) -> Record:
    """A conversation, the beginning of which all others of that project share."""
    messages = [
        {"role": ("user", "assistant")[at % 2], "content": f"{project} {at}: " + "The house sat. " * 30}
        for at in range(turns)
    ]
    return sound_record(name, project=project, request=json.dumps({"messages": messages}).encode())


async def fill(database: Database, *, more: int = 0) -> list[Record]:
    """Everything that a database can hold: those that can be got from it."""
    store = await started(database)
    kept = [
        sound_record("plain", metadata={"tier": "tin"}, expires=2_000_000_000, key="k-1", queue_ms=3),
        sound_record(ODD, model=ODD, upstream_id=ODD, metadata={ODD: ODD, "k": '\x00 "quoted" \\'}),
        sound_record("escaped", request=b'{"messages": [{"role": "user", "content": "\\ud83d\\ude00 \\u0000"}]}'),
        sound_record("large", request=b'{"messages": [{"role": "user", "content": "' + noise(10_000_000) + b'"}]}'),
        *(sound_record("shared", project=project, request=CONVERSATION) for project in ("p", "q", "Q", "")),
        *(long(project, f"turn-{turns}", turns) for turns in (2, 4, 6, 9) for project in "pq"),
        *(sound_record(f"more-{number}", metadata={"number": str(number)}) for number in range(more)),
    ]
    await asyncio.gather(*map(store.insert, kept))
    await store.remember(outcome("stored", of="c", expires=4_000_000_000), sound_record("c"))
    await store.remember(sound_outcome("unstored", expires=4_000_000_000))
    await store.remember(sound_outcome(ODD, expires=4_000_000_000))
    for name in ("gone", ODD + "gone"):  # the last numbers that were given
        await store.insert(sound_record(name))
        await store.delete("p", f"chatcmpl-{name}")
    await store.tally([Tally("p", "", "2026-11", 5.0), Tally("p", "k-1", "tokens", 2.5, 0.1)])
    project = Project(id=ODD, name=ODD, created=1)
    key = Key(id=ODD, project=ODD, digest=bytes(32), name=ODD, shown="", created=2, scopes=frozenset({"read"}))
    await store.tenants.keep([project, key], [Entry(id=ODD, project=ODD, at=3, actor="", act=ODD, target="")])
    await store.stop()
    return kept


def copied(source: Database, target: Database, tell: Callable[..., None] = lambda *_: None) -> Copied:
    return copy(source, target, tell=tell)


def rows_of(result: Copied) -> dict[str, int]:
    return {table.name: table.rows for table in result.tables}


def changed(database: Database, *statements: str) -> None:
    """As somebody else would."""
    engine = database.engine_for_writing()
    with engine.begin() as connection:
        for statement in statements:
            assert connection.exec_driver_sql(statement).rowcount != 0, statement
    engine.dispose()


def refusal(source: Database, target: Database) -> str:
    with pytest.raises(StartupError) as caught:
        copied(source, target)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("one", "other"), DIRECTIONS)
async def test_everything_arrives_and_the_store_goes_on(new: New, one: str, other: str) -> None:
    source, target = new(one), new(other)
    kept = await fill(source)

    result = copied(source, target)

    assert (result.differ, result.differences) == (0, ())
    assert rows_of(result) == {
        "pieces": rows_of(result)["pieces"],
        "completions": len(kept) + 1,
        "bodies": len(kept) + 1,
        "labels": rows_of(result)["labels"],
        "facets": rows_of(result)["facets"],
        "tombstones": 2,
        "outcomes": 3,
        "projects": 2,
        "keys": 1,
        "audit": 1,
        "revisions": 2,
        "tallies": 2,
    }
    assert all(table.copied == table.rows for table in result.tables)
    report = examined(target)
    assert report.findings == ()
    assert report.looked_at == examined(source).looked_at

    store = await started(target)
    for record in kept:
        assert await store.get(record.project, record.id) == record
    (odd,) = await store.page("p", ListQuery(model=ODD, metadata=((ODD, ODD),)), after=None, limit=9)
    assert odd.id == f"chatcmpl-{ODD}"
    assert await store.recall("p", "unstored", now=1) == sound_outcome("unstored", expires=4_000_000_000)
    repeated = await store.recall("p", "stored", now=1)
    assert repeated is not None
    assert repeated.reply == sound_record("c").reply
    last = await store.locate("p", f"chatcmpl-{ODD}gone")
    await store.insert(sound_record("new"))
    newest = await store.locate("p", "chatcmpl-new")
    assert last is not None
    assert newest is not None
    assert newest.number > last.number
    await store.delete("p", "chatcmpl-shared")
    await store.set_metadata("p", "chatcmpl-plain", {"tier": "gold"})
    await store.stop()
    assert examined(target).findings == ()


async def test_there_and_back_again_is_the_same(new: New) -> None:
    first, between, last = new("sqlite"), new("postgresql"), new("sqlite")
    await fill(first, more=30)
    copied(first, between)
    copied(between, last)
    assert copied(first, last).differ == 0
    assert isinstance(first, Sqlite)
    assert isinstance(last, Sqlite)
    assert everything(first.path) == everything(last.path)


def everything(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """What SQLite itself reads, without our own code."""
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(connection.execute(f'SELECT * FROM "{name}"'), key=repr) for name in names}


class Killed(BaseException):
    """As good as a kill: nothing of ours catches it."""


@pytest.mark.parametrize(("one", "other"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
async def test_one_that_is_killed_again_and_again_comes_to_its_end(
    new: New, one: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_ROWS_AT_ONCE", 7)
    source, target = new(one), new(other)
    await fill(source, more=40)
    chance = random.Random(7)
    steps, kills = 0, 0

    def tell(what: str, _done: int, _total: int | None) -> None:
        nonlocal steps
        steps -= not what.startswith(("look", "compare"))
        if steps < 0:
            raise Killed

    while True:
        steps = chance.randrange(12, 40)
        try:
            result = copied(source, target, tell)
        except Killed:
            kills += 1
        else:
            break

    assert kills >= 2
    assert result.differ == 0
    assert 0 < sum(table.copied for table in result.tables) < sum(table.rows for table in result.tables)
    assert examined(target).findings == ()


async def test_what_is_all_there_is_not_copied_again(new: New) -> None:
    source, target = new("sqlite"), new("postgresql")
    await fill(source)
    copied(source, target)
    again = copied(source, target)
    assert again.differ == 0
    assert [table.copied for table in again.tables] == [0] * len(PARTS)


# What is not copied to


@pytest.mark.parametrize("kind", KINDS)
async def test_a_target_with_other_completions_is_refused(new: New, kind: str) -> None:
    source, target = new("sqlite"), new(kind)
    await fill(source)
    store = await started(target)
    await store.insert(sound_record("other"))
    await store.stop()
    assert refusal(source, target) == (
        f"{target.place}: its completions are not those of {source.place} (the first that differs: 2). "
        "Copy to an empty database."
    )
    store = await started(target)
    assert [each.id for each in await store.page("p", ListQuery(), after=None, limit=9)] == ["chatcmpl-other"]
    await store.stop()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE completions SET metadata = '{}' WHERE number = 3", "its completions"),
        ("UPDATE facets SET count = count + 1 WHERE project = 'q' AND key = ''", "its facets"),
        ("INSERT INTO tombstones VALUES ('p', 'chatcmpl-more', 1, 1)", "its tombstones"),
        ("INSERT INTO labels VALUES ('p', '', '', 1, 3)", "its labels"),
        ("UPDATE outcomes SET expires = expires + 1 WHERE key = 'unstored'", "its outcomes"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_target_that_was_changed_is_refused(new: New, kind: str, statement: str, said: str) -> None:
    source, target = new("sqlite"), new(kind)
    await fill(source)
    copied(source, target)
    changed(target, statement)
    assert said in refusal(source, target)


@pytest.mark.parametrize("kind", KINDS)
async def test_content_that_differs_is_named(new: New, kind: str) -> None:
    source, target = new("sqlite"), new(kind)
    await fill(source)
    copied(source, target)
    changed(target, "UPDATE bodies SET content = (SELECT content FROM bodies WHERE number = 3) WHERE number = 4")
    changed(target, "UPDATE outcomes SET reply = fingerprint WHERE key = 'unstored'")
    result = copied(source, target)
    assert result.differ == 2
    assert [(each.kind, each.table, each.where) for each in result.differences] == [
        ("other", "bodies", "4"),
        ("other", "outcomes", "p unstored"),
    ]


async def test_what_is_written_to_a_postgresql_meanwhile_is_named(new: New) -> None:
    source, target = new("postgresql"), new("sqlite")
    await fill(source)
    late = [
        "INSERT INTO tombstones VALUES ('p', 'chatcmpl-late', 1, 1)",
        "DELETE FROM tombstones WHERE id = 'chatcmpl-gone'",
    ]

    def tell(what: str, _done: int, _total: int | None) -> None:
        if what == "outcomes" and late:
            changed(source, late.pop())

    result = copied(source, target, tell)
    while late:
        result = copied(source, target, tell)
    assert [(each.kind, each.table, each.where) for each in result.differences] == [
        ("surplus", "tombstones", "p chatcmpl-gone"),
        ("missing", "tombstones", "p chatcmpl-late"),
    ]


async def test_an_older_source_is_to_be_upgraded_first(new: New, path: Path) -> None:
    write_first_version(path)
    target = new("sqlite")
    assert refusal(Sqlite(path), target) == (
        f"{path}: its tables are at 0001, not {migrate.HEAD}. Run `hansard db upgrade` on it first."
    )


async def test_older_newer_and_other_targets_are_left_alone(new: New, path: Path) -> None:
    source = new("sqlite")
    await fill(source)
    write_first_version(path)
    assert f"{path}: its tables are at 0001, not {migrate.HEAD}" in refusal(source, Sqlite(path))
    set_version(path, "9999")
    assert "a newer Hansard wrote this database" in refusal(source, Sqlite(path))
    postgres = new("postgresql")
    engine = postgres.engine_for_writing()
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE recipes (name TEXT)")
    engine.dispose()
    assert "this database is not Hansard's" in refusal(source, postgres)


async def test_nowhere_from_and_onto_itself(new: New, path: Path) -> None:
    source, target = new("sqlite"), new("sqlite")
    assert "no database is there" in refusal(source, target)
    assert list(path.parent.iterdir()) == []
    await fill(source)
    assert isinstance(source, Sqlite)
    link = path.with_name("link.db")
    link.symlink_to(source.path)
    for place in (source.path, link):
        assert "this is the database itself" in refusal(source, Sqlite(place))


async def test_not_beside_a_server(new: New) -> None:
    source, target = new("sqlite"), new("sqlite")
    await fill(source)
    assert isinstance(source, Sqlite)
    assert isinstance(target, Sqlite)
    for held in (source.path, target.path):
        with alone(held):
            assert f"{held} is in use by another `hansard serve`" in refusal(source, target)


async def test_a_full_disk(new: New, small_disk: Path) -> None:
    source, target = new("sqlite"), Sqlite(small_disk / "copy.db")
    await fill(source)
    assert f"{target.path}: the disk is full." in refusal(source, target)


async def test_a_wrong_password(new: New, postgres: PostgresServer) -> None:
    source = new("sqlite")
    await fill(source)
    url = postgres.url("no-such-database", user="postgres:sEcret")
    said = refusal(source, Postgresql(url))
    assert "the database cannot be reached" in said
    assert "sEcret" not in said


async def test_a_target_that_goes_away_is_one_line_and_gone_on_with(new: New) -> None:
    source = new("sqlite")
    await fill(source)
    with postgres_server() as own:
        target = Postgresql(own.new_database())

        def tell(what: str, _done: int, _total: int | None) -> None:
            if what == "bodies":
                own.stop()

        with pytest.raises(StartupError, match="the database cannot be reached"):
            copied(source, target, tell)
        own.start()
        result = copied(source, target)
    assert result.differ == 0
    assert {table.name: table.copied for table in result.tables}["completions"] == 0


async def test_a_source_that_is_not_sound_is_not_taken(new: New) -> None:
    source, target = new("sqlite"), new("postgresql")
    await fill(source)
    assert isinstance(source, Sqlite)
    with closing(sqlite3.connect(source.path)) as connection, connection:
        connection.execute("UPDATE completions SET metadata = '{' WHERE number = 3")
    assert refusal(source, target) == (
        f"{target.place}: it does not take all of the completions of {source.place}. "
        "Either somebody else writes to it, or that one is not sound: ask `hansard db check` there."
    )


async def test_lone_surrogates_go_where_there_is_room_for_them(new: New) -> None:
    """SQLite's texts are UTF-8, which has none."""
    source, target = new("postgresql"), new("postgresql")
    store = await started(source)
    odd = {"id": "\ud800", "model": "\udfff", "requested_model": "\udfff"}
    lone = msgspec.structs.replace(sound_record("lone"), **odd)
    await store.insert(lone)
    await store.insert(sound_record("a"))
    await store.stop()

    assert copied(source, target).differ == 0
    store = await started(target)
    assert await store.get("p", lone.id) == lone
    await store.stop()
    assert "it does not take all of the completions" in refusal(source, new("sqlite"))

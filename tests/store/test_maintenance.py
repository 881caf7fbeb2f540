"""maintenance.py on a store that runs, and on files of every other kind. See ``acceptance`` for a real server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hansard.core.paging import ListQuery
from hansard.errors import StartupError
from hansard.store import maintenance, migrate
from hansard.store.base import Record
from hansard.store.lock import alone
from tests.store.files import set_version, tables, write_first_version
from tests.store.records import noise
from tests.store.sound import opened, sound_record
from tests.store.test_sqlite import directory, without_rights

__all__ = ["directory"]

pytestmark = pytest.mark.anyio


def big(name: str, size_bytes: int = 130_000) -> Record:
    """As much as a hundred completions, and nothing that two of them share."""
    content = name.encode() + noise(size_bytes)
    return sound_record(name, request=b'{"messages": [{"role": "user", "content": "' + content + b'"}]}')


def silent(_what: str, _done: int, _total: int | None) -> None:
    """Nobody looks."""


def back_up(path: Path, file: Path, *, force: bool = False) -> int:
    return maintenance.back_up(path, file, force=force, tell=silent)


COMMANDS: dict[str, Callable[[Path], object]] = {
    "upgrade": maintenance.upgrade,
    "check": lambda path: maintenance.examine(path, tell=silent),
    "backup": lambda path: back_up(path, path.with_name("copy.db")),
    "vacuum": lambda path: maintenance.vacuum(path, tell=silent),
}


@pytest.fixture(params=list(COMMANDS))
def command(request: pytest.FixtureRequest) -> Callable[[Path], object]:
    return COMMANDS[request.param]


async def fill(path: Path, *names: str) -> None:
    store = opened(path)
    await store.start()
    for name in names:
        await store.insert(sound_record(name))
    await store.stop()


def refusal(command: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(StartupError) as caught:
        command(path)
    return str(caught.value)


# What every command says of a place where there is nothing for it


def test_no_database(command: Callable[[Path], object], path: Path) -> None:
    assert refusal(command, path) == (
        f"{path}: no database is there. Name its directory with --data, or the file with --db."
    )
    assert list(path.parent.iterdir()) == []


def test_a_directory(command: Callable[[Path], object], path: Path) -> None:
    path.mkdir()
    assert f"{path}: this is a directory, not a database file." in refusal(command, path)


def test_no_sqlite(command: Callable[[Path], object], path: Path) -> None:
    path.write_bytes(b"Dear diary, today I wrote a whole page of text.\n" * 100)
    assert f"{path}: the file is not a SQLite database." in refusal(command, path)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_somebody_elses_database(command: Callable[[Path], object], path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    assert f"{path}: this database is not Hansard's." in refusal(command, path)
    assert tables(path) == {"recipes"}


async def test_a_newer_version(command: Callable[[Path], object], path: Path) -> None:
    await fill(path, "a")
    set_version(path, "9999")
    before = path.read_bytes()
    assert f"a newer Hansard wrote this database (its schema is 9999, this version knows {migrate.HEAD})" in refusal(
        command, path
    )
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
async def test_no_right_to_look(command: Callable[[Path], object], directory: Path) -> None:
    path = directory / "data" / "hansard.db"
    await fill(path, "a")
    with without_rights():
        assert f"{path}: the database cannot be written." in refusal(command, path)


async def test_an_older_version_is_backed_up_and_vacuumed_as_it_is(path: Path) -> None:
    """A backup is what one makes before an upgrade."""
    write_first_version(path)
    file = path.with_name("copy.db")
    back_up(path, file)
    maintenance.vacuum(path, tell=silent)
    assert tables(file) == tables(path)
    assert maintenance.upgrade(file) == "0001"
    assert maintenance.examine(file, tell=silent).is_sound


# Upgrade


def test_an_upgrade_from_the_first_version(path: Path) -> None:
    write_first_version(path)
    assert maintenance.upgrade(path) == "0001"
    assert maintenance.upgrade(path) == migrate.HEAD
    report = maintenance.examine(path, tell=silent)
    assert report.findings == ()
    assert report.looked_at == {"completions": 1, "pieces": 0, "labels": 3, "tombstones": 1, "outcomes": 0}


def test_an_upgrade_of_an_empty_file_makes_the_tables(path: Path) -> None:
    path.touch()
    assert maintenance.upgrade(path) is None
    assert maintenance.upgrade(path) == migrate.HEAD


def test_no_upgrade_beside_a_server(path: Path) -> None:
    write_first_version(path)
    with alone(path):
        said = refusal(COMMANDS["upgrade"], path)
        assert f"{path} is in use by another `hansard serve` (process {os.getpid()})" in said
        assert said.startswith(f"Not upgraded from 0001 to {migrate.HEAD}: ")
    assert "outcomes" not in tables(path)
    maintenance.upgrade(path)
    with alone(path):
        assert maintenance.upgrade(path) == migrate.HEAD


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_an_upgrade_that_cannot_write_changes_nothing(directory: Path) -> None:
    path = directory / "hansard.db"
    write_first_version(path)
    path.chmod(0o444)
    directory.chmod(0o555)
    with without_rights():
        assert "cannot be written" in refusal(COMMANDS["upgrade"], path)
    directory.chmod(0o755)
    assert "outcomes" not in tables(path)


# Backup


async def test_a_backup_is_private_whole_and_alone(path: Path) -> None:
    await fill(path, "a", "b")
    file = path.with_name("copy.db")
    assert back_up(path, file) == file.stat().st_size
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(each.name for each in path.parent.iterdir()) == ["copy.db", path.name]
    store = opened(file)
    await store.start()
    assert [each.id for each in await store.page("p", ListQuery(), after=None, limit=9)] == ["chatcmpl-a", "chatcmpl-b"]
    assert await store.get("p", "chatcmpl-a") == sound_record("a")
    await store.insert(sound_record("c"))
    await store.stop()


async def test_a_backup_can_be_read_where_nothing_can_be_written(path: Path, directory: Path) -> None:
    await fill(path, "a")
    file = directory / "copy.db"
    back_up(path, file)
    file.chmod(0o444)
    directory.chmod(0o555)
    with without_rights():
        assert maintenance.examine(file, tell=silent).is_sound


async def test_a_backup_under_load_ends_and_has_all_that_was_acknowledged_before(path: Path) -> None:
    """A copy that began anew at each write of another connection would not end."""
    store = opened(path)
    await store.start()
    for number in range(40):
        await store.insert(big(f"before-{number}"))
    written = 0
    done = asyncio.Event()

    async def write() -> None:
        nonlocal written
        while not done.is_set():
            await store.insert(big(f"during-{written}"))
            written += 1

    steps: list[int] = []

    def tell(what: str, copied: int, _total: int | None) -> None:
        if what == "copy":
            # The copy goes on only when somebody has written again.
            asyncio.run_coroutine_threadsafe(store.insert(big(f"step-{len(steps)}")), loop).result(10)
            steps.append(copied)

    loop = asyncio.get_running_loop()
    writing = asyncio.create_task(write())
    file = path.with_name("copy.db")
    await asyncio.to_thread(maintenance.back_up, path, file, tell=tell)
    done.set()
    await writing
    await store.stop()

    assert steps == sorted(steps)
    assert len(steps) >= 4
    with closing(sqlite3.connect(file)) as connection:
        kept = {name for (name,) in connection.execute("SELECT id FROM completions")}
    assert {f"chatcmpl-before-{number}" for number in range(40)} <= kept
    assert not any(name.startswith("chatcmpl-step-") for name in kept)


async def test_a_file_that_is_there_is_overwritten_only_by_force(path: Path) -> None:
    await fill(path, "a")
    file = path.with_name("copy.db")
    file.write_text("The only copy of a poem.", encoding="utf-8")
    with pytest.raises(StartupError) as caught:
        back_up(path, file)
    assert str(caught.value) == f"{file} is there already. Name another file, or overwrite it with --force."
    assert file.read_text(encoding="utf-8") == "The only copy of a poem."
    back_up(path, file, force=True)
    assert maintenance.examine(file, tell=silent).is_sound


async def test_who_is_faster_is_not_overwritten(path: Path) -> None:
    await fill(path, "a")
    file = path.with_name("copy.db")

    def tell(what: str, _done: int, _total: int | None) -> None:
        if what == "copy":
            file.write_text("Just come.", encoding="utf-8")

    with pytest.raises(StartupError, match="is there already"):
        maintenance.back_up(path, file, tell=tell)
    assert file.read_text(encoding="utf-8") == "Just come."
    assert sorted(each.name for each in path.parent.iterdir()) == ["copy.db", path.name]


async def test_the_database_is_never_its_own_backup(path: Path) -> None:
    await fill(path, "a")
    link = path.with_name("link.db")
    link.symlink_to(path)
    for file in (path, link):
        with pytest.raises(StartupError, match="this is the database itself"):
            back_up(path, file, force=True)
    assert maintenance.examine(path, tell=silent).is_sound


async def test_a_database_in_use_is_not_overwritten(path: Path, tmp_path: Path) -> None:
    await fill(path, "a")
    other = opened(tmp_path / "other.db")
    await other.start()
    await other.insert(sound_record("b"))
    with pytest.raises(StartupError, match=r"other\.db-wal belongs to a database in use"):
        back_up(path, tmp_path / "other.db", force=True)
    await other.stop()
    with (
        alone(tmp_path / "other.db"),
        pytest.raises(StartupError, match=r"other\.db is in use by another `hansard serve`"),
    ):
        back_up(path, tmp_path / "other.db", force=True)
    back_up(path, tmp_path / "other.db", force=True)


async def test_no_place_for_a_backup(path: Path) -> None:
    await fill(path, "a")
    places = {
        path.parent: "this is a directory. Name a file in it.",
        path.parent / "no" / "copy.db": "there is no such directory. Make it, or name another file.",
        path / "copy.db": f"a parent of it is not a directory, as {path} was copied there. "
        "Name a place under a directory, or name another file.",
    }
    for file, said in places.items():
        with pytest.raises(StartupError) as caught:
            back_up(path, file)
        assert str(caught.value) == f"{file}: {said}"


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
async def test_a_backup_where_nothing_can_be_written(directory: Path) -> None:
    path, there = directory / "hansard.db", directory / "there"
    await fill(path, "a")
    for each in directory.iterdir():
        os.chown(each, 65534, 65534)
    os.chown(directory, 65534, 65534)
    there.mkdir(mode=0o555)
    with without_rights(), pytest.raises(StartupError) as caught:
        back_up(path, there / "copy.db")
    assert str(caught.value).startswith(f"{there / 'copy.db'}: the database cannot be written, as {path} was copied")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("no right to mount a file system here")
    yield disk
    subprocess.run(["umount", disk], check=True)


async def test_a_backup_on_a_full_disk_leaves_nothing(path: Path, small_disk: Path) -> None:
    store = opened(path)
    await store.start()
    for number in range(10):
        await store.insert(big(str(number)))
    await store.stop()
    with pytest.raises(StartupError) as caught:
        back_up(path, small_disk / "copy.db")
    assert str(caught.value) == (
        f"{small_disk / 'copy.db'}: the disk is full, as {path} was copied there. "
        "Make room there, or name another file."
    )
    assert list(small_disk.iterdir()) == []


async def test_an_unsound_database_gives_no_backup_and_leaves_the_last_one(path: Path) -> None:
    await fill(path, "a")
    file = path.with_name("copy.db")
    back_up(path, file)
    last = file.read_bytes()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM bodies")
    with pytest.raises(StartupError) as caught:
        back_up(path, file, force=True)
    assert str(caught.value) == (
        f"{file}: not written. The copy is not sound (body), because {path} is not: ask `hansard db check`."
    )
    assert file.read_bytes() == last
    assert sorted(each.name for each in path.parent.iterdir()) == ["copy.db", path.name]


async def test_a_backup_that_is_interrupted_leaves_nothing(path: Path) -> None:
    await fill(path, "a")

    def tell(what: str, _done: int, _total: int | None) -> None:
        if what == "labels":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        maintenance.back_up(path, path.with_name("copy.db"), tell=tell)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


# Vacuum


async def test_a_vacuum_gives_back_what_was_deleted_while_the_store_writes(path: Path) -> None:
    store = opened(path)
    await store.start()
    for number in range(200):
        await store.insert(big(str(number)))
    for number in range(0, 200, 2):
        await store.delete("p", f"chatcmpl-{number}")
    before = path.stat().st_size
    writing = [asyncio.create_task(store.insert(sound_record(f"during-{number}"))) for number in range(50)]
    told: list[int] = []

    freed = await asyncio.to_thread(
        maintenance.vacuum, path, tell=lambda what, done, total: told.append(total - done if total else 0)
    )
    await asyncio.gather(*writing)

    assert freed.before_bytes >= before
    assert freed.after_bytes < 0.6 * before
    assert path.stat().st_size < 0.6 * before
    assert told[-1] == 0
    assert len(told) > 2
    names = [f"chatcmpl-{number}" for number in range(1, 200, 2)] + [
        f"chatcmpl-during-{number}" for number in range(50)
    ]
    for name in names:
        assert await store.get("p", name) is not None
    await store.stop()
    assert maintenance.examine(path, tell=silent).findings == ()


async def test_a_vacuum_waits_for_no_reader(path: Path) -> None:
    await fill(path, "a")
    store = opened(path)
    await store.start()
    for number in range(20):
        await store.insert(big(str(number)))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM completions").fetchone()
        for number in range(20):
            await store.delete("p", f"chatcmpl-{number}")
        freed = await asyncio.to_thread(maintenance.vacuum, path, tell=silent)
        assert freed.is_waiting
    assert not (await asyncio.to_thread(maintenance.vacuum, path, tell=silent)).is_waiting
    await store.stop()


async def test_a_vacuum_of_a_file_that_cannot_shrink_in_steps(path: Path, tmp_path: Path) -> None:
    await fill(path, *map(str, range(200)))
    copy = tmp_path / "loaded.db"
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        target.executescript("\n".join(source.iterdump()))
        target.execute("DELETE FROM tombstones")
        target.execute("CREATE TABLE filler (b)")
        target.execute("INSERT INTO filler VALUES (zeroblob(1000000))")
        target.execute("DROP TABLE filler")
        target.commit()
    with alone(copy):
        assert refusal(COMMANDS["vacuum"], copy).startswith(
            f"This database must be written anew to shrink, which takes it for itself: {copy} is in use by another"
        )
    freed = maintenance.vacuum(copy, tell=silent)
    assert freed.after_bytes < freed.before_bytes - 900_000
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    assert maintenance.examine(copy, tell=silent).is_sound


async def test_a_vacuum_on_a_full_disk_changes_nothing(small_disk: Path) -> None:
    path, ballast = small_disk / "hansard.db", small_disk / "ballast"
    await fill(path, "a")
    store = opened(path)
    await store.start()
    await store.insert(big("b", 40_000))
    await store.delete("p", "chatcmpl-b")
    await store.stop()
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    said = refusal(COMMANDS["vacuum"], path)
    assert said.startswith(f"{path}: the disk ")
    ballast.unlink()
    assert maintenance.examine(path, tell=silent).is_sound
    freed = maintenance.vacuum(path, tell=silent)
    assert freed.after_bytes < freed.before_bytes


async def test_a_vacuum_of_a_locked_database(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "_PATIENCE_S", 0.05)
    store = opened(path)
    await store.start()
    await store.insert(big("a"))
    await store.delete("p", "chatcmpl-a")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "another process keeps the database locked" in refusal(COMMANDS["vacuum"], path)
    await store.stop()

"""sqlite.py and SqlStore.start(): the file, its settings, and what goes wrong with disks."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from hansard.core.paging import ListQuery
from hansard.errors import StartupError, StoreUnavailable
from hansard.store.database import Database
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite
from tests.store.heard import heard
from tests.store.records import noise, record

pytestmark = pytest.mark.anyio

UNWRITABLE = (
    "the database cannot be written. Give this user the right to write there, "
    "or choose another place with --data or --db."
)


@pytest.fixture
def database(path: Path) -> Database:
    return Sqlite(path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def problem(path: Path, **settings: float) -> str:
    """What the operator reads when the store does not start."""
    with pytest.raises(StartupError) as caught:
        await SqlStore(Sqlite(path, **settings)).start()
    (only,) = caught.value.problems
    return only.removeprefix(f"{path}: ")


async def test_nothing_happens_before_start(path: Path) -> None:
    store = SqlStore(Sqlite(path))
    with pytest.raises(StoreUnavailable):
        await store.get("p", "chatcmpl-a")
    await store.stop()
    assert not path.exists()


async def test_a_store_that_did_not_start_can_be_stopped(tmp_path: Path) -> None:
    store = SqlStore(Sqlite(tmp_path))
    with pytest.raises(StartupError):
        await store.start()
    await store.stop()


async def test_makes_a_private_directory_and_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data" / "hansard.db"
    store = SqlStore(Sqlite(path))
    await store.start()
    await store.insert(record("a"))
    assert mode(path.parent) == 0o700
    assert {each.name: mode(each) for each in path.parent.iterdir()} == {
        "hansard.db": 0o600,
        "hansard.db-wal": 0o600,
        "hansard.db-shm": 0o600,
    }
    assert await store.get("p", "chatcmpl-a") is not None  # readers cannot take the log into the file
    await store.stop()
    assert [each.name for each in path.parent.iterdir()] == ["hansard.db"]


async def test_a_relative_path_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = SqlStore(Sqlite(Path("hansard.db")))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    await store.start()
    await store.stop()
    assert (tmp_path / "hansard.db").exists()


async def test_a_name_that_means_something_in_an_address_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / "50%20 a?mode=ro#x.db"
    store = SqlStore(Sqlite(path))
    await store.start()
    await store.stop()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


async def test_every_commit_reaches_the_disk_and_readers_cannot_write(path: Path) -> None:
    seen: dict[str, list[object]] = {}

    def began(connection: object) -> None:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "query_only", "busy_timeout")
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]  # type: ignore[attr-defined]
        seen["reader" if values[4] else "writer"] = values

    database = Sqlite(path, patience_s=1.5)
    with heard(database, "commit", began):
        store = SqlStore(database)
        await store.start()
        await store.get("p", "a")
        await store.stop()
    assert seen["writer"] == ["wal", 2, 1, 1, 0, 1500]
    assert seen["reader"][0] == "wal"


async def test_what_is_deleted_is_not_left_in_the_file(path: Path, store: SqlStore) -> None:
    secret = b"a secret that nobody should find " * 400
    await store.insert(record("a", request=secret, metadata={"who": "somebody known"}))
    await store.insert(record("b"))
    await store.delete("p", "chatcmpl-a")
    await store.stop()
    left = path.read_bytes()
    assert b"nobody should find" not in left
    assert b"somebody known" not in left
    assert b"chatcmpl-b" in left


async def test_an_opening_that_fails_leaves_file_and_log_as_they_were(
    path: Path, tmp_path: Path, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log may end in what the disk never got: taken into the file then, half of it could outlive a power cut."""
    await store.insert(record("a"))
    killed = tmp_path / "killed.db"
    log = tmp_path / "killed.db-wal"
    shutil.copy(path, killed)
    shutil.copy(path.with_name(f"{path.name}-wal"), log)
    before = killed.read_bytes(), log.read_bytes()
    assert before[1], "nothing is left to be lost"

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        with pytest.raises(StartupError):
            await SqlStore(Sqlite(killed)).start()
    assert (killed.read_bytes(), log.read_bytes()) == before
    again = SqlStore(Sqlite(killed))
    await again.start()
    assert await again.get("p", "chatcmpl-a") == record("a")
    await again.stop()


async def test_who_only_read_does_not_touch_the_file_as_he_closes(path: Path, tmp_path: Path, store: SqlStore) -> None:
    """As above: the log is begun anew by who can tell that it reached the disk."""
    await store.insert(record("a"))
    killed = tmp_path / "killed.db"
    shutil.copy(path, killed)
    shutil.copy(path.with_name(f"{path.name}-wal"), tmp_path / "killed.db-wal")
    before = killed.read_bytes()
    engine = Sqlite(killed).engine_for_reading(connections=1)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT id FROM completions").scalars().all() == ["chatcmpl-a"]
    engine.dispose()
    assert killed.read_bytes() == before
    assert (tmp_path / "killed.db-wal").stat().st_size > 0


@pytest.mark.parametrize("is_empty", [True, False])
async def test_a_log_without_its_file_is_left_as_it_is_and_the_start_refused(path: Path, *, is_empty: bool) -> None:
    """SQLite would delete it, with all that was acknowledged and not yet taken from it into the file."""
    log = path.with_name(f"{path.name}-wal")
    log.write_bytes(b"acknowledged")
    if is_empty:
        path.touch()

    said = await problem(path)

    assert said == (
        "there is no database here, but a log of one beside it, which may hold what was acknowledged. "
        f"Put the file back; or, to begin with another one, move {log} away first."
    )
    assert log.read_bytes() == b"acknowledged"
    assert path.exists() is is_empty


async def test_an_empty_log_without_its_file_keeps_nobody_out(path: Path) -> None:
    path.with_name(f"{path.name}-wal").touch()
    store = SqlStore(Sqlite(path))
    await store.start()
    await store.stop()


def remove(path: Path) -> None:
    path.unlink()


def exchange(path: Path) -> None:
    """For a copy, as somebody does who restores a backup."""
    copy = shutil.copy(path, path.with_name("copy"))
    path.unlink()
    Path(copy).rename(path)


@pytest.mark.parametrize("act", [remove, exchange])
async def test_a_file_that_is_gone_from_its_place_is_not_written_any_more(
    path: Path, store: SqlStore, act: Callable[[Path], None]
) -> None:
    await store.insert(record("a"))
    assert await store.get("p", "chatcmpl-a") == record("a")
    act(path)
    there = path.exists()

    assert not await store.ready()
    for name in ("b", "c"):  # the second on a connection of its own
        with pytest.raises(StoreUnavailable, match="the database file was moved or removed"):
            await store.insert(record(name))
    assert not await store.ready()
    assert not store.healthy
    assert await store.get("p", "chatcmpl-a") == record("a")  # as long as it is open it can be saved
    assert path.exists() is there


async def test_a_file_that_is_put_back_is_written_again(path: Path, store: SqlStore) -> None:
    await store.insert(record("a"))
    aside = path.rename(path.with_name("aside"))
    with pytest.raises(StoreUnavailable):
        await store.insert(record("b"))

    aside.rename(path)

    await store.insert(record("c"))
    assert await store.ready()
    await store.stop()
    again = SqlStore(Sqlite(path))
    await again.start()
    kept = [await again.get("p", f"chatcmpl-{name}") for name in "abc"]
    assert kept == [record("a"), None, record("c")]
    await again.stop()


async def test_the_log_of_a_file_with_a_symbolic_link_is_found_beside_the_file(tmp_path: Path, path: Path) -> None:
    """SQLite puts it there: https://sqlite.org/releaselog/3_10_0.html."""
    (tmp_path / "link").symlink_to(path)
    log = path.with_name(f"{path.name}-wal")
    log.write_bytes(b"acknowledged")

    with pytest.raises(StartupError, match="a log of one beside it"):
        await SqlStore(Sqlite(tmp_path / "link")).start()


async def test_a_directory_where_the_file_should_be(tmp_path: Path) -> None:
    assert await problem(tmp_path) == UNWRITABLE


async def test_a_file_where_a_directory_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert await problem(tmp_path / "file" / "hansard.db") == (
        "a parent of it is not a directory. Name a place under a directory, "
        "or choose another place with --data or --db."
    )


async def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_bytes(b"Dear diary, today I wrote a whole page of text.\n" * 100)
    assert await problem(path) == (
        "the file is not a SQLite database. Move it away, or choose another place with --data or --db."
    )
    assert path.read_bytes().startswith(b"Dear diary")


async def test_a_damaged_database(path: Path, store: SqlStore) -> None:
    await store.stop()
    damaged = bytearray(path.read_bytes())
    damaged[100:4096] = b"\xff" * (4096 - 100)
    path.write_bytes(damaged)
    assert await problem(path) == (
        "the database file is damaged. Restore a backup, or choose another place with --data or --db."
    )


async def test_a_command_waits_longer_for_its_turn_than_a_server(path: Path, store: SqlStore) -> None:
    """SQLite does not queue who waits: beside a server that commits without a pause it takes seconds."""
    waits_ms = []
    for engine in (Sqlite(path).engine_for_writing(), Sqlite(path).engine_for_commands()):
        with engine.connect() as connection:
            waits_ms.append(connection.exec_driver_sql("PRAGMA busy_timeout").scalar())
        engine.dispose()

    assert waits_ms == [5_000, 60_000]


async def test_a_database_that_another_process_keeps_locked(path: Path, store: SqlStore) -> None:
    await store.stop()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        assert await problem(path, patience_s=0.05) == (
            "another process keeps the database locked. Stop that process, or choose another place with --data or --db."
        )
    finally:
        other.close()


@pytest.fixture
def directory() -> Iterator[Path]:
    """One that everybody can reach, as root's own are not for the user root becomes in ``without_rights``."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory
        directory.chmod(0o755)


@contextlib.contextmanager
def without_rights() -> Iterator[None]:
    """Root may write everywhere, so it is nobody for a while."""
    euid = os.geteuid()
    if euid == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(euid)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("name", ["hansard.db", "data/hansard.db"])
async def test_a_directory_that_cannot_be_written(directory: Path, name: str) -> None:
    directory.chmod(0o555)
    with without_rights():
        assert await problem(directory / name) == UNWRITABLE


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
async def test_a_database_that_cannot_be_written(directory: Path) -> None:
    path = directory / "hansard.db"
    store = SqlStore(Sqlite(path))
    await store.start()
    await store.stop()
    path.chmod(0o444)
    directory.chmod(0o555)
    with without_rights():
        assert await problem(path) == UNWRITABLE


@pytest.fixture
def pages(path: Path) -> Iterator[dict[str, int]]:
    """``pages["most"]`` limits the database there when it is opened, as a full disk would."""
    limit = {"most": 2**31}

    def connected(connection: sqlite3.Connection, _: object) -> None:
        _, _, file = connection.execute("PRAGMA database_list").fetchone()
        if file == str(path.resolve()):
            connection.execute(f"PRAGMA max_page_count = {limit['most']}")

    event.listen(Engine, "connect", connected)
    yield limit
    event.remove(Engine, "connect", connected)


async def test_a_library_that_is_too_old(path: Path) -> None:
    with pytest.raises(StartupError) as caught:
        await SqlStore(Sqlite(path, library=(3, 34, 1))).start()
    assert caught.value.problems == (
        f"{path}: this Python's SQLite is 3.34.1, and Hansard needs 3.35 or newer. "
        "Use a newer Python, or PostgreSQL: --db postgresql://...",
    )
    assert not path.exists()


async def test_a_disk_that_is_full_at_the_start(path: Path, pages: dict[str, int]) -> None:
    pages["most"] = 3
    assert await problem(path) == ("the disk is full. Make room there, or choose another place with --data or --db.")
    pages["most"] = 2**31
    store = SqlStore(Sqlite(path))
    await store.start()
    await store.stop()


async def test_a_disk_that_fills_up_refuses_and_recovers_by_itself(path: Path, pages: dict[str, int]) -> None:
    pages["most"] = 50
    store = SqlStore(Sqlite(path))
    await store.start()
    await store.insert(record("a"))
    with pytest.raises(StoreUnavailable, match=r"^The store is unavailable: the disk is full\.$") as caught:
        await store.insert(record("b", request=noise(1_000_000)))
    assert caught.value.retry_after_s == 10
    assert await store.get("p", "chatcmpl-a") == record("a")
    assert [each.id for each in await store.page("p", ListQuery(), after=None, limit=9)] == ["chatcmpl-a"]
    pages["most"] = 2**31
    await store.insert(record("b", request=noise(1_000_000)))
    assert await store.ready() is True
    await store.stop()


async def test_a_disk_that_fails_refuses_until_it_works_again(store: SqlStore) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    await store.insert(record("a"))
    # Writing past the limit fails with EFBIG, as a broken disk fails with EIO.
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000_000, hard))
    try:
        with pytest.raises(StoreUnavailable, match=r"^The store is unavailable: the disk failed to read or write\.$"):
            await store.insert(record("b", request=noise(13_000_000)))
        assert await store.get("p", "chatcmpl-a") == record("a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert await store.ready() is True
    await store.insert(record("b", request=noise(13_000_000)))
    assert await store.get("p", "chatcmpl-b") == record("b", request=noise(13_000_000))


async def test_a_write_that_fails_makes_the_store_unready_until_one_succeeds(path: Path, store: SqlStore) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("ALTER TABLE labels RENAME TO hidden")
    with pytest.raises(StoreUnavailable, match=r"^The store is unavailable: the database failed\.$"):
        await store.insert(record("a"))
    assert await store.ready() is False
    with pytest.raises(StoreUnavailable):
        await store.page("p", ListQuery(model="tiny"), after=None, limit=1)
    other.execute("ALTER TABLE hidden RENAME TO labels")
    other.close()
    assert await store.ready() is True
    assert await store.get("p", "chatcmpl-a") is None

"""check.py: nothing is wrong with what a store leaves, and each kind of damage, made by hand, is found and named."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from hansard.core.pieces import cut, digests
from hansard.store import check, maintenance, migrate, schema
from hansard.store.check import Report
from hansard.store.sql import SqlStore
from tests.store.records import outcome
from tests.store.sound import CONVERSATION, opened, sound_outcome, sound_record

pytestmark = pytest.mark.anyio


@pytest.fixture
async def full(path: Path) -> Path:
    """A deleted completion, three others with the numbers ``NUMBERS``, and an outcome of each kind."""
    await fill(opened(path))
    return path


async def fill(store: SqlStore) -> None:
    """Start it on an empty database, and stop it."""
    await store.start()
    await store.insert(sound_record("gone"))
    await store.insert(sound_record("a", metadata={"tier": "tin", "model": "x"}))
    await store.insert(sound_record("b", requested_model="tiny-2026"))
    await store.remember(outcome("k", of="c"), sound_record("c"))
    await store.remember(sound_outcome("unstored"))
    await store.insert(sound_record("long", request=CONVERSATION))
    await store.delete("p", "chatcmpl-gone")
    await store.stop()


# The first one is that of the check that each start makes.
NUMBERS = {"gone": 2, "a": 3, "b": 4, "c": 5, "long": 6}

LONG = "chatcmpl-long"
TURNS = [digest.hex() for digest in digests(cut(CONVERSATION).turns)]
TOOLS = digests([cut(CONVERSATION).tools])[0].hex()


def damage(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            assert connection.execute(statement, NUMBERS).rowcount != 0, f"nothing was damaged by {statement}"


def examined(path: Path) -> Report:
    return maintenance.examine(path, tell=lambda *_: None)


def found(report: Report) -> dict[str, tuple[str, ...]]:
    return {finding.kind: tuple(sorted(finding.ids)) for finding in report.findings}


async def test_what_a_store_leaves_is_sound(full: Path) -> None:
    report = examined(full)
    assert report.findings == ()
    assert report.is_sound
    assert report.version == migrate.HEAD
    # Every completion has two labels, or one where it was asked for by its own name; one has two pairs beside.
    assert report.looked_at == {
        "completions": 4,
        "pieces": len(TURNS) + 1,
        "labels": 2 + 1 + 2 + 2 + 2,
        "tombstones": 1,
        "outcomes": 2,
    }


async def test_an_empty_database_is_sound(path: Path) -> None:
    store = opened(path)
    await store.start()
    await store.stop()
    assert examined(path).is_sound


async def test_new_metadata_and_a_completion_stored_again_are_sound(full: Path) -> None:
    store = opened(full)
    await store.start()
    await store.set_metadata("p", "chatcmpl-a", {"tier": "gold"})
    await store.insert(sound_record("gone"))
    await store.delete("p", "chatcmpl-c")
    await store.stop()
    assert found(examined(full)) == {}


A, B = "chatcmpl-a", "chatcmpl-b"
MOVED = {"label_surplus": (B,), "label_missing": (B,)}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DELETE FROM bodies WHERE number = :a", {"body": (A,)}),
        ("UPDATE bodies SET content = zeroblob(length(content)) WHERE number = :a", {"body": (A,)}),
        ("UPDATE bodies SET content = substr(content, 1, length(content) - 1) WHERE number = :a", {"body": (A,)}),
        ("UPDATE bodies SET content = (SELECT content FROM bodies WHERE number = :a) WHERE number = :b",
         {"reply": (B,)}),
        ("UPDATE bodies SET turns = NULL WHERE number = :long", {"request": (LONG,), "piece": (TURNS[-1],)}),
        ("UPDATE bodies SET tools = NULL WHERE number = :long", {"request": (LONG,), "piece": (TOOLS,)}),
        (f"UPDATE pieces SET content = zeroblob(9) WHERE digest = X'{TURNS[1]}'",
         {"request": (LONG,), "piece": (TURNS[1],)}),
        (f"UPDATE pieces SET content = (SELECT content FROM pieces WHERE digest = X'{TOOLS}') "
         f"WHERE digest = X'{TURNS[0]}'", {"request": (LONG,), "piece": (TURNS[0],)}),
        (f"INSERT INTO pieces SELECT 'p', X'00', NULL, content FROM pieces WHERE digest = X'{TOOLS}'",
         {"piece": ("00",)}),
        ("UPDATE facets SET count = count + 1 WHERE key = 'finish_reason'", {"facet": ("finish_reason stop",)}),
        ("UPDATE completions SET finish_reason = 'length' WHERE number = :a",
         {"facet": ("finish_reason length", "finish_reason stop")}),
        ("UPDATE bodies SET number = 99 WHERE number = :a", {"reference": ("bodies row 99",), "body": (A,)}),
        ("DELETE FROM labels WHERE number = :a AND key = 'metadata[tier]'",
         {"label_missing": (A,), "facet": ("metadata[tier] tin",)}),
        ("UPDATE labels SET value = 'x' WHERE number = :b AND key = 'model'",
         {**MOVED, "facet": ("model tiny-2026", "model x")}),
        ("UPDATE labels SET created = 1 WHERE number = :b AND key = 'model'", MOVED),
        ("UPDATE labels SET project = 'q' WHERE number = :b AND key = 'model'",
         {**MOVED, "label_surplus": ("number 4",), "facet": ("model tiny-2026",)}),
        ("INSERT INTO labels VALUES ('p', 'metadata[a]', 'b', 1700000000, :b)",
         {"label_surplus": (B,), "facet": ("metadata[a] b",)}),
        ("INSERT INTO labels VALUES ('p', 'model', 'x', 1700000000, 77)",
         {"label_surplus": ("number 77",), "facet": ("model x",)}),
        ("UPDATE completions SET metadata = '{\"tier\":\"gold\"}' WHERE number = :b", {"label_missing": (B,)}),
        ("UPDATE completions SET metadata = '{\"tier\":' WHERE number = :a", {"metadata": (A,)}),
        ("UPDATE completions SET metadata = '{\"tier\":1}' WHERE number = :a", {"metadata": (A,)}),
        ("UPDATE completions SET metadata = X'FF' WHERE number = :a", {"metadata": (A,)}),
        ("INSERT INTO tombstones VALUES ('p', 'chatcmpl-x', 1700000000, :a)", {"tombstone": ("chatcmpl-x",)}),
        ("UPDATE outcomes SET number = 99 WHERE key = 'k'", {"reference": ("outcomes row 1",), "outcome": ("k",)}),
        ("UPDATE outcomes SET number = NULL WHERE key = 'k'", {"outcome": ("k",)}),
        ("UPDATE outcomes SET project = 'q' WHERE key = 'k'", {"outcome": ("k",)}),
        ("UPDATE outcomes SET number = :a WHERE key = 'unstored'", {"outcome": ("unstored",)}),
        ("UPDATE outcomes SET reply = X'7B' WHERE key = 'unstored'", {"outcome": ("unstored",)}),
        ("DELETE FROM sqlite_sequence", {"counter": ("it stands at 0, and 2 was given",)}),
        ("UPDATE alembic_version SET version_num = '0001'", {"version": (f"0001, not {migrate.HEAD}",)}),
    ],
)  # fmt: skip
async def test_damage_is_found_and_named(full: Path, statement: str, expected: dict[str, tuple[str, ...]]) -> None:
    damage(full, statement)
    assert found(examined(full)) == expected


@pytest.mark.parametrize("value", ["NULL", "X'FF'", "zeroblob(9000)", "-1", "'\"'"])
async def test_nothing_that_may_stand_in_a_column_stops_the_check(full: Path, tmp_path: Path, value: str) -> None:
    """As where a page of the file was lost: SQLite reads what is there, whatever the column was declared to hold."""
    damaged = tmp_path / "damaged.db"
    tried = 0
    for column in (column for table in schema.TABLES.sorted_tables for column in table.columns):
        shutil.copy(full, damaged)
        with closing(sqlite3.connect(damaged, isolation_level=None)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL', '') WHERE type = 'table'")
            connection.execute("PRAGMA writable_schema = RESET")
            with suppress(sqlite3.IntegrityError):
                connection.execute(f"UPDATE {column.table.name} SET {column.name} = {value}")
                tried += 1
        examined(damaged)
    assert tried > 20


async def test_a_completion_that_went_without_its_kin_is_found(full: Path) -> None:
    damage(full, "DELETE FROM completions WHERE number = :c")
    assert found(examined(full)) == {
        "reference": ("bodies row 5", "outcomes row 1"),
        "label_surplus": ("number 5",),
        "facet": ("", "finish_reason stop"),
        "outcome": ("k",),
    }
    assert [finding.count for finding in examined(full).findings] == [2, 2, 2, 1]


async def test_an_index_that_misses_a_row_is_found(full: Path) -> None:
    damage(
        full,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = sql || ' WHERE expires < 0' WHERE name = 'outcomes_by_expiry'",
    )
    with closing(sqlite3.connect(full, isolation_level=None)) as connection:
        connection.execute("REINDEX outcomes_by_expiry")
    damage(
        full,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(sql, ' WHERE expires < 0', '') WHERE name = 'outcomes_by_expiry'",
    )
    (finding,) = examined(full).findings
    assert finding.kind == "file"
    assert "row 1 missing from index outcomes_by_expiry" in finding.ids


async def test_a_page_of_the_file_that_was_lost_is_found(full: Path) -> None:
    with closing(sqlite3.connect(full)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'bodies'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with full.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))
    report = examined(full)
    assert report.findings[0].kind == "file"
    assert not report.is_sound


async def test_more_than_can_be_named_is_counted(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_NAMED", 2)
    damage(full, "DELETE FROM bodies")
    finding = examined(full).findings[0]
    assert (finding.kind, finding.count, finding.ids) == ("body", 4, (A, B))


async def test_a_check_of_a_running_store_sees_one_moment_and_writes_nothing(path: Path) -> None:
    store = opened(path)
    await store.start()
    for name in "abc":
        await store.insert(sound_record(name))
    before = path.read_bytes()
    assert examined(path).looked_at["completions"] == 3
    assert path.read_bytes() == before
    await store.insert(sound_record("d"))
    assert examined(path).looked_at["completions"] == 4
    await store.stop()


async def test_progress_is_told_of_each_table(full: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    maintenance.examine(full, tell=lambda *what: told.append(what))
    assert told[0] == ("file", 0, None)
    assert ("labels", 0, 9) in told
    assert ("labels", 9, 9) in told
    assert {what for what, *_ in told} == {"file", "completions", "pieces", "labels", "tombstones", "outcomes"}


def test_every_kind_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "maintenance.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(check.KINDS)


def test_every_kind_is_explained() -> None:
    findings = check.Findings()
    for kind in check.KINDS:
        findings.add(kind, "x")
    assert [finding.kind for finding in findings.all()] == list(check.KINDS)

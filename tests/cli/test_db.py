"""cli/db: which database it is, what is printed of it, and how a command ends. What is done to it: ``store``."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from hansard.store import migrate
from tests.cli.run import Run, Terminal, without_style
from tests.store.sound import opened, sound_record


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with two stored completions."""

    async def fill() -> None:
        store = opened(tmp_path / "data" / "hansard.sqlite3")
        await store.start()
        for name in "ab":
            await store.insert(sound_record(name))
        await store.stop()

    asyncio.run(fill())
    return tmp_path / "data"


def change(data: Path, statement: str) -> None:
    with closing(sqlite3.connect(data / "hansard.sqlite3")) as connection, connection:
        connection.execute(statement)


def test_a_sound_database(run: Run, data: Path) -> None:
    outcome = run("db", "check", "--data", str(data))

    assert outcome == (
        0,
        "looked at\trows\ncompletions\t2\npieces\t0\nlabels\t4\ntombstones\t0\noutcomes\t0\n",
        f"{data / 'hansard.sqlite3'} is sound, at {migrate.HEAD}.\n",
    )


def test_findings_are_named_and_end_with_1(run: Run, data: Path) -> None:
    change(data, "UPDATE bodies SET content = X'00'")

    outcome = run("db", "check", "--data", str(data))

    assert outcome.code == 1
    assert outcome.out.split("\n\n")[1] == (
        "finding\twhere\tmeaning\n"
        "body\tchatcmpl-a\ta completion without its body, or with a damaged one\n"
        "body\tchatcmpl-b\ta completion without its body, or with a damaged one\n"
    )
    assert outcome.err == f"{data / 'hansard.sqlite3'} is not sound: body.\n"


def test_the_report_as_json(run: Run, data: Path) -> None:
    change(data, "UPDATE completions SET metadata = '[]' WHERE id = 'chatcmpl-b'")

    outcome = run("db", "check", "--json", "--data", str(data))

    assert (outcome.code, outcome.err) == (1, "")
    assert json.loads(outcome.out) == {
        "database": str(data / "hansard.sqlite3"),
        "version": migrate.HEAD,
        "sound": False,
        "looked_at": {"completions": 2, "pieces": 0, "labels": 4, "tombstones": 0, "outcomes": 0},
        "findings": [
            {
                "kind": "metadata",
                "meaning": "metadata that is not a JSON object of texts",
                "count": 1,
                "ids": ["chatcmpl-b"],
            }
        ],
    }


def test_what_is_in_the_database_cannot_steer_the_terminal(run: Run, data: Path) -> None:
    change(data, "UPDATE completions SET metadata = '[]', id = char(27) || '[2J' || id")

    assert "\x1b" not in run("db", "check", "--data", str(data)).out
    assert "\\u001b" not in run("db", "check", "--json", "--data", str(data)).out


def test_the_database_is_that_of_the_server(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = data / "hansard.sqlite3"
    toml = data / "hansard.toml"
    toml.write_text('data = "."\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(data / "none"))
    said = f"{file} is at {migrate.HEAD}, the newest version: nothing to do.\n"

    assert run("db", "upgrade", "--db", f"sqlite:///{file}") == (0, said, "")
    assert run("db", "upgrade", "--config", str(toml)) == (0, said, "")
    monkeypatch.setenv("HANSARD_DATA", str(data))
    assert run("db", "upgrade") == (0, said, "")


@pytest.mark.parametrize(
    "command", [["upgrade"], ["check"], ["backup", "copy"], ["vacuum"], ["copy", "sqlite:///copy"]]
)
def test_no_database_is_one_line(run: Run, tmp_path: Path, command: list[str]) -> None:
    assert run("db", *command, "--data", str(tmp_path)) == (
        1,
        "",
        f"{tmp_path / 'hansard.sqlite3'}: no database is there. "
        "Name its directory with --data, or the file with --db.\n",
    )


def test_a_wrong_setting_is_one_line(run: Run) -> None:
    outcome = run("db", "check", "--db", "mysql://x")

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("--db: 'mysql://x' is not a database")


def test_an_upgrade_says_from_where_to_where(run: Run, tmp_path: Path) -> None:
    (tmp_path / "hansard.sqlite3").touch()

    outcome = run("db", "upgrade", "--data", str(tmp_path))

    assert outcome == (0, f"{tmp_path / 'hansard.sqlite3'}: upgraded from nothing to {migrate.HEAD}.\n", "")


def test_a_backup_says_how_large_it_is(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data)

    outcome = run("db", "backup", "--data", ".", "copy.sqlite3")

    size = (data / "copy.sqlite3").stat().st_size
    assert outcome == (0, f"copy.sqlite3: {size} bytes ({size / 1024:.1f} KiB), checked.\n", "")
    again = run("db", "backup", "--data", ".", "copy.sqlite3")
    assert again.code == 1
    assert "--force" in again.err
    assert run("db", "backup", "--data", ".", "--force", "copy.sqlite3").code == 0


def test_a_vacuum_says_what_it_gave_back(run: Run, data: Path) -> None:
    file = data / "hansard.sqlite3"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("CREATE TABLE f (b); INSERT INTO f VALUES (zeroblob(1000000)); DROP TABLE f")
    before = file.stat().st_size

    outcome = run("db", "vacuum", "--data", str(data))

    after = file.stat().st_size
    assert after < before - 900_000
    assert outcome.out == (
        f"{file}: {before} bytes ({before / 1024 / 1024:.1f} MiB) before, "
        f"{after} bytes ({after / 1024:.1f} KiB) after.\n"
    )


def test_a_copy_says_what_it_copied_and_that_it_is_the_same(run: Run, data: Path) -> None:
    target = f"sqlite:///{data / 'copy.sqlite3'}"

    first = run("db", "copy", "--data", str(data), target)
    again = run("db", "copy", "--data", str(data), target)

    rows = dict(line.split("\t", 1) for line in first.out.splitlines())
    assert rows.pop("bodies").startswith("2\t2\t")
    assert rows == {
        "table": "rows\tcopied now\tbytes of content",
        "pieces": "0\t0\t0",
        "completions": "2\t2\t0",
        "labels": "4\t4\t0",
        "facets": "4\t4\t0",
        "tombstones": "0\t0\t0",
        "outcomes": "0\t0\t0",
        "projects": "1\t1\t0",
        "keys": "0\t0\t0",
        "audit": "0\t0\t0",
        "revisions": "0\t0\t0",
        "tallies": "0\t0\t0",
    }
    assert first.code == 0
    assert first.err.startswith(f"{data / 'copy.sqlite3'} has all 13 rows, ")
    assert again.code == 0
    assert "labels\t4\t0\t0\n" in again.out
    assert run("db", "check", "--db", target).code == 0


def test_a_copy_that_differs_is_named_and_ends_with_1(run: Run, data: Path) -> None:
    target = f"sqlite:///{data / 'copy.sqlite3'}"
    assert run("db", "copy", "--data", str(data), target).code == 0
    change(data, "UPDATE bodies SET content = X'1B5B324A' WHERE number = 2")

    outcome = run("db", "copy", "--data", str(data), target)

    assert outcome.code == 1
    assert outcome.out.split("\n\n")[1] == "difference\ttable\twhere\nother\tbodies\t2\n"
    assert outcome.err == (
        f"{data / 'copy.sqlite3'} is not the same (rows that differ: 1). Stop what writes to either one, "
        "and copy to an empty database.\n"
    )


@pytest.mark.parametrize(
    ("command", "instead"),
    [(["backup", "FILE"], "pg_dump for this database, or pg_basebackup"), (["vacuum"], "autovac")],
)
def test_what_postgresql_does_by_itself(run: Run, command: list[str], instead: str) -> None:
    outcome = run("db", *command, "--db", "postgresql://me:sEcret@h/d")

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith(f"postgresql://me@h/d: {command[0]} is for SQLite. PostgreSQL has its own: ")
    assert instead in outcome.err


@pytest.mark.parametrize("command", [["copy", "postgresql://me:sEcret@h/d"], ["check", "--db", "postgresql://h/d"]])
def test_a_driver_that_is_not_installed_is_one_line(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.delitem(sys.modules, "hansard.store.postgresql", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)

    assert run("db", *command, "--data", str(data)) == (
        1,
        "",
        "PostgreSQL needs its driver, which is not installed here: pip install 'hansard[postgres]'\n",
    )


def test_a_target_that_is_no_database_is_one_line(run: Run, data: Path) -> None:
    outcome = run("db", "copy", "--data", str(data), "copy.sqlite3")

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        "TARGET_URL: 'copy.sqlite3' is not a database that can be used; "
        "write sqlite:///FILE or postgresql://USER@HOST/NAME.\n"
    )


def test_a_person_sees_a_table(terminal: Terminal, data: Path) -> None:
    outcome = terminal.run("db", "check", "--data", str(data))

    assert outcome.code == 0
    assert "LOOKED AT    ROWS\ncompletions  2\n" in without_style(outcome.out)


def test_a_person_sees_how_far_it_is(terminal: Terminal, run: Run, data: Path) -> None:
    copy = str(data / "copy.sqlite3")

    assert "━━━" in without_style(terminal.run("db", "backup", "--data", str(data), copy).out)
    assert "━━━" in without_style(terminal.run("db", "copy", "--data", str(data), f"sqlite:///{copy}.too").out)
    assert run("db", "backup", "--force", "--data", str(data), copy).err == ""

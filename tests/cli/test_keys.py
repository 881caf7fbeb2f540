"""cli/projects and cli/keys on a database without a server: what is printed, and what is kept."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hansard.core.keys import digest
from tests.cli.run import Run
from tests.store.files import write_first_version


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def kept(data: Path, what: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(data / "hansard.sqlite3")) as connection:
        return connection.execute(what).fetchall()


def test_a_key_is_printed_once_and_kept_as_its_digest(run: Run, data: Path) -> None:
    made = run("projects", "create", "shop", "--data", str(data))
    outcome = run(*["keys", "create", "--project", "shop", "--name", "till", "--scope", "read"], "--data", str(data))

    secret = outcome.out.rstrip("\n")
    assert (made.code, outcome.code, outcome.out) == (0, 0, f"{secret}\n")
    assert kept(data, "SELECT digest, name, scopes, project FROM keys") == [
        (digest(secret), "till", "read", made.out.rstrip("\n"))
    ]
    assert [act for (act,) in kept(data, "SELECT act FROM audit ORDER BY at")] == ["project.created", "key.created"]
    assert not [file for file in data.iterdir() if secret.encode() in file.read_bytes()]
    assert secret not in run("keys", "list", "--json", "--data", str(data)).out


def test_a_key_is_rotated_and_revoked(run: Run, data: Path) -> None:
    first = json.loads(run("keys", "create", "--name", "till", "--json", "--data", str(data)).out)
    secret = run("keys", "rotate", first["id"], "--data", str(data)).out.rstrip("\n")
    [(second,)] = kept(data, "SELECT id FROM keys WHERE revoked IS NULL")
    assert kept(data, "SELECT digest FROM keys WHERE revoked IS NULL") == [(digest(secret),)]

    assert run("keys", "revoke", str(second), "--data", str(data)).code == 0
    assert kept(data, "SELECT count(*) FROM keys WHERE revoked IS NULL") == [(0,)]


def test_until_when_a_new_key_counts_is_said(run: Run, data: Path) -> None:
    """What is made of a key in its grace ends with it, which nobody may have meant."""
    made = run("keys", "create", "--name", "till", "--data", str(data))
    [(first,)] = kept(data, "SELECT id FROM keys")
    second, third = (run("keys", "rotate", str(first), "--grace", "1h", "--data", str(data)) for _ in range(2))

    assert ["It counts until" in each.err for each in (made, second, third)] == [False, False, True]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("keys revoke key_1", 5, "Key key_1 not found"),
        ("keys rotate key_1", 5, "Key key_1 not found"),
        ("keys create --name a --project nowhere", 5, "Project nowhere not found"),
    ],
)
def test_what_is_not_there_is_said(run: Run, data: Path, words: str, code: int, said: str) -> None:
    outcome = run(*words.split(), "--data", str(data))

    assert (outcome.code, outcome.out) == (code, "")
    assert said in outcome.err
    assert kept(data, "SELECT count(*) FROM keys") == [(0,)]


def test_older_tables_are_left_to_the_upgrade(run: Run, data: Path) -> None:
    data.mkdir()
    write_first_version(data / "hansard.sqlite3")

    outcome = run("keys", "create", "--name", "a", "--data", str(data))

    assert (outcome.code, outcome.out) == (1, "")
    assert "its tables are at 0001" in outcome.err
    assert kept(data, "SELECT version_num FROM alembic_version") == [("0001",)]

"""``hansard db copy`` of a real server's database: killed again and again it arrives whole, there and back."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.postgres import PostgresServer

from .conftest import Workshop
from .server import ECHO, Server
from .test_crash import everything
from .test_db import SPEECH
from .test_postgresql import PASSWORD, name, postgres

__all__ = ["name", "postgres"]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hansard", "db", *arguments]


def db(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=100, cwd=cwd)


@pytest.fixture
def server(make_server: Workshop) -> Server:
    """One that has stored 200 completions, forgotten 51 of them, and is stopped."""
    server = make_server(model=ECHO).start()
    made = []
    for number in range(200):
        asked = f"{number}: {SPEECH if number % 2 else 'Order!'} \u00e9\U0001f600"
        made.append(server.ask(asked, model="echo", store=True, metadata={"number": str(number)}).json()["id"])
    for gone in [*made[:100:2], made[-1]]:
        assert server.delete(f"/chat/completions/{gone}").status == 200
    server.stop()
    return server


def rows(url: str, table: str) -> int:
    with psycopg.connect(url) as connection:
        try:
            found = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0
    assert found is not None
    return int(found[0])


def test_killed_on_its_way_and_back_again(
    server: Server, make_server: Workshop, postgres: PostgresServer, name: str, tmp_path: Path
) -> None:
    url = postgres.url(name, user=f"scribe:{PASSWORD}")
    line = command("copy", url, "--data", str(server.data))
    kills = 0
    for table in ("pieces", "completions", "bodies", "labels", "facets"):
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as copying:
            while copying.poll() is None and not rows(url, table):
                time.sleep(0.001)  # until it has come so far
            copying.kill()
        kills += copying.returncode == -9
    assert kills >= 3

    done = db("copy", url, "--data", str(server.data), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("table\trows\tcopied now\tbytes of content\n")
    assert "each compared" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    checked = db("check", "--db", url, cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr

    back = make_server(model=ECHO, name="back")
    file = back.data / "hansard.sqlite3"
    assert db("copy", "--db", url, f"sqlite:///{file}", cwd=tmp_path).returncode == 0
    there = make_server("--db", url, model=ECHO, name="there")
    servers = [each.start() for each in (server, there, back)]
    stored, *others = (everything(each) for each in servers)
    assert len(stored) == 149
    assert others == [stored, stored]
    for completion in stored[::20]:
        messages = [each.get(f"/chat/completions/{completion['id']}/messages").json() for each in servers]
        assert messages[1:] == [messages[0], messages[0]]
    for each in servers[1:]:
        fresh = each.ask("Order!", model="echo", store=True).json()["id"]
        assert {found["id"] for found in everything(each)} == {fresh, *(found["id"] for found in stored)}
        each.stop()
        where = ["--db", url] if each is there else ["--data", str(back.data)]
        assert db("check", *where, cwd=tmp_path).returncode == 0

    again = db("copy", url, "--data", str(server.data), cwd=tmp_path)
    assert again.returncode == 1
    assert "in use by another `hansard serve`" in again.stderr
    server.stop()
    again = db("copy", url, "--data", str(server.data), cwd=tmp_path)
    assert again.returncode == 1
    assert "its completions are not those of" in again.stderr


def test_a_wrong_password_is_one_line_without_it(
    server: Server, postgres: PostgresServer, name: str, tmp_path: Path
) -> None:
    said = db("copy", postgres.url(name, user="scribe:nOtIt"), "--data", str(server.data), cwd=tmp_path)
    assert (said.returncode, said.stdout) == (1, "")
    assert 'password authentication failed for user "scribe"' in said.stderr
    assert said.stderr.count("\n") == 1
    assert "nOtIt" not in said.stderr

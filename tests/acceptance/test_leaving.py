"""A project is deleted by the command beside a server that stores for it and for others: two processes, real load."""

from __future__ import annotations

import http.client
import itertools
import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from .conftest import Workshop
from .server import ECHO, Server, eventually, question
from .test_keys import hansard
from .wire import DONE, send, stream

WRITERS = 3  # of each project
ENOUGH = 60
MARK = "hansom-cab-7731"
"""In the metadata of what is to go: a filter looks at metadata, so there they lie as they are spelled."""

GONE = {401: "invalid_api_key", 409: "project_deleted"}


class Place(NamedTuple):
    """Where the record lies, as commands are told it, and how its tables are asked."""

    arguments: tuple[str, ...]
    query: Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        data = tmp_path / "server" / "data"

        def read_file(statement: str) -> list[tuple[Any, ...]]:
            with closing(sqlite3.connect(data / "hansard.sqlite3")) as connection:
                return connection.execute(statement).fetchall()

        return Place(("--data", str(data)), read_file)
    url = request.getfixturevalue("postgres").new_database()

    def ask_server(statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url) as connection:
            return connection.execute(statement.encode()).fetchall()

    return Place(("--db", url), ask_server)


class Writer(threading.Thread):
    """Stores completions for one key, plain and streamed, until it is told that there is no such project, or to end."""

    def __init__(self, server: Server, key: str, mark: str) -> None:
        super().__init__()
        self._url = f"{server.base_url}/chat/completions"
        self._headers = {"authorization": f"Bearer {key}"}
        self._mark = mark
        self.is_over = threading.Event()
        self.stored: list[str] = []
        self.refusal: dict[str, Any] | None = None
        self.complaint: Exception | None = None

    def run(self) -> None:
        try:
            for number in itertools.count():
                if self.is_over.is_set() or self.refusal is not None:
                    return
                body = question(f"{self._mark} {number}", model="echo", store=True, metadata={"mark": self._mark})
                if number % 2:
                    self._streamed({**body, "stream": True})
                else:
                    self._plain(body)
        except (AssertionError, OSError, http.client.HTTPException) as error:
            self.complaint = error

    def _plain(self, body: dict[str, object]) -> None:
        reply = send("POST", self._url, body=body, headers=self._headers)
        if reply.status == 200:
            self.stored.append(reply.json()["id"])
        else:
            assert reply.error["code"] == GONE.get(reply.status), reply
            self.refusal = reply.error

    def _streamed(self, body: dict[str, object]) -> None:
        with stream(self._url, body, headers=self._headers) as reply:
            if reply.status != 200:
                self.refusal = json.loads(b"".join(reply.rest()))["error"]
                assert self.refusal["code"] == GONE.get(reply.status), self.refusal
                return
            payloads = list(reply)
        if payloads[-1] == DONE:
            self.stored.append(json.loads(payloads[-2])["id"])
        else:
            self.refusal = json.loads(payloads[-1])["error"]
            assert self.refusal["code"] == "project_deleted", self.refusal


def rows_of(place: Place, project: str) -> dict[str, int]:
    """How many rows of each table are the project's, wherever there is a column that could say so."""
    if place.arguments[0] == "--data":
        columns = "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
    else:
        columns = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
    found = {}
    for table, column in place.query(columns):
        if column in ("project", "project_id") or (table, column) == ("projects", "id"):
            [(count,)] = place.query(f"SELECT count(*) FROM {table} WHERE {column} = '{project}'")
            found[table] = count
    return found


def test_a_project_that_is_being_written_to_goes_whole_and_the_others_do_not_notice(
    make_server: Workshop, place: Place
) -> None:
    server = make_server("--search", "on", *(place.arguments if place.arguments[0] == "--db" else ()), model=ECHO)
    server.start()
    ids = {name: hansard("projects", "create", name, *place.arguments)[0] for name in ("shop", "other")}
    keys = {name: hansard("keys", "create", "--project", name, "--name", "x", *place.arguments)[0] for name in ids}
    leaving = [Writer(server, keys["shop"], MARK) for _ in range(WRITERS)]
    staying = [Writer(server, keys["other"], "stays") for _ in range(WRITERS)]
    with ExitStack() as stack:
        for writer in (*leaving, *staying):
            writer.start()
            stack.callback(writer.join)
            stack.callback(writer.is_over.set)
        eventually(lambda: sum(len(each.stored) for each in leaving) >= ENOUGH, "enough to delete", within_s=60)
        before = sum(len(each.stored) for each in staying)

        done = subprocess.run(
            [sys.executable, "-m", "hansard", "projects", "delete", "shop", "--yes", *place.arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        assert place.arguments[0] == "--db" or not spelled_in_files(server)
        eventually(lambda: all(each.refusal for each in leaving), "all of them to be refused", server=server)
        after = sum(len(each.stored) for each in staying)
        eventually(lambda: sum(len(each.stored) for each in staying) > after, "the others to go on", server=server)

    assert [each.complaint for each in (*leaving, *staying) if each.complaint] == []
    assert [each.refusal for each in staying if each.refusal] == []
    assert after > before, "the others had to wait until it was over"
    kept = {each for writer in staying for each in writer.stored}
    for completion in kept:
        headers = {"authorization": f"Bearer {keys['other']}"}
        assert server.get(f"/chat/completions/{completion}", **headers).status == 200
    assert server.stop() == 0

    rows = rows_of(place, ids["shop"])
    assert {table for table, count in rows.items() if count} == {"audit"}, rows
    assert rows.keys() >= {"projects", "keys", "completions", "labels", "pieces"}
    assert rows_of(place, ids["other"])["completions"] == len(kept)
    hansard("db", "check", *place.arguments)


def test_what_a_server_says_is_done_is_in_no_file_while_it_runs(make_server: Workshop) -> None:
    server = make_server("--search", "on", model=ECHO, environment={"HANSARD_API_KEY": "sk-operator"})
    server.start()
    operator = {"authorization": "Bearer sk-operator"}
    shop = server.post("/hansard/v1/projects", {"name": "shop"}, **operator).json()["id"]
    keys = [
        server.post("/hansard/v1/keys", {"project": project, "name": "x"}, **operator).json()["key"]
        for project in (shop, "default")
    ]
    for number in range(60):
        for key, mark in zip(keys, (MARK, "stays"), strict=True):
            body = question(f"{mark} {number}", model="echo", store=True, metadata={mark: str(number)})
            assert server.post("/chat/completions", body, authorization=f"Bearer {key}").status == 200
    assert spelled_in_files(server)

    server.delete(f"/hansard/v1/projects/{shop}", **operator)
    address = f"/hansard/v1/projects/{shop}/deletion"
    eventually(lambda: server.get(address, **operator).json()["done"], "it to be done", server=server)

    assert not spelled_in_files(server)


def spelled_in_files(server: Server) -> bool:
    """Whether the database's file, or the log beside it, still spells what is to go."""
    return any(MARK.encode() in (server.data / f"hansard.sqlite3{beside}").read_bytes() for beside in ("", "-wal"))

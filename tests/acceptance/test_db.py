"""``hansard db`` beside a real server under load, from the official client: nothing is lost, and nobody is refused."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI, OpenAIError

from tests.store.files import write_first_version

from .conftest import Workshop
from .server import ECHO, Server, eventually
from .test_crash import everything

CLIENTS = 4

# A few of SQLite's pages each, so that there is something to copy and to give back.
SPEECH = "Hear, hear!" + "." * 20_000


def db(command: str, *arguments: str, server: Server) -> subprocess.CompletedProcess[str]:
    """``hansard db ...`` on the server's own database."""
    line = [sys.executable, "-m", "hansard", "db", command, *arguments, "--data", str(server.data)]
    return subprocess.run(line, capture_output=True, text=True, timeout=100, cwd=server.directory)


class Load:
    """Clients that store completions, plain and streamed, and delete every third, until they are told to end."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ended = threading.Event()
        self._numbers = itertools.count()
        self.stored: list[str] = []
        self.deleted: list[str] = []
        self.complaints: list[OpenAIError] = []

    @contextmanager
    def running(self, *, deletes: bool) -> Iterator[None]:
        threads = [threading.Thread(target=self._work, kwargs={"deletes": deletes}) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()

    def wait_for(self, more: int) -> None:
        """Until so many more are acknowledged."""
        enough = len(self.stored) + more
        eventually(lambda: len(self.stored) >= enough or self.complaints, f"{more} completions", within_s=60)

    def _work(self, *, deletes: bool) -> None:
        with OpenAI(base_url=self._server.base_url, api_key="unused", max_retries=0) as client:
            while not self._ended.is_set():
                number = next(self._numbers)
                try:
                    name = self._ask(client, number)
                    self.stored.append(name)
                    if deletes and number % 3 == 0:
                        client.chat.completions.delete(name)
                        self.deleted.append(name)
                except OpenAIError as complaint:
                    self.complaints.append(complaint)
                    return

    def _ask(self, client: OpenAI, number: int) -> str:
        asked: dict[str, Any] = {
            "model": "echo",
            "messages": [{"role": "user", "content": f"{number}: {SPEECH}"}],
            "store": True,
            "metadata": {"number": str(number)},
        }
        if number % 2:
            return str(client.chat.completions.create(**asked).id)
        return [chunk.id for chunk in client.chat.completions.create(**asked, stream=True)][-1]


@pytest.fixture
def loaded(make_server: Workshop) -> tuple[Server, Load]:
    server = make_server(model=ECHO).start()
    return server, Load(server)


def ids(server: Server) -> set[str]:
    return {stored["id"] for stored in everything(server)}


def test_a_backup_under_load_is_restored_with_all_that_was_acknowledged_before(
    loaded: tuple[Server, Load], make_server: Workshop, tmp_path: Path
) -> None:
    server, load = loaded
    file = tmp_path / "backup.sqlite3"
    with load.running(deletes=False):
        load.wait_for(80)
        before = list(load.stored)
        made = db("backup", str(file), server=server)
        load.wait_for(20)
    assert load.complaints == []
    assert made.returncode == 0, made.stderr
    assert made.stderr == ""
    assert "checked" in made.stdout

    # As docs/maintenance.md says it: the file in the place of the other, and start.
    restored = make_server(model=ECHO, name="restored")
    restored.data.mkdir(parents=True)
    shutil.copy(file, restored.data / "hansard.sqlite3")
    restored.start()

    stored = {completion["id"]: completion for completion in everything(server)}
    found = {completion["id"]: completion for completion in everything(restored)}
    assert set(before) <= found.keys()
    assert found.keys() < stored.keys()
    for name, completion in found.items():
        assert completion == stored[name]
        messages = f"/chat/completions/{name}/messages"
        assert restored.get(messages).json() == server.get(messages).json()
    assert restored.ask("Aye.", model="echo", store=True).status == 200
    assert db("check", server=restored).returncode == 0


def test_checks_under_load_find_nothing_and_hold_nobody_up(loaded: tuple[Server, Load]) -> None:
    server, load = loaded
    with load.running(deletes=True):
        for _ in range(3):
            load.wait_for(20)
            checked = db("check", server=server)
            assert checked.returncode == 0, checked.stdout + checked.stderr
    assert load.complaints == []


def test_a_vacuum_under_load_loses_nothing_and_gives_room_back(loaded: tuple[Server, Load]) -> None:
    server, load = loaded
    file = server.data / "hansard.sqlite3"
    made = [server.ask(f"{number}: {SPEECH}", model="echo", store=True).json()["id"] for number in range(200)]
    for name in made[:150]:
        assert server.delete(f"/chat/completions/{name}").status == 200
    with load.running(deletes=True):
        load.wait_for(20)
        done = db("vacuum", server=server)
        load.wait_for(20)
    assert done.returncode == 0, done.stderr
    before, after = (int(part.split(" bytes")[0].split()[-1]) for part in done.stdout.split(" before, "))
    assert after < before
    assert load.complaints == []
    assert ids(server) == {*made[150:], *load.stored} - {*load.deleted}
    assert db("check", server=server).returncode == 0

    assert server.stop() == 0
    again = db("vacuum", server=server)
    assert again.returncode == 0, again.stderr
    assert file.stat().st_size < before
    server.start()
    assert ids(server) == {*made[150:], *load.stored} - {*load.deleted}


def test_a_start_on_an_older_database_says_that_it_was_upgraded(make_server: Workshop) -> None:
    server = make_server(model=ECHO)
    server.data.mkdir(parents=True)
    write_first_version(server.data / "hansard.sqlite3")
    server.start()
    assert "database upgraded from 0001 to 0" in server.stderr
    assert "the newest version: nothing to do." in db("upgrade", server=server).stdout
    server.stop()
    assert "database upgraded" not in server.start().stderr

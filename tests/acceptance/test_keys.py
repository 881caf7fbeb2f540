"""Keys as an operator makes them, on real servers: revoked on all within a second, and never to be seen again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.postgres import PostgresServer

from .conftest import Workshop
from .server import ECHO, MODEL, Server, question

MODELS = (*ECHO, "--alias", f"{MODEL}=echo")


def hansard(*arguments: str, **environment: str) -> tuple[str, str]:
    """What the command prints: data, and what is beside it."""
    done = subprocess.run(
        [sys.executable, "-m", "hansard", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "", **environment},
        timeout=60,
    )
    return done.stdout.strip(), done.stderr


def status(server: Server, key: str) -> int:
    return server.get("/models", authorization=f"Bearer {key}").status


@pytest.mark.parametrize("way", ["by the database", "by the other server"])
def test_a_revoked_key_ends_on_every_replica_within_a_second(
    make_server: Workshop, postgres: PostgresServer, way: str
) -> None:
    url = postgres.new_database()
    servers = [make_server("--db", url, model=MODELS, name=name).start() for name in ("one", "two")]
    key, told = hansard("keys", "create", "--name", "till", "--db", url)
    admin, _ = hansard("keys", "create", "--name", "boss", "--scope", "admin", "--db", url)
    assert [status(server, key) for server in servers] == [200, 200]

    asked = ("--db", url)
    if way == "by the other server":
        asked = ("--base-url", servers[0].base_url)
    hansard("keys", "revoke", told.split()[0], *asked, OPENAI_API_KEY=admin)

    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline and {status(server, key) for server in servers} != {401}:
        pass
    assert [status(server, key) for server in servers] == [401, 401]
    assert status(servers[1], admin) == 200


def test_a_key_is_nowhere_but_where_it_was_shown(make_server: Workshop, tmp_path: Path) -> None:
    server = make_server("--search", "on", model=MODELS)
    data = str(server.data)
    secrets = [hansard("keys", "create", "--name", name, "--data", data)[0] for name in ("one", "two")]
    admin, _ = hansard("keys", "create", "--name", "boss", "--scope", "admin", "--data", data)
    operator = "sk-operators-own-0123456789"
    key_file = tmp_path / "operator.txt"
    key_file.write_text(operator)
    server.environment["HANSARD_API_KEY_FILE"] = str(key_file)
    server.start()

    said = b""
    for key in (*secrets, operator):
        bearer = {"authorization": f"Bearer {key}"}
        made = server.post("/chat/completions", question("Hi", store=True), **bearer)
        assert made.status == 200
        completion = f"/chat/completions/{made.json()['id']}"
        for path in (completion, "/chat/completions", "/chat/completions/none", "/hansard/v1/keys", "/nowhere"):
            reply = server.get(path, **bearer)
            said += reply.body + str(reply.headers).encode()
    new, _ = hansard("keys", "rotate", key_id(data, "two"), "--base-url", server.base_url, OPENAI_API_KEY=admin)
    said += server.get("/models", authorization=f"Bearer {secrets[1]}").body  # no longer counts
    lists = [hansard(*words, "--data", data)[0] for words in (("keys", "list", "--json"), ("audit", "export"))]
    lists += hansard("config", "show", HANSARD_API_KEY=operator, HOME=str(tmp_path))
    running = [" ".join(process.cmdline()) for process in (psutil.Process(server.pid), *server.processes())]
    assert server.stop() == 0
    files = b"".join(file.read_bytes() for file in server.data.rglob("*") if file.is_file())

    assert "key.rotated" in lists[1]
    seen = said + "\n".join([server.stderr, *lists, *running]).encode() + files
    for key in (*secrets, admin, new, operator):
        assert key.encode() not in seen
        assert key[11:-4].encode() not in seen


def key_id(data: str, name: str) -> str:
    rows = [line.split("\t") for line in hansard("keys", "list", "--data", data)[0].splitlines()]
    [found] = [row[0] for row in rows if row[2] == name]
    return found


@pytest.mark.parametrize("search", ["on", "off"])
def test_a_project_leaves_by_a_server_that_is_killed_meanwhile(
    make_server: Workshop, postgres: PostgresServer, tmp_path: Path, search: str
) -> None:
    """The export goes on behind what was written, and the deletion by whoever runs."""
    url = postgres.new_database()
    one, two = (make_server("--db", url, "--search", search, model=MODELS, name=name) for name in ("one", "two"))
    one.start()
    hansard("projects", "create", "shop", "--db", url)
    key, _ = hansard("keys", "create", "--project", "shop", "--name", "till", "--db", url)
    admin, _ = hansard("keys", "create", "--name", "boss", "--scope", "admin", "--db", url)
    bearer = {"authorization": f"Bearer {key}"}
    made = [one.post("/chat/completions", question("Hi", store=True), **bearer).json()["id"] for _ in range(40)]
    asked, file = ("--base-url", one.base_url), tmp_path / "shop.jsonl"

    hansard("projects", "export", "shop", "--output", str(file), *asked, OPENAI_API_KEY=admin)
    whole = file.read_bytes()
    file.write_bytes(whole[:5000])
    hansard("projects", "export", "shop", "--output", str(file), "--resume", *asked, OPENAI_API_KEY=admin)

    assert [json.loads(line)["id"] for line in file.read_bytes().splitlines()] == made
    assert file.read_bytes() == whole
    boss = {"authorization": f"Bearer {admin}"}
    closed = one.delete("/hansard/v1/projects/shop", **boss)
    assert closed.status == 200
    one.kill()
    two.start()
    done, _ = hansard(
        *("projects", "delete", closed.json()["id"], "--yes", "--base-url", two.base_url), OPENAI_API_KEY=admin
    )
    assert done == f"{closed.json()['id']}: nothing is left."
    assert status(two, key) == 401

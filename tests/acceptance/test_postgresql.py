"""Servers on one PostgreSQL database: what one acknowledges the other shows at once, and no kill loses any of it."""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.postgres import PostgresServer, postgres_server

from .conftest import Workshop
from .server import ECHO, MODEL, Server, question
from .test_crash import Clients, everything, verify
from .wire import DONE, send, stream

# What clients ask for elsewhere as well.
MODELS = (*ECHO, "--alias", f"{MODEL}=echo")

PASSWORD = "wOrdOfMouth"


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """It asks everybody but its own administrator for a password."""
    with tempfile.TemporaryDirectory(prefix="hansard-rules-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL may run as another user
        rules = Path(folder, "pg_hba.conf")
        rules.write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        with postgres_server(hba_file=str(rules)) as server:
            server.execute(f"CREATE ROLE scribe LOGIN PASSWORD '{PASSWORD}'")
            yield server


@pytest.fixture
def name(postgres: PostgresServer) -> str:
    """Of an empty database that belongs to the role with the password."""
    return str(psycopg.conninfo.conninfo_to_dict(postgres.new_database(OWNER="scribe"))["dbname"])


def test_two_servers_on_one_database_and_kill_9(make_server: Workshop, postgres: PostgresServer, name: str) -> None:
    url = postgres.url(name, user=f"scribe:{PASSWORD}")
    servers = [make_server("--db", url, model=MODELS, name=f"server-{number}") for number in range(2)]
    one, other = (server.start() for server in servers)

    completion = one.ask("Hello!", store=True).json()
    with stream(f"{one.base_url}/chat/completions", question("Hello again!", store=True, stream=True)) as reply:
        payloads = list(reply)
    assert payloads[-1] == DONE
    assert other.stored_ids == [json.loads(payloads[0])["id"], completion["id"]]
    assert other.get(f"/chat/completions/{completion['id']}").json()["id"] == completion["id"]

    for crash in range(4):
        clients = Clients(one, crash=crash)
        clients.start()
        clients.wait_for(20)
        one.kill()
        clients.join()
        assert not clients.complaints, clients.complaints
        verify(other, crash, clients.acknowledged)
        one.start()
        assert len(clients.acknowledged) >= 20
    assert {each["id"] for each in everything(one)} == {each["id"] for each in everything(other)}
    assert PASSWORD not in one.stderr + other.stderr
    assert f"Data: postgresql://scribe@/{name}?host=" in one.banner


def test_a_restart_of_the_database_is_not_noticed(make_server: Workshop) -> None:
    with postgres_server() as postgres:
        server = make_server("--db", postgres.new_database(), model=MODELS).start()
        clients = Clients(server, crash=0)
        clients.start()
        clients.wait_for(20)
        postgres.stop(how=signal.SIGQUIT)
        postgres.start()
        clients.wait_for(len(clients.acknowledged) + 20)
        server.kill()
        clients.join()
        server.start()
        assert not clients.complaints, clients.complaints
        verify(server, 0, clients.acknowledged)


def test_the_password_may_be_where_libpq_looks_for_it(
    make_server: Workshop, postgres: PostgresServer, name: str, tmp_path: Path
) -> None:
    url = postgres.url(name, user="scribe")
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"*:*:*:scribe:{PASSWORD}\n")
    passfile.chmod(0o600)
    for environment in ({"PGPASSWORD": PASSWORD}, {"PGPASSFILE": str(passfile)}):
        server = make_server("--db", url, model=MODELS, name=next(iter(environment)), environment=environment).start()
        assert server.ask("Hello!", store=True).status == 200
        server.stop()


def test_a_wrong_password_is_said_and_not_repeated(make_server: Workshop, postgres: PostgresServer, name: str) -> None:
    said = make_server("--db", postgres.url(name, user="scribe:nOtIt"), model=MODELS).refuses_to_start()
    assert 'password authentication failed for user "scribe"' in said
    assert "nOtIt" not in said


def test_a_database_that_is_gone_is_503_and_nothing_else(make_server: Workshop) -> None:
    with postgres_server() as postgres:
        server: Server = make_server("--db", postgres.new_database(), model=MODELS).start()
        completion = server.ask("Hello!", store=True).json()
        postgres.stop()
        seen = [
            server.ask("Hello!", store=True),
            server.get("/chat/completions"),
            server.get(f"/chat/completions/{completion['id']}"),
            server.get(f"/chat/completions/{completion['id']}/messages"),
            send("DELETE", f"{server.base_url}/chat/completions/{completion['id']}"),
        ]
        assert [(reply.status, reply.json()["error"]["code"]) for reply in seen] == [(503, "store_unavailable")] * 5
        assert server.ask("Hello!", store=False).status == 200
        postgres.start()
        assert server.get(f"/chat/completions/{completion['id']}").status == 200

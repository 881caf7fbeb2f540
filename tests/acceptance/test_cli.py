"""The client commands against the real server: what a person and a script see."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid

from .conftest import Workshop
from .server import ECHO, MODEL, Server

PARIS = "The capital of France is Paris."
FRANCE = "What is the capital of France?"
NOT_AUTHORISED, NOT_FOUND = 4, 5


def test_chat_and_the_completions_it_stored(hansard: Server) -> None:
    team = uuid.uuid4().hex
    assert hansard_command(hansard, "chat", "--meta", f"team={team}", FRANCE) == f"{PARIS}\n"

    (completion_id,) = hansard_command(hansard, "completions", "list", "--meta", f"team={team}", "-q").split()
    stored = json.loads(hansard_command(hansard, "completions", "get", completion_id, "--json"))
    assert stored["metadata"] == {"team": team}
    assert stored["choices"][0]["message"]["content"] == PARIS
    shown = hansard_command(hansard, "completions", "get", completion_id)
    assert FRANCE in shown
    assert PARIS in shown
    (message,) = hansard_command(hansard, "completions", "messages", completion_id, "--jsonl").splitlines()
    assert json.loads(message)["content"] == FRANCE

    hansard_command(hansard, "completions", "update", completion_id, "--meta", "quality=gold")
    assert hansard.get(f"/chat/completions/{completion_id}").json()["metadata"] == {"quality": "gold"}
    hansard_command(hansard, "completions", "delete", completion_id, "--yes")
    assert hansard.get(f"/chat/completions/{completion_id}").status == 404
    hansard_command(hansard, "completions", "get", completion_id, exit_code=NOT_FOUND)


def test_list_in_a_pipe_pages_by_itself(hansard: Server) -> None:
    team = uuid.uuid4().hex
    made = [hansard.ask("Hello!", store=True, metadata={"team": team}, max_tokens=1).json()["id"] for _ in range(5)]
    mine = ("completions", "list", "--meta", f"team={team}", "--jsonl")
    assert [json.loads(line)["id"] for line in hansard_command(hansard, *mine).splitlines()] == made[::-1]
    two = hansard_command(hansard, *mine, "--limit", "2", "--order", "asc").splitlines()
    assert [json.loads(line)["id"] for line in two] == made[:2]


def test_models(hansard: Server) -> None:
    assert MODEL in hansard_command(hansard, "models", "list")


def test_a_question_from_a_pipe(hansard: Server) -> None:
    assert hansard_command(hansard, "chat", "-", stdin=FRANCE) == f"{PARIS}\n"


def test_a_key_is_asked_for_and_taken_from_the_environment(make_server: Workshop) -> None:
    key = "sk-acceptance-0123456789"
    server = make_server(model=ECHO, environment={"HANSARD_API_KEY": key}).start()
    hansard_command(server, "completions", "list", exit_code=NOT_AUTHORISED)
    assert hansard_command(server, "models", "list", "-q", OPENAI_API_KEY=key).split() == ["echo"]


def test_a_server_that_is_not_there(make_server: Workshop) -> None:
    server = make_server(model=ECHO).start()
    server.kill()
    ran = run(server, "completions", "list")
    assert ran.returncode == 1
    assert server.base_url in ran.stderr
    assert "Traceback" not in ran.stderr


def hansard_command(server: Server, *words: str, exit_code: int = 0, stdin: str = "", **environment: str) -> str:
    """What the command prints, once it has ended as expected."""
    ran = run(server, *words, stdin=stdin, **environment)
    assert ran.returncode == exit_code, ran.stdout + ran.stderr
    return ran.stdout


def run(server: Server, *words: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("HANSARD_", "OPENAI_"))}
    return subprocess.run(
        [sys.executable, "-m", "hansard", *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env={**ours, "OPENAI_BASE_URL": server.base_url, **environment},
        check=False,
    )

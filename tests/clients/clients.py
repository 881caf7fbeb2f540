"""The clients, how their programs are run, and what comes back. What is checked about it is in ``test_clients``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.server import Server

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
NODE = Path(__file__).parent / "node"
LIMIT_S = 100
KEY = "sk-clients-0123456789"


@dataclass(frozen=True)
class Client:
    """A program, the environment that runs it (a virtual one below the root, or Node), and what its users cannot do."""

    program: str
    environment: str | None = None
    asks_to_store: bool = True
    streams_text: bool = True
    returns_results_of_tools: bool = True


CLIENTS = {
    "openai-python-3": Client("use_openai.py", ".venv"),
    "openai-python-2": Client("use_openai.py", ".venv-openai2"),
    "openai-node": Client("use_openai.mjs"),
    "langchain": Client("use_langchain.py", ".venv-clients/langchain"),
    "llamaindex": Client("use_llamaindex.py", ".venv-clients/llamaindex"),
    "vercel-ai-sdk": Client("use_ai_sdk.mjs"),
    "instructor": Client(
        "use_instructor.py", ".venv-clients/instructor", streams_text=False, returns_results_of_tools=False
    ),
    "pydantic-ai": Client("use_pydantic_ai.py", ".venv-clients/pydantic-ai"),
    "llm": Client("use_llm.py", ".venv-clients/llm", asks_to_store=False),
}


@dataclass(frozen=True)
class Run:
    """What came of each operation of a program, the server it spoke to, and the metadata it stored with."""

    client: Client
    server: Server
    metadata: dict[str, str]
    outcomes: dict[str, dict[str, Any]]

    def stored(self, path: str) -> Any:
        """What the server itself says about stored completions."""
        return self.server.get(f"/chat/completions{path}", Authorization=f"Bearer {KEY}").json()

    def result(self, operation: str) -> Any:
        """What the program got. If that was an error, the test fails with the client's own traceback."""
        outcome = self.outcomes[operation]
        if "error" in outcome:
            pytest.fail(f"{self.client.program}: {operation}\n{outcome['error']}", pytrace=False)
        return outcome["result"]


def python_of(client: Client) -> str:
    """The interpreter of a client's virtual environment; the test is skipped where there is none."""
    python = ROOT / str(client.environment) / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no {client.environment}: `make test-clients` makes it")
    return str(python)


def run(client: Client, server: Server, *, interpreter: str, home: Path) -> Run:
    """Run the program as a user does who has exported the address, in a home of its own."""
    label = uuid.uuid4().hex
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "HANSARD_"))}
    environment = inherited | {
        "OPENAI_BASE_URL": server.base_url,
        "OPENAI_API_KEY": KEY,
        "RUN": label,
        "HOME": str(home),
        "LLM_USER_PATH": str(home),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),  # there is `hansard`
    }
    program = (PROGRAMS if client.environment else NODE) / client.program
    ran = subprocess.run(
        [interpreter, str(program)], env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return Run(client, server, {"team": "search", "run": label}, json.loads(ran.stdout))

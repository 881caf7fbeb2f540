"""The official Python client, in its two current lines, does everything in ``scenarios`` against one server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import replies, scenarios
from .scenarios import World
from .server import ECHO, Server
from .upstream import Upstream

HERE = Path(__file__).parent
LIMIT_S = 100

# `make test` builds the second one from requirements/openai2.txt.
CLIENTS = {"3": Path(sys.executable), "2": HERE.parents[1] / ".venv-openai2" / "bin" / "python"}


@pytest.fixture(scope="session")
def world(hansard: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("world")
    key = "sk-acceptance-0123456789"
    with (
        Upstream().running() as upstream,
        Server(directory / "broken", "--upstream", upstream.base_url, model=()) as broken,
        Server(directory / "keyed", model=ECHO, environment={"HANSARD_API_KEY": key}) as keyed,
    ):
        broken.start()
        keyed.start()
        yield World(url=hansard.base_url, keyed_url=keyed.base_url, key=key, broken_url=broken.base_url)


@pytest.fixture(scope="session", params=list(CLIENTS))
def ran(request: pytest.FixtureRequest, world: World) -> Any:
    """What the scenarios print with one line of the client."""
    python = CLIENTS[request.param]
    if not python.exists():
        pytest.skip(f"no {python.parents[1].name}: `make test` makes it")
    printed = run(python, HERE / "scenarios.py", json.dumps(vars(world)))
    assert printed["version"].startswith(f"{request.param}.")
    return printed


@pytest.mark.parametrize("scenario", [scenario.__name__ for scenario in scenarios.SCENARIOS])
def test_scenario(ran: Any, scenario: str) -> None:
    assert ran["outcomes"][scenario] is None, ran["outcomes"][scenario]


def test_every_reply_keeps_the_contract(ran: Any) -> None:
    kinds = set()
    for method, path, status, content_type, body in ran["replies"]:
        replies.check(method, path, status, content_type, body.encode())
        kinds.add((replies.kind_of(method, path, status), content_type))
    told = ("completion", "stored", "list", "messages", "deleted", "models", "model", "error")
    assert {(kind, "application/json") for kind in told} <= kinds
    assert ("completion", "text/event-stream; charset=utf-8") in kinds


def test_every_scenario_is_run() -> None:
    source = (HERE / "scenarios.py").read_text(encoding="utf-8")
    written = set(re.findall(r"^def (\w+)\(world: World\)", source, re.MULTILINE))
    assert written == {scenario.__name__ for scenario in scenarios.SCENARIOS}


def test_the_banners_python_runs_as_it_is(hansard: Server, tmp_path: Path) -> None:
    block = re.search(r"\nPython .*?\n\n(.*?)\n\n", hansard.banner, re.DOTALL)
    assert block is not None, hansard.banner
    script = tmp_path / "banner.py"
    script.write_text(block[1], encoding="utf-8")
    printed = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=LIMIT_S, check=True)
    answer, stored = printed.stdout.splitlines()
    assert answer == "The capital of France is Paris."
    assert "chatcmpl-" in stored


def run(python: Path, script: Path, *arguments: str) -> Any:
    """What a script prints, as JSON."""
    command = [str(python), str(script), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)

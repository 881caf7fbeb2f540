"""Our own conformance run: a server as an operator starts it, judged by the command that anybody can run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .server import ECHO, EMBEDDED, MODEL, Server

# With a key set, so that what is said to those without one is judged, too.
KEY = "sk-conformance-acceptance"
SUITE_S = 110


def judged(server: Server, model: str, directory: Path) -> list[dict[str, Any]]:
    """Every check with its outcome."""
    file = directory / "run.json"
    command = [sys.executable, "-m", "hansard", "conformance", "--base-url", server.base_url, "--model", model]
    environ = {**os.environ, "OPENAI_API_KEY": KEY}
    ended = subprocess.run(
        [*command, "--json", str(file)], env=environ, capture_output=True, text=True, timeout=SUITE_S, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    checks: list[dict[str, Any]] = json.loads(file.read_text())["checks"]
    return checks


@pytest.mark.parametrize(("arguments", "model"), [(ECHO, "echo"), (EMBEDDED, MODEL)], ids=["echo", "embedded"])
def test_every_check_that_applies_passes(arguments: tuple[str, ...], model: str, tmp_path: Path) -> None:
    with Server(tmp_path, model=arguments, environment={"HANSARD_API_KEY": KEY}) as server:
        checks = judged(server.start(), model, tmp_path)

    assert len(checks) >= 250
    excused = [check for check in checks if check["outcome"] == "not applicable"]
    # Whatever is not refused by name has to be tried, but for a model with a slash in its name, which is not here.
    others = [check["name"] for check in excused if not check["reason"].startswith("refused by name: ")]
    assert others == ["models.one_with_slashes_is_found"]

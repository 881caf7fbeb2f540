"""The official Node client does everything in ``node/scenarios.mjs``. It says so where Node is absent."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from .server import Server

NODE = Path(__file__).parent / "node"
LIMIT_S = 100

# npm's own words for a registry that does not answer, against a lock file that does not fit.
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH")


@pytest.fixture(scope="session")
def node() -> str:
    """Node, with the client installed from the lock file."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node and npm are not installed here")
    if not _installed():
        install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--prefer-offline"]
        ran = subprocess.run(install, cwd=NODE, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        if any(word in ran.stderr for word in UNREACHABLE):
            pytest.skip("the npm registry cannot be reached, and the client is not installed yet")
        assert ran.returncode == 0, ran.stderr
    return node


def test_the_node_client(node: str, hansard: Server) -> None:
    command = [node, str(NODE / "scenarios.mjs"), hansard.base_url]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert ran.returncode == 0, ran.stderr
    went_wrong = json.loads(ran.stdout)
    assert not went_wrong, "\n\n".join(f"{name}: {why}" for name, why in went_wrong.items())


def test_the_lock_names_no_registry() -> None:
    assert '"resolved"' not in (NODE / "package-lock.json").read_text(encoding="utf-8")


def _installed() -> bool:
    """Whether node_modules holds the version that the lock file names."""
    lock = json.loads((NODE / "package-lock.json").read_text(encoding="utf-8"))
    there = NODE / "node_modules" / "openai" / "package.json"
    wanted = lock["packages"]["node_modules/openai"]["version"]
    return there.exists() and json.loads(there.read_text(encoding="utf-8"))["version"] == wanted

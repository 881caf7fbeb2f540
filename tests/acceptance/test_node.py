"""The official Node client does everything in ``node/scenarios.mjs``. It says so where Node is absent."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from .npm import assert_no_registry, node_with_packages
from .server import Server

NODE = Path(__file__).parent / "node"
LIMIT_S = 100


@pytest.fixture(scope="session")
def node() -> str:
    """Node, with the client installed from the lock file."""
    return node_with_packages(NODE)


def test_the_node_client(node: str, hansard: Server) -> None:
    command = [node, str(NODE / "scenarios.mjs"), hansard.base_url]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert ran.returncode == 0, ran.stderr
    went_wrong = json.loads(ran.stdout)
    assert not went_wrong, "\n\n".join(f"{name}: {why}" for name, why in went_wrong.items())


def test_the_lock_names_no_registry() -> None:
    assert_no_registry(NODE)

"""Node clients, installed from npm as a lock file says.

It happens once, and where it cannot happen the tests that need it are skipped and say why.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

LIMIT_S = 100

# npm's own words for a registry that does not answer, against a lock file that does not fit.
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH")


def node_with_packages(directory: Path) -> str:
    """Node's path, once what the lock file in ``directory`` names is installed there."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node and npm are not installed here")
    if not _installed(directory):
        install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--prefer-offline"]
        ran = subprocess.run(install, cwd=directory, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        if any(word in ran.stderr for word in UNREACHABLE):
            pytest.skip("the npm registry cannot be reached, and the clients are not installed yet")
        assert ran.returncode == 0, ran.stderr
    return node


def assert_no_registry(directory: Path) -> None:
    """The lock file says what is installed, and leaves it to the machine where from."""
    assert '"resolved"' not in (directory / "package-lock.json").read_text(encoding="utf-8")


def _installed(directory: Path) -> bool:
    """Whether the packages lie there in the versions that the lock file names."""
    locked = json.loads((directory / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    return all(
        (there := directory / place / "package.json").exists()
        and json.loads(there.read_text(encoding="utf-8"))["version"] == package["version"]
        for place, package in locked.items()
        if place
    )

"""One server per SQLite file, and none kept out by one that is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hansard.errors import StartupError
from hansard.store.lock import alone

HOLDER = """
import sys
from pathlib import Path
from hansard.store.lock import alone

with alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_is_told_who_is_there_until_that_one_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "new" / "h.sqlite3"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"

        with pytest.raises(StartupError, match=rf"another `hansard serve` \(process {other.pid}\)"), alone(file):
            pass
        other.kill()

    with alone(file):
        assert (tmp_path / "new" / "h.sqlite3.lock").exists()


def test_another_database_is_another_lock(tmp_path: Path) -> None:
    with alone(tmp_path / "a"), alone(tmp_path / "b"):
        for name in "ab":
            with pytest.raises(StartupError), alone(tmp_path / name):
                pass


def test_it_can_be_had_again_by_who_let_it_go(tmp_path: Path) -> None:
    with alone(tmp_path / "a"):
        pass
    with alone(tmp_path / "a"), pytest.raises(StartupError), alone(tmp_path / "a"):
        pass

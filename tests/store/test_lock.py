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


def test_a_symbolic_link_is_the_file_that_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b").symlink_to(tmp_path / "a")
    with (
        alone(tmp_path / "a"),
        pytest.raises(StartupError, match="in use by another"),
        alone(tmp_path / "elsewhere" / "b"),
    ):
        pass


def test_a_file_with_two_names_is_refused_under_each(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    for name in "ab":
        with pytest.raises(StartupError, match="has another name as well"), alone(tmp_path / name):
            pass

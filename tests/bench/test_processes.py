import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.processes import (
    OURS,
    TICKS_PER_S,
    Server,
    alive,
    cpu_s,
    family,
    peak_mb,
    resident_mb,
    running,
    stat_fields,
)

# proc(5): pid (comm) state ppid pgrp session tty_nr tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime
STAT = "{pid} ({name}) S {parent} 1 1 0 -1 4194304 10 20 30 40 {user} {system} {child_user} {child_system} 20 0 1 0\n"


def process(proc: Path, pid: int, *, parent: int, ticks: tuple[int, int, int, int], kb: tuple[int, int]) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    user, system, child_user, child_system = ticks
    (folder / "stat").write_text(
        STAT.format(
            pid=pid,
            name="odd) (name",
            parent=parent,
            user=user,
            system=system,
            child_user=child_user,
            child_system=child_system,
        )
    )
    (folder / "status").write_text(f"Name:\tx\nVmHWM:\t{kb[0]} kB\nVmRSS:\t{kb[1]} kB\n")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    process(tmp_path, 10, parent=1, ticks=(100, 20, 3, 1), kb=(3000, 2000))
    process(tmp_path, 11, parent=10, ticks=(7, 5, 0, 0), kb=(500, 400))
    process(tmp_path, 12, parent=11, ticks=(1, 1, 0, 0), kb=(100, 100))
    process(tmp_path, 20, parent=1, ticks=(9999, 9999, 0, 0), kb=(9999, 9999))
    (tmp_path / "uptime").write_text("1 1\n")
    return tmp_path


def test_the_name_of_a_process_may_hold_spaces_and_brackets():
    assert stat_fields("7 (a) b (c) R 1 2") == ["R", "1", "2"]


def test_a_family_is_a_process_and_all_its_descendants(proc: Path):
    assert family(10, proc) == [10, 11, 12]


def test_processor_time_is_that_of_the_family_living_and_ended(proc: Path):
    assert cpu_s(10, proc) == (100 + 20 + 3 + 1 + 7 + 5 + 1 + 1) / TICKS_PER_S


def test_memory_is_added_up_over_the_family(proc: Path):
    assert peak_mb(10, proc) == 3600 * 1024 / 1e6
    assert resident_mb(10, proc) == 2500 * 1024 / 1e6


def test_a_process_runs_where_it_is_told_and_ends_with_its_block(tmp_path: Path):
    core = min(os.sched_getaffinity(0))
    command = [sys.executable, "-c", "import os; print(os.sched_getaffinity(0), flush=True); input()"]

    with running("sleeper", command, port=0, log=tmp_path / "log", cores=[core], stdin=b"") as server:
        assert alive(server)
        while not (tmp_path / "log").read_text():
            os.sched_yield()

    assert (tmp_path / "log").read_text().startswith(f"{{{core}}}")
    assert not alive(server)


BENCH = """
import asyncio, sys, uvloop
from pathlib import Path
from bench.processes import running, unwind_at_sigterm

unwind_at_sigterm()
command = [sys.executable, "-c", "import time; time.sleep(60)"]
with running("sleeper", command, port=0, log=Path(sys.argv[1])) as server:
    print(server.pid, flush=True)
    WAIT
"""


@pytest.mark.parametrize("wait", ["import time; time.sleep(60)", "uvloop.run(asyncio.sleep(60))"])
def test_the_servers_of_a_bench_that_is_ended_end_with_it(tmp_path: Path, wait: str):
    command = [sys.executable, "-c", BENCH.replace("WAIT", wait), str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **OURS}) as bench:
        server = Server("sleeper", "", int(bench.stdout.readline()), 0.0)
        assert alive(server)

        bench.terminate()

        assert bench.wait(20) == 128 + signal.SIGTERM
    assert not alive(server)

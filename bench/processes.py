"""Servers as processes of their own: started, awaited, weighed by /proc, and ended.

Linux only where it weighs: CPU time and memory come from /proc, of a process and all its children.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
# For processes that run modules of the benches.
OURS = {"PYTHONPATH": str(ROOT)}
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
STOP_S = 15.0


class CannotRun(Exception):
    """A bench cannot run, or its numbers would not mean anything; the text says why."""


@dataclass(frozen=True)
class Server:
    """A running server: where it answers, its process, and the moment it was started."""

    name: str
    url: str
    pid: int
    started: float

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


def unwind_at_sigterm() -> None:
    """From now on SIGTERM ends this process as an exception does, so that the servers it started end with it.

    They would live on: each is in a session of its own.
    """

    def unwind(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, unwind)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    *,
    port: int,
    log: Path,
    environment: Mapping[str, str] | None = None,
    cores: Sequence[int] = (),
    stdin: bytes | None = None,
) -> Iterator[Server]:
    """The command as a process group of its own, which ends with the block; its output goes to ``log``.

    With ``cores`` it and its children run there only. It may not answer yet.
    """
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
        )
    try:
        if stdin is not None and process.stdin is not None:
            process.stdin.write(stdin)
            process.stdin.flush()
        yield Server(name, f"http://127.0.0.1:{port}", process.pid, started)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with suppress(ProcessLookupError):  # what it left behind in its group
        os.killpg(process.pid, signal.SIGKILL)


def alive(server: Server) -> bool:
    """Whether its process still runs."""
    with suppress(OSError):
        return _state(server.pid) != "Z"
    return False


def family(pid: int, proc: Path = Path("/proc")) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in proc.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = stat_fields((entry / "stat").read_text())
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found.extend(children.get(each, ()))
    return found


def cpu_s(pid: int, proc: Path = Path("/proc")) -> float:
    """Seconds of processor that the process and its descendants have used, those that have ended included."""
    ticks = 0
    for each in family(pid, proc):
        with suppress(OSError):
            ticks += sum(map(int, stat_fields((proc / str(each) / "stat").read_text())[11:15]))
    return ticks / TICKS_PER_S


def peak_mb(pid: int, proc: Path = Path("/proc")) -> float:
    """The most memory each of them ever held, added up, in MB."""
    return _memory_kb(pid, "VmHWM:", proc) * 1024 / 1e6


def resident_mb(pid: int, proc: Path = Path("/proc")) -> float:
    """The memory they hold now, added up, in MB."""
    return _memory_kb(pid, "VmRSS:", proc) * 1024 / 1e6


def stat_fields(line: str) -> list[str]:
    """The fields of ``/proc/PID/stat`` behind the name, from the state on: the name may hold spaces and brackets.

    So field N of proc(5) is at N - 3: parent 1, utime to cstime 11 to 14.
    """
    return line.rpartition(")")[2].split()


def _memory_kb(pid: int, key: str, proc: Path) -> int:
    total = 0
    for each in family(pid, proc):
        with suppress(OSError):
            for line in (proc / str(each) / "status").read_text().splitlines():
                if line.startswith(key):
                    total += int(line.split()[1])
    return total


def _state(pid: int) -> str:
    return stat_fields(Path(f"/proc/{pid}/stat").read_text())[0]

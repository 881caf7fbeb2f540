"""What a process holds, as Linux tells it under ``/proc``."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Memory(NamedTuple):
    """In MB. ``own`` is what the process itself has written to; ``resident`` has pages of files as well.

    Pages of files that nobody else has open would count as private ones: programs and libraries, until another process
    starts that needs the same. So they are left out of what is judged.
    """

    own: float
    resident: float


def memory(pid: int, proc: Path = PROC) -> Memory:
    """https://docs.kernel.org/filesystems/proc.html: anonymous pages, and those that were swapped out."""
    found = {"Rss": 0, "Anonymous": 0, "Swap": 0}
    for line in (proc / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        if name in found:
            found[name] = int(rest.split()[0])
    return Memory((found["Anonymous"] + found["Swap"]) * 1024 / 1e6, found["Rss"] * 1024 / 1e6)


def files(pid: int, proc: Path = PROC) -> list[str]:
    """What each open file leads to; a socket is ``socket:[NUMBER]``."""
    found = []
    for entry in (proc / str(pid) / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed since
            found.append(os.readlink(entry))
    return found


def threads(pid: int, proc: Path = PROC) -> int:
    """How many there are."""
    return len(os.listdir(proc / str(pid) / "task"))

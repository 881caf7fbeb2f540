"""What a process holds, as Linux tells it under ``/proc``."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Memory(NamedTuple):
    """In MB. ``own`` is what the system would get back if the process ended; ``resident`` has what it shares, too."""

    own: float
    resident: float


def memory(pid: int, proc: Path = PROC) -> Memory:
    """https://docs.kernel.org/filesystems/proc.html: private pages, and those that were swapped out."""
    found = {"Rss": 0, "Private_Clean": 0, "Private_Dirty": 0, "Swap": 0}
    for line in (proc / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        if name in found:
            found[name] = int(rest.split()[0])
    own = found["Private_Clean"] + found["Private_Dirty"] + found["Swap"]
    return Memory(own * 1024 / 1e6, found["Rss"] * 1024 / 1e6)


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

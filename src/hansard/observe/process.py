"""What this process takes, under the names that Prometheus has for every process, where it has one."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Final

from hansard.observe.instruments import Gauge

# https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
_PROC: Final = Path("/proc/self")


def gauges(*, since: float) -> list[Gauge]:
    """Processor time, the start in unix seconds, and pieces of memory; all memory, files and threads where the system
    tells them (Linux)."""
    found = {
        "process_cpu_seconds_total": ("Processor time of this process, that of an engine's not included.", _cpu_s()),
        "process_start_time_seconds": ("When it started, in unix seconds.", since),
        # Resident memory stays at what the busiest moment took, so that it tells late of something that only grows.
        "hansard_python_allocated_blocks": ("Pieces of memory that Python objects take.", sys.getallocatedblocks()),
    }
    if sys.platform == "linux":
        pages = int((_PROC / "statm").read_text().split()[1])
        found["process_resident_memory_bytes"] = ("Memory in use.", pages * os.sysconf("SC_PAGE_SIZE"))
        found["process_open_fds"] = ("Files and sockets that are open.", len(os.listdir(_PROC / "fd")))
        found["process_threads"] = ("Threads of the system.", len(os.listdir(_PROC / "task")))
    return [Gauge(name, text, {(): value}) for name, (text, value) in found.items()]


def _cpu_s() -> float:
    return time.process_time()

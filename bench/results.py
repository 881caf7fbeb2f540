"""What the benches measured: kept as JSON, and put into docs/benchmarks.md."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.processes import ROOT, TICKS_PER_S

# Peers' environments, databases and results; git does not see it.
FOLDER = ROOT / ".bench"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- last results of {} -->", "<!-- end -->"


@dataclass(frozen=True)
class Busy:
    """Seconds of processor used until now: by everything on this machine, and by this process and its children."""

    at: float
    machine_s: float
    ours_s: float

    @classmethod
    def now(cls) -> Busy:
        user, nice, system, _, _, irq, softirq, *_ = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        machine_s = sum(map(int, (user, nice, system, irq, softirq))) / TICKS_PER_S
        return cls(time.monotonic(), machine_s, sum(os.times()[:4]))

    def others_since(self, before: Busy) -> float:
        """How many processors the work of others took, on average."""
        others_s = (self.machine_s - before.machine_s) - (self.ours_s - before.ours_s)
        return round(max(0.0, others_s) / (self.at - before.at), 2)


def keep(folder: Path, name: str, measured: dict[str, Any]) -> None:
    """Write ``NAME.json``: what was measured, when, and on what."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"bench": name, "at": _now(), "machine": machine(), **measured}, indent=2) + "\n")
    print(f"\nwritten to {file}")


def missed(measured: Mapping[str, Any]) -> list[str]:
    """What was asked of Hansard and not met. What could not be measured, as a peer is missing, is neither."""
    return [
        f"{bar['what']}: {bar['measured']:,.4g}, {sense.replace('_', ' ')} {bar[sense]:,.4g} is asked"
        for bar in measured["bars"]
        for sense in ("at_most", "at_least")
        if sense in bar and bar["met"] is False
    ]


def document(reports: Mapping[str, Callable[[dict[str, Any]], str]], results: Path) -> None:
    """Replace the table of each bench in the document by that of its last results."""
    text = DOCUMENT.read_text()
    for name, report in reports.items():
        file = results / f"{name}.json"
        if file.exists():
            text = replaced(text, name, shown(json.loads(file.read_text()), report))
        else:
            print(f"{name}: no results in {results}")
    DOCUMENT.write_text(text)


def shown(measured: dict[str, Any], report: Callable[[dict[str, Any]], str]) -> str:
    """When and where it was measured, and the table."""
    where = ", ".join(f"{key} {value}" for key, value in measured["machine"].items())
    where += f"; meanwhile other work took {measured['other_work']} of a core"
    return f"Measured {measured['at']}; {where}.\n\n{report(measured).strip()}"


def replaced(text: str, name: str, table: str) -> str:
    """``text`` with that between the marks of this bench."""
    before, begin, rest = text.partition(BEGIN.format(name))
    if not begin:
        raise ValueError(f"{DOCUMENT.name} has no marks for {name}")
    return before + begin + f"\n\n{table}\n\n" + END + rest.partition(END)[2]


def machine() -> dict[str, Any]:
    """What it was measured on, and how busy that was."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": model[0].partition(":")[2].strip() if model else platform.processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""``python -m bench [NAME] ...``: runs one bench, or all that can run, and keeps what each measured as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import validation
from bench.engine import run as engine
from bench.processes import ROOT, TICKS_PER_S, CannotRun
from bench.proxy import many_streams
from bench.proxy import run as proxy

BENCHES: dict[str, ModuleType] = {
    "validation": validation,
    "engine": engine,
    "proxy": proxy,
    "many-streams": many_streams,
}
# Peers' environments and results; git does not see it.
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


def main() -> None:
    """Run what was asked for; without a name, everything."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--results", type=Path, default=FOLDER / "results", help="folder for the JSON files")
    names = parser.add_subparsers(dest="bench", metavar="NAME")
    for name, module in BENCHES.items():
        module.add_arguments(names.add_parser(name, help=(module.__doc__ or "").partition("\n")[0]))
    names.add_parser("document", help=f"put the last results into {DOCUMENT.relative_to(ROOT)}")
    asked = parser.parse_args()
    if asked.bench == "document":
        document(asked.results)
        return
    failed = []
    for name in [asked.bench] if asked.bench else BENCHES:
        print(f"\n{name}: {(BENCHES[name].__doc__ or '').partition(chr(10))[0]}\n", flush=True)
        told = asked if asked.bench else parser.parse_args(["--results", str(asked.results), name])
        before = Busy.now()
        try:
            measured = BENCHES[name].run(told, FOLDER)
            keep(asked.results, name, {**measured, "other_work": Busy.now().others_since(before)})
        except CannotRun as failure:
            failed.append(f"{name}: {failure}")
    if failed:
        raise SystemExit("\n".join(["These could not run:", *failed]))


def keep(folder: Path, name: str, measured: dict[str, Any]) -> None:
    """Write ``NAME.json``: what was measured, when, and on what."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"bench": name, "at": _now(), "machine": machine(), **measured}, indent=2) + "\n")
    print(f"\nwritten to {file}")


def document(results: Path) -> None:
    """Replace each table of the document by that of the last results."""
    text = DOCUMENT.read_text()
    for name, module in BENCHES.items():
        file = results / f"{name}.json"
        if not file.exists():
            print(f"{name}: no results in {results}")
            continue
        measured = json.loads(file.read_text())
        where = ", ".join(f"{key} {value}" for key, value in measured["machine"].items())
        where += f"; meanwhile other work took {measured['other_work']} of a core"
        before, begin, rest = text.partition(BEGIN.format(name))
        table = f"\n\nMeasured {measured['at']}; {where}.\n\n{module.report(measured).strip()}\n\n"
        text = before + begin + table + END + rest.partition(END)[2]
    DOCUMENT.write_text(text)


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


if __name__ == "__main__":
    main()

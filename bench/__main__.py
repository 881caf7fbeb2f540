"""``python -m bench [NAME] ...``: runs one bench, or all that can run, and keeps what each measured as JSON.

Ends with status 1 if a bar was missed or a bench could not run.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from types import ModuleType

from bench import authentication, counting, validation
from bench.engine import run as engine
from bench.processes import ROOT, CannotRun, unwind_at_sigterm
from bench.proxy import many_streams
from bench.proxy import run as proxy
from bench.results import DOCUMENT, FOLDER, Busy, document, keep, missed

BENCHES: dict[str, ModuleType] = {
    "validation": validation,
    "authentication": authentication,
    "counting": counting,
    "engine": engine,
    "proxy": proxy,
    "many-streams": many_streams,
}


def main() -> None:
    """Run what was asked for; without a name, everything."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--results", type=Path, default=FOLDER / "results", help="folder for the JSON files")
    names = parser.add_subparsers(dest="bench", metavar="NAME")
    for name, module in BENCHES.items():
        module.add_arguments(names.add_parser(name, help=(module.__doc__ or "").partition("\n")[0]))
    names.add_parser("document", help=f"put the last results into {DOCUMENT.relative_to(ROOT)}")
    asked = parser.parse_args()
    unwind_at_sigterm()
    if asked.bench == "document":
        document({name: module.report for name, module in BENCHES.items()}, asked.results)
        return
    failed = []
    for name in [asked.bench] if asked.bench else BENCHES:
        print(f"\n{name}: {(BENCHES[name].__doc__ or '').partition(chr(10))[0]}\n", flush=True)
        told = asked if asked.bench else parser.parse_args(["--results", str(asked.results), name])
        before = Busy.now()
        try:
            measured = BENCHES[name].run(told, FOLDER)
            keep(asked.results, name, {**measured, "other_work": Busy.now().others_since(before)})
            failed += [f"{name}: {each}" for each in missed(measured)]
        except CannotRun as failure:
            failed.append(f"{name}: {failure}")
    if failed:
        raise SystemExit("\n".join(["Missed, or could not run:", *failed]))


if __name__ == "__main__":
    main()

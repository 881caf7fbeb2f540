"""``python -m bench.store [PART ...]``: measures the store, each part on each database, and keeps it as JSON.

Ends with status 1 if a bar was missed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from types import ModuleType

from bench.processes import CannotRun, unwind_at_sigterm
from bench.results import FOLDER, Busy, document, keep
from bench.store import disturb, reads, rows, searches, size, writes
from bench.store.bars import missed
from bench.store.databases import NAMES, place

PARTS: dict[str, ModuleType] = {
    "writes": writes,
    "reads": reads,
    "size": size,
    "disturb": disturb,
    "searches": searches,
}
FILL = "fill"
"""Only puts in what the reads and searches want, so that they can be measured later at once."""
_NAMES = (*PARTS, FILL, "document")


def main() -> None:
    """Run what was asked for; without a part, all of them."""
    asked = arguments().parse_args()
    unwind_at_sigterm()
    reports = {f"store-{part}-{name}": PARTS[part].report for part in PARTS for name in NAMES}
    if asked.parts == ["document"]:
        document(reports, asked.results)
        return
    failed = []
    for name in asked.database or NAMES:
        with place(name, asked.folder) as databases:
            if FILL in asked.parts:
                for count in (asked.few, asked.many):
                    rows.filled(databases, count)
                searches.filled(databases, asked.searched)
            for part in [each for each in asked.parts or PARTS if each != FILL]:
                title = f"store-{part}-{name}"
                print(f"\n{title}: {(PARTS[part].__doc__ or '').partition(chr(10))[0]}\n", flush=True)
                before = Busy.now()
                try:
                    measured = PARTS[part].run(asked, databases)
                except CannotRun as failure:
                    failed.append(f"{title}: {failure}")
                    continue
                keep(asked.results, title, {**measured, "other_work": Busy.now().others_since(before)})
                failed += [f"{title}: {each}" for each in missed(measured)]
    if failed:
        raise SystemExit("\n".join(["Missed, or could not run:", *failed]))


def _part(text: str) -> str:
    # Not by `choices`: with `*` they refuse that there is none.
    if text not in _NAMES:
        raise argparse.ArgumentTypeError(f"one of {', '.join(_NAMES)}")
    return text


def arguments() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.store", description=__doc__)
    parser.add_argument("parts", nargs="*", type=_part, metavar="PART", help=", ".join(_NAMES))
    parser.add_argument("--database", action="append", choices=NAMES, help="one of them only")
    parser.add_argument("--results", type=Path, default=FOLDER / "results", help="folder for the JSON files")
    parser.add_argument("--folder", type=Path, default=FOLDER / "store", help="folder for the databases")
    for module in PARTS.values():
        module.add_arguments(parser)
    return parser


if __name__ == "__main__":
    main()

"""Holds the licence of each package in a lock to a list of those that may be there: ``licences.py LOCK``.

What is installed here is asked, so no network is needed; a package for another platform is told and passed over.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

# All may be used, changed and sold with no more than their notice kept. The last two bind their own files only:
# MPL-2.0 is the list of certificates (certifi), LGPL-3.0 is psycopg, which is an extra and imported as it is.
ALLOWED = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "PSF-2.0", "Unlicense", "Zlib"}
    | {"MPL-2.0", "LGPL-3.0-only"}
)

# Before there were expressions: classifiers and free words, as packages in our locks have them.
WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT licensed, as found in the LICENSE file": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}

PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[\w,-]+\])?==", re.MULTILINE)


def licence(package: str) -> str:
    """As the package says it: its expression, or else its classifiers, or else its own words, as an expression."""
    said = metadata(package)
    if expression := said.get("License-Expression"):
        return str(expression)
    classifiers = [line.rsplit(" :: ", 1)[-1] for line in said.get_all("Classifier", []) if line.startswith("License")]
    words = [word for word in classifiers if word != "OSI Approved"] or [said.get("License", "").strip()]
    return " AND ".join(WORDS.get(word, word) for word in words)


def is_allowed(expression: str) -> bool:
    """Of what is joined by OR one has to be, of what is joined by AND all; where there are parentheses, all."""
    if "(" in expression:
        return _are_allowed(re.split(r" (?:AND|OR) ", re.sub(r"[()]", "", expression)))
    return any(_are_allowed(choice.split(" AND ")) for choice in expression.split(" OR "))


def _are_allowed(names: list[str]) -> bool:
    return all(name.strip().split(" WITH ")[0] in ALLOWED for name in names)


def refused(lock: Path) -> Iterator[str]:
    """A line for each package that may not be there, or does not say what it is."""
    for package in PIN.findall(lock.read_text(encoding="utf-8")):
        try:
            said = licence(package)
        except PackageNotFoundError:
            print(f"{package}: not for this platform")  # noqa: T201
            continue
        if not is_allowed(said):
            yield f"{package}: {said or 'no licence'} is not on the list in {Path(__file__).name}."


if __name__ == "__main__":
    problems = [line for lock in sys.argv[1:] for line in refused(Path(lock))]
    sys.exit("\n".join(problems) or 0)

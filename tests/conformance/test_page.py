"""docs/conformance.md was made of the suite as it is."""

from __future__ import annotations

import re
from pathlib import Path

from hansard.conformance.suite import all_checks

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


def test_the_page_tells_of_every_check_and_of_no_other() -> None:
    _, *operations = re.split(r"^### (\w+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    told = [
        f"{operation}.{rule}"
        for operation, table in zip(operations[::2], operations[1::2], strict=True)
        for rule in re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    ]

    assert sorted(told) == sorted(check.name for check in all_checks())

"""The bench of limits and of the audit log measures each of its rows, and holds those of limits to their bar."""

import argparse
from pathlib import Path

import pytest

from bench import counting


def test_each_row_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "READS", 32)
    measured = counting.run(argparse.Namespace(rounds=1), tmp_path)

    names = [name for name, *_ in (*counting.PRINCIPALS, *counting.READ_ROWS)]
    assert [row["row"] for row in measured["rows"]] == names
    assert all(row["cpu_us"] > 0 for row in measured["rows"])
    assert [bar["met"] for bar in measured["bars"]] == [row["cpu_us"] <= 20.0 for row in measured["rows"][:2]]


def test_a_miss_cannot_be_overlooked() -> None:
    rows = [{"row": "x", "cpu_us": 31.0, "at_most_us": 20.0}, {"row": "y", "cpu_us": 31, "at_most_us": None}]

    assert counting.report({"rows": rows}).count("**missed**") == 1

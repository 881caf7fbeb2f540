"""The bench of keys lets in who is to be let in, and holds each row to its bar."""

import argparse
from pathlib import Path

from bench import authentication


def test_each_kind_of_key_is_held_to_the_bar(tmp_path: Path) -> None:
    measured = authentication.run(argparse.Namespace(rounds=1), tmp_path)
    assert [row["row"] for row in measured["rows"]] == [name for name, _ in authentication.ROWS]
    assert all(row["met"] == (row["cpu_us"] <= 25.0) for row in measured["rows"])


def test_a_miss_cannot_be_overlooked() -> None:
    rows = [{"row": "x", "cpu_us": 31.0, "at_most_us": 25.0, "met": False}]
    assert "**missed**" in authentication.report({"rows": rows})

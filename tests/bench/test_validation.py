"""What the bench of validation measures is a request as clients send it, and one that is right."""

import argparse
import json
from pathlib import Path

import pytest

from bench import validation
from bench.validation import CASES, Case, request
from hansard.core.validate import parse_create


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_request_is_of_the_size_it_says_and_valid(case: Case) -> None:
    body = request(messages=case.messages, size_bytes=case.size_bytes)

    assert len(json.loads(body)["messages"]) == case.messages
    assert abs(len(body) - case.size_bytes) < 0.05 * case.size_bytes
    parse_create(body)


def test_each_size_is_held_to_its_bar(tmp_path: Path) -> None:
    rows = validation.run(argparse.Namespace(rounds=1), tmp_path)["rows"]

    assert [row["at_most_us"] for row in rows] == [30.0, 2_000.0]
    assert all(row["met"] == (row["cpu_us"] <= row["at_most_us"]) for row in rows)


def test_a_miss_cannot_be_overlooked() -> None:
    rows = [{"row": "x", "bytes": 2000, "cpu_us": 31.0, "at_most_us": 30.0, "met": False}]

    assert "**missed**" in validation.report({"rows": rows})

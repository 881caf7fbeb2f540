"""What the bench of validation measures is a request as clients send it, and one that is right."""

import argparse
import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from bench import validation
from bench.validation import CASES, Case, request
from hansard.core.validate import parse_create
from hansard.errors import InvalidRequest


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_request_is_of_the_size_it_says_and_valid(case: Case) -> None:
    body = request(messages=case.messages, size_bytes=case.size_bytes)

    assert len(json.loads(body)["messages"]) == case.messages
    assert abs(len(body) - case.size_bytes) < 0.05 * case.size_bytes
    parse_create(body)


@pytest.mark.parametrize(("who", "is_refused"), [(validation.UPSTREAM, False), (validation.OURS, True)])
def test_who_answers_decides_about_what_the_contract_does_not_name(
    tmp_path: Path, who: str, *, is_refused: bool
) -> None:
    check = validation.checks_for(tmp_path)[who]
    beyond = request(messages=5, size_bytes=2_000).replace(b'{"model"', b'{"beyond": 1, "model"', 1)

    with pytest.raises(InvalidRequest, match="'beyond'") if is_refused else nullcontext():
        check(beyond)


def test_each_size_is_held_to_its_bar_whoever_answers(tmp_path: Path) -> None:
    rows = validation.run(argparse.Namespace(rounds=1), tmp_path)["rows"]

    assert [row["at_most_us"] for row in rows] == [30.0, 30.0, 2_000.0, 2_000.0]
    assert all(row["met"] == (row["cpu_us"] <= row["at_most_us"]) for row in rows)


def test_a_miss_cannot_be_overlooked() -> None:
    rows = [{"row": "x", "who": "y", "bytes": 2000, "cpu_us": 31.0, "at_most_us": 30.0, "met": False}]

    assert "**missed**" in validation.report({"rows": rows})

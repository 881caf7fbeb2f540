"""``python -m bench``: a miss is in its exit status, so that nobody can overlook it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as main
from bench import validation
from bench.results import missed


def benched(monkeypatch: pytest.MonkeyPatch, results: Path) -> dict[str, Any]:
    """What validation kept, once it has run by name."""
    monkeypatch.setattr(sys, "argv", ["bench", "--results", str(results), "validation", "--rounds", "1"])
    main.main()
    kept: dict[str, Any] = json.loads((results / "validation.json").read_text())
    return kept


@pytest.fixture(autouse=True)
def handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is the tests' and keeps its own way to end."""
    monkeypatch.setattr(main, "unwind_at_sigterm", lambda: None)


def cases(bar_us: float) -> tuple[validation.Case, ...]:
    return (validation.Case("small", messages=5, size_bytes=2_000, repeats=1, bar_us=bar_us),)


def test_a_miss_ends_with_a_failure_and_is_kept_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "CASES", cases(0.001))

    with pytest.raises(
        SystemExit, match=r"validation: CPU us to check small, for an upstream: .*, at most 0\.001 is asked"
    ):
        benched(monkeypatch, tmp_path)

    assert not json.loads((tmp_path / "validation.json").read_text())["bars"][0]["met"]


def test_what_is_met_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "CASES", cases(1e9))

    assert benched(monkeypatch, tmp_path)["bars"][0]["met"]


def test_only_what_was_measured_can_be_missed() -> None:
    bars = [
        {"what": "a", "at_most": 1.0, "measured": 2.0, "met": False},
        {"what": "b", "at_least": 0.9, "measured": 0.5, "met": False},
        {"what": "c", "at_most": 1.0, "measured": None, "met": None},
        {"what": "d", "at_most": 1.0, "measured": 1.0, "met": True},
    ]

    assert missed({"bars": bars}) == ["a: 2, at most 1 is asked", "b: 0.5, at least 0.9 is asked"]

import json
import sys
from pathlib import Path

import pytest

from bench.results import DOCUMENT
from bench.store import __main__ as main
from bench.store.databases import NAMES


def test_a_part_that_misses_a_bar_ends_with_a_failure_and_is_kept_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ["size", "--database", "sqlite", "--completions", "8", "--folder", str(tmp_path), "--results", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["bench.store", *told])
    monkeypatch.setattr(main, "unwind_at_sigterm", lambda: None)  # this process is the tests'

    # A bar for thousands of completions: eight do not even fill the first page of each table.
    with pytest.raises(SystemExit, match=r"store-size-sqlite: single turns: .* at most 0\.8 is asked"):
        main.main()

    kept = json.loads((tmp_path / "store-size-sqlite.json").read_text())
    assert kept["bench"] == "store-size-sqlite"
    assert not kept["bars"][0]["met"]


def test_every_part_has_its_place_in_the_document() -> None:
    text = DOCUMENT.read_text()

    for part in main.PARTS:
        for name in NAMES:
            assert f"<!-- last results of store-{part}-{name} -->" in text


def test_without_a_name_every_part_runs_and_an_unknown_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.arguments().parse_args([]).parts == []
    assert main.arguments().parse_args(["size", "reads"]).parts == ["size", "reads"]
    with pytest.raises(SystemExit):
        main.arguments().parse_args(["sizes"])
    assert "one of writes, reads, size, disturb, searches, fill, document" in capsys.readouterr().err

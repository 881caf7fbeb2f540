"""cli/leaving: what is written out, how it goes on after an interruption, and what is said of a deletion."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from hansard.store.tenants import Project
from tests.cli.run import Run
from tests.store.sound import opened, sound_record

SHOP = "proj_" + "s" * 24


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a project that has three completions, and one of the default project."""

    async def fill() -> None:
        store = opened(tmp_path / "data" / "hansard.sqlite3")
        await store.start()
        await store.tenants.keep([Project(id=SHOP, name="shop", created=1)], [])
        for number, name in enumerate("abc"):
            await store.insert(sound_record(name, project=SHOP, created=number))
        await store.insert(sound_record("d", project="default"))
        await store.stop()

    asyncio.run(fill())
    return tmp_path / "data"


def ids(text: str) -> list[str]:
    return [json.loads(line)["id"] for line in text.splitlines()]


ALL = ["chatcmpl-a", "chatcmpl-b", "chatcmpl-c"]


def test_all_of_a_project_is_written_out_by_name_or_id(run: Run, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "shop.jsonl"
    outcome = run("projects", "export", "shop", "--output", str(file), "--data", str(data))

    assert outcome == (0, "", "3 completions.\n")
    assert ids(file.read_text()) == ALL
    assert json.loads(file.read_text().splitlines()[0])["reply"]["choices"][0]["message"]["content"] == "Aye."
    assert file.stat().st_mode & 0o077 == 0


def test_the_default_project_can_be_exported(run: Run, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "default.jsonl"
    run("projects", "export", "default", "--output", str(file), "--data", str(data))

    assert ids(file.read_text()) == ["chatcmpl-d"]


@pytest.mark.parametrize("cut", [0, 1, 50, -1, -30])
def test_an_interrupted_export_goes_on(run: Run, data: Path, tmp_path: Path, cut: int) -> None:
    file = tmp_path / "shop.jsonl"
    run("projects", "export", SHOP, "--output", str(file), "--data", str(data))
    whole = file.read_bytes()
    file.write_bytes(whole[:cut])

    outcome = run("projects", "export", SHOP, "--output", str(file), "--resume", "--data", str(data))

    assert outcome.code == 0
    assert file.read_bytes() == whole


def test_a_file_that_is_there_is_not_written_over(run: Run, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "shop.jsonl"
    file.write_text("mine")

    outcome = run("projects", "export", "shop", "--output", str(file), "--data", str(data))

    assert (outcome.code, outcome.err) == (1, f"{file}: File exists.\n")
    assert file.read_text() == "mine"


def test_a_file_of_another_project_is_not_gone_on_with(run: Run, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "shop.jsonl"
    file.write_text('{"id":"chatcmpl-d"}\n')

    outcome = run("projects", "export", "shop", "--output", str(file), "--resume", "--data", str(data))

    assert outcome == (1, "", f"{file}: its last line is of no completion of this project.\n")


def test_a_deletion_leaves_nothing_and_says_so(run: Run, data: Path) -> None:
    outcome = run("projects", "delete", "shop", "--yes", "--data", str(data))

    assert (outcome.code, outcome.out) == (0, f"{SHOP}: 3 completions deleted, nothing is left.\n")
    assert run("projects", "export", "shop", "--data", str(data)).code == 5
    assert "shop" not in run("projects", "list", "--data", str(data)).out
    assert "project.deleted" in run("audit", "export", "--data", str(data)).out


def test_without_a_yes_nothing_is_deleted(run: Run, data: Path, tmp_path: Path) -> None:
    assert run("projects", "delete", "shop", "--data", str(data)).code == 1

    file = tmp_path / "shop.jsonl"
    run("projects", "export", "shop", "--output", str(file), "--data", str(data))
    assert ids(file.read_text()) == ALL


def test_the_default_project_stays(run: Run, data: Path) -> None:
    outcome = run("projects", "delete", "default", "--yes", "--data", str(data))

    assert outcome == (1, "", "The default project cannot be deleted.\n")


def test_a_project_that_nobody_knows(run: Run, data: Path) -> None:
    assert run("projects", "delete", "other", "--yes", "--data", str(data)) == (5, "", "Project other not found.\n")


def test_where_no_database_is_none_is_made(run: Run, tmp_path: Path) -> None:
    outcome = run("projects", "delete", "shop", "--yes", "--data", str(tmp_path / "none"))

    assert (outcome.code, outcome.out) == (1, "")
    assert not (tmp_path / "none").exists()

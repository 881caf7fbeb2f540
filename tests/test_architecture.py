"""ARCHITECTURE.md is the map: every room it draws exists, and every room that exists is drawn."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from hansard.config import Settings

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "hansard"
MAP = ROOT / "ARCHITECTURE.md"
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def rooms_drawn() -> set[str]:
    table = MAP.read_text().split("## Rooms")[1].split("\n## ")[0]
    return {row.split("`")[1].rstrip("/") for row in table.splitlines() if row.startswith("| `")}


def rooms_built() -> set[str]:
    return {
        path.name
        for path in PACKAGE.iterdir()
        if (path.suffix == ".py" and path.name != "__init__.py") or (path / "__init__.py").exists()
    }


def test_the_rooms_drawn_are_the_rooms_built() -> None:
    assert rooms_drawn() == rooms_built()


def test_the_map_stays_one_page() -> None:
    assert len(MAP.read_text().splitlines()) <= 150


def test_the_map_and_the_linter_agree_on_the_order() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]

    [drawn] = re.findall(r"^`(cli > .*)`$", MAP.read_text(), re.MULTILINE)

    assert drawn.split(" > ") == layers


@pytest.mark.parametrize(
    "page", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/*.md")], ids=lambda page: page.name
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    broken = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]

    assert broken == []


def test_files_and_functions_stay_small() -> None:
    """A file of more than 400 lines is a smell; this one finds the smell before a reader does."""
    long = {
        str(path.relative_to(ROOT)): n for path in PACKAGE.rglob("*.py") if (n := path.read_text().count("\n")) > 450
    }

    assert long == {}


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()

    documented = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)

    assert documented == [field for field in Settings.__struct_fields__ if field != "origins"]

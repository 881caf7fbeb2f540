"""docs/scaling.md says of every table how it would be distributed, in the words of each database."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hansard.store.schema import TABLES

PAGE = (Path(__file__).parents[1] / "docs" / "scaling.md").read_text(encoding="utf-8")
DISTRIBUTED = PAGE.split("## Tables distributed")[1]


# What is looked for without a project.
WHOLE = {"projects", "keys", "audit", "revisions"}


@pytest.mark.parametrize("name", sorted(set(TABLES.tables) - WHOLE))
def test_every_table_is_distributed_by_project(name: str) -> None:
    listed = re.findall(r"`(\w+)`", DISTRIBUTED.split("The tables: ")[1].split(".")[0])
    assert name in listed
    assert f"SELECT create_distributed_table('{name}', 'project'" in DISTRIBUTED
    # YugabyteDB's are spelled out to show the key, which has to be the one that the table has.
    [columns] = re.findall(rf"^CREATE TABLE {name} +\(\.\.\., PRIMARY KEY \(([^)]*)\)", DISTRIBUTED, re.MULTILINE)
    expected = [column.name for column in TABLES.tables[name].primary_key]
    if expected == ["number"]:  # which PostgreSQL's tables have behind the project
        expected = ["project", "number"]
    assert [column.split()[0] for column in columns.split(", ")] == expected
    assert columns.split(", ")[0] == "project HASH"


def test_nothing_is_listed_that_is_gone() -> None:
    assert set(re.findall(r"create_distributed_table\('(\w+)'", DISTRIBUTED)) == set(TABLES.tables) - WHOLE
    assert set(re.findall(r"create_reference_table\('(\w+)'", DISTRIBUTED)) == WHOLE
    assert set(re.findall(r"^CREATE TABLE (\w+)", DISTRIBUTED, re.MULTILINE)) == set(TABLES.tables) - WHOLE

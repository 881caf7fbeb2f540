"""parts.py: no table and no column is forgotten, what is pointed at comes first, and no collation is asked."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, Text

from hansard.store.parts import PARTS, Part
from hansard.store.schema import TABLES

each = pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)


# A server on the copy makes its own.
MADE_ANEW = {"windows", "bitmaps", "ranks"}


def test_every_table_is_a_part() -> None:
    assert {part.name for part in PARTS} == set(TABLES.tables) - MADE_ANEW


@each
def test_every_column_is_inserted(part: Part) -> None:
    assert sorted(part.columns) == sorted(part.table.c.keys())


@each
def test_its_key_is_the_tables_own(part: Part) -> None:
    summed_over = [name for name, _ in part.constants]
    assert list(part.columns[: part.key_length]) + summed_over == part.table.primary_key.columns.keys()


def test_what_is_pointed_at_comes_first() -> None:
    names = [part.name for part in PARTS]
    for at, part in enumerate(PARTS):
        pointed_at = {key.column.table.name for key in part.table.foreign_keys}
        assert pointed_at <= {*names[:at], *([part.name] if part.has_parents else [])}


@each
def test_the_order_is_that_of_the_bytes_on_postgresql(part: Part, connection: Connection) -> None:
    texts = [
        column.name for column in list(part.rows.selected_columns)[: part.key_length] if isinstance(column.type, Text)
    ]
    ordered = str(part.ordered(connection)).split("ORDER BY ")[1]
    expected = 0 if connection.dialect.name == "sqlite" else len(texts)
    assert ordered.count('COLLATE "C"') == expected
    assert part.key_length == ordered.count(",") + 1


@each
def test_the_last_key_is_one_and_no_content_is_read_for_it(part: Part, connection: Connection) -> None:
    assert connection.execute(part.last(connection)).all() == []
    assert set(part.without_content().rows.selected_columns.keys()).isdisjoint({"content", "reply"})

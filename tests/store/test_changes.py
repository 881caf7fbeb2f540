"""changes.py: what stays in each table. What callers see of it is in test_base.py."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Connection, select

from hansard.store import changes, queries, schema
from tests.store.records import record
from tests.store.statements import listen


def rows(connection: Connection, name: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in connection.execute(select(schema.TABLES.tables[name])))


def labels(connection: Connection) -> list[tuple[str, str]]:
    return [(key, value) for _, key, value, _, _ in rows(connection, "labels")]


def test_a_record_carries_its_labels(connection: Connection) -> None:
    changes.insert_record(connection, record("a", metadata={"tier": "tin"}))
    assert rows(connection, "labels") == [
        ("p", "metadata[tier]", "tin", 1_700_000_000, 1),
        ("p", "model", "tiny", 1_700_000_000, 1),
        ("p", "model", "tiny-2026", 1_700_000_000, 1),
    ]


def test_one_name_of_a_model_is_one_label(connection: Connection) -> None:
    changes.insert_record(connection, record("a", model="tiny", requested_model="tiny"))
    assert labels(connection) == [("model", "tiny")]


def test_labels_follow_the_metadata(connection: Connection) -> None:
    changes.insert_record(connection, record("a", metadata={"tier": "tin", "run": "7"}))
    changes.set_metadata(connection, "p", "chatcmpl-a", {"tier": "gold", "run": "7"})
    assert labels(connection) == [
        ("metadata[run]", "7"),
        ("metadata[tier]", "gold"),
        ("model", "tiny"),
        ("model", "tiny-2026"),
    ]


def test_a_delete_leaves_a_tombstone_and_its_neighbours(connection: Connection) -> None:
    changes.insert_record(connection, record("a", metadata={"tier": "tin"}))
    changes.insert_record(connection, record("b", model="tiny"))
    changes.delete_record(connection, "p", "chatcmpl-a")
    assert rows(connection, "tombstones") == [("p", "chatcmpl-a", 1_700_000_000, 1)]
    assert [row[0] for row in rows(connection, "completions")] == [2]
    assert [row[0] for row in rows(connection, "bodies")] == [2]
    assert labels(connection) == [("model", "tiny")]


def test_the_self_check_leaves_no_trace(connection: Connection) -> None:
    assert changes.works(connection) is True
    assert [rows(connection, table) for table in ("completions", "bodies", "labels", "tombstones")] == [[]] * 4


def test_any_count_of_completions_is_read_and_deleted_by_few_statements(connection: Connection) -> None:
    """Each text stays, in our memory and in the driver's."""
    changes.insert_records(connection, [record(str(number)) for number in range(sum(range(1, 10)))])
    standing = connection.execute(select(schema.completions)).all()
    texts: set[str] = set()
    listen(connection.connection.driver_connection, lambda text, _: texts.add(re.sub(r"'[^']*'|\d+", "?", text)))

    for count in range(1, 10):
        some, standing = standing[:count], standing[count:]
        read = queries.by_numbers(connection, "p", [row.number for row in some])
        assert [each.id for each in read] == [row.id for row in some]
        changes.delete_records(connection, "p", some)

    assert rows(connection, "completions") == rows(connection, "bodies") == []
    # For 1, 2, 4, 8 and 16 of them; PostgreSQL is told any count of numbers in one list.
    reads = 5 if connection.dialect.name == "sqlite" else 1
    assert sum("FROM completions JOIN bodies" in text for text in texts) == reads
    assert sum(text.startswith("DELETE FROM bodies") for text in texts) == 5

"""changes.py: what stays in each table. What callers see of it is in test_base.py."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from hansard.store import changes, schema
from tests.store.records import record


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

"""facets.py: counts that follow every change, asked for by key."""

from __future__ import annotations

import pytest

from hansard.store.sql import SqlStore
from tests.store.records import record

pytestmark = pytest.mark.anyio


async def test_keys_and_values_are_counted(store: SqlStore) -> None:
    await store.insert(record("a", metadata={"team": "red"}, finish_reason="stop"))
    await store.insert(record("b", metadata={"team": "blue"}, finish_reason="stop"))
    await store.insert(record("c", metadata={"team": "blue"}))
    await store.insert(record("d", metadata={"team": "green", "else": "x"}, project="q"))
    assert list(await store.facets("p", None, limit=9)) == [("finish_reason", 2), ("metadata[team]", 3), ("model", 6)]
    assert list(await store.facets("p", "metadata[team]", limit=9)) == [("blue", 2), ("red", 1)]
    assert list(await store.facets("p", "model", limit=1)) == [("tiny", 3)]
    assert list(await store.facets("p", None, limit=1)) == [("finish_reason", 2)]


async def test_what_is_changed_and_deleted_is_counted_no_longer(store: SqlStore) -> None:
    await store.insert(record("a", metadata={"team": "red"}))
    await store.insert(record("b", metadata={"team": "red"}))
    await store.set_metadata("p", "chatcmpl-a", {"team": "blue"})
    await store.delete("p", "chatcmpl-b")
    assert list(await store.facets("p", "metadata[team]", limit=9)) == [("blue", 1)]
    await store.delete("p", "chatcmpl-a")
    assert list(await store.facets("p", None, limit=9)) == []

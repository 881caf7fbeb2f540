"""Records and outcomes as a server makes them, so that a check finds nothing wrong with them; and that check."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hansard.store import maintenance, server
from hansard.store.base import Outcome, Record
from hansard.store.check import Report
from hansard.store.database import Database
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite
from tests.store.records import outcome, record


def opened(path: Path) -> SqlStore:
    return SqlStore(Sqlite(path))


def examined(database: Database) -> Report:
    """What ``hansard db check`` says of it."""
    if isinstance(database, Sqlite):
        return maintenance.examine(database.path, tell=lambda *_: None)
    return server.examine(database, tell=lambda *_: None)


def sound_record(name: str, *, metadata: Mapping[str, str] | None = None, **changes: Any) -> Record:
    """``record`` with a request and a reply of the API's form."""
    plain = record(name, metadata=metadata, **changes)
    made = {"request": REQUEST, "reply": reply(plain), "finish_reason": "stop"}
    return record(name, metadata=metadata, **{**made, **changes})


def sound_outcome(key: str, **changes: Any) -> Outcome:
    """``outcome`` with the reply of a completion that was not stored."""
    return outcome(key, **{"reply": reply(record("unstored")), **changes})


def reply(record: Record) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Aye."}, "finish_reason": "stop"}
    head = {"object": "chat.completion", "id": record.id, "created": record.created, "model": record.model}
    return json.dumps({**head, "choices": [choice]}).encode()


REQUEST = json.dumps({"model": "tiny", "messages": [{"role": "user", "content": "Well?"}]}).encode()

_TURN = "It is laid down in the standing orders, and has been since the house first sat. " * 4
_TOOL = {"type": "function", "function": {"name": "divide", "description": _TURN}}
CONVERSATION = json.dumps(
    {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": _TURN},
            {"role": "user", "content": _TURN},
            {"role": "assistant", "content": "Order."},
            {"role": "user", "content": _TURN},
        ],
        "tools": [_TOOL],
    }
).encode()
"""One with everything that can be cut out of a request."""

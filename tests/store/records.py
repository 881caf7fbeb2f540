"""Records and outcomes to store, and a lock to hold the writer with."""

from __future__ import annotations

import base64
import contextlib
import random
from collections.abc import Iterator, Mapping
from typing import Any

from hansard.store.base import Outcome, Record
from hansard.store.database import Database


def record(name: str, *, metadata: Mapping[str, str] | None = None, **changes: Any) -> Record:
    """A record of project ``p`` with every field set."""
    fields: dict[str, Any] = {
        "project": "p",
        "id": f"chatcmpl-{name}",
        "created": 1_700_000_000,
        "model": "tiny-2026",
        "requested_model": "tiny",
        "request_id": f"req_{name}",
        "metadata": {} if metadata is None else metadata,
        "seed": 2**31 - 1,
        "request": b'{"model": "tiny", "temperature": 1.0}',
        "reply": f'{{"id":"chatcmpl-{name}"}}'.encode(),
        "engine": "echo",
        "upstream_id": "chatcmpl-7",
        "first_token_ms": 12,
        "total_ms": 345,
    }
    return Record(**{**fields, **changes})


def outcome(key: str, *, of: str = "b", **changes: Any) -> Outcome:
    """An outcome of project ``p``, with the reply of ``record(of)``, for a thousand seconds."""
    fields: dict[str, Any] = {
        "project": "p",
        "key": key,
        "fingerprint": bytes(32),
        "created": 1_700_000_100,
        "expires": 1_700_001_100,
        "reply": record(of).reply,
    }
    return Outcome(**{**fields, **changes})


def noise(size_bytes: int) -> bytes:
    """Letters and digits that take about as much room compressed; the same each time."""
    return base64.b64encode(random.Random(7).randbytes(size_bytes))[:size_bytes]


@contextlib.contextmanager
def write_lock(database: Database) -> Iterator[None]:
    """Hold the database as another process would: the writer waits, readers go on."""
    engine = database.engine_for_writing()  # on SQLite a transaction of it holds the lock from its beginning
    try:
        with engine.connect() as other, other.begin() as transaction:
            if other.dialect.name == "postgresql":
                other.exec_driver_sql("LOCK TABLE completions IN EXCLUSIVE MODE")
            yield
            transaction.rollback()
    finally:
        engine.dispose()

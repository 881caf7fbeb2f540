"""Records and outcomes to store, and a lock to hold the writer with."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hansard.store.base import Outcome, Record


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


@contextlib.contextmanager
def write_lock(path: Path) -> Iterator[None]:
    """Hold the database as another process would: the writer waits, readers go on."""
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()

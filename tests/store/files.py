"""SQLite files as they may be found, made without our own code."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

# The first released tables, as SQLite keeps them, with one completion and the place of a deleted one.
FIRST_VERSION = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE completions (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL, id TEXT NOT NULL, created BIGINT NOT NULL, model TEXT NOT NULL,
    requested_model TEXT NOT NULL, request_id TEXT NOT NULL, metadata JSON NOT NULL, seed BIGINT NOT NULL,
    engine TEXT NOT NULL, upstream_id TEXT, first_token_ms BIGINT, total_ms BIGINT,
    CONSTRAINT completions_by_id UNIQUE (project, id)
);
CREATE TABLE bodies (
    number INTEGER NOT NULL PRIMARY KEY, request BLOB NOT NULL, reply BLOB NOT NULL,
    FOREIGN KEY(number) REFERENCES completions (number)
);
CREATE TABLE labels (
    project TEXT NOT NULL, "key" TEXT NOT NULL, value TEXT NOT NULL, created BIGINT NOT NULL, number BIGINT NOT NULL,
    PRIMARY KEY (project, "key", value, created, number)
) WITHOUT ROWID;
CREATE TABLE tombstones (
    project TEXT NOT NULL, id TEXT NOT NULL, created BIGINT NOT NULL, number BIGINT NOT NULL,
    PRIMARY KEY (project, id)
) WITHOUT ROWID;
INSERT INTO alembic_version VALUES ('0001');
INSERT INTO completions VALUES (7, 'p', 'chatcmpl-a', 1700000000, 'tiny-2026', 'tiny', 'req_a', '{"tier":"tin"}',
    2147483647, 'echo', 'chatcmpl-7', 12, 345);
INSERT INTO bodies VALUES (7, CAST('{"messages": [{"role": "user", "content": "Well?"}]}' AS BLOB),
    CAST('{"id": "chatcmpl-a", "object": "chat.completion", "created": 1700000000, "model": "tiny-2026", "choices": []}'
    AS BLOB));
INSERT INTO labels VALUES ('p', '', '', 1700000000, 7), ('p', 'metadata[tier]', 'tin', 1700000000, 7),
    ('p', 'model', 'tiny', 1700000000, 7), ('p', 'model', 'tiny-2026', 1700000000, 7);
INSERT INTO tombstones VALUES ('p', 'chatcmpl-gone', 1699999999, 6);
"""


def write_first_version(path: Path) -> None:
    _run(path, FIRST_VERSION)


def set_version(path: Path, version: str) -> None:
    _run(path, f"UPDATE alembic_version SET version_num = '{version}'")


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _run(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)

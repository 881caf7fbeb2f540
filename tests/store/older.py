"""Databases as older versions left them: their rows, and what they stand for."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

import hansard.store.migrations
from hansard.core.pieces import cut
from hansard.core.policies import Policy
from hansard.store.codec import pack_body
from hansard.store.database import Database
from hansard.store.tenants import Key, Project
from tests.store.records import record
from tests.store.sound import CONVERSATION, reply


def written_by(version: str, database: Database) -> None:
    """A database as that version leaves it, with the rows of ``ROWS``."""
    database.make()
    engine = database.engine_for_writing()
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(hansard.store.migrations.__file__).parent))
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        for statement in ROWS[version]:
            connection.execute(text(statement), VALUES)
        for statement in NUMBERED[connection.dialect.name]:
            connection.execute(text(statement), {"number": LAST[version]})
    engine.dispose()


# Completion 7 of 0001 is `record("a", metadata={"tier": "tin"})`. In 0002 and 0003 two projects have the same
# conversation, and one of them two outcomes; the last number given is that of a completion that is deleted. 0004 and
# 0005 have the conversation `TALK`.
_COMPLETION = (
    "INSERT INTO completions (number, project, id, created, model, requested_model, request_id, metadata, seed, "
    "engine, upstream_id, first_token_ms, total_ms) VALUES ({number}, '{project}', 'chatcmpl-{name}', 1700000000, "
    "'tiny-2026', 'tiny', 'req_{name}', '{{\"tier\":\"tin\"}}', 2147483647, 'echo', 'chatcmpl-7', 12, 345)"
)
_LABELS = (
    "INSERT INTO labels VALUES ('{project}', '', '', 1700000000, {number}), "
    "('{project}', 'metadata[tier]', 'tin', 1700000000, {number}), "
    "('{project}', 'model', 'tiny', 1700000000, {number}), ('{project}', 'model', 'tiny-2026', 1700000000, {number})"
)
_BODY = (
    "INSERT INTO bodies (number, project, request, reply) VALUES ({number}, '{project}', :conversation, :reply_{name})"
)
_BODY_OF_0002 = "INSERT INTO bodies (number, request, reply) VALUES ({number}, :conversation, :reply_{name})"
_TOMBSTONE = "INSERT INTO tombstones VALUES ('p', 'chatcmpl-gone', 1699999999, {number})"
_EMPTY_BODY = "INSERT INTO bodies (number, project, content) VALUES (7, 'default', :packed)"
_OF_ALL = "INSERT INTO {table} VALUES ('p', '', '', {end})"
_OF_LABELS = [
    f"INSERT INTO {{table}} VALUES ('p', '{key}', '{value}', {{end}})"
    for key, value in (("metadata[tier]", "tin"), ("model", "tiny"), ("model", "tiny-2026"))
]
_LABELS_OF_0006 = [statement.format(table="labels", end="1700000000, 7") for statement in _OF_LABELS] + [
    statement.format(table="facets", end="0, 1") for statement in (_OF_ALL, *_OF_LABELS)
]
_PLACES = ("1700000000, 7", "1699999990, 8")
_EARLIER_BODY = "INSERT INTO bodies (number, project, content) VALUES (8, 'p', :packed)"
_OF_0007 = [
    _COMPLETION.format(project="p", number=7, name="a"),
    _EMPTY_BODY.replace("default", "p"),
    _COMPLETION.format(project="p", number=8, name="b").replace("1700000000", "1699999990"),
    _EARLIER_BODY,
    *(statement.format(table="labels", end=f"{place}") for statement in _OF_LABELS for place in _PLACES),
    *(statement.format(table="facets", end="0, 2") for statement in (_OF_ALL, *_OF_LABELS)),
]
OF_0003 = (("p", 7, "a"), ("p", 8, "b"), ("q", 9, "c"))
_OUTCOMES = (
    "INSERT INTO outcomes (project, key, fingerprint, created, expires, number, reply) VALUES "
    "('p', 'stored', :fingerprint, 1700000100, 4000000000, 8, NULL), "
    "('p', 'unstored', :fingerprint, 1700000100, 4000000000, NULL, :reply_b)"
)
_IN_PIECES = [
    _COMPLETION.format(project="default", number=7, name="a"),
    "UPDATE completions SET finish_reason = 'stop'",
    *(
        f"INSERT INTO pieces VALUES ('default', :{name}, {f':{parent}' if parent else 'NULL'}, :{name}_content)"
        for name, parent in (("turn_0", None), ("turn_1", "turn_0"), ("turn_2", "turn_1"), ("tools", None))
    ),
    "INSERT INTO bodies (number, project, turns, tools, content) VALUES (7, 'default', :turn_2, :tools, :body)",
    *(statement.replace("'p'", "'default'") for statement in _LABELS_OF_0006),
    "INSERT INTO facets VALUES ('default', 'finish_reason', 'stop', 0, 1)",
]
ROWS = {
    "0001": [
        _COMPLETION.format(project="p", number=7, name="a"),
        "INSERT INTO bodies (number, request, reply) VALUES (7, :plain, :plain_reply)",
        _LABELS.format(project="p", number=7),
        _TOMBSTONE.format(number=6),
    ],
    "0002": [
        *(
            statement.format(project=project, number=number, name=name)
            for project, number, name in OF_0003
            for statement in (_COMPLETION, _BODY_OF_0002, _LABELS)
        ),
        _TOMBSTONE.format(number=12),
        _OUTCOMES,
    ],
    "0003": [
        *(
            statement.format(project=project, number=number, name=name)
            for project, number, name in OF_0003
            for statement in (_COMPLETION, _BODY, _LABELS)
        ),
        _TOMBSTONE.format(number=12),
        _OUTCOMES,
    ],
    "0004": _IN_PIECES,
    "0005": [
        *_IN_PIECES,
        "INSERT INTO projects VALUES ('default', 'default', 1690000000, NULL, '{}')",
        "INSERT INTO projects VALUES ('proj_1', 'shop', 1700000000, NULL, :policy)",
        "INSERT INTO keys VALUES ('proj_1', 'key_1', :fingerprint, 'till', 'sk-hans...1234', 1700000001, 4000000000, "
        "NULL, 'create read', '{}')",
        "INSERT INTO audit VALUES "
        "('proj_1', 1000000000000000, 'audit_1', 'cli', 'key.created', 'key_1', NULL, :details)",
        "INSERT INTO revisions VALUES ('tenants', 1)",
    ],
    "0006": [
        _COMPLETION.format(project="p", number=7, name="a"),
        _EMPTY_BODY.replace("default", "p"),
        *_LABELS_OF_0006,
    ],
    # Of two completions the second was created before the first: their bitmaps went by number.
    "0007": [
        *_OF_0007,
        "INSERT INTO windows VALUES ('p', 1, 8, 1699999990, 1700000000, 10, NULL), "
        "('p', 9, 16, 1700000000, 1700000000, 0, 0)",
        *(
            f"INSERT INTO bitmaps VALUES ('p', '{key}', '{value}', 1, :both)"
            for key, value in (("metadata[tier]", "tin"), ("model", "tiny"), ("model", "tiny-2026"))
        ),
        "INSERT INTO revisions VALUES ('windows', 9)",
    ],
}
LAST = {"0001": 7, "0002": 12, "0003": 12, "0004": 7, "0005": 7, "0006": 8, "0007": 9}
_ORDERS = "It is laid down in the standing orders. " * 12
TALK = json.dumps(
    {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": _ORDERS},
            {"role": "user", "content": _ORDERS},
            {"role": "assistant", "content": "Order."},
            {"role": "user", "content": _ORDERS},
        ],
        "tools": [{"type": "function", "function": {"name": "divide", "description": _ORDERS}}],
    }
).encode()
SHOP = Project(
    id="proj_1",
    name="shop",
    created=1_700_000_000,
    policy=Policy(store="always", models=("tiny",), metadata={"team": "shop"}, retention_s=1000),
)
KEY = Key(
    id="key_1",
    project="proj_1",
    digest=bytes(32),
    name="till",
    shown="sk-hans...1234",
    created=1_700_000_001,
    expires=4_000_000_000,
    scopes=frozenset({"create", "read"}),
)
# What the program of 0004 made of `TALK` and of the reply of `sound_record("a")`.
_WRITTEN = {
    "turn_0": "Av5/23C6PyXzVwU1BbBEu75g+YI=",
    "turn_0_content": (
        "ASi1L/1kAQHtAQCkAiAgICJJdCBpcyBsYWlkIGRvd24gaW4gdGhlIGRpbmcgb3JkZXJzLiAifQUAtUv1t7xrhC4oJEWfKLGCi4xPEg=="
    ),
    "turn_1": "8H+vLlW07kCIh3xRCsH77moVIEM=",
    "turn_1_content": (
        "ASi1L/1kAQEFAgDEAiwgICAgIkl0IGlzIGxhaWQgZG93biBpbiB0aGUgZGluZyBvcmRlcnMuICJ9BQC1S/W3vGuELijlxF3Sd2EB2d7YmQ=="
    ),
    "turn_2": "XEzPzKM8FfXPfITu3xZAqW6id+E=",
    "turn_2_content": (
        "ASi1L/1kLQFtAgDUAiwgICAgIk9yZGVySXQgaXMgbGFpZCBkb3duIGluIHRoZSBkaW5nIG9zLiAifQoAtUt1KLFlFdZW6kBEMeAp"
        "A58lmOluV7qckRKrDddcu6E="
    ),
    "tools": "oneK2Z4Yr2iI1TgmUhegI+mXPdQ=",
    "tools_content": (
        "ASi1L/1kKQGNAgBUAyA6ICAiZGl2aWRlICJJdCBpcyBsYWlkIGRvd24gaW4gdGhlIGRpbmcgb3JkZXJzLiAifX1dCAC1S/UXv9Yp"
        "Kp8VKvD7guCLifrCXNZCBAHCxVeU"
    ),
    "body": (
        "ASi1L/0k/L0DAPQClsQsICJ0aW55IiwgIFtdLCAgfR8AK8THeyAgYSAxNzA2ICAgICAgIkF5ZSAgfcIZADIEITEEXily0C1iY1oE"
        "lyyCHBZBIdU9K2JzFUEG1bEWsYwPjjVYgMtkRRTcjHsjbvAccCOuCyI8AyJKJCuTB4wkWgg3RZfPQQ=="
    ),
}
VALUES = {
    "plain": b'{"model": "tiny", "temperature": 1.0}',
    "plain_reply": b'{"id":"chatcmpl-a"}',
    "conversation": CONVERSATION,
    "fingerprint": bytes(32),
    "both": b"\xc0",
    "policy": '{"store":"always","models":["tiny"],"metadata":{"team":"shop"},"retention_s":1000}',
    "details": '{"name":"till"}',
    "packed": pack_body(cut(b'{"model":"tiny"}'), b'{"id":"chatcmpl-a"}'),
    **{f"reply_{name}": reply(record(name)) for _, _, name in OF_0003},
    **{name: base64.b64decode(written) for name, written in _WRITTEN.items()},
}
NUMBERED = {
    "sqlite": ["UPDATE sqlite_sequence SET seq = :number WHERE name = 'completions'"],
    "postgresql": ["SELECT setval('completions_number_seq', :number)"],
}

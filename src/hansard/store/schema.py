"""The tables, drawn once. How they came to be on disk is in ``migrations``; what is asked of them in ``queries``.

completions   one row per stored completion, small, so that lists and counts never drag bodies along
│ number      the order of insertion: rises for ever, never used twice, ties completions of one second
├── bodies    what was received and sent, verbatim; apart because it is a hundred times larger
└── labels    what a list can be asked for, one row per (key, value), spelled as in the query string:
              ``model`` (the reply's name and the requested one), ``metadata[tier]`` ..., and one with
              both empty, which every completion carries. The primary key is the index *and* the
              order, so every page, filtered or not, is one range of it.
tombstones    where a deleted completion stood, because clients delete while they page
outcomes      what became of a request with an Idempotency-Key, until ``expires``. The reply lies here only
              if the completion is not stored; that of a stored one is its body's, and goes with it

``project`` leads every key but the number itself, and every statement names it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

TABLES: Final = MetaData()

# SQLite gives numbers by itself only to a column declared exactly INTEGER PRIMARY KEY.
_NUMBER: Final = BigInteger().with_variant(Integer(), "sqlite")

completions: Final = Table(
    "completions",
    TABLES,
    Column("number", _NUMBER, primary_key=True),
    Column("project", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("requested_model", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("engine", Text, nullable=False),
    Column("upstream_id", Text),
    Column("first_token_ms", BigInteger),
    Column("total_ms", BigInteger),
    UniqueConstraint("project", "id", name="completions_by_id"),
    # Without it SQLite gives the highest number again once its row is deleted.
    sqlite_autoincrement=True,
)

bodies: Final = Table(
    "bodies",
    TABLES,
    Column("number", _NUMBER, ForeignKey("completions.number"), primary_key=True, autoincrement=False),
    Column("request", LargeBinary, nullable=False),
    Column("reply", LargeBinary, nullable=False),
)

# No foreign key: it would need a second index by number, and labels are removed by their full key.
labels: Final = Table(
    "labels",
    TABLES,
    Column("project", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("created", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

tombstones: Final = Table(
    "tombstones",
    TABLES,
    Column("project", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("created", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

outcomes: Final = Table(
    "outcomes",
    TABLES,
    Column("project", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("number", _NUMBER, ForeignKey("completions.number", ondelete="CASCADE")),
    Column("reply", LargeBinary),
    Index("outcomes_by_expiry", "expires"),
    Index("outcomes_by_number", "number"),
)

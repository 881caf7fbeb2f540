"""The tables, drawn once. How they came to be on disk is in ``migrations``; what is asked of them in ``queries``.

completions   one row per stored completion, small, so that lists and counts never drag bodies along
│ number      the order of insertion: rises for ever, never used twice, ties completions of one second
├── bodies    what was received and sent, verbatim and compressed; apart because it is far larger
│   └── pieces  what comes again and again in requests, once for each project: system prompts, tools, the turns of
│             a conversation. A piece names the one before it, so that a conversation is a chain, and those that
│             begin alike share their beginning. It goes with the last body or piece that stands on it
└── labels    what a list can be asked for, one row per (key, value), spelled as in the query string:
              ``model`` (the reply's name and the requested one), ``metadata[tier]`` ... The primary key
              is the index *and* the order, so every page with a filter is one range of it
windows       what is known of a run of completions' numbers once all of them are given: when they were created, and how
              far their order by number is from that by time. ``revisions`` says up to which number that is
├── bitmaps   which completions of a window carry a label, where some do: what lists by several labels read in the place
│             of ``labels``. Made by the janitor and kept up with changes of labels. What is deleted stays in them, and
│             is noted in one of its own, without a label
└── ranks     the order of a window's completions by time, where that is not the order of their numbers
facets        how many completions there are, carry each label, and end for each reason, kept up with every change
tombstones    where a deleted completion stood, because clients delete while they page
outcomes      what became of a request with an Idempotency-Key, until ``expires``. The reply lies here only
              if the completion is not stored; that of a stored one is its body's, and goes with it
tallies       what keys and projects have used of their limits, on all servers
projects      who the completions belong to, and what they may do. A project's id is what ``project`` is everywhere
keys          who may ask, as digests: what was shown once is kept nowhere. Looked up by digest alone, because the
              project is what is to be found
audit         what was done with projects and keys, and who read what. Rows are added and never changed: triggers see
              to that
revisions     numbers that rise: with every change to projects and keys, so that servers see that there was one, and
              with every change to keys, so that it is known for ever that there was one; and up to which number
              completions are in windows

While search is on there is an index of words beside them, which is not drawn here: ``words`` makes and drops it.

``project`` leads every key but the number itself, and those by which projects and keys are found, and every statement
on what belongs to completions names it. On PostgreSQL it leads those of the
number as well, so that the tables can be distributed by project; SQLite finds a row by its number alone.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
)

TABLES: Final = MetaData()

# SQLite gives numbers by itself only to a column declared exactly INTEGER PRIMARY KEY.
_NUMBER: Final = BigInteger().with_variant(Integer(), "sqlite")


def _of_completion(name: str, *, ondelete: str | None = None) -> tuple[ForeignKeyConstraint, ForeignKeyConstraint]:
    """What ties ``number`` to its completion, by the key that each database has."""
    key = ["project", "number"]
    both = ForeignKeyConstraint(key, [f"completions.{column}" for column in key], name=name, ondelete=ondelete)
    return (
        ForeignKeyConstraint(["number"], ["completions.number"], ondelete=ondelete).ddl_if(dialect="sqlite"),
        both.ddl_if(dialect="postgresql"),
    )


def _where_there(name: str, column: Column[Any]) -> None:
    """An index of those rows only in which the column has a value."""
    there = column.is_not(None)
    Index(name, column.table.c.project, column, sqlite_where=there, postgresql_where=there)


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
    Column("queue_ms", BigInteger),
    Column("finish_reason", Text),
    Column("upstream_model", Text),
    Column("key", Text),
    Column("expires", BigInteger),
    Column("body_expires", BigInteger),
    UniqueConstraint("project", "id", name="completions_by_id"),
    # Without it SQLite gives the highest number again once its row is deleted.
    sqlite_autoincrement=True,
)

# ``digest`` stands for the piece and all before it in its chain: ``core.pieces``.
pieces: Final = Table(
    "pieces",
    TABLES,
    Column("project", Text, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("parent", LargeBinary),
    Column("content", LargeBinary, nullable=False),
    ForeignKeyConstraint(["project", "parent"], ["pieces.project", "pieces.digest"], name="pieces_of_parent"),
)
_where_there("pieces_by_parent", pieces.c.parent)

# ``turns`` and ``tools`` are the digests of the last piece of each; ``content`` is a ``codec.Body``.
bodies: Final = Table(
    "bodies",
    TABLES,
    Column("number", _NUMBER, primary_key=True, autoincrement=False),
    Column("project", Text, nullable=False),
    Column("turns", LargeBinary),
    Column("tools", LargeBinary),
    Column("content", LargeBinary, nullable=False),
    *_of_completion("bodies_of_completion"),
    ForeignKeyConstraint(["project", "turns"], ["pieces.project", "pieces.digest"], name="bodies_of_turns"),
    ForeignKeyConstraint(["project", "tools"], ["pieces.project", "pieces.digest"], name="bodies_of_tools"),
)
_where_there("bodies_by_turns", bodies.c.turns)
_where_there("bodies_by_tools", bodies.c.tools)

# What a page without a filter is a range of. On SQLite the number stands in every index anyway.
Index("completions_by_place", completions.c.project, completions.c.created).ddl_if(dialect="sqlite")
Index("completions_by_place", completions.c.project, completions.c.created, completions.c.number).ddl_if(
    dialect="postgresql"
)
_where_there("completions_by_expiry", completions.c.expires)
_where_there("completions_by_body_expiry", completions.c.body_expires)

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

# ``slot`` parts the counts between servers on one database, which would otherwise wait for each other's commits: the
# count is the sum.
facets: Final = Table(
    "facets",
    TABLES,
    Column("project", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
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
    Column("number", _NUMBER),
    Column("reply", LargeBinary),
    *_of_completion("outcomes_of_completion", ondelete="CASCADE"),
    Index("outcomes_by_expiry", "project", "expires"),
    Index("outcomes_by_number", "number").ddl_if(dialect="sqlite"),
    Index("outcomes_by_number", "project", "number").ddl_if(dialect="postgresql"),
)

# ``key`` is the mark of a key in the record, or nothing for the project itself; ``what`` is ``requests`` or ``tokens``
# of the last minute, or the tokens of a month, ``2026-11``. ``used`` runs out by ``per_s`` since ``at`` (unix seconds
# of the database's clock).
tallies: Final = Table(
    "tallies",
    TABLES,
    Column("project", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("what", Text, primary_key=True),
    Column("used", Double, nullable=False),
    Column("per_s", Double, nullable=False),
    Column("at", Double, nullable=False),
    sqlite_with_rowid=False,
)

for _table in (completions, bodies):
    event.listen(
        _table,
        "after_create",
        DDL(  # type: ignore[no-untyped-call]
            "ALTER TABLE %(table)s DROP CONSTRAINT %(table)s_pkey, ADD PRIMARY KEY (project, number)"
        ).execute_if(dialect="postgresql"),
    )

for _table in (pieces, bodies):
    event.listen(
        _table,
        "after_create",
        DDL(  # type: ignore[no-untyped-call]
            # It is compressed already: PostgreSQL would try in vain.
            "ALTER TABLE %(table)s ALTER COLUMN content SET STORAGE EXTERNAL"
        ).execute_if(dialect="postgresql"),
    )

projects: Final = Table(
    "projects",
    TABLES,
    Column("project", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("archived", BigInteger),
    Column("policy", Text, nullable=False),
    Index("projects_by_name", "name", unique=True),
)

# ``scopes`` are words with spaces between them, ``policy`` is JSON, and times are unix seconds.
keys: Final = Table(
    "keys",
    TABLES,
    Column("project", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("shown", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger),
    Column("revoked", BigInteger),
    Column("scopes", Text, nullable=False),
    Column("policy", Text, nullable=False),
    ForeignKeyConstraint(["project"], ["projects.project"], name="keys_of_project"),
    Index("keys_by_digest", "digest", unique=True),
    Index("keys_by_id", "id", unique=True),
)

# No number that rises: servers on one database would wait for each other at it. ``at`` is unix microseconds.
audit: Final = Table(
    "audit",
    TABLES,
    Column("project", Text, primary_key=True),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("request_id", Text),
    Column("details", Text, nullable=False),
    Index("audit_by_time", "at", "id"),
)

# What is deleted leaves these bounds. A completion may be created ``slack`` seconds before one with a smaller number,
# and no more. ``work`` is none where the bitmaps stand; 0 where they are to be made, else when (unix microseconds)
# somebody began to.
windows: Final = Table(
    "windows",
    TABLES,
    Column("project", Text, primary_key=True),
    Column("first_number", BigInteger, primary_key=True, autoincrement=False),
    Column("last_number", BigInteger, nullable=False),
    Column("first_created", BigInteger, nullable=False),
    Column("last_created", BigInteger, nullable=False),
    Column("slack", BigInteger, nullable=False),
    Column("work", BigInteger),
    Index("windows_by_first", "project", "first_created", "first_number"),
    Index("windows_by_last", "project", "last_created", "first_number"),
    sqlite_with_rowid=False,
)
_where_there("windows_by_work", windows.c.work)

# ``bits`` is a ``bitmaps.Bits``. The label comes before the window: of rare ones many windows lie on one page.
bitmaps: Final = Table(
    "bitmaps",
    TABLES,
    Column("project", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("first_number", BigInteger, primary_key=True, autoincrement=False),
    Column("bits", LargeBinary, nullable=False),
    Index("bitmaps_by_window", "project", "first_number"),
    sqlite_with_rowid=False,
)

# ``place`` is the window's first number and the first rank of the row: ``ranks``. ``created`` is that of the first.
ranks: Final = Table(
    "ranks",
    TABLES,
    Column("project", Text, primary_key=True),
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("created", BigInteger, nullable=False),
    Column("numbers", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

revisions: Final = Table(
    "revisions",
    TABLES,
    Column("name", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
)

APPEND_ONLY: Final = {
    "sqlite": tuple(
        f"CREATE TRIGGER audit_refuses_{act} BEFORE {act.upper()} ON audit "
        "BEGIN SELECT RAISE(ABORT, 'rows of the audit log are never changed'); END"
        for act in ("update", "delete")
    ),
    "postgresql": (
        "CREATE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'rows of the audit log are never changed'; END $$",
        "CREATE TRIGGER audit_refuses_change BEFORE UPDATE OR DELETE ON audit "
        "FOR EACH ROW EXECUTE FUNCTION audit_refuses()",
        "CREATE TRIGGER audit_refuses_truncate BEFORE TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses()",
    ),
}
"""What keeps rows of the audit log as they are, on each database."""

for _dialect, _statements in APPEND_ONLY.items():
    for _statement in _statements:
        event.listen(
            audit,
            "after_create",
            DDL(_statement).execute_if(dialect=_dialect),  # type: ignore[no-untyped-call]
        )

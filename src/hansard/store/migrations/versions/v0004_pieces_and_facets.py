"""Bodies are compressed, what they share lies in pieces, and labels are counted. The reasons are in ``schema``.

Every body is written anew: what the requests and replies of a database compress to is not known before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

from hansard.core.pieces import cut
from hansard.store import pieces
from hansard.store.codec import pack_body
from hansard.store.queries import short

revision = "0004"
down_revision = "0003"

_AT_ONCE = 64

_NEW_COLUMNS = (
    ("queue_ms", sa.BigInteger),
    ("finish_reason", sa.Text),
    ("upstream_model", sa.Text),
    ("key", sa.Text),
    ("expires", sa.BigInteger),
    ("body_expires", sa.BigInteger),
)

_BEFORE = sa.table("bodies", *map(sa.column, ("number", "project", "request", "reply")))

_COUNT_LABELS = """
INSERT INTO facets (project, key, value, slot, count)
SELECT project, key, value, 0, count(*) FROM labels GROUP BY project, key, value
"""
_COUNT_REASONS = """
INSERT INTO facets (project, key, value, slot, count)
SELECT project, 'finish_reason', finish_reason, 0, count(*) FROM completions
WHERE finish_reason IS NOT NULL GROUP BY project, finish_reason
"""


def upgrade() -> None:
    for name, kind in _NEW_COLUMNS:
        op.add_column("completions", sa.Column(name, kind))
    _index_where_there("completions_by_expiry", "completions", "expires")
    _index_where_there("completions_by_body_expiry", "completions", "body_expires")
    op.create_table(
        "pieces",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("parent", sa.LargeBinary),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["project", "parent"], ["pieces.project", "pieces.digest"], name="pieces_of_parent"),
    )
    _index_where_there("pieces_by_parent", "pieces", "parent")
    if op.get_bind().dialect.name == "sqlite":
        _write_bodies_anew()
    else:
        _change_bodies()
    _index_where_there("bodies_by_turns", "bodies", "turns")
    _index_where_there("bodies_by_tools", "bodies", "tools")
    op.create_table(
        "facets",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute(_COUNT_LABELS)
    op.execute(_COUNT_REASONS)
    # The label that every completion had: its range is now one of the completions themselves.
    op.execute("DELETE FROM labels WHERE key = ''")
    number = ["number"] if op.get_bind().dialect.name == "postgresql" else []
    op.create_index("completions_by_place", "completions", ["project", "created", *number])


def _index_where_there(name: str, table: str, column: str) -> None:
    there = sa.column(column).is_not(None)
    op.create_index(name, table, ["project", column], sqlite_where=there, postgresql_where=there)


def _write_bodies_anew() -> None:
    op.create_table(
        "bodies_in_pieces",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("turns", sa.LargeBinary),
        sa.Column("tools", sa.LargeBinary),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["number"], ["completions.number"]),
        sa.ForeignKeyConstraint(["project", "turns"], ["pieces.project", "pieces.digest"], name="bodies_of_turns"),
        sa.ForeignKeyConstraint(["project", "tools"], ["pieces.project", "pieces.digest"], name="bodies_of_tools"),
    )
    now = sa.table("bodies_in_pieces", *map(sa.column, ("number", "project", "turns", "tools", "content")))
    for rows in _packed():
        op.get_bind().execute(sa.insert(now), rows)
    op.drop_table("bodies")
    op.rename_table("bodies_in_pieces", "bodies")


def _change_bodies() -> None:
    for name in ("turns", "tools", "content"):
        op.add_column("bodies", sa.Column(name, sa.LargeBinary))
    now = sa.table("bodies", *map(sa.column, ("number", "project", "turns", "tools", "content")))
    change = (
        sa.update(now)
        .where(now.c.project == sa.bindparam("of_project"), now.c.number == sa.bindparam("of_number"))
        .values({name: sa.bindparam(f"new_{name}") for name in ("turns", "tools", "content")})
    )
    for rows in _packed():
        for row in rows:
            place = {"of_project": row.pop("project"), "of_number": row.pop("number")}
            op.get_bind().execute(change, {**place, **{f"new_{name}": value for name, value in row.items()}})
    for table in ("pieces", "bodies"):
        op.execute(f"ALTER TABLE {table} ALTER COLUMN content SET STORAGE EXTERNAL")
    op.drop_column("bodies", "request")
    op.drop_column("bodies", "reply")
    op.alter_column("bodies", "content", nullable=False)
    for name in ("turns", "tools"):
        op.create_foreign_key(f"bodies_of_{name}", "bodies", "pieces", ["project", name], ["project", "digest"])


def _packed() -> Iterator[list[dict[str, Any]]]:
    """The bodies as they will be; their pieces are there by then."""
    connection = op.get_bind()
    ending = sa.text("UPDATE completions SET finish_reason = :reason WHERE project = :project AND number = :number")
    for rows in _read():
        parts = [cut(bytes(row.request)) for row in rows]
        ends = pieces.add(connection, [(row.project, part) for row, part in zip(rows, parts, strict=True)])
        reasons = [{"reason": _reason(row.reply), "project": row.project, "number": row.number} for row in rows]
        connection.execute(ending, reasons)
        yield [
            {
                "number": row.number,
                "project": row.project,
                "turns": end.turns,
                "tools": end.tools,
                "content": pack_body(part, bytes(row.reply)),
            }
            for row, part, end in zip(rows, parts, ends, strict=True)
        ]


def _read() -> Iterator[Sequence[sa.Row[Any]]]:
    """The bodies as they are, project by project: with it PostgreSQL's key begins, of which each page is a range."""
    connection = op.get_bind()
    some = (
        sa.select(_BEFORE)
        .where(_BEFORE.c.project == sa.bindparam("project"), _BEFORE.c.number > sa.bindparam("after"))
        .order_by(_BEFORE.c.number)
        .limit(_AT_ONCE)
    )
    for project in connection.scalars(sa.select(_BEFORE.c.project).distinct()).all():
        number = 0
        while rows := connection.execute(some, {"project": project, "after": number}).all():
            number = rows[-1].number
            yield rows


def _reason(reply: bytes) -> str | None:
    """That of the first choice, where there is one."""
    try:
        reason = msgspec.json.decode(reply)["choices"][0]["finish_reason"]
    except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError):
        return None
    return short(reason) if isinstance(reason, str) else None

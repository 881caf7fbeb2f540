"""Windows and bitmaps, empty: the janitor fills them, from what is there. The reasons are in ``schema``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "windows",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("first_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last_number", sa.BigInteger, nullable=False),
        sa.Column("first_created", sa.BigInteger, nullable=False),
        sa.Column("last_created", sa.BigInteger, nullable=False),
        sa.Column("slack", sa.BigInteger, nullable=False),
        sa.Column("work", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_index("windows_by_first", "windows", ["project", "first_created", "first_number"])
    op.create_index("windows_by_last", "windows", ["project", "last_created", "first_number"])
    there = sa.text("work IS NOT NULL")
    op.create_index("windows_by_work", "windows", ["project", "work"], sqlite_where=there, postgresql_where=there)
    op.create_table(
        "bitmaps",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("first_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("bits", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("bitmaps_by_window", "bitmaps", ["project", "first_number"])

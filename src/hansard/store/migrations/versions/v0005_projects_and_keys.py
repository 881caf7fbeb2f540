"""Projects, keys and the audit log. The reasons are in ``schema``.

Nothing that is there changes: what was stored so far belongs to the project ``default``, which every start makes sure
of.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hansard.store.schema import APPEND_ONLY

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("archived", sa.BigInteger),
        sa.Column("policy", sa.Text, nullable=False),
    )
    op.create_index("projects_by_name", "projects", ["name"], unique=True)
    op.create_table(
        "keys",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("shown", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger),
        sa.Column("revoked", sa.BigInteger),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.project"], name="keys_of_project"),
    )
    op.create_index("keys_by_digest", "keys", ["digest"], unique=True)
    op.create_index("keys_by_id", "keys", ["id"], unique=True)
    op.create_table(
        "audit",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("act", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("details", sa.Text, nullable=False),
    )
    op.create_index("audit_by_time", "audit", ["at", "id"])
    op.create_table(
        "revisions",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)

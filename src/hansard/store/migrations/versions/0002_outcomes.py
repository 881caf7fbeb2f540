"""What became of requests with an Idempotency-Key. The reasons are in ``schema``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "outcomes",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("number", _NUMBER, sa.ForeignKey("completions.number", ondelete="CASCADE")),
        sa.Column("reply", sa.LargeBinary),
    )
    op.create_index("outcomes_by_expiry", "outcomes", ["expires"])
    op.create_index("outcomes_by_number", "outcomes", ["number"])

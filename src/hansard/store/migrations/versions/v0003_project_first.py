"""The project stands with every body, and leads what PostgreSQL finds rows by. The reasons are in ``schema``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_COPY = """
INSERT INTO bodies_with_project (number, project, request, reply)
SELECT number, project, request, reply FROM bodies JOIN completions USING (number)
"""


def upgrade() -> None:
    op.drop_index("outcomes_by_expiry", "outcomes")
    if op.get_bind().dialect.name == "sqlite":
        _take_project_into_bodies()
    else:
        _lead_by_project()
    op.create_index("outcomes_by_expiry", "outcomes", ["project", "expires"])


def _take_project_into_bodies() -> None:
    op.create_table(
        "bodies_with_project",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("reply", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["number"], ["completions.number"]),
    )
    op.execute(_COPY)
    op.drop_table("bodies")
    op.rename_table("bodies_with_project", "bodies")


def _lead_by_project() -> None:
    op.add_column("bodies", sa.Column("project", sa.Text))
    op.execute(
        "UPDATE bodies SET project = completions.project FROM completions WHERE completions.number = bodies.number"
    )
    op.alter_column("bodies", "project", nullable=False)
    op.drop_constraint("bodies_number_fkey", "bodies")
    op.drop_constraint("outcomes_number_fkey", "outcomes")
    op.drop_index("outcomes_by_number", "outcomes")
    op.create_index("outcomes_by_number", "outcomes", ["project", "number"])
    key = ["project", "number"]
    for table in ("completions", "bodies"):
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey, ADD PRIMARY KEY (project, number)")
    op.create_foreign_key("bodies_of_completion", "bodies", "completions", key, key)
    op.create_foreign_key("outcomes_of_completion", "outcomes", "completions", key, key, ondelete="CASCADE")

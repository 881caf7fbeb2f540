"""How a database means to find what it is asked for."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection


def plan(connection: Connection, statement: str, parameters: Any) -> list[str]:
    """The lines of the plan, as the database words them."""
    if connection.dialect.name == "sqlite":
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    return [row[0].strip() for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)]


def scans(connection: Connection, statement: str, parameters: Any) -> list[str]:
    """The lines that read a whole table."""
    return [line for line in plan(connection, statement, parameters) if line.startswith("SCAN") or "Seq Scan" in line]

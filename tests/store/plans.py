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


_LABORIOUS = ("Seq Scan", "Sort", "Hash", "Bitmap", "TEMP B-TREE")


def laborious(lines: list[str]) -> list[str]:
    """Those that read a whole table, or sort, or gather what could be had in order; and those that a setting forbids.

    PostgreSQL uses what it is told to avoid if it knows no other way: up to 17 it puts its cost at 10,000,000,000, and
    from 18 on it says so.
    """
    return [line for line in lines if _is_laborious(line)]


def _is_laborious(line: str) -> bool:
    scanned = line.startswith("SCAN ") and line != "SCAN CONSTANT ROW"
    forbidden = "Disabled: true" in line or "cost=100000" in line
    return scanned or forbidden or any(word in line for word in _LABORIOUS)

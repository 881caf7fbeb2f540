"""Brings a database to the schema this version knows, inside the caller's transaction.

A new database gets the tables of ``schema`` at once and an old one is taken there by the Alembic
versions in ``migrations``; a test holds the two to the same result. Alembic costs 80 ms and
12 MB, so it is imported only when there is something to migrate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, select

from hansard.errors import StartupError
from hansard.store import schema

HEAD: Final = "0002"
"""The newest version under ``migrations/versions``."""

_SCRIPTS: Final = Path(__file__).with_name("migrations")

# Alembic's own table, as Alembic makes it.
_VERSION: Final = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def upgrade(connection: Connection, *, place: str) -> None:
    """``place`` names the database in a ``StartupError``."""
    tables = inspect(connection).get_table_names()
    if not tables:
        create(connection)
    elif _VERSION.name not in tables:
        raise StartupError(f"{place}: this database is not Hansard's. Choose another place with --data or --db.")
    else:
        version = connection.scalars(select(_VERSION.c.version_num)).one_or_none()
        if version != HEAD:
            _climb(connection, version, place=place)


def create(connection: Connection) -> None:
    """Every table of the newest version, in an empty database."""
    schema.TABLES.create_all(connection)
    _VERSION.create(connection)
    connection.execute(insert(_VERSION), {"version_num": HEAD})


def _climb(connection: Connection, version: str | None, *, place: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise StartupError(
            f"{place}: a newer Hansard wrote this database (its schema is {version}, this version knows {HEAD}). "
            "Install that version or a later one, or choose another place with --data or --db."
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

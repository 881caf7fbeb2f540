"""Brings a database to the schema this version knows, inside the caller's transaction.

A new database gets the tables of ``schema`` at once and an old one is taken there by the Alembic
versions in ``migrations``; a test holds the two to the same result. Alembic costs 80 ms and
12 MB, so it is imported only when there is something to migrate.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, select

from hansard.errors import StartupError
from hansard.store import schema

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "0008"
"""The newest version under ``migrations/versions``."""

_SCRIPTS: Final = Path(__file__).with_name("migrations")

# Alembic's own table, as Alembic makes it.
_VERSION: Final = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def upgrade(connection: Connection, *, place: str) -> str | None:
    """The version it was taken from, or None if it is a new one or has the newest already.

    ``place`` names the database in a ``StartupError``.
    """
    tables = inspect(connection).get_table_names()
    if not tables:
        create(connection)
        return None
    before = version(connection, place=place)
    if before == HEAD:
        return None
    _climb(connection)
    return before


def version(connection: Connection, *, place: str) -> str | None:
    """The version of Hansard's tables there; StartupError if they are not Hansard's, or a newer one's."""
    if _VERSION.name not in inspect(connection).get_table_names():
        raise StartupError(f"{place}: this database is not Hansard's. Choose another place with --data or --db.")
    found = connection.scalars(select(_VERSION.c.version_num)).one_or_none()
    if found not in (HEAD, None) and found not in _known():
        raise StartupError(
            f"{place}: a newer Hansard wrote this database (its schema is {found}, this version knows {HEAD}). "
            "Install that version or a later one, or choose another place with --data or --db."
        )
    return found


def create(connection: Connection) -> None:
    """Every table of the newest version, in an empty database."""
    schema.TABLES.create_all(connection)
    _VERSION.create(connection)
    connection.execute(insert(_VERSION), {"version_num": HEAD})


def _climb(connection: Connection) -> None:
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _known() -> set[str]:
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config

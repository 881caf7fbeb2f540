"""Which database it is: what ``sql`` asks of one, and the choice between those there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine

from hansard.errors import StartupError

SQLITE = "sqlite:///"


class Database(Protocol):
    """A place for the tables. Nothing is opened before an engine is used."""

    @property
    def place(self) -> str:
        """As errors name it: no password is in it."""

    @property
    def rides_out_s(self) -> float:
        """How long it may be away before requests are refused (decision 21)."""

    @property
    def locked_for_s(self) -> float:
        """How long a start goes on trying while another process holds it."""

    def engine_for_writing(self) -> Engine:
        """One connection, whose COMMIT returns when the disk has what was written."""

    def engine_for_serving(self) -> Engine:
        """As for writing, but for small transactions only, and many."""

    def engine_for_commands(self) -> Engine:
        """As for writing, beside a server that may write without a pause: it waits a minute for its turn."""

    def engine_for_reading(self, *, connections: int) -> Engine:
        """Connections whose transactions see one moment of the database and write nothing."""

    def engine_for_walking(self) -> Engine:
        """One connection, for transactions that read whole tables of one moment, however long it takes."""

    def interrupt(self, connection: Any) -> None:
        """Ask it to end what it does on a connection of the driver's, for another thread. Waits for nothing."""

    def make(self) -> None:
        """What must be there before the first connection. Raises OSError."""

    def claim(self, connection: Connection) -> None:
        """First thing in the transaction that upgrades: let nobody else upgrade meanwhile.

        Raises StartupError if this database cannot keep the promise.
        """

    def guard(self, connection: Connection, *, version: str) -> None:
        """First thing in a transaction that changes completions: let nobody upgrade the tables before it ends.

        Raises ``failures.Outdated`` if they are of another version already.
        """

    def look(self) -> None:
        """Raise OSError or ``whereabouts.Moved`` where what is open is known to be found by nobody again."""

    def confirm(self, connection: Connection) -> None:
        """Write something, however little, so that COMMIT waits for every copy of what is seen there."""

    def under_way(self, connection: Connection) -> frozenset[str]:
        """The transactions that have come past ``guard`` and not ended yet, each by a name that no other has."""

    @property
    def has_copies(self) -> bool:
        """Whether what can be seen may not have reached all the places where an acknowledged record must be."""

    def give_back(self, connection: Connection) -> int:
        """Give some of what lies free back to the disk, in a transaction that writes: bytes, 0 if there is no more."""

    def write_anew(self, connection: Connection) -> None:
        """Between two transactions, by the driver itself, on a connection that can write: have nothing in the file of
        the tables of what they do not have any more, if that holds nobody up for long.
        """

    def empty_log(self, connection: Connection) -> bool:
        """The same of what is beside that file; False while somebody who reads keeps it there: then ask again."""

    def startup_error(self, error: BaseException) -> StartupError:
        """One line for the operator: where, what is wrong, what to do."""


def database(url: str) -> Database:
    """What ``sqlite:///FILE`` or ``postgresql://...`` names. Raises StartupError where the driver is missing."""
    if url.startswith(SQLITE):
        from hansard.store.sqlite import Sqlite

        return Sqlite(Path(url.removeprefix(SQLITE)))
    try:
        from hansard.store.postgresql import Postgresql
    except ImportError as error:
        raise StartupError(
            "PostgreSQL needs its driver, which is not installed here: pip install 'hansard[postgres]'"
        ) from error
    return Postgresql(url)

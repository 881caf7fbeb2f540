"""What keys and projects have used, added up over all servers on one database. The rules are ``core.quota``'s.

A tally of a minute runs out steadily, that of a month stays. The functions run inside the caller's transaction.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, exists, or_, select, text

from hansard.store import closing
from hansard.store.base import Tally
from hansard.store.rows import insert_rows
from hansard.store.schema import keys, tallies

_COLUMNS: Final = tuple(tallies.c.keys())
_KEY: Final = ("project", "key", "what")

# The later of two clocks' words counts, so that nothing runs out twice.
_ADD: Final = """
ON CONFLICT (project, key, what) DO UPDATE SET
used = {most}({most}(tallies.used - {most}(excluded.at - tallies.at, 0) * excluded.per_s, 0) + excluded.used, 0),
per_s = excluded.per_s, at = {most}(tallies.at, excluded.at)
"""
_MOST: Final = {"sqlite": "MAX", "postgresql": "GREATEST"}


def add(connection: Connection, changes: Sequence[Tally]) -> list[float]:
    """Add each to its tally: what all have used by then."""
    name = connection.dialect.name
    now = _now(connection)
    # In one order everywhere, so that two servers wait for each other and never in a circle.
    there = closing.there(connection, {each.project for each in changes})
    rows = sorted(
        (each.project, each.key, each.what, each.change, each.per_s, now) for each in changes if each.project in there
    )
    returned = insert_rows(
        connection,
        tallies,
        _COLUMNS,
        rows,
        or_else=_ADD.format(most=_MOST[name]),
        returning=(*_KEY, "used"),
    )
    used = {tuple(key): max(float(amount), 0.0) for *key, amount in returned}
    return [used.get((each.project, each.key, each.what), 0.0) for each in changes]


def of(connection: Connection, what: str, *, within_s: float | None = None) -> list[Tally]:
    """All of one kind, as what all have used, but of keys that count no more. For months, which do not run out.

    With ``within_s`` only those that were added to in these last seconds.
    """
    since = 0.0 if within_s is None else _now(connection) - within_s
    rows = connection.execute(_OF, {"of_what": what, "now": int(time.time()), "since": since})
    return [Tally(project, key, what, used) for project, key, used in rows]


_COUNTS_NO_MORE: Final = exists().where(
    keys.c.project == tallies.c.project,
    keys.c.id == tallies.c.key,
    or_(keys.c.revoked.is_not(None), keys.c.expires <= bindparam("now")),
)
_OF: Final = select(tallies.c.project, tallies.c.key, tallies.c.used).where(
    tallies.c.what == bindparam("of_what"), tallies.c.at >= bindparam("since"), ~_COUNTS_NO_MORE
)


def _now(connection: Connection) -> float:
    """The database's clock, because those of the servers may differ."""
    return time.time() if connection.dialect.name == "sqlite" else float(connection.scalar(_NOW) or 0)


_NOW: Final = text("SELECT EXTRACT(EPOCH FROM clock_timestamp())")

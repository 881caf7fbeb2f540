"""What the janitor has stores do, without its pauses."""

from __future__ import annotations

from contextlib import aclosing

from sqlalchemy import Connection

from hansard.store import windows
from hansard.store.sql import SqlStore
from hansard.store.windows import Sizes


async def tended(store: SqlStore) -> int:
    """One round of it: how many steps that took."""
    async with aclosing(store.tend()) as steps:
        return len([took_s async for took_s in steps])


def listed(connection: Connection, sizes: Sizes) -> None:
    """Have all that is there in windows, in the caller's transaction."""
    seen = windows.look(connection, now_us=0)
    before = seen.listed
    while (until := windows.next_listed(seen, before, sizes)) is not None:
        found = windows.survey(connection, before, until)
        assert windows.add(connection, found, listed=before, until=until, sizes=sizes)
        before = until


def closed(connection: Connection, sizes: Sizes, *, now_us: int = 10**15) -> None:
    """The same, and make all bitmaps."""
    listed(connection, sizes)
    for window in windows.look(connection, now_us=now_us).due:
        ours = windows.take(connection, window, now_us=now_us)
        assert ours is not None
        carried = windows.Carried()
        after: int | None = ours.first_number - 1
        while after is not None:
            after = windows.read(connection, ours, carried, after=after)
        for write in windows.to_write(ours, carried, few=sizes.few):
            assert write(connection)
        assert windows.finish(connection, ours)

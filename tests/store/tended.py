"""What the janitor has stores do, without its pauses."""

from __future__ import annotations

from contextlib import aclosing

from hansard.store.sql import SqlStore


async def tended(store: SqlStore) -> int:
    """One round of it: how many steps that took."""
    async with aclosing(store.tend()) as steps:
        return len([took_s async for took_s in steps])

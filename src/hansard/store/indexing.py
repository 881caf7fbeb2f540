"""Who makes windows and bitmaps, step by step, beside everybody else: reading on a reader, writing little at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from hansard.store import windows
from hansard.store.windows import Look, Sizes, Window

T = TypeVar("T")

_LOOKS_EVERY_S = 0.05


class Do(Protocol):
    """Does ``work`` in a transaction that ends with it."""

    def __call__(self, work: Callable[[Connection], T], /) -> Awaitable[T]: ...


class Indexing:
    """``under_way`` tells the transactions that write at the moment, and may have been given numbers."""

    def __init__(self, *, read: Do, write: Do, under_way: Callable[[Connection], frozenset[str]], sizes: Sizes) -> None:
        self._read = read
        self._write = write
        self._under_way = under_way
        self._sizes = sizes
        self._took_s = 0.0

    async def steps(self) -> AsyncGenerator[float, None]:
        """Do what there is to do, and tell after each step how many seconds it took."""
        now_us = time.time_ns() // 1000
        seen = await self._read(partial(windows.look, now_us=now_us))
        async for took_s in self._list(seen):
            yield took_s
        for window in seen.due:
            async for took_s in self._index(window, now_us=now_us):
                yield took_s

    async def _until_those_have_ended(self) -> None:
        """Who writes now may have been given a number that was seen, or not have seen that a window is taken on."""
        others = await self._read(self._under_way)
        while others:
            await asyncio.sleep(_LOOKS_EVERY_S)
            others &= await self._read(self._under_way)

    async def _list(self, seen: Look) -> AsyncGenerator[float, None]:
        listed = seen.listed
        if windows.next_listed(seen, listed, self._sizes) is None:
            return
        await self._until_those_have_ended()
        while (until := windows.next_listed(seen, listed, self._sizes)) is not None:
            found = await self._timed(self._read, partial(windows.survey, listed=listed, until=until))
            yield self._took_s
            add = partial(windows.add, found=found, listed=listed, until=until, sizes=self._sizes)
            if not await self._timed(self._write, add):
                return
            yield self._took_s
            listed = until
            if listed % self._sizes.numbers == 0:
                await self._timed(self._write, partial(windows.drop_empty, listed=listed))
                yield self._took_s

    async def _index(self, window: Window, *, now_us: int) -> AsyncGenerator[float, None]:
        ours = await self._write(partial(windows.take, window=window, now_us=now_us))
        if ours is None:
            return
        await self._until_those_have_ended()
        carried = windows.Carried()
        after: int | None = window.first_number - 1
        while after is not None:
            after = await self._timed(self._read, partial(windows.read, window=ours, carried=carried, after=after))
            yield self._took_s
        for write in windows.to_write(ours, carried, few=self._sizes.few):
            if not await self._timed(self._write, write):
                return
            yield self._took_s
        await self._write(partial(windows.finish, window=ours))

    async def _timed(self, do: Do, work: Callable[[Connection], T]) -> T:
        """As ``do``; ``_took_s`` is how long it took without waiting for its turn."""

        def timed(connection: Connection) -> T:
            began = time.monotonic()
            try:
                return work(connection)
            finally:
                self._took_s = time.monotonic() - began

        return await do(timed)

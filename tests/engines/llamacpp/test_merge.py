"""Several streams as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from hansard.engines.llamacpp.merge import interleaved

pytestmark = pytest.mark.anyio


class Source:
    """Yields ``items`` and remembers that it was closed; fails with ``failure`` at its end, or waits for ever."""

    def __init__(self, *items: int, failure: Exception | None = None, endless: bool = False) -> None:
        self._items, self._failure, self._endless = items, failure, endless
        self.closed = False

    async def stream(self) -> AsyncGenerator[int, None]:
        try:
            for item in self._items:
                yield item
                await asyncio.sleep(0)
            if self._failure is not None:
                raise self._failure
            if self._endless:
                await asyncio.Event().wait()
        finally:
            self.closed = True


async def test_everything_comes_once_and_each_in_its_order() -> None:
    sources = [Source(1, 2, 3), Source(10, 20), Source()]

    got = [item async for item in interleaved([source.stream() for source in sources])]

    assert [item for item in got if item < 10] == [1, 2, 3]
    assert [item for item in got if item >= 10] == [10, 20]
    assert got != [1, 2, 3, 10, 20]


async def test_one_failure_ends_them_all() -> None:
    endless, failing = Source(1, endless=True), Source(2, failure=ValueError("broken"))

    with pytest.raises(ValueError, match="broken"):
        async for _ in interleaved([endless.stream(), failing.stream()]):
            pass

    assert endless.closed
    assert failing.closed


async def test_closing_it_closes_them_all() -> None:
    sources = [Source(1, endless=True), Source(2, endless=True)]

    async with aclosing(interleaved([source.stream() for source in sources])) as merged:
        await anext(merged)
        await anext(merged)

    assert all(source.closed for source in sources)

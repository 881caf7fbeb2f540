"""Several streams as one, in the order their items come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")


class _End:
    """The end of one stream, well or ill."""

    def __init__(self, failure: Exception | None) -> None:
        self.failure = failure


async def interleaved(streams: Sequence[AsyncGenerator[T, None]]) -> AsyncGenerator[T, None]:
    """Every item of every stream; the first failure closes them all, and so does closing this."""
    arrived: asyncio.Queue[T | _End] = asyncio.Queue(maxsize=len(streams))
    # A task group would cancel whoever reads us when one fails; these end in the ``finally`` below.
    carrying = [asyncio.create_task(_carry(stream, arrived)) for stream in streams]
    try:
        running = len(streams)
        while running:
            item = await arrived.get()
            if not isinstance(item, _End):
                yield item
            elif item.failure is not None:
                raise item.failure
            else:
                running -= 1
    finally:
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)


async def _carry(stream: AsyncGenerator[T, None], arrived: asyncio.Queue[T | _End]) -> None:
    failure: Exception | None = None
    try:
        async with aclosing(stream):
            async for item in stream:
                await arrived.put(item)
    except Exception as caught:  # noqa: BLE001 - raised again where the streams are read
        failure = caught
    await arrived.put(_End(failure))

"""api/exchange.py: what of a request is read, and how its client's leaving is noticed."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from starlette.types import Message, Receive

from hansard.api.exchange import ClientLeft, Exchange, WhileConnected

pytestmark = pytest.mark.anyio


async def nothing(_: Message) -> None:
    return None


def connection() -> tuple[Receive, asyncio.Event, asyncio.Event]:
    """Where the client can leave, and can be looked at; both are seen by what is returned with it."""
    looked, left = asyncio.Event(), asyncio.Event()

    async def receive() -> Message:
        looked.set()
        await left.wait()
        return {"type": "http.disconnect"}

    return receive, looked, left


async def test_of_several_headers_with_one_name_the_first_counts() -> None:
    receive, _, _ = connection()
    headers = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]
    exchange = Exchange({"headers": headers}, receive, nothing, request_id="req_1", max_body_bytes=1)

    assert [exchange.header(name) for name in (b"a", b"b", b"c")] == ["1", "2", None]


async def test_who_leaves_cancels_what_runs() -> None:
    receive, looked, left = connection()
    with pytest.raises(ClientLeft):
        async with WhileConnected(receive, is_over=lambda: False):
            await looked.wait()
            left.set()
            await asyncio.Event().wait()


async def test_having_looked_leaves_nothing_to_the_garbage_collector() -> None:
    receive, looked, _ = connection()
    gc.disable()
    try:
        watch = WhileConnected(receive, is_over=lambda: False)
        async with watch:
            await looked.wait()
        gone = weakref.ref(watch)
        del watch
        for _ in range(3):  # until the task that looked has been told
            await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()

"""api/exchange.py: what of a request is read, and how its client's leaving is noticed."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from starlette.types import Message, Receive

from hansard.api.bodies import Bodies
from hansard.api.exchange import ClientLeft, Exchange, WhileConnected
from hansard.api.leaving import Hangup

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
    exchange = Exchange(
        {"headers": headers}, receive, nothing, request_id="req_1", bodies=Bodies(most_bytes=1, in_all_bytes=1)
    )

    assert [exchange.header(name) for name in (b"a", b"b", b"c")] == ["1", "2", None]


async def test_who_leaves_cancels_what_runs() -> None:
    receive, looked, left = connection()
    with pytest.raises(ClientLeft):
        async with WhileConnected(receive, None, is_over=lambda: False):
            await looked.wait()
            left.set()
            await asyncio.Event().wait()


@pytest.mark.parametrize("before", [True, False], ids=["before", "meanwhile"])
async def test_a_server_that_says_so_is_not_asked(before: bool) -> None:
    receive, looked, _ = connection()
    hangup = Hangup()
    if before:
        hangup.happen()
    with pytest.raises(ClientLeft):
        async with WhileConnected(receive, hangup, is_over=lambda: False):
            if not before:
                hangup.happen()
            await asyncio.sleep(10 * WhileConnected.LATE_S)
            raise AssertionError("it went on")
    assert not looked.is_set()


async def test_who_leaves_with_the_whole_reply_has_not_left() -> None:
    receive, _, _ = connection()
    hangup = Hangup()
    async with WhileConnected(receive, hangup, is_over=lambda: True):
        hangup.happen()
        await asyncio.sleep(0)

    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


@pytest.mark.parametrize("hangup", [None, Hangup()], ids=["asked", "told"])
async def test_nothing_is_left_to_the_garbage_collector(hangup: Hangup | None) -> None:
    receive, looked, _ = connection()
    gc.disable()
    try:
        watch = WhileConnected(receive, hangup, is_over=lambda: False)
        async with watch:
            if hangup is None:
                await looked.wait()
        gone = weakref.ref(watch)
        del watch
        for _ in range(3):  # until the task that looked has been told
            await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()

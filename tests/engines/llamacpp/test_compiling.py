"""The thread of schemas and grammars: one piece of work at a time, and not too many in line."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hansard.engines.llamacpp.compiling import Compiler
from hansard.errors import EngineBusy, EngineUnavailable, InvalidRequest

pytestmark = pytest.mark.anyio

PATIENCE_S = 20.0


def fail() -> None:
    raise InvalidRequest("broken")


async def test_work_is_done_elsewhere() -> None:
    compiler = Compiler(queue_limit=1)

    assert await compiler.run(threading.get_ident) != threading.get_ident()
    with pytest.raises(InvalidRequest, match="broken"):
        await compiler.run(fail)


async def test_the_line_has_an_end_and_can_be_sent_home() -> None:
    compiler = Compiler(queue_limit=1)
    begun, go_on = threading.Event(), threading.Event()

    def work() -> bool:
        begun.set()
        return go_on.wait(PATIENCE_S)

    running = asyncio.create_task(compiler.run(work))
    await asyncio.to_thread(begun.wait, PATIENCE_S)
    waiting = asyncio.create_task(compiler.run(work))
    await asyncio.sleep(0)
    with pytest.raises(EngineBusy):
        await compiler.run(work)
    compiler.refuse_waiting(EngineUnavailable("stopped"))
    go_on.set()

    with pytest.raises(EngineUnavailable):
        await waiting
    assert await running


async def test_who_leaves_makes_room_once_the_work_is_done() -> None:
    compiler = Compiler(queue_limit=1)
    begun, go_on = threading.Event(), threading.Event()
    at_once, most = 0, 0

    def work() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        begun.set()
        go_on.wait(PATIENCE_S)
        at_once -= 1

    leaving = asyncio.create_task(compiler.run(work))
    await asyncio.to_thread(begun.wait, PATIENCE_S)
    leaving.cancel()
    staying = asyncio.create_task(compiler.run(work))
    await asyncio.wait([leaving])
    go_on.set()

    await staying
    assert most == 1

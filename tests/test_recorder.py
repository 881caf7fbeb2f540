"""recorder.py: what is asked of the store before a completion, and what outlives its client."""

from __future__ import annotations

import asyncio

import pytest

from hansard.contract import Document
from hansard.errors import StoreUnavailable
from hansard.observe import ignore
from hansard.recorder import Recorder
from hansard.tenancy import Principal
from tests.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

ME = Principal("mine")


class DoubtfulStore(MemoryStore):
    """Remembers a failed write, and counts how often it is asked whether that still holds."""

    def __init__(self) -> None:
        super().__init__()
        self.questions = 0
        self.doubtful = False

    @property
    def healthy(self) -> bool:
        return not self.doubtful

    async def ready(self) -> bool:
        self.questions += 1
        return await super().ready()


@pytest.fixture
def store() -> DoubtfulStore:
    return DoubtfulStore()


@pytest.fixture
def recorder(store: DoubtfulStore) -> Recorder:
    return Recorder(store=store, observer=ignore)


async def test_a_store_without_doubt_is_not_asked(recorder: Recorder, store: DoubtfulStore) -> None:
    await recorder.check(ME)

    assert store.questions == 0


async def test_a_store_in_doubt_is_asked_and_believed(recorder: Recorder, store: DoubtfulStore) -> None:
    store.doubtful = True

    await recorder.check(ME)  # the trouble is over, and nobody had written since
    store.down = True
    with pytest.raises(StoreUnavailable):
        await recorder.check(ME)

    assert store.questions == 2


async def test_work_goes_on_when_the_one_who_waits_is_cancelled(recorder: Recorder) -> None:
    gate, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await gate.wait()
        done.set()

    waiting = asyncio.create_task(recorder.outlive(work()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.set()
    await recorder.drain()

    assert done.is_set()


async def test_a_failure_reaches_the_one_who_waits(recorder: Recorder) -> None:
    async def work() -> None:
        raise StoreUnavailable("down")

    with pytest.raises(StoreUnavailable):
        await recorder.outlive(work())


async def test_a_stream_that_fails_gives_its_chunks_and_then_its_failure(recorder: Recorder) -> None:
    async def chunks():  # type: ignore[no-untyped-def]
        yield {"number": 1}
        raise StoreUnavailable("down")

    read: list[Document] = []
    with pytest.raises(StoreUnavailable):
        async for chunk in recorder.outlive_stream(chunks()):
            read.append(chunk)

    assert read == [{"number": 1}]

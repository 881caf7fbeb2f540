"""engines/check.py: what a list says of a target, and what only a reply can."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from hansard.engines import check
from hansard.engines.check import NO_LIST, NOT_LISTED, Finding, Listed, by_list, by_reply, lists
from hansard.engines.router import Target
from hansard.errors import UpstreamFailed
from tests.engines.scripted import ScriptedEngine, opener

pytestmark = pytest.mark.anyio


class Unlisting(ScriptedEngine):
    """Fails, or waits, when it is asked for its list."""

    def __init__(self, *, failure: Exception | None = None) -> None:
        super().__init__()
        self._failure = failure

    async def listed(self) -> Collection[str]:
        if self._failure is not None:
            raise self._failure
        await asyncio.Event().wait()
        return ()


@pytest.mark.parametrize(
    ("listed", "answers", "reason"),
    [
        (Listed(names={"m", "n"}), "yes", ""),
        (Listed(names={"m:latest"}), "yes", ""),
        (Listed(names={"m:8b"}), "no", NOT_LISTED),
        (Listed(names=()), "no", NOT_LISTED),
        (Listed(names=None), "unknown", NO_LIST),
        (Listed(names={"m"}, trouble="away"), "no", "away"),
    ],
)
def test_what_a_list_says(listed: Listed, answers: str, reason: str) -> None:
    finding = by_list(Target(ScriptedEngine(), "m"), listed)

    assert (finding.answers, finding.reason) == (answers, reason)


async def test_every_engine_is_asked_and_one_that_fails_is_in_the_way_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "LIST_S", 0.01)
    sound, away, broken, slow = (
        ScriptedEngine(),
        ScriptedEngine(),
        Unlisting(failure=UpstreamFailed("Cut.")),
        Unlisting(),
    )
    away.is_ready = False

    found = await lists([sound, away, broken, slow])

    assert [found[engine].trouble for engine in (sound, away, broken, slow)] == [
        "",
        "told to be away",
        "Cut.",
        "it did not list its models within 0.01 seconds",
    ]
    assert found[sound].names == {"m"}


async def test_a_reply_is_left_as_soon_as_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "REPLY_S", 0.01)
    talker = ScriptedEngine(opener(), asyncio.Event())
    silent, broken, empty = ScriptedEngine(asyncio.Event()), ScriptedEngine(UpstreamFailed("Cut.")), ScriptedEngine()
    engines = [talker, silent, broken, empty]

    found = await by_reply([Target(engine, "there") for engine in engines], authorization="Bearer mine")

    assert found == [
        Finding(answers="yes"),
        Finding(answers="no", reason="it did not begin to answer within 0.01 seconds"),
        Finding(answers="no", reason="Cut."),
        Finding(answers="no", reason="its reply ended before it began"),
    ]
    assert [engine.closed for engine in engines] == [1, 1, 1, 1]
    assert [(call.model, call.request.stream, call.authorization) for call in talker.calls] == [("there", True, None)]


async def test_the_clients_key_goes_where_it_is_meant_to() -> None:
    engine = ScriptedEngine(opener(), takes_client_key=True)

    await by_reply([Target(engine, "m")], authorization="Bearer mine")

    assert [call.authorization for call in engine.calls] == ["Bearer mine"]


async def test_not_all_are_asked_for_a_reply_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "AT_ONCE", 2)
    go_on = asyncio.Event()
    engine = ScriptedEngine(go_on, opener())
    asking = asyncio.create_task(by_reply([Target(engine, "m")] * 5, authorization=None))
    while not engine.calls:
        await asyncio.sleep(0)
    begun = len(engine.calls)
    go_on.set()

    assert [finding.answers for finding in await asking] == ["yes"] * 5
    assert (begun, len(engine.calls)) == (2, 5)

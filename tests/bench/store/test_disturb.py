import argparse
import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bench.processes import CannotRun
from bench.store import disturb, rows
from bench.store.databases import Place
from hansard.store.sql import SqlStore
from hansard.tenancy import DEFAULT_PROJECT


def test_reads_are_measured_alone_and_beside_each_stream(databases: Place) -> None:
    measured = disturb.run(argparse.Namespace(disturbed=8_000, seconds=1.0, turns=1), databases)

    alone, *others = measured["rows"]
    assert (alone["row"], alone["changes"]) == ("alone", 0)
    assert [line["row"] for line in others] == ["updates", "deletes", "retention"]
    assert all(line["changes"] > 0 for line in others)
    assert all(0 < line["p50_ms"] <= line["p99_ms"] for line in measured["rows"])
    assert disturb.report(measured).count("retention") == 3  # its line, and two bars


def test_it_does_not_run_out_of_completions_in_silence(databases: Place) -> None:
    with pytest.raises(CannotRun, match="every completion was changed"):
        disturb.run(argparse.Namespace(disturbed=8, seconds=1.0, turns=1), databases)


@pytest.mark.anyio
async def test_the_janitor_forgets_what_it_is_said_to_and_nothing_else(databases: Place) -> None:
    databases.drop("disturb")
    rows.fill(databases.of("disturb"), 2_000, made=disturb.record)
    store = SqlStore(databases.of("disturb"))
    await store.start()
    try:
        expiry = disturb.Expiry(2_000)
        forgotten = await expiry.beside(store, asyncio.create_task(_until_gone(store, 3)))
        left = [number for number in range(2_000) if await store.get(DEFAULT_PROJECT, rows.completion_id(number))]
        with pytest.raises(CannotRun, match="every completion was changed"):
            await expiry.beside(store, asyncio.create_task(_until(expiry.is_over)))
    finally:
        await store.stop()
        databases.drop("disturb")

    gone = sorted(set(range(2_000)) - set(left))
    assert gone == list(range(3, 2_000, 4))[: len(gone)]
    # What was under way as it was stopped is forgotten, and not told of.
    assert 0 < forgotten <= len(gone) <= forgotten + 64


async def _until_gone(store: SqlStore, number: int) -> list[float]:
    while await store.get(DEFAULT_PROJECT, rows.completion_id(number)) is not None:
        await asyncio.sleep(0.01)
    return []


async def _until(is_over: Callable[[], bool]) -> list[float]:
    while not is_over():
        await asyncio.sleep(0.01)
    return []


@pytest.mark.parametrize(("beside_ms", "met"), [(1.33, True), (1.34, False)])
def test_reads_may_be_slower_by_a_third(beside_ms: float, met: bool) -> None:
    turns = [_turn("alone", 1.0), _turn("updates", beside_ms)]

    bars = disturb.summed_up(turns)["bars"]

    assert [bar["met"] for bar in bars] == [met, met]
    assert [bar["asked"].partition(" ")[0] for bar in bars] == ["mean", "p99"]


def test_a_turn_that_something_else_disturbed_does_not_count() -> None:
    turns = [_turn(name, ms) for ms in (1.0, 9.0, 1.1) for name in ("alone", "deletes")]

    assert [line["mean_ms"] for line in disturb.summed_up(turns)["rows"]] == [1.1, 1.1]


def _turn(stream: str, ms: float) -> dict[str, Any]:
    return {"stream": stream, "taken_ms": [ms], "changes": 5.0}

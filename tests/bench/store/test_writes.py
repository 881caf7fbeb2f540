import argparse
from typing import Any

import pytest
from sqlalchemy import create_engine

from bench.store import writes
from bench.store.databases import Place


@pytest.fixture(scope="module")
def measured(databases: Place) -> dict[str, Any]:
    return writes.run(argparse.Namespace(records=128, rounds=1), databases)


def test_clients_share_commits(measured: dict[str, Any]) -> None:
    assert 1 < measured["records_a_commit"] <= writes.CLIENTS
    assert measured["store_rate"] > 0
    assert measured["batches_rate"] > 0


def test_the_disk_is_asked_for_as_much_as_a_batch_has(measured: dict[str, Any]) -> None:
    assert 64 * 2_500 < measured["batch_bytes"] < 64 * 5_500
    assert measured["sync_4k_ms"] > 0
    assert measured["sync_batch_ms"] > 0
    assert f"{measured['sync_4k_ms']:.2f} ms" in writes.report(measured)


def test_few_records_a_commit_and_a_slow_store_are_missed() -> None:
    slow = [{"store_s": 1.5, "batches_s": 1.0, "commits": 20}]

    summed_up = writes.summed_up(slow, 300)

    assert summed_up["records_a_commit"] == 15.0
    assert (summed_up["store_rate"], summed_up["batches_rate"]) == (200, 300)
    assert [(bar["bar"], bar["met"]) for bar in summed_up["bars"]] == [(16, False), (0.7, False)]


def test_sixteen_records_a_commit_at_seven_tenths_of_the_rate_are_enough() -> None:
    bars = writes.summed_up([{"store_s": 1.0, "batches_s": 0.7, "commits": 10}], 160)["bars"]

    assert all(bar["met"] for bar in bars)


def test_commits_of_the_block_are_counted() -> None:
    engine = create_engine("sqlite://")
    with writes.counted_commits() as commits:
        for _ in range(3):
            with engine.begin():
                pass
    with engine.begin():
        pass
    engine.dispose()

    assert commits == [3]

import argparse
from typing import Any

import pytest

from bench.store import size
from bench.store.corpus import Corpus
from bench.store.databases import Place
from bench.store.exchanges import CONVERSATIONS, SINGLE
from hansard.store.schema import TABLES

COUNT = 192


@pytest.fixture(scope="module")
def weighed(databases: Place, texts: Corpus) -> dict[str, Any]:
    return size.weigh(SINGLE, COUNT, place=databases, corpus=texts.copy(seed=1))


@pytest.mark.skipif(not size.tells_pieces(), reason="this SQLite does not tell what a table takes")
def test_everything_is_counted(weighed: dict[str, Any]) -> None:
    names = {piece["name"].partition(" ")[0] for piece in weighed["pieces"]}

    assert {table.name for table in TABLES.sorted_tables} <= names
    assert sum(piece["bytes"] for piece in weighed["pieces"]) == pytest.approx(weighed["disk_bytes"], rel=0.02)
    assert weighed["bytes_per_completion"] == round(weighed["disk_bytes"] / COUNT)
    assert weighed["ratio"] == pytest.approx(weighed["disk_bytes"] / weighed["raw_bytes"], abs=0.001)
    assert 0 < weighed["bodies_bytes"] < weighed["disk_bytes"]


def test_the_json_is_what_was_sent_and_mostly_text(weighed: dict[str, Any]) -> None:
    each = weighed["raw_bytes"] / COUNT

    assert 2_500 < each < 5_500
    assert 0.6 < weighed["text_bytes"] / weighed["raw_bytes"] < 0.9


def test_a_conversation_sends_what_single_turns_do_not(
    databases: Place, texts: Corpus, weighed: dict[str, Any]
) -> None:
    conversing = size.weigh(CONVERSATIONS, COUNT, place=databases, corpus=texts.copy(seed=1))

    assert conversing["raw_bytes"] > 1.5 * weighed["raw_bytes"]


def test_each_data_set_is_held_to_its_bar(databases: Place) -> None:
    measured = size.run(argparse.Namespace(completions=64), databases)

    assert [bar["bar"] for bar in measured["bars"]] == [0.8, 0.25, 0.35]
    met = [shape["ratio"] <= bar for shape, bar in zip(measured["shapes"], (0.8, 0.25, 0.35), strict=True)]
    assert [bar["met"] for bar in measured["bars"]] == met
    assert size.report(measured).count("**missed**") == met.count(False)

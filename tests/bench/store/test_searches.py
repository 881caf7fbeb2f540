import argparse
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bench.processes import CannotRun
from bench.store import searches
from bench.store.databases import Place
from bench.store.searches import SEARCHES, WORST, Draw, Texts
from hansard.core.paging import SearchQuery
from hansard.core.validate import parse_create
from hansard.core.words import terms
from hansard.store.base import Found
from hansard.store.sql import SqlStore
from hansard.tenancy import DEFAULT_PROJECT

COUNT = 400
CHARACTERS = 200_000


@pytest.fixture(scope="module")
def texts() -> Texts:
    return searches.texts_of(CHARACTERS)


@pytest.fixture
async def store(databases: Place, texts: Texts) -> AsyncIterator[SqlStore]:
    found = SqlStore(searches.filled(databases, COUNT, texts), search=True)
    await found.start()
    yield found
    await found.stop()


def test_every_search_of_the_issue_is_measured_and_weighed(databases: Place) -> None:
    asked = argparse.Namespace(searched=COUNT, searches=10, worst_searches=3, characters=CHARACTERS, weighed=64)

    measured = searches.run(asked, databases)

    lines = measured["rows"]
    assert [line["row"] for line in lines] == list(SEARCHES)
    assert all(0 < line["p50_ms"] <= line["p99_ms"] for line in lines)
    assert all(line["complete"] == 1 and line["within_budget"] > 0 for line in lines)
    assert [line["found"] > 0 for line in lines] == [line["row"] != WORST for line in lines]
    assert [bar["bar"] for bar in measured["bars"]] == [1.1] * len(SEARCHES)
    off, on = (measured["weights"][name]["disk_bytes"] for name in ("off", "on"))
    assert off < on
    assert f"{measured['weights']['on']['bytes_per_completion']:,}" in searches.report(measured)


@pytest.mark.anyio
async def test_the_index_has_all_that_was_put_in(store: SqlStore, texts: Texts) -> None:
    for number in (0, 17, COUNT - 1):
        found = await store.search(
            DEFAULT_PROJECT, SearchQuery(terms=terms(texts.rarest(number)), limit=100), after=None
        )

        made = texts.record(number)
        assert made.id in [hit.id for hit in found.hits]
        assert await store.get(DEFAULT_PROJECT, made.id) == made


def test_completions_are_right_and_always_the_same(texts: Texts) -> None:
    sizes = []
    for number in range(200):
        made = texts.record(number)
        parse_create(made.request)
        assert made == texts.record(number)
        sizes.append(sum(map(len, texts.words(number))))

    assert 200 < sum(sizes) / len(sizes) < 500


def test_common_words_are_common_and_rare_ones_rare(texts: Texts) -> None:
    having = [set(texts.words(number)) for number in range(COUNT)]

    assert all(sum(word in some for some in having) > COUNT / 20 for word in texts.common)
    assert sum(texts.rarest(number) in some for number in range(50) for some in having) / 50 < COUNT / 40


@pytest.mark.parametrize("name", [name for name in SEARCHES if name != WORST])
def test_what_finds_nothing_is_not_taken_for_fast(name: str) -> None:
    drawn = Draw(SearchQuery(terms=terms("nowhere")))
    nothing = Found(hits=[], has_more=False, is_complete=True, next_after=None)

    with pytest.raises(CannotRun, match="found nothing"):
        searches.check(name, drawn, nothing)


@pytest.mark.anyio
async def test_what_never_meets_is_not_found(store: SqlStore, texts: Texts) -> None:
    drawn = SEARCHES[WORST](texts, 0, random.Random(1))
    found = await store.search(DEFAULT_PROJECT, drawn.query, after=None)
    without = await store.search(DEFAULT_PROJECT, SearchQuery(terms=drawn.query.terms), after=None)

    searches.check(WORST, drawn, found)
    with pytest.raises(CannotRun, match="it found"):
        searches.check(WORST, drawn, without)


@pytest.mark.parametrize(("ms", "met"), [(1100.0, True), (1101.0, False)])
def test_a_tenth_more_than_the_budget_is_met(ms: float, met: bool) -> None:
    lines: list[dict[str, Any]] = [{"row": "a word", "p99_ms": ms}]

    assert [bar["met"] for bar in searches.judged(lines)] == [met]

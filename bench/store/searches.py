"""What a search costs with an index of words over 1,000,000 completions of real text, and what the index weighs.

Through the store's interface, one search at a time, from a warm cache, each for a page of 20 and with the budget that
a server has. What is searched for is drawn by chance from the completions themselves. Beside it stand the bytes on
disk of the single turns of ``size``, without the index and with it.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from bench.numbers import quantile, table
from bench.processes import CannotRun
from bench.store import rows, size
from bench.store.bars import at_most
from bench.store.bars import report as bars
from bench.store.corpus import Exhausted, corpus_of
from bench.store.databases import Place
from bench.store.exchanges import ANSWER, PROMPT, SINGLE
from hansard.core import words
from hansard.core.paging import SearchQuery
from hansard.core.words import Term
from hansard.store import migrate
from hansard.store.base import Found, Record
from hansard.store.database import Database
from hansard.store.sql import SqlStore
from hansard.tenancy import DEFAULT_PROJECT

VERSION: Final = 1
"""Of the completions that are made below: others are not used again."""

BUDGET_S: Final = 1.0
"""That of a server which is not told another: ``--search-budget-ms``."""
_AT_MOST: Final = 1.1

_SEED: Final = 4
_CHARACTERS: Final = 4_000_000
_ASKED, _SAID = 140, 320
"""Characters, on average; they are cut from the text wherever chance says, so that passages overlap."""
_COUNTED: Final = 2_000
_COMMON: Final = 20
_LONG: Final = 6
_AROUND_S: Final = 3_600


class Texts:
    """Completions of ``text``, each made from its number alone, and how common its words are."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.mark = blake2b(text.encode(), digest_size=8).hexdigest()
        self._counts: Counter[str] = Counter()
        for number in range(_COUNTED):
            self._counts.update(set(self.words(number)))
        self.common = [word for word, _ in self._counts.most_common(_COMMON)]

    def record(self, number: int) -> Record:
        chance = random.Random(f"{_SEED} {number}")
        asked, said = (self._cut(chance, mean) for mean in (_ASKED, _SAID))
        return msgspec.structs.replace(rows.record(number, asked=asked, said=said), finish_reason="stop")

    def words(self, number: int) -> list[str]:
        """Those that the completion is found by, in their order."""
        made = self.record(number)
        return words.words_of(made.request, made.reply)

    def rarest(self, number: int) -> str:
        """The word of that completion that the fewest others have, as far as was counted."""
        return min(self.words(number), key=lambda word: (self._counts[word], word))

    def _cut(self, chance: random.Random, mean: int) -> str:
        length = chance.randrange(mean // 2, mean * 3 // 2)
        start = chance.randrange(len(self._text) - length)
        # From the end of a word to that of another.
        start = self._text.find(" ", start, start + length // 2) + 1 or start
        end = self._text.rfind(" ", start + length // 2, start + length) + 1 or start + length
        return self._text[start:end].strip() or "nothing"


def texts_of(characters: int) -> Texts:
    """Of so much of the text that is installed with this Python, prose and code in turns."""
    corpus = corpus_of(characters, seed=_SEED)
    some: list[str] = []
    try:
        while len(some) < characters // 1000:
            some += [corpus.passage(kind, mean=1000) for kind in ("prose", "code")]
    except Exhausted as error:
        raise CannotRun(str(error)) from error
    return Texts("\n".join(some))


class Draw(NamedTuple):
    """A search drawn from a completion, which it finds unless nothing can be found; ``below``: only older ones."""

    query: SearchQuery
    below: int | None = None


Kind: TypeAlias = Callable[[Texts, int, random.Random], Draw]
"""What is drawn from the completion of a number."""


def _rare(texts: Texts, number: int, _: random.Random) -> Draw:
    return Draw(SearchQuery(terms=words.terms(texts.rarest(number))))


def _common(texts: Texts, _: int, chance: random.Random) -> Draw:
    return Draw(SearchQuery(terms=words.terms(chance.choice(texts.common))))


def _deeper(texts: Texts, number: int, chance: random.Random) -> Draw:
    return Draw(SearchQuery(terms=words.terms(chance.choice(texts.common))), below=number)


def _phrase(texts: Texts, number: int, chance: random.Random) -> Draw:
    said = texts.words(number)
    start = chance.randrange(max(1, len(said) - 2))
    return Draw(SearchQuery(terms=(Term(tuple(said[start : start + 3])),)))


def _prefix(texts: Texts, number: int, chance: random.Random) -> Draw:
    said = texts.words(number)
    long = [word for word in said if len(word) >= _LONG] or [max(said, key=len)]
    return Draw(SearchQuery(terms=(Term((chance.choice(long)[:4],), is_prefix=True),)))


def _two(texts: Texts, number: int, chance: random.Random) -> tuple[Term, ...]:
    """A common word and any other of that completion."""
    said = sorted(set(texts.words(number)))
    common = [word for word in said if word in texts.common] or said
    return words.terms(f"{chance.choice(common)} {chance.choice(said)}")


def _of_model(texts: Texts, number: int, chance: random.Random) -> Draw:
    return Draw(SearchQuery(terms=_two(texts, number, chance), model=rows.record(number).model))


def _with_pair(texts: Texts, number: int, chance: random.Random) -> Draw:
    key, _ = rows.pair("a", 100, 0)
    pair = (key, rows.record(number).metadata[key])
    return Draw(SearchQuery(terms=_two(texts, number, chance), metadata=(pair,), finish_reason="stop"))


def _in_time(texts: Texts, number: int, chance: random.Random) -> Draw:
    created = rows.record(number).created
    return Draw(
        SearchQuery(
            terms=_two(texts, number, chance), created_after=created - _AROUND_S, created_before=created + _AROUND_S
        )
    )


def _never(texts: Texts, _: int, chance: random.Random) -> Draw:
    two = " ".join(chance.sample(texts.common[:5], 2))
    return Draw(SearchQuery(terms=words.terms(two), metadata=rows.NEVER_TOGETHER))


FINDING: Final[Mapping[str, Kind]] = {
    "a rare word": _rare,
    "a common word": _common,
    "a common word, a page from anywhere": _deeper,
    "a phrase of three words": _phrase,
    "a beginning of four letters": _prefix,
    "two words, one of ten models": _of_model,
    "two words, a pair of 1 %, a finish reason": _with_pair,
    "two words, within two hours": _in_time,
}
WORST: Final = "worst case: two common words, two pairs that never meet"
"""All that have both words are looked at, as far as the time allows."""
SEARCHES: Final[Mapping[str, Kind]] = {**FINDING, WORST: _never}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this bench can be told."""
    parser.add_argument("--searched", type=int, default=1_000_000, help="completions searched (default 1000000)")
    parser.add_argument("--searches", type=int, default=100, help="of each kind (default 100)")
    parser.add_argument("--worst-searches", type=int, default=10, help="of the worst case (default 10)")
    parser.add_argument("--characters", type=int, default=_CHARACTERS, help="of text that they say (default 4000000)")
    parser.add_argument("--weighed", type=int, default=1_600, help="completions weighed (default 1600; 0: none)")


def run(asked: argparse.Namespace, place: Place) -> dict[str, Any]:
    """Measure, print, and return what was measured. A minute or two, and some more to fill the database once."""
    texts = texts_of(asked.characters)
    database = filled(place, asked.searched, texts)
    rows.warm(place.folder)
    rows.warm_buffers(database)
    lines = asyncio.run(_measure(SqlStore(database, search=True, search_budget_s=BUDGET_S), texts, asked))
    measured = {
        "schema": migrate.HEAD,
        "completions": asked.searched,
        "searches": asked.searches,
        "rows": lines,
        "weighed": asked.weighed,
        "weights": weights(asked.weighed, place=place) if asked.weighed else {},
        "bars": judged(lines),
    }
    print(report(measured), flush=True)
    return measured


def filled(place: Place, count: int, texts: Texts | None = None) -> Database:
    """A database with so many completions and the index of their words; that of an earlier run, if it is the same."""
    texts = texts or texts_of(_CHARACTERS)
    whole = [migrate.HEAD, rows.VERSION, VERSION, words.VERSION, count, texts.mark]
    return rows.kept(
        place, f"searched_{count}", whole, partial(rows.fill, count=count, made=texts.record, is_searched=True)
    )


async def _measure(store: SqlStore, texts: Texts, asked: argparse.Namespace) -> list[dict[str, Any]]:
    await store.start()
    try:
        return [
            await _row(name, store, texts, asked.worst_searches if name == WORST else asked.searches, asked.searched)
            for name in SEARCHES
        ]
    finally:
        await store.stop()


async def _row(name: str, store: SqlStore, texts: Texts, samples: int, count: int) -> dict[str, Any]:
    """How long the searches of one kind took, in milliseconds, and what they found."""
    taken: list[float] = []
    found: list[Found] = []
    # The first tenth is not counted: statements are prepared and pages fetched then.
    for number in range(-(samples // 10), samples):
        chance = random.Random(f"{name} {number}")
        drawn = SEARCHES[name](texts, chance.randrange(count), chance)
        began = time.perf_counter()
        came = await _search(store, drawn)
        took_ms = (time.perf_counter() - began) * 1000
        check(name, drawn, came)
        if number >= 0:
            taken.append(took_ms)
            found.append(came)
    row = {
        "row": name,
        "p50_ms": quantile(taken, 0.5),
        "p99_ms": quantile(taken, 0.99),
        "within_budget": sum(each <= BUDGET_S * 1000 for each in taken) / samples,
        "complete": sum(each.is_complete for each in found) / samples,
        "found": sum(len(each.hits) for each in found) / samples,
    }
    print(", ".join(_line(row)), flush=True)
    return row


async def _search(store: SqlStore, drawn: Draw) -> Found:
    """The place of the last completion seen is looked for first, as for ``after=ID``."""
    after = None
    if drawn.below is not None:
        after = await store.locate(DEFAULT_PROJECT, rows.completion_id(drawn.below))
    return await store.search(DEFAULT_PROJECT, drawn.query, after=after)


def check(name: str, drawn: Draw, found: Found) -> None:
    """A search that finds the wrong number must not be measured as a fast one."""
    finds = bool(found.hits)
    if name == WORST and finds:
        raise CannotRun(f"{name}: it found {found.hits[0].id}")
    if name in FINDING and drawn.below is None and found.is_complete and not finds:
        raise CannotRun(f"{name}: {drawn.query} found nothing, not even what it was drawn from")


def weights(count: int, *, place: Place) -> dict[str, Any]:
    """Single turns on the disk, without and with the index."""
    corpus = corpus_of(count * (PROMPT + ANSWER), seed=_SEED)
    try:
        return {
            name: size.weigh(SINGLE, count, place=place, corpus=corpus.copy(seed=_SEED), is_searched=is_searched)
            for name, is_searched in (("off", False), ("on", True))
        }
    except Exhausted as error:
        raise CannotRun(f"{error}: fewer --weighed need less") from error


def judged(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each kind against the budget and a tenth more."""
    return [
        at_most(f"{line['row']}: p99 against the budget", line["p99_ms"] / (BUDGET_S * 1000), _AT_MOST)
        for line in lines
    ]


def report(measured: Mapping[str, Any]) -> str:
    """The tables."""
    head = ("search", "p50 ms", "p99 ms", "within the budget", "complete", "found on average")
    said = (
        f"Schema {measured['schema']}; {measured['completions']:,} completions, {measured['searches']:,} searches of "
        f"each kind, each with a budget of {BUDGET_S * 1000:,.0f} ms."
    )
    tables = [said, table(head, [_line(row) for row in measured["rows"]])]
    if measured["weights"]:
        tables.append(_weights_table(measured["weights"], measured["weighed"]))
    return "\n\n".join([*tables, bars(measured["bars"])])


def _weights_table(weighed: Mapping[str, Mapping[str, Any]], count: int) -> str:
    lines = [
        (
            f"{count:,} {SINGLE.name}, search {name}",
            f"{weight['raw_bytes'] / count / 1000:.1f}",
            f"{weight['bytes_per_completion']:,}",
            f"{weight['ratio']:.2f}",
        )
        for name, weight in weighed.items()
    ]
    return table(("data set", "JSON KB each", "disk bytes each", "disk/JSON"), lines)


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["row"],
        f"{row['p50_ms']:.2f}",
        f"{row['p99_ms']:.2f}",
        f"{row['within_budget']:.0%}",
        f"{row['complete']:.0%}",
        f"{row['found']:.1f}",
    )

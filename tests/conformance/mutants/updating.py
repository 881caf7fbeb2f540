"""Servers that break a rule of updating."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.conformance.broken import Answered, Asked, Mutant, drops, errors_with, refuses, sets

UPDATE = ("POST", "/chat/completions/{id}")


def _wrong(name: str, *fails: str, answer: Callable[[Answered], None]) -> Mutant:
    return Mutant(name=f"update-{name}", fails=fails, answer=answer, only_to=UPDATE)


def _asks(name: str, *fails: str, ask: Callable[[Asked], None]) -> Mutant:
    return Mutant(name=f"update-{name}", fails=fails, ask=ask, only_to=UPDATE)


def _reverses_keys(answered: Answered) -> None:
    answered.document = dict(reversed(answered.document.items()))


def _merges(answered: Answered) -> None:
    """As a server that adds the new pairs to the old ones."""
    document = answered.document
    if answered.status == 200:
        document["metadata"] = {"old": "1", **document["metadata"]}
        answered.document = document


def _changes_nothing(asked: Asked) -> None:
    asked.method = "GET"


def _writes_nothing_but_says_so(answered: Answered) -> None:
    document = answered.document
    document["metadata"] = answered.asked.document.get("metadata", {})
    answered.document = document


def _takes_what_it_can(asked: Asked) -> None:
    """Drops what it does not like, and says nothing."""
    try:
        document = json.loads(asked.body)
    except ValueError:
        document = {}
    given = document.get("metadata") if isinstance(document, dict) else None
    pairs = given.items() if isinstance(given, dict) else ()
    kept = {key[:64]: value[:512] for key, value in pairs if isinstance(value, str)}
    asked.document = {"metadata": dict(list(kept.items())[:16])}


def _asks_for_json(answered: Answered) -> None:
    if ("content-type", "application/json") not in answered.asked.headers:
        refuses(415)(answered)


def _makes_up_a_completion(answered: Answered) -> None:
    answered.status = 200
    answered.document = {"object": "chat.completion"}


def _forgets_large_metadata(asked: Asked) -> None:
    pairs = asked.document.get("metadata") or {}
    asked.document = {**asked.document, "metadata": dict(list(pairs.items())[:10])}


def _writes_ascii(asked: Asked) -> None:
    asked.body = asked.body.decode().encode("ascii", "replace")


def _drops_empty(asked: Asked) -> None:
    asked.document = {"metadata": {key: value for key, value in asked.document["metadata"].items() if value}}


def _counts_updates() -> Callable[[Answered], None]:
    seen: list[int] = []

    def edit(answered: Answered) -> None:
        seen.append(1)
        sets(len(seen), "created")(answered)

    return edit


MUTANTS = (
    _wrong("answers-with-less", "update.answers_with_the_stored_object", answer=drops("usage")),
    _wrong("answers-in-another-order", "update.answers_in_the_order_of_the_wire", answer=_reverses_keys),
    _wrong(
        "merges",
        "update.replaces_the_metadata",
        "update.null_clears_the_metadata",
        "update.an_empty_object_clears_the_metadata",
        answer=_merges,
    ),
    _wrong("counts", "update.can_be_repeated", answer=_counts_updates()),
    Mutant(
        name="update-pretends",
        fails=("update.is_seen_by_get",),
        ask=_changes_nothing,
        answer=_writes_nothing_but_says_so,
        only_to=UPDATE,
    ),
    Mutant(
        name="update-touches-more",
        fails=("update.changes_nothing_else",),
        answer=_counts_updates(),
        only_to=("GET", "/chat/completions/{id}"),
    ),
    _asks("has-less-room", "update.takes_the_largest_metadata", ask=_forgets_large_metadata),
    _asks("knows-ascii-only", "update.takes_unicode", ask=_writes_ascii),
    _asks("drops-empty-values", "update.takes_an_empty_value", ask=_drops_empty),
    _asks(
        "takes-what-it-can",
        "update.refuses_*",
        "update.changes_nothing_when_refused",
        ask=_takes_what_it_can,
    ),
    _wrong("refuses-with-422", "update.refuses_*", answer=errors_with(status=422)),
    _wrong("asks-for-a-content-type", "update.parses_the_body_whatever_its_content_type", answer=_asks_for_json),
    _wrong("knows-everything", "update.*_is_404", answer=_makes_up_a_completion),
    _wrong("says-other-words", "update.unknown_id_is_404", answer=errors_with(message="Not found")),
)

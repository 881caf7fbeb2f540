"""Servers that filter otherwise."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from tests.conformance.broken import Asked, Mutant, refuses, sets
from tests.conformance.mutants.pages import LIST, asks, query_of, without

BARE = ("list.filter_as_*", "list.filter_refuses_another_bare_value")


def _keeps_the_mark_only(asked: Asked) -> None:
    """Knows no filter but one."""
    metadata = [pair for pair in query_of(asked) if not pair[0].startswith("metadata[") or "conformance" in pair[0]]
    asked.query = urlencode(metadata)


def _edits_filters(act: Callable[[str, str], tuple[str, str]]) -> Callable[[Asked], None]:
    def edit(asked: Asked) -> None:
        pairs = query_of(asked)
        asked.query = urlencode([act(*pair) if pair[0].startswith("metadata[") else pair for pair in pairs])

    return edit


def _drops_empty(asked: Asked) -> None:
    asked.query = urlencode([pair for pair in query_of(asked) if pair[1]])


def _drops_odd_keys(asked: Asked) -> None:
    """Knows only keys of letters and hyphens."""
    asked.query = urlencode(
        [(name, value) for name, value in query_of(asked) if name[9:-1].replace("-", "").isalpha() or "[" not in name]
    )


def _first_of_a_kind(asked: Asked) -> None:
    asked.query = urlencode(list(dict(reversed(query_of(asked))).items()))


def _finds_everything_for(*words: str) -> Callable[[Asked], None]:
    """Drops filters with these words, as a server that searches or does not tell case would find too much."""

    def edit(asked: Asked) -> None:
        asked.query = urlencode([pair for pair in query_of(asked) if not any(word in str(pair) for word in words)])

    return edit


def _plus_is_plus(asked: Asked) -> None:
    asked.query = asked.query.replace("+", "%2B")


def _spaces_break(asked: Asked) -> None:
    asked.query = asked.query.replace("%20", "_")


def _brackets_must_be_encoded(asked: Asked) -> None:
    asked.query = "&".join(pair for pair in asked.query.split("&") if "[" not in pair.split("=")[0])


MUTANTS = (
    asks(
        "knows-one-filter",
        "list.filter_by_metadata",
        "list.filter_by_two_pairs*",
        "list.filter_is_no_search",
        "list.filter_tells_case_*",
        "list.filter_by_an_unknown_key",
        "list.filter_counts_for_has_more",
        "list.filter_holds_on_the_next_page",
        "list.filter_sees_updates",
        ask=_keeps_the_mark_only,
    ),
    asks("drops-empty-values", "list.filter_by_an_empty_value", ask=_drops_empty),
    asks("takes-the-first", "list.filter_by_a_repeated_key", ask=_first_of_a_kind),
    asks(
        "knows-simple-keys",
        "list.filter_with_signs_encoded",
        "list.filter_with_brackets_in_the_key",
        "list.filter_with_*_for_space",
        ask=_drops_odd_keys,
    ),
    asks("takes-plus-for-plus", "list.filter_with_plus_for_space", ask=_plus_is_plus),
    asks("stumbles-over-percent", "list.filter_with_percent_for_space", ask=_spaces_break),
    asks("wants-brackets-encoded", "list.filter_with_raw_brackets", ask=_brackets_must_be_encoded),
    asks("searches", "list.filter_is_no_search", ask=_finds_everything_for("'Upp'")),
    asks("does-not-know-bare-metadata", *BARE, ask=without("metadata")),
    Mutant(
        name="list-refuses-empty-metadata",
        fails=("list.filter_ignores_an_empty_bare_value",),
        answer=lambda answered: refuses(400)(answered) if answered.asked.query.startswith("metadata%5B") else None,
        only_to=LIST,
    ),
    asks("knows-no-models", "list.filter_by_an_unknown_model", ask=without("model")),
    Mutant(
        name="list-finds-no-model",
        fails=("list.filter_by_model", "list.filter_by_the_requested_model"),
        answer=sets([], "data"),
        only_to=LIST,
    ),
)

"""What is said about the stored completions beyond OpenAI's API: what is found in them, and how many there are."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType


class Facet(Struct, frozen=True, kw_only=True):
    """How many completions have this key, or this value of it. ``key`` is spelled as in the query string of a list."""

    object: Literal["hansard.facet"]
    key: str
    value: str | UnsetType = UNSET
    count: int


class FacetList(Struct, frozen=True, kw_only=True):
    """The keys by name, or the values of one, the most frequent first."""

    object: Literal["list"]
    data: list[Facet]
    has_more: bool


class SearchResult(Struct, frozen=True, kw_only=True):
    """A stored completion in which the words are; ``snippet`` is some of the text around the first of them."""

    object: Literal["hansard.search_result"]
    id: str
    created: int
    model: str
    finish_reason: str | None
    metadata: dict[str, str]
    snippet: str


class SearchList(Struct, frozen=True, kw_only=True):
    """One page, newest first. ``next_after`` is the ``after`` of the next one, null if there is none.

    Not ``complete``: older ones were not looked at, because the time was over or they are not in the index yet.
    """

    object: Literal["list"]
    data: list[SearchResult]
    first_id: str | None
    last_id: str | None
    has_more: bool
    complete: bool
    next_after: str | None

"""Lists, page by page: what a query string asks for, and what a page looks like.

Unknown parameters are ignored, an empty one counts as absent (clients send it for null), and of
a repeated one the last counts. What the store does with a query is its own affair.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import unquote_to_bytes

import msgspec

from hansard.contract import Document
from hansard.core import shapes
from hansard.core.words import Term, terms
from hansard.errors import InvalidRequest

Order: TypeAlias = Literal["asc", "desc"]

_ORDERS: Final[tuple[Order, ...]] = ("asc", "desc")
DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
MAX_METADATA_PAIRS: Final = 16  # no completion has more, so no query needs more


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /chat/completions``. Every metadata pair must match exactly; ``after`` is a completion's id."""

    model: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    after: str | None = None
    limit: int = DEFAULT_LIMIT
    order: Order = "asc"


class MessagesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /chat/completions/{id}/messages``. ``after`` is a message's id."""

    after: str | None = None
    limit: int = DEFAULT_LIMIT
    order: Order = "asc"


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /hansard/v1/search``. Terms and filters must all hold; times are unix seconds and not part of the span."""

    terms: tuple[Term, ...]
    model: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    created_after: int | None = None
    created_before: int | None = None
    finish_reason: str | None = None
    after: str | None = None
    limit: int = DEFAULT_LIMIT


class FacetsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /hansard/v1/facets``: the keys, or the values of one."""

    key: str | None = None
    limit: int = DEFAULT_LIMIT


def list_query(query_string: bytes, *, default_order: Order = "asc") -> ListQuery:
    """What the query string asks for; raises ``InvalidRequest``."""
    pairs = list(_pairs(query_string))
    given = {name: value for name, value in pairs if value}
    return ListQuery(
        model=given.get("model"),
        metadata=_metadata(pairs),
        after=given.get("after"),
        limit=_limit(given.get("limit")),
        order=_order(given.get("order"), default_order),
    )


def messages_query(query_string: bytes) -> MessagesQuery:
    """What the query string asks for; raises ``InvalidRequest``."""
    given = {name: value for name, value in _pairs(query_string) if value}
    return MessagesQuery(
        after=given.get("after"), limit=_limit(given.get("limit")), order=_order(given.get("order"), "asc")
    )


def search_query(query_string: bytes) -> SearchQuery:
    """What the query string asks for; raises ``InvalidRequest``."""
    pairs = list(_pairs(query_string))
    given = {name: value for name, value in pairs if value}
    return SearchQuery(
        terms=terms(given.get("q", "")),
        model=given.get("model"),
        metadata=_metadata(pairs),
        created_after=_seconds("created_after", given.get("created_after")),
        created_before=_seconds("created_before", given.get("created_before")),
        finish_reason=given.get("finish_reason"),
        after=given.get("after"),
        limit=_limit(given.get("limit")),
    )


def facets_query(query_string: bytes) -> FacetsQuery:
    """What the query string asks for; raises ``InvalidRequest``."""
    given = {name: value for name, value in _pairs(query_string) if value}
    return FacetsQuery(key=given.get("key"), limit=_limit(given.get("limit")))


def page(items: Sequence[Document], limit: int) -> Document:
    """The list envelope over at most ``limit`` items; one item more says that there are more."""
    shown = list(items[:limit])
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(items) > limit,
    }


def _pairs(query_string: bytes) -> Iterator[tuple[str, str]]:
    for pair in query_string.split(b"&"):
        name, _, value = pair.partition(b"=")
        yield _decoded(name), _decoded(value)


def _decoded(text: bytes) -> str:
    return unquote_to_bytes(text.replace(b"+", b" ")).decode("utf-8", "replace")


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not re.fullmatch("-?[0-9]{1,50}", text):
        raise InvalidRequest(
            "Invalid type for 'limit': expected an integer, but got a string instead.",
            param="limit",
            code="invalid_type",
        )
    limit = int(text)
    if limit < 1:
        raise InvalidRequest(
            f"Invalid 'limit': integer below minimum value. Expected a value >= 1, but got {limit} instead.",
            param="limit",
            code="integer_below_min_value",
        )
    if limit > MAX_LIMIT:
        raise InvalidRequest(
            f"Invalid 'limit': integer above maximum value. Expected a value <= {MAX_LIMIT}, but got {limit} instead.",
            param="limit",
            code="integer_above_max_value",
        )
    return limit


def _seconds(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch("-?[0-9]{1,18}", text):
        raise InvalidRequest(
            f"Invalid type for '{name}': expected an integer (unix seconds), but got a string instead.",
            param=name,
            code="invalid_type",
        )
    return int(text)


def _order(text: str | None, default: Order) -> Order:
    if text is None:
        return default
    for order in _ORDERS:
        if text == order:
            return order
    raise InvalidRequest(
        f"Invalid value: '{text}'. Supported values are: 'asc' and 'desc'.", param="order", code="invalid_value"
    )


def _metadata(pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Every wire form of a metadata filter that a client is known to send."""
    wanted: dict[str, str] = {}
    for name, value in pairs:
        if (key := _bracketed(name)) is not None:
            wanted[key] = value
        elif name == "metadata" and value:
            wanted.update(_bare_metadata(value))
    if len(wanted) > MAX_METADATA_PAIRS:
        raise InvalidRequest(
            "Invalid 'metadata': too many properties. Expected an object with at most "
            f"{MAX_METADATA_PAIRS} properties, but got an object with {len(wanted)} properties instead.",
            param="metadata",
            code="object_above_max_properties",
        )
    return tuple(wanted.items())


def _bracketed(name: str) -> str | None:
    """``metadata[key]`` gives key, which may itself contain brackets."""
    return name[9:-1] if name.startswith("metadata[") and name.endswith("]") else None


def _bare_metadata(value: str) -> dict[str, str]:
    """The one string that clients send who type the parameter as a string: JSON, or the pairs themselves."""
    if value.startswith("metadata%5B"):
        value = unquote_to_bytes(value).decode("utf-8", "replace")
    if value.startswith("metadata["):
        parts = [pair.partition("=") for pair in value.split("&")]
        keys = [_bracketed(name) for name, _, _ in parts]
        if all(key is not None for key in keys):
            return {key: part[2] for key, part in zip(keys, parts, strict=True) if key is not None}
    elif value.startswith("{"):
        return _json_metadata(value)
    raise _not_metadata("metadata", "an object", "a string")


def _json_metadata(value: str) -> dict[str, str]:
    try:
        document: Any = msgspec.json.decode(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise _not_metadata("metadata", "an object", "a string") from error
    for key, item in document.items():
        if not isinstance(item, str):
            raise shapes.shape(str).wrong_type(item, f"metadata.{key}")
    return dict(document)


def _not_metadata(path: str, expected: str, got: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid type for '{path}': expected {expected}, but got {got} instead.", param=path, code="invalid_type"
    )

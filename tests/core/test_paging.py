"""Query strings as real clients write them, and pages."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.core.paging import (
    MAX_LIMIT,
    MAX_METADATA_PAIRS,
    ListQuery,
    MessagesQuery,
    list_query,
    messages_query,
    page,
)
from hansard.errors import InvalidRequest


def test_no_query() -> None:
    assert list_query(b"") == ListQuery(model=None, metadata=(), after=None, limit=20, order="asc")
    assert list_query(b"", default_order="desc").order == "desc"
    assert messages_query(b"") == MessagesQuery(after=None, limit=20, order="asc")


ALL = ListQuery(
    model="gpt 4/o+x",
    metadata=(("key 1", "va&l=ue"), ("k[2]", "ü"), ("e", "")),
    after="chatcmpl-000",
    limit=2,
    order="desc",
)


@pytest.mark.parametrize(
    "query",
    [
        # Python 3.51
        b"after=chatcmpl-000&limit=2&metadata%5Bkey+1%5D=va%26l%3Due&metadata%5Bk%5B2%5D%5D=%C3%BC&metadata%5Be%5D=&model=gpt+4%2Fo%2Bx&order=desc",
        # Node 7.55
        b"model=gpt%204%2Fo%2Bx&metadata%5Bkey%201%5D=va%26l%3Due&metadata%5Bk%5B2%5D%5D=%C3%BC&metadata%5Be%5D=&after=chatcmpl-000&limit=2&order=desc",
        # .NET: raw brackets, unescaped key
        b"model=gpt%204%2Fo%2Bx&metadata[key 1]=va%26l%3Due&metadata[k[2]]=\xc3\xbc&metadata[e]="
        b"&after=chatcmpl-000&limit=2&order=desc",
    ],
)
def test_every_client_means_the_same(query: bytes) -> None:
    assert list_query(query) == ALL


@pytest.mark.parametrize(
    ("query", "metadata"),
    [
        (b"metadata=", ()),  # Node, for null
        (b"metadata", ()),
        (b"metadata%5Ba%5D=1&metadata%5Bb%5D=2", (("a", "1"), ("b", "2"))),
        (b"metadata[a]=1&metadata[a]=2", (("a", "2"),)),
        (b"metadata[a]", (("a", ""),)),
        (b"metadata[]=1", (("", "1"),)),
        (b"metadata[a]b]=1", (("a]b", "1"),)),
        # Clients generated from the specification send one string.
        (b"metadata=%7B%22k%22%3A%22v%22%7D", (("k", "v"),)),
        (b'metadata={"k":"v","l":""}', (("k", "v"), ("l", ""))),
        (b"metadata={}", ()),
        (b"metadata=metadata[k]=v", (("k", "v"),)),
        (b"metadata=metadata%5Bk%5D%3Dv%26metadata%5Bk2%5D%3Dv2", (("k", "v"), ("k2", "v2"))),
        (b"metadata=metadata%255Bk%255D%3Dv", (("k", "v"),)),
        (b"metadata=metadata[k]%3Da%2Bb%25", (("k", "a+b%"),)),
        (b"metadatum[k]=v&metadata[k=v", ()),
    ],
)
def test_metadata(query: bytes, metadata: tuple[tuple[str, str], ...]) -> None:
    assert list_query(query).metadata == metadata


@pytest.mark.parametrize("value", [b"v", b"[1]", b"{", b"metadata[k]%3Dv%26other", b"%7B%22k%22:[" + b"[" * 9000])
def test_other_bare_metadata_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        list_query(b"metadata=" + value)
    assert (caught.value.param, caught.value.code) == ("metadata", "invalid_type")


@pytest.mark.parametrize(("value", "kind"), [(b"1", "an integer"), (b"true", "a boolean"), (b"null", "null")])
def test_metadata_values_are_strings(value: bytes, kind: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        list_query(b'metadata={"k":%s}' % value)
    assert (caught.value.param, caught.value.code) == ("metadata.k", "invalid_type")
    assert caught.value.message == f"Invalid type for 'metadata.k': expected a string, but got {kind} instead."


def test_no_more_pairs_than_a_completion_can_have() -> None:
    pairs = b"&".join(b"metadata[%d]=x" % index for index in range(17))
    with pytest.raises(InvalidRequest) as caught:
        list_query(pairs)
    assert caught.value.code == "object_above_max_properties"


@pytest.mark.parametrize(
    ("limit", "code", "message"),
    [
        (
            b"0",
            "integer_below_min_value",
            "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        ),
        (
            b"-3",
            "integer_below_min_value",
            "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got -3 instead.",
        ),
        (
            b"101",
            "integer_above_max_value",
            "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead.",
        ),
        (b"x", "invalid_type", "Invalid type for 'limit': expected an integer, but got a string instead."),
        (b"1.5", "invalid_type", "Invalid type for 'limit': expected an integer, but got a string instead."),
        (b"%D9%A3", "invalid_type", "Invalid type for 'limit': expected an integer, but got a string instead."),
        (b"9" * 5000, "invalid_type", "Invalid type for 'limit': expected an integer, but got a string instead."),
    ],
)
@pytest.mark.parametrize("parse", [list_query, messages_query])
def test_bad_limits(parse: object, limit: bytes, code: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(b"limit=" + limit)  # type: ignore[operator]
    assert (caught.value.message, caught.value.param, caught.value.code) == (message, "limit", code)


@pytest.mark.parametrize("limit", [1, 2, 20, 100])
def test_good_limits(limit: int) -> None:
    assert list_query(b"limit=%d" % limit).limit == limit


@pytest.mark.parametrize("parse", [list_query, messages_query])
def test_bad_order(parse: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(b"order=up")  # type: ignore[operator]
    assert caught.value.message == "Invalid value: 'up'. Supported values are: 'asc' and 'desc'."
    assert (caught.value.param, caught.value.code) == ("order", "invalid_value")


def test_messages_query() -> None:
    assert messages_query(b"limit=1&order=desc&after=chatcmpl-001-0") == MessagesQuery(
        after="chatcmpl-001-0", limit=1, order="desc"
    )


def test_unknown_and_empty_parameters_are_ignored_and_the_last_counts() -> None:
    assert list_query(b"foo=1&model=&after=&limit=&order=&&=&limit=3&limit=4") == ListQuery(limit=4)


@given(st.binary())
def test_any_query_is_understood_or_refused(query: bytes) -> None:
    for parse in (list_query, messages_query):
        with suppress(InvalidRequest):
            understood = parse(query)
            assert 1 <= understood.limit <= MAX_LIMIT
            assert understood.order in ("asc", "desc")


@given(st.sampled_from([b"metadata=", b"metadata=%7B", b"metadata=metadata[", b"metadata["]), st.binary(max_size=40))
def test_any_metadata_is_understood_or_refused(start: bytes, rest: bytes) -> None:
    with suppress(InvalidRequest):
        assert len(list_query(start + rest).metadata) <= MAX_METADATA_PAIRS


def test_page() -> None:
    items = [{"id": "a"}, {"id": "b"}, {"id": "c"}]
    assert page(items, 2) == {
        "object": "list",
        "data": [{"id": "a"}, {"id": "b"}],
        "first_id": "a",
        "last_id": "b",
        "has_more": True,
    }
    assert page(items, 3)["has_more"] is False
    assert list(page(items, 2)) == ["object", "data", "first_id", "last_id", "has_more"]


def test_empty_page() -> None:
    assert page([], 20) == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}

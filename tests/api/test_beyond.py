"""api/beyond: facets and search, as HTTP."""

from __future__ import annotations

import pytest

from tests.api.test_operations import Site, error

pytestmark = pytest.mark.anyio


async def test_a_search_finds_messages_and_answers() -> None:
    site = Site()
    made = (await site.create(store=True, metadata={"team": "red"})).json
    await site.create(messages=[{"role": "user", "content": "Else"}], store=True)
    reply = await site.client.get("/v1/hansard/v1/search", b"q=HELLO+hi&metadata%5Bteam%5D=red&finish_reason=stop")

    assert reply.json == {
        "object": "list",
        "data": [
            {
                "object": "hansard.search_result",
                "id": made["id"],
                "created": made["created"],
                "model": made["model"],
                "finish_reason": "stop",
                "metadata": {"team": "red"},
                "snippet": "Hello",
            }
        ],
        "first_id": made["id"],
        "last_id": made["id"],
        "has_more": False,
        "complete": True,
        "next_after": None,
    }


async def test_a_search_goes_on_after_a_page() -> None:
    site = Site()
    ids = [(await site.create(store=True)).json["id"] for _ in range(3)]
    first = (await site.client.get("/hansard/v1/search", b"q=hello&limit=2")).json
    second = (await site.client.get("/hansard/v1/search", b"q=hello&limit=2&after=" + ids[1].encode())).json

    assert ([hit["id"] for hit in first["data"]], first["has_more"]) == ([ids[2], ids[1]], True)
    assert first["next_after"] == first["last_id"] == ids[1]
    assert ([hit["id"] for hit in second["data"]], second["has_more"]) == ([ids[0]], False)


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        (b"", "q", "invalid_value"),
        (b"q=%22+%22", "q", "invalid_value"),
        (b"q=a&limit=101", "limit", "integer_above_max_value"),
        (b"q=a&created_after=yesterday", "created_after", "invalid_type"),
        (b"q=a&created_before=1.5", "created_before", "invalid_type"),
        (b"q=a&after=chatcmpl-none", "after", "invalid_value"),
    ],
)
async def test_a_wrong_search_is_refused(query: bytes, param: str, code: str) -> None:
    reply = await Site().client.get("/hansard/v1/search", query)

    assert error(reply) == (400, "invalid_request_error", param, code)


async def test_a_search_wants_the_key() -> None:
    assert (await Site(key="sk-right").client.get("/hansard/v1/search", b"q=a")).status == 401


async def test_facets_are_keys_or_the_values_of_one() -> None:
    site = Site()
    await site.create(store=True, metadata={"team": "red"})
    await site.create(store=True, metadata={"team": "red"})
    keys = (await site.client.get("/v1/hansard/v1/facets")).json
    values = (await site.client.get("/hansard/v1/facets", b"key=metadata%5Bteam%5D")).json

    assert keys == {
        "object": "list",
        "data": [
            {"object": "hansard.facet", "key": "finish_reason", "count": 2},
            {"object": "hansard.facet", "key": "metadata[team]", "count": 2},
            {"object": "hansard.facet", "key": "model", "count": 2},
        ],
        "has_more": False,
    }
    assert values == {
        "object": "list",
        "data": [{"object": "hansard.facet", "key": "metadata[team]", "value": "red", "count": 2}],
        "has_more": False,
    }


async def test_the_reason_of_a_stream_is_counted_too() -> None:
    site = Site()
    await site.create(store=True, stream=True)
    reply = await site.client.get("/hansard/v1/facets", b"key=finish_reason")

    assert [(one["value"], one["count"]) for one in reply.json["data"]] == [("stop", 1)]


async def test_facets_want_the_key_and_a_limit_in_bounds() -> None:
    assert (await Site(key="sk-right").client.get("/hansard/v1/facets")).status == 401
    assert error(await Site().client.get("/hansard/v1/facets", b"limit=0"))[2:] == ("limit", "integer_below_min_value")

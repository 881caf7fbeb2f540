"""What every store promises, shown on the real one and on the fake the other rooms are tested with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack

import msgspec
import pytest

from hansard.core.paging import ListQuery
from hansard.store.base import Record, Store
from hansard.store.sql import SqlStore
from tests.memory_store import MemoryStore
from tests.store.conftest import database_of
from tests.store.records import outcome, record

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    with ExitStack() as stack:
        memory = request.param == "memory"
        store: Store = MemoryStore() if memory else SqlStore(stack.enter_context(database_of(request)))
        await store.start()
        yield store
        await store.stop()


async def filled(store: Store, records: Iterable[Record]) -> None:
    for each in records:
        await store.insert(each)


async def names(store: Store, query: ListQuery, *, after: str | None = None, limit: int = 100) -> str:
    """The last character of each id on a page."""
    cursor = None if after is None else await store.locate("p", f"chatcmpl-{after}")
    page = await store.page("p", query, after=cursor, limit=limit)
    return "".join(each.id[-1] for each in page)


async def test_is_ready(store: Store) -> None:
    assert await store.ready() is True


async def test_gives_back_what_was_inserted(store: Store) -> None:
    kept = record("a", metadata={"topic": "weather", "empty": ""})
    await store.insert(kept)
    assert await store.get("p", "chatcmpl-a") == kept


async def test_keeps_unknown_times_apart_from_zero(store: Store) -> None:
    kept = record("a", upstream_id=None, first_token_ms=None, total_ms=0)
    await store.insert(kept)
    assert await store.get("p", "chatcmpl-a") == kept


async def test_keeps_bytes_verbatim(store: Store) -> None:
    kept = record("a", request=b'{ "model":\t"\xc3\xa9",\n"seed": 1.50e0 }', reply=bytes(range(256)))
    await store.insert(kept)
    assert await store.get("p", "chatcmpl-a") == kept


async def test_keeps_ten_megabytes(store: Store) -> None:
    kept = record("a", request=b"x" * 10_000_000, reply=b"y" * 10_000_000)
    await store.insert(kept)
    assert await store.get("p", "chatcmpl-a") == kept


async def test_keeps_metadata_in_the_order_it_was_given(store: Store) -> None:
    await store.insert(record("a", metadata={"z": "1", "a": "2", "m": "3"}))
    kept = await store.get("p", "chatcmpl-a")
    assert kept is not None
    assert list(kept.metadata) == ["z", "a", "m"]


async def test_knows_nothing_of_an_unknown_id(store: Store) -> None:
    assert await store.get("p", "chatcmpl-x") is None
    assert await store.locate("p", "chatcmpl-x") is None
    assert await store.set_metadata("p", "chatcmpl-x", {"a": "b"}) is None
    assert await store.delete("p", "chatcmpl-x") is False


async def test_shows_nothing_of_another_project(store: Store) -> None:
    kept = record("a", project="theirs", metadata={"k": "v"})
    await store.insert(kept)
    assert await store.get("p", "chatcmpl-a") is None
    assert await store.locate("p", "chatcmpl-a") is None
    assert await store.page("p", ListQuery(), after=None, limit=100) == []
    assert await store.page("p", ListQuery(model="tiny", metadata=(("k", "v"),)), after=None, limit=100) == []
    assert await store.set_metadata("p", "chatcmpl-a", {}) is None
    assert await store.delete("p", "chatcmpl-a") is False
    assert await store.get("theirs", "chatcmpl-a") == kept


async def test_pages_by_time_of_creation(store: Store) -> None:
    await filled(store, (record(name, created=created) for name, created in (("b", 20), ("c", 30), ("a", 10))))
    assert await names(store, ListQuery()) == "abc"
    assert await names(store, ListQuery(order="desc")) == "cba"


async def test_pages_completions_of_one_second_by_insertion(store: Store) -> None:
    await filled(store, (record(name) for name in "dacb"))
    assert await names(store, ListQuery()) == "dacb"
    assert await names(store, ListQuery(order="desc")) == "bcad"


@pytest.mark.parametrize(("order", "pages"), [("asc", ["dac", "be", ""]), ("desc", ["ebc", "ad", ""])])
async def test_a_page_goes_on_after_its_cursor(store: Store, order: str, pages: list[str]) -> None:
    await filled(store, (record(name) for name in "dacbe"))
    query = ListQuery(order=order)  # type: ignore[arg-type]
    first = await names(store, query, limit=3)
    second = await names(store, query, after=first[-1], limit=3)
    assert [first, second, await names(store, query, after=second[-1], limit=3)] == pages


async def test_a_cursor_on_a_deleted_completion_works(store: Store) -> None:
    await filled(store, (record(name) for name in "abcd"))
    await store.delete("p", "chatcmpl-b")
    assert await names(store, ListQuery(), after="b") == "cd"
    assert await names(store, ListQuery(order="desc"), after="b") == "a"


async def test_everything_can_be_deleted_while_paging(store: Store) -> None:
    await filled(store, (record(str(number), created=number // 3) for number in range(10)))
    seen, after = "", None
    while page := await names(store, ListQuery(), after=after, limit=2):
        for name in page:
            assert await store.delete("p", f"chatcmpl-{name}") is True
        seen, after = seen + page, page[-1]
    assert seen == "0123456789"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (ListQuery(model="tiny"), "ab"),
        (ListQuery(model="tiny-2026"), "abc"),
        (ListQuery(model="Tiny"), ""),
        (ListQuery(metadata=(("tier", "gold"),)), "bd"),
        (ListQuery(metadata=(("tier", "Gold"),)), ""),
        (ListQuery(metadata=(("tier", "gol"),)), ""),
        (ListQuery(metadata=(("note", ""),)), "b"),
        (ListQuery(metadata=(("missing", ""),)), ""),
        (ListQuery(metadata=(("stadt[süd]", "Zürich 🏔"),)), "cd"),
        (ListQuery(metadata=(("tier", "gold"), ("stadt[süd]", "Zürich 🏔"))), "d"),
        (ListQuery(metadata=(("tier", "gold"), ("note", ""), ("run", "7"))), "b"),
        (ListQuery(metadata=(("tier", "gold"), ("tier", "tin"))), ""),
        (ListQuery(model="tiny", metadata=(("tier", "gold"),)), "b"),
        (ListQuery(model="other", metadata=(("tier", "gold"),), order="desc"), "d"),
        (ListQuery(model="gold"), ""),
    ],
)
async def test_a_filter_matches_exactly_and_all_must(store: Store, query: ListQuery, found: str) -> None:
    await filled(
        store,
        [
            record("a", metadata={"tier": "tin"}),
            record("b", metadata={"tier": "gold", "note": "", "run": "7"}),
            record("c", metadata={"stadt[süd]": "Zürich 🏔"}, requested_model="tiny-2026"),
            record("d", metadata={"tier": "gold", "stadt[süd]": "Zürich 🏔"}, model="other", requested_model="other"),
        ],
    )
    assert await names(store, query) == found


async def test_a_model_with_a_very_long_name_is_found_by_it(store: Store) -> None:
    long = "".join(chr(0x4E00 + (number * 7919) % 20_000) for number in range(5_000))
    await store.insert(record("a", model=long, requested_model=long))
    assert await names(store, ListQuery(model=long)) == "a"
    assert await names(store, ListQuery(model=long[:-1])) == ""


async def test_the_largest_metadata_is_found_by_each_of_its_pairs(store: Store) -> None:
    odd = "".join(chr(0x1F300 + (number * 79) % 500) for number in range(512))
    kept = {f"{number:02}{odd[:62]}": odd[number:] + odd[:number] for number in range(16)}
    await store.insert(record("a", metadata=kept))
    for pair in kept.items():
        assert await names(store, ListQuery(metadata=(pair,))) == "a"


async def test_metadata_named_like_a_model_is_no_model(store: Store) -> None:
    await store.insert(record("a", metadata={"model": "huge"}))
    assert await names(store, ListQuery(model="huge")) == ""
    assert await names(store, ListQuery(metadata=(("model", "huge"),))) == "a"


async def test_a_filtered_page_goes_on_after_a_cursor_it_does_not_match(store: Store) -> None:
    await filled(store, (record(name, metadata={"even": str(i % 2)}) for i, name in enumerate("abcdef")))
    assert await names(store, ListQuery(metadata=(("even", "0"),)), after="b", limit=1) == "c"
    assert await names(store, ListQuery(metadata=(("even", "0"),), order="desc"), after="d", limit=5) == "ca"


async def test_replaces_metadata(store: Store) -> None:
    await store.insert(record("a", metadata={"tier": "tin", "run": "7"}))
    changed = await store.set_metadata("p", "chatcmpl-a", {"tier": "gold"})
    assert changed == record("a", metadata={"tier": "gold"})
    assert await store.get("p", "chatcmpl-a") == changed
    assert await names(store, ListQuery(metadata=(("tier", "gold"),))) == "a"
    assert await names(store, ListQuery(metadata=(("tier", "tin"),))) == ""
    assert await names(store, ListQuery(metadata=(("run", "7"),))) == ""


async def test_clears_metadata(store: Store) -> None:
    await store.insert(record("a", metadata={"tier": "tin"}))
    assert await store.set_metadata("p", "chatcmpl-a", {}) == record("a")
    assert await names(store, ListQuery(metadata=(("tier", "tin"),))) == ""
    assert await names(store, ListQuery(model="tiny")) == "a"


async def test_a_deleted_completion_is_gone_but_for_its_place(store: Store) -> None:
    await store.insert(record("a", metadata={"tier": "tin"}))
    place = await store.locate("p", "chatcmpl-a")
    assert await store.delete("p", "chatcmpl-a") is True
    assert await store.delete("p", "chatcmpl-a") is False
    assert await store.get("p", "chatcmpl-a") is None
    assert await store.set_metadata("p", "chatcmpl-a", {"tier": "gold"}) is None
    assert await names(store, ListQuery()) == ""
    assert await names(store, ListQuery(model="tiny")) == ""
    assert await names(store, ListQuery(metadata=(("tier", "tin"),))) == ""
    assert await store.locate("p", "chatcmpl-a") == place


async def test_places_rise_with_insertion_even_when_the_last_was_deleted(store: Store) -> None:
    await store.insert(record("a"))
    first = await store.locate("p", "chatcmpl-a")
    await store.delete("p", "chatcmpl-a")
    await store.insert(record("b"))
    second = await store.locate("p", "chatcmpl-b")
    assert first is not None
    assert second is not None
    assert first.number < second.number
    assert msgspec.structs.astuple(first)[0] == msgspec.structs.astuple(second)[0] == 1_700_000_000


async def test_a_deleted_completion_may_be_stored_and_deleted_again(store: Store) -> None:
    for name in "aba":
        await store.insert(record(name))
        if name == "a":
            await store.delete("p", "chatcmpl-a")
    assert await names(store, ListQuery()) == "b"
    assert await names(store, ListQuery(), after="a") == ""
    assert await names(store, ListQuery(order="desc"), after="a") == "b"


async def test_remembers_an_outcome_until_it_expires(store: Store) -> None:
    assert await store.recall("p", "k", now=0) is None
    assert await store.remember(outcome("k")) == outcome("k")
    assert await store.recall("p", "k", now=1_700_001_099) == outcome("k")
    assert await store.recall("p", "k", now=1_700_001_100) is None
    assert await store.recall("p", "K", now=0) is None
    assert await store.recall("theirs", "k", now=0) is None
    assert await store.page("p", ListQuery(), after=None, limit=1) == []


async def test_remembers_an_outcome_with_the_record_it_belongs_to(store: Store) -> None:
    kept = outcome("k", of="a")
    assert await store.remember(kept, record("a")) == kept
    assert await store.get("p", "chatcmpl-a") == record("a")
    assert await store.recall("p", "k", now=kept.created) == kept


@pytest.mark.parametrize("stored", [True, False])
async def test_whoever_was_first_is_remembered_and_the_other_leaves_nothing(store: Store, stored: bool) -> None:
    first, later = outcome("k", of="a"), outcome("k", of="b", fingerprint=b"x" * 32)
    await store.remember(first, record("a") if stored else None)
    assert await store.remember(later, record("b")) == first
    assert await store.recall("p", "k", now=first.created) == first
    assert await store.get("p", "chatcmpl-b") is None


async def test_an_expired_key_is_free_again(store: Store) -> None:
    await store.remember(outcome("k", of="a"), record("a"))
    later = outcome("k", of="b", created=1_700_001_100, expires=1_700_002_100)
    assert await store.remember(later, record("b")) == later
    assert await store.recall("p", "k", now=later.created) == later
    assert await store.get("p", "chatcmpl-a") == record("a")


async def test_a_deleted_completion_takes_its_outcome_along(store: Store) -> None:
    await store.remember(outcome("k", of="a"), record("a"))
    await store.remember(outcome("l", of="b"), record("b"))
    await store.delete("p", "chatcmpl-a")
    assert await store.recall("p", "k", now=0) is None
    assert await store.recall("p", "l", now=0) is not None


async def test_an_outcome_outlives_a_change_of_metadata(store: Store) -> None:
    await store.remember(outcome("k", of="a"), record("a"))
    await store.set_metadata("p", "chatcmpl-a", {"tier": "gold"})
    assert await store.recall("p", "k", now=0) == outcome("k", of="a")

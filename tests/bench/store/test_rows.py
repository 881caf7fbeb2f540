import json
from collections import Counter

from bench.store import rows
from bench.store.databases import Place, driver
from hansard.core.validate import parse_create

MANY = 20_000


def test_a_completion_is_made_from_its_number_alone() -> None:
    assert rows.record(7) == rows.record(7)
    assert rows.record(7).id == rows.completion_id(7)
    assert len({rows.completion_id(number) for number in range(1000)}) == 1000


def test_some_took_long_where_that_is_asked_for() -> None:
    took = [rows.record(number).created - rows.late(number).created for number in range(MANY)]

    assert 0.015 < sum(each > 0 for each in took) / MANY < 0.025
    assert (min(took), 590 < max(took) < 600) == (0, True)
    assert all(json.loads(made.reply)["created"] == made.created for made in map(rows.late, range(200)))


def test_ids_rise_with_their_seconds() -> None:
    assert [rows.completion_id(number) for number in (0, 4, 8, 400)] == sorted(
        rows.completion_id(number) for number in (400, 8, 4, 0)
    )


def test_requests_are_right_and_carry_the_metadata() -> None:
    record = rows.record(123)

    parse_create(record.request)
    assert json.loads(record.request)["metadata"] == record.metadata


def test_pairs_are_as_rare_as_they_say_and_independent() -> None:
    carried = [rows.record(number).metadata for number in range(MANY)]
    seen = Counter(pair for metadata in carried for pair in metadata.items())
    both = sum(metadata["a-10"] == "3" and metadata["b-10"] == "7" for metadata in carried)

    assert 0.8 < seen[rows.pair("a", 10, 3)] / (MANY / 10) < 1.2
    assert 0.7 < seen[rows.pair("b", 100, 3)] / (MANY / 100) < 1.3
    assert len([pair for pair in seen if pair[0] == "a-1000"]) == 1000
    assert 0.7 < both / (MANY / 100) < 1.3


def test_two_common_pairs_never_meet() -> None:
    carried = [rows.record(number).metadata.items() for number in range(1000)]

    assert [sum(pair in each for each in carried) for pair in rows.NEVER_TOGETHER] == [500, 500]
    assert not any(all(pair in each for pair in rows.NEVER_TOGETHER) for each in carried)


def test_what_was_filled_is_used_again_until_it_is_to_be_another(databases: Place) -> None:
    rows.filled(databases, 120)
    assert _count(databases, then="DELETE FROM labels") == 120

    rows.filled(databases, 120)
    assert _count(databases, table="labels") == 0

    (databases.folder / "rows_120.json").write_text("[]")
    rows.filled(databases, 120)
    assert _count(databases, table="labels") > 120


def _count(databases: Place, *, table: str = "completions", then: str = "SELECT 1") -> int:
    with driver(databases.of("rows_120").engine_for_writing()) as connection:
        (found,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        connection.execute(then)
        return int(found)

"""bitmaps.py: the numbers of a page, against the plain way to tell them, however much of them lies in windows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count as counting

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, text

from hansard.core.paging import Order
from hansard.store import bitmaps, ranks, windows
from hansard.store.base import Cursor
from hansard.store.bits import packed
from hansard.store.changes import delete_record, insert_records, set_metadata
from hansard.store.schema import TABLES
from hansard.store.windows import Sizes
from tests.store.records import record
from tests.store.tended import closed, listed

LENGTH = 90
KEYS = ("a", "b", "c")

# How far behind the second of its number a completion was created: mostly little, as where requests take long.
delays = st.lists(st.sampled_from([0, 0, 0, 0, 1, 2, 5, 40]), min_size=LENGTH, max_size=LENGTH)
some = st.frozensets(st.integers(1, LENGTH))
few = st.frozensets(st.integers(1, LENGTH), max_size=5)
most = few.map(lambda those: frozenset(range(1, LENGTH + 1)) - those)
carriers = st.tuples(*[st.one_of(some, most)] * len(KEYS))
sizes = st.sampled_from([Sizes(8, 1, 0), Sizes(16, 5, 1), Sizes(64, 9, 2), Sizes(32, 32, 4)])
places = st.none() | st.tuples(st.integers(0, LENGTH + 2), st.integers(0, LENGTH))


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=100)
@given(
    delays=delays,
    carried=carriers,
    stops=st.tuples(st.integers(0, LENGTH), st.integers(0, LENGTH)).map(sorted),
    changed=few,
    deleted=few,
    window=sizes,
    pages=st.lists(
        st.tuples(st.integers(2, 3), places, st.sampled_from(("asc", "desc")), st.integers(1, 25)),
        min_size=4,
        max_size=4,
    ),
)
def test_the_numbers_are_those_that_carry_every_label(
    connection: Connection,
    delays: list[int],
    carried: tuple[frozenset[int], ...],
    stops: Sequence[int],
    changed: frozenset[int],
    deleted: frozenset[int],
    window: Sizes,
    pages: list[tuple[int, tuple[int, int] | None, Order, int]],
) -> None:
    emptied(connection)
    always(connection)
    created = {number: 1 + number // 2 - min(delay, number // 2) for number, delay in enumerate(delays, 1)}
    has = {number: {key for key, those in zip(KEYS, carried, strict=True) if number in those} for number in created}

    def put(first: int, last: int) -> None:
        numbers = range(first + 1, last + 1)
        insert_records(
            connection,
            [record(str(number), created=created[number], metadata=metadata(has[number])) for number in numbers],
        )

    put(0, stops[0])
    closed(connection, window)
    put(stops[0], stops[1])
    listed(connection, window)
    put(stops[1], LENGTH)
    for number in changed:
        has[number] ^= {"a", "c"}
        set_metadata(connection, "p", f"chatcmpl-{number}", metadata(has[number]))
    for number in deleted:
        delete_record(connection, "p", f"chatcmpl-{number}")
        del has[number]

    def look_up(numbers: Sequence[int]) -> list[tuple[int, int]]:
        return [(created[number], number) for number in numbers if number in has]

    for count, after, order, limit in pages:
        keys = set(KEYS[:count])
        wanted = [(f"metadata[{key}]", "yes") for key in keys]
        cursor = None if after is None else Cursor(*after)
        found = bitmaps.numbers(connection, "p", wanted, after=cursor, order=order, limit=limit, look_up=look_up)
        carriers = [(created[number], number) for number in has if keys <= has[number]]
        assert found == plainly(carriers, after, order)[:limit]


def always(connection: Connection) -> None:
    """Go by bitmaps, however short a merge would be."""
    connection.execution_options(**{bitmaps.WORTH_IT_FROM: 0})


def metadata(keys: set[str]) -> dict[str, str]:
    return dict.fromkeys(sorted(keys), "yes")


def plainly(carriers: list[tuple[int, int]], after: tuple[int, int] | None, order: Order) -> list[int]:
    in_order = sorted(carriers, reverse=order == "desc")
    if after is not None:
        in_order = [place for place in in_order if (place > after if order == "asc" else place < after)]
    return [number for _, number in in_order]


def emptied(connection: Connection) -> None:
    """Of the example before, whose numbers are given again."""
    for table in reversed(TABLES.sorted_tables):
        if table.name != "audit":
            connection.execute(delete(table))
    sqlite, server = "DELETE FROM sqlite_sequence", "SELECT setval('completions_number_seq', 1, false)"
    connection.execute(text(sqlite if connection.dialect.name == "sqlite" else server))


def test_every_page_of_windows_whose_numbers_are_not_in_the_order_of_time(connection: Connection) -> None:
    created = {number: 20 + number // 2 - [0, 3, 0, 7, 1][number % 5] for number in range(1, 41)}
    insert_records(
        connection, [record(str(number), created=second, metadata=BOTH) for number, second in created.items()]
    )
    closed(connection, Sizes(16, 1, 0))
    everything = [(second, number) for number, second in created.items()]
    orders: tuple[Order, ...] = ("asc", "desc")

    for after in [None, *((second, number) for second in range(12, 43) for number in (0, 11, 30, 41))]:
        for order in orders:
            for limit in (1, 6):
                assert page(connection, created, after, order, limit) == plainly(everything, after, order)[:limit]


def test_bitmaps_that_are_not_all_there_yet_are_not_read(connection: Connection) -> None:
    created = dict.fromkeys(range(1, 17), 5)
    insert_records(connection, [record(str(number), created=5, metadata={"a": "yes"}) for number in created])
    listed(connection, Sizes(16, 1, 0))
    [due] = windows.look(connection, now_us=10**15).due
    ours = windows.take(connection, due, now_us=10**15)
    assert ours is not None
    nothing = packed([], 16)
    assert windows.write(connection, ours, [(("metadata[a]", "yes"), nothing), (("metadata[b]", "yes"), nothing)])

    set_metadata(connection, "p", "chatcmpl-7", BOTH)

    assert page(connection, created, None, "asc", 5) == [7]
    assert not windows.finish(connection, ours)


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 21])
def test_a_page_behind_however_many_that_are_deleted(connection: Connection, order: Order, limit: int) -> None:
    created = {number: 100 + number // 20 - number % 2 for number in range(1, 401)}
    insert_records(
        connection, [record(str(number), created=second, metadata=BOTH) for number, second in created.items()]
    )
    closed(connection, Sizes(256, 1, 3))
    deleted = {number for number in created if 20 < number < 240}
    for number in deleted:
        delete_record(connection, "p", f"chatcmpl-{number}")
    left = {number: second for number, second in created.items() if number not in deleted}

    for after in (None, (102, 20), (106, 130), (112, 241)):
        in_order = plainly([(second, number) for number, second in left.items()], after, order)
        assert page(connection, left, after, order, limit) == in_order[:limit]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("strays", [{300}, {7, 300, 301, 1100}, set(range(9, 1200, 50))])
def test_numbers_out_of_the_order_of_time_cost_a_page_little(
    connection: Connection, order: Order, strays: set[int]
) -> None:
    """Those whose clock was wrong, and one of ten that took long."""
    created = {number: 5_000 + number - 10**4 * (number in strays) for number in range(1, 1201)}
    created |= {number: created[number] - 97 for number in created if number % 10 == 3}
    insert_records(
        connection, [record(str(number), created=second, metadata=BOTH) for number, second in created.items()]
    )
    closed(connection, Sizes(600, 1, 3))
    everything = plainly([(second, number) for number, second in created.items()], None, order)

    for after in (None, *everything[::150]):
        asked: list[int] = []
        cursor = None if after is None else (created[after], after)
        found = page(connection, created, cursor, order, 10, asked=asked)
        assert found == everything[0 if after is None else everything.index(after) + 1 :][:10]
        assert len(asked) < 4 * ranks.AT_ONCE  # the few that lie together with the cursor, in either window


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("late", [0, 1])
def test_completions_that_are_deleted_cost_a_page_nothing(connection: Connection, order: Order, late: int) -> None:
    created = {number: 5_000 + number - 30 * late * (number % 5 == 2) for number in range(1, 513)}
    insert_records(
        connection, [record(str(number), created=second, metadata=BOTH) for number, second in created.items()]
    )
    closed(connection, Sizes(256, 1, 3))
    kept = {number: second for number, second in created.items() if number % 40 == 0}
    for number in created:
        if number not in kept:
            delete_record(connection, "p", f"chatcmpl-{number}")

    asked: list[int] = []
    expected = plainly([(second, number) for number, second in kept.items()], None, order)
    assert page(connection, kept, None, order, 10, asked=asked) == expected[:10]
    assert set(asked) <= kept.keys()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_wrong_clock_in_no_window_with_bitmaps_costs_little(connection: Connection, order: Order) -> None:
    created = {number: 5_000 + number for number in range(1, 2_401)}
    records = {number: record(str(number), created=second, metadata=BOTH) for number, second in created.items()}
    insert_records(connection, list(records.values()))
    closed(connection, Sizes(800, 1, 3))
    steps = [steps_of_a_page(connection, created, (5_700, 700), order)]

    created |= {number: number for number in range(2_401, 2_441, 10)}
    created |= {number: 5_000 + number for number in range(2_401, 2_601) if number not in created}
    late = [record(str(n), created=second, metadata=BOTH) for n, second in sorted(created.items()) if n > 2_400]
    insert_records(connection, late)
    steps.append(steps_of_a_page(connection, created, (5_700, 700), order))
    listed(connection, Sizes(800, 1, 3))
    steps.append(steps_of_a_page(connection, created, (5_700, 700), order))

    assert max(steps) - steps[0] < 40  # those in no window are looked through for the first of them; a merge has 180


def steps_of_a_page(connection: Connection, created: dict[int, int], after: tuple[int, int], order: Order) -> int:
    """How many hundred steps SQLite took for it."""
    driver = connection.connection.driver_connection
    assert driver is not None
    counted = counting()
    driver.set_progress_handler(lambda: next(counted) < 0, 100)
    found = page(connection, created, after, order, 10)
    driver.set_progress_handler(None, 0)
    assert found == plainly([(second, number) for number, second in created.items()], after, order)[:10]
    return next(counted)


BOTH = {"a": "yes", "b": "yes"}


def page(
    connection: Connection,
    created: dict[int, int],
    after: tuple[int, int] | None,
    order: Order,
    limit: int,
    *,
    asked: list[int] | None = None,
) -> Sequence[int]:
    """Of those that carry both; ``asked`` is told which were looked up."""

    def look_up(numbers: Sequence[int]) -> list[tuple[int, int]]:
        if asked is not None:
            asked.extend(numbers)
        return [(created[number], number) for number in numbers if number in created]

    always(connection)
    return bitmaps.numbers(
        connection,
        "p",
        [("metadata[a]", "yes"), ("metadata[b]", "yes")],
        after=None if after is None else Cursor(*after),
        order=order,
        limit=limit,
        look_up=look_up,
    )


@pytest.mark.parametrize(("worth_it_from", "is_asked"), [(40, True), (41, False), (None, False)])
def test_a_short_merge_is_done_without_them(connection: Connection, worth_it_from: int | None, is_asked: bool) -> None:
    insert_records(connection, [record(str(number), metadata=BOTH) for number in range(20)])
    closed(connection, Sizes(16, 1, 0))
    connection.execution_options(**{bitmaps.WORTH_IT_FROM: worth_it_from})
    asked: list[int] = []

    def look_up(numbers: Sequence[int]) -> list[tuple[int, int]]:
        asked.extend(numbers)
        return [(1_700_000_000, number) for number in numbers]

    wanted = [("metadata[a]", "yes"), ("metadata[b]", "yes")]
    found = bitmaps.numbers(connection, "p", wanted, after=None, order="asc", limit=9, look_up=look_up)

    assert found == list(range(1, 10))
    assert bool(asked) == is_asked

"""ranges.py: the numbers of a page, against the plain way to tell them."""

from __future__ import annotations

from itertools import count

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert

from hansard.core.paging import Order
from hansard.store import facets, ranges
from hansard.store.base import Cursor
from hansard.store.schema import labels

NUMBERS = range(1, 61)
CREATED = {number: number * 7 % 5 for number in NUMBERS}
"""Many in one second, and not in the order of their numbers."""

_projects = count()

some = st.frozensets(st.sampled_from(NUMBERS))
few = st.frozensets(st.sampled_from(NUMBERS), max_size=3)
carriers = st.lists(st.one_of(some, few, st.just(frozenset(NUMBERS))), min_size=1, max_size=3)
places = st.none() | st.builds(Cursor, st.integers(-1, 5), st.integers(0, 61))
EVEN, ALL = frozenset(NUMBERS[1::2]), frozenset(NUMBERS)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)
@given(carried=carriers, after=places, order=st.sampled_from(("asc", "desc")), limit=st.integers(1, 25))
@example(carried=[EVEN, ALL], after=Cursor(2, 20), order="asc", limit=9)
@example(carried=[EVEN, ALL], after=Cursor(2, 20), order="desc", limit=9)
@example(carried=[frozenset((7, 8, 14)), EVEN, ALL], after=None, order="asc", limit=9)
@example(carried=[frozenset((7, 14)), frozenset((8, 14)), ALL], after=None, order="desc", limit=9)
@example(carried=[EVEN, ALL - EVEN], after=None, order="asc", limit=9)
def test_the_numbers_are_those_that_carry_every_label(
    connection: Connection, carried: list[frozenset[int]], after: Cursor | None, order: Order, limit: int
) -> None:
    project = f"p{next(_projects)}"
    wanted = [(f"metadata[{index}]", "yes") for index in range(len(carried))]
    for label, numbers in zip(wanted, carried, strict=True):
        put(connection, project, label, numbers)
    asked = ranges.page_of(connection, project, wanted, after=after, order=order, limit=limit)
    found = [number for _, number in ranges.places(connection, asked)]
    assert found == plainly(frozenset.intersection(*carried), after=after, order=order)[:limit]


def plainly(numbers: frozenset[int], *, after: Cursor | None, order: Order) -> list[int]:
    """All of them past the cursor."""
    in_order = sorted((CREATED[number], number) for number in numbers)
    if order == "asc":
        past = [place for place in in_order if after is None or place > (after.created, after.number)]
    else:
        past = [place for place in reversed(in_order) if after is None or place < (after.created, after.number)]
    return [number for _, number in past]


def put(connection: Connection, project: str, label: ranges.Label, numbers: frozenset[int]) -> None:
    """Those completions carry the label."""
    key, value = label
    place = {"project": project, "key": key, "value": value}
    if numbers:
        rows = [{**place, "created": CREATED[number], "number": number} for number in numbers]
        connection.execute(insert(labels), rows)
        facets.add(connection, facets.Counts({(project, *label): len(numbers)}))

"""The list: its envelope, order, pages and cursors. It reads the shelf, so it needs few completions of its own."""

from __future__ import annotations

from typing import Any

from hansard.conformance import expect
from hansard.conformance.checks import CAPTURED, OFFICIAL, RECORDED, Check, check, decision
from hansard.conformance.families.stored_object import KEYS
from hansard.conformance.outcome import Mismatch, NotApplicable
from hansard.conformance.probe import SHELF, UNKNOWN_ID, Probe
from hansard.conformance.wire import Document

ENVELOPE = ("object", "data", "first_id", "last_id", "has_more")
DEFAULT_LIMIT = 20
NEWEST = (("order", "desc"), ("limit", "100"))


def ids(page: Document) -> list[str]:
    return [one["id"] for one in page["data"]]


def shelf_ids(probe: Probe) -> list[str]:
    return [one["id"] for one in probe.session.shelf()]


def ours(probe: Probe, page: Document) -> list[str]:
    """The ids of the page that are on the shelf: a server that filters nothing is judged on that alone."""
    shelf = set(shelf_ids(probe))
    return [one for one in ids(page) if one in shelf]


def walked(probe: Probe, start: str, end: str, order: str) -> list[str]:
    """The ids of the shelf that come after ``start``, on pages of three, until ``end`` or the list's own end."""
    found: list[str] = []
    after = start
    for _ in range(2 * SHELF):
        page = probe.on_shelf(("limit", "3"), ("order", order), ("after", after))
        found += ours(probe, page)
        if not page["has_more"] or not page["data"] or end in found:
            return found
        after = page["data"][-1]["id"]
    raise Mismatch(expected=f"{end} after {SHELF} completions", got=f"{found}, and has_more")


@check("list", OFFICIAL, RECORDED)
def envelope_has_its_five_keys(probe: Probe) -> None:
    """A page has object, data, first_id, last_id and has_more, in this order."""
    expect.keys(probe.on_shelf(), ENVELOPE, "a page")


@check("list", OFFICIAL, RECORDED)
def object_is_list(probe: Probe) -> None:
    """``object`` of a page is list."""
    expect.equal(probe.on_shelf()["object"], "list", "object")


@check("list", OFFICIAL, RECORDED)
def first_and_last_id_are_those_of_data(probe: Probe) -> None:
    """``first_id`` and ``last_id`` are the ids of the first and the last item."""
    page = probe.on_shelf(("limit", "3"))

    expect.equal([page["first_id"], page["last_id"]], [ids(page)[0], ids(page)[-1]], "first_id, last_id")


@check("list", RECORDED, decision(5))
def an_empty_page_has_null_ids(probe: Probe) -> None:
    """Where nothing fits, data is [], the ids are null, has_more is false."""
    page = probe.mine()

    expect.equal(
        page, {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}, "an empty page"
    )


@check("list", OFFICIAL, RECORDED, needs=("get",))
def items_are_what_get_shows(probe: Probe) -> None:
    """An item of the list is the object that get shows."""
    made = probe.stored()
    page = probe.mine(*NEWEST)

    shown = [one for one in page["data"] if one["id"] == made["id"]]
    expect.equal(shown, [probe.kept(made["id"])], "the item")


@check("list", RECORDED)
def items_have_their_keys_in_the_order_of_the_wire(probe: Probe) -> None:
    """Items have the 19 keys in the recorded order."""
    expect.keys(probe.on_shelf(("limit", "1"))["data"][0], KEYS, "an item")


@check("list", decision(20))
def shows_what_was_just_created(probe: Probe) -> None:
    """Once the create reply is there, the list shows the completion at once."""
    made = probe.created(store=True)

    newest = ids(probe.accept(probe.list(NEWEST)).document)
    expect.that(made["id"] in newest, f"{made['id']} among the newest 100", newest)


@check("list", OFFICIAL)
def shows_nothing_that_was_not_to_be_stored(probe: Probe) -> None:
    """A completion created without ``store`` is not in the list."""
    made = probe.created()
    kept = probe.stored()

    newest = ids(probe.accept(probe.list(NEWEST)).document)
    expect.that(kept["id"] in newest, f"the stored {kept['id']} among the newest 100", newest)
    expect.that(made["id"] not in newest, f"{made['id']} not in the list", newest)


@check("list", RECORDED, needs=("delete",))
def shows_nothing_that_was_deleted(probe: Probe) -> None:
    """A deleted completion is not in the list."""
    gone, kept = probe.stored(), probe.stored()
    probe.accept(probe.delete(gone["id"]))

    newest = ids(probe.mine(*NEWEST))
    expect.that(kept["id"] in newest, f"{kept['id']} in the list", newest)
    expect.that(gone["id"] not in newest, f"{gone['id']} not in the list", newest)


@check("list", OFFICIAL, RECORDED)
def a_page_has_20_items_by_default(probe: Probe) -> None:
    """Without ``limit`` a page has 20 items."""
    page = probe.on_shelf()

    expect.equal(len(page["data"]), DEFAULT_LIMIT, "items on a page without limit")
    expect.equal(page["has_more"], expected=True, what="has_more")


def _limited(limit: int) -> Check:
    def run(probe: Probe) -> None:
        page = probe.on_shelf(("limit", str(limit)), ("order", "asc"))
        wanted = min(limit, SHELF) if len(ours(probe, page)) == len(page["data"]) else limit
        expect.equal(len(page["data"]), wanted, "items on the page")

    return Check(
        name=f"list.limit_{limit}_holds",
        title=f"``limit={limit}`` gives that many items, or all there are.",
        operation="list",
        evidence=(OFFICIAL, RECORDED),
        run=run,
    )


LIMITS = tuple(_limited(limit) for limit in (1, 2, 5, 10, 100))


@check("list", OFFICIAL, decision(13))
def has_more_before_the_last_page(probe: Probe) -> None:
    """``has_more`` is true while something is left that fits the filters."""
    expect.equal(probe.on_shelf(("limit", str(SHELF - 1)))["has_more"], expected=True, what="has_more")


@check("list", OFFICIAL, decision(13))
def has_no_more_on_a_last_page_that_is_full(probe: Probe) -> None:
    """``has_more`` is false when the page holds exactly what is left."""
    expect.equal(probe.on_shelf(("limit", str(SHELF)))["has_more"], expected=False, what="has_more")


def _created(page: Document) -> list[int]:
    return [one["created"] for one in page["data"]]


@check("list", OFFICIAL)
def asc_is_oldest_first(probe: Probe) -> None:
    """``order=asc`` sorts by time, oldest first."""
    times = _created(probe.on_shelf(("order", "asc"), ("limit", "100")))

    expect.that(len(set(times)) > 1 and times == sorted(times), "created ascending over two seconds or more", times)


@check("list", OFFICIAL)
def desc_is_newest_first(probe: Probe) -> None:
    """``order=desc`` sorts by time, newest first."""
    times = _created(probe.on_shelf(("order", "desc"), ("limit", "100")))

    expect.that(
        len(set(times)) > 1 and times == sorted(times, reverse=True),
        "created descending over two seconds or more",
        times,
    )


@check("list", decision(2))
def asc_is_the_order_of_creation_within_a_second(probe: Probe) -> None:
    """Completions of one second come in the order of their creation, not at random."""
    found = ours(probe, probe.on_shelf(("order", "asc"), ("limit", "100")))

    expect.equal(found, shelf_ids(probe), "ids, oldest first")


@check("list", OFFICIAL, decision(2))
def desc_is_asc_turned_round(probe: Probe) -> None:
    """The two orders are each other's reverse, also within one second."""
    up = ours(probe, probe.on_shelf(("order", "asc"), ("limit", "100")))
    down = ids(probe.on_shelf(("order", "desc"), ("limit", str(SHELF - 1)), ("after", up[-1])))

    expect.equal(len(up), SHELF, "number of completions")
    expect.equal(down, up[-2::-1], "ids before the newest, newest first")


@check("list", OFFICIAL, RECORDED, decision(1))
def is_sorted_by_default(probe: Probe) -> None:
    """Without ``order`` the list is sorted by time: ascending as documented (the live API: descending)."""
    times = _created(probe.on_shelf(("limit", "100")))

    if len(set(times)) > 1 and times == sorted(times, reverse=True):
        raise NotApplicable("newest first by default, as the live API does and the documents do not")
    expect.that(len(set(times)) > 1 and times == sorted(times), "created ascending over two seconds or more", times)


@check("list", OFFICIAL, decision(2))
def pages_show_everything_once(probe: Probe) -> None:
    """Paging by ``after`` shows every completion once, also those of one second."""
    first, *others = shelf_ids(probe)

    expect.equal(walked(probe, first, others[-1], "asc"), others, "ids after the first")


@check("list", OFFICIAL, decision(2))
def pages_downwards_show_everything_once(probe: Probe) -> None:
    """Paging newest first shows every completion once."""
    last, *others = shelf_ids(probe)[::-1]

    expect.equal(walked(probe, last, others[-1], "desc"), others, "ids before the last")


@check("list", OFFICIAL)
def after_leaves_the_cursor_out(probe: Probe) -> None:
    """The page after a completion begins with the next one."""
    everything = shelf_ids(probe)

    page = probe.on_shelf(("order", "asc"), ("after", everything[4]), ("limit", "2"))

    expect.equal(ids(page), everything[5:7], "ids after the fifth")


@check("list", OFFICIAL, decision(5))
def after_the_last_is_an_empty_page(probe: Probe) -> None:
    """After the last completion comes an empty page."""
    page = probe.on_shelf(("order", "asc"), ("after", shelf_ids(probe)[-1]))

    expect.equal([page["data"], page["first_id"], page["has_more"]], [[], None, False], "data, first_id, has_more")


@check("list", decision(7), CAPTURED, needs=("delete",))
def after_a_deleted_one_goes_on(probe: Probe) -> None:
    """Clients delete while they page: a deleted completion still serves as cursor."""
    made = [probe.stored()["id"] for _ in range(3)]
    probe.accept(probe.delete(made[1]))

    page = probe.mine(("order", "asc"), ("after", made[1]))

    expect.equal(ids(page), made[2:], "ids after the deleted one")


@check("list", decision(6))
def after_an_unknown_one_is_refused(probe: Probe) -> None:
    """An ``after`` that names no completion is 400 invalid_value."""
    expect.refusal(probe.list([("after", UNKNOWN_ID)]), 400, param="after", code="invalid_value")


def _refuses(name: str, query: tuple[str, str], evidence: str, **wanted: Any) -> Check:
    def run(probe: Probe) -> None:
        expect.refusal(probe.list([query]), 400, param=query[0], **wanted)

    return Check(
        name=f"list.refuses_{name}",
        title=f"``{'='.join(query)}`` is refused by name.",
        operation="list",
        evidence=(OFFICIAL, evidence),
        run=run,
    )


def _too_small(limit: int) -> str:
    return f"Invalid 'limit': integer below minimum value. Expected a value >= 1, but got {limit} instead."


NOT_AN_INTEGER = "Invalid type for 'limit': expected an integer, but got a string instead."

REFUSED = (
    _refuses("limit_0", ("limit", "0"), decision(8), code="integer_below_min_value", message=_too_small(0)),
    _refuses("limit_below_0", ("limit", "-1"), decision(8), code="integer_below_min_value", message=_too_small(-1)),
    _refuses(
        "limit_101",
        ("limit", "101"),
        decision(8),
        code="integer_above_max_value",
        message="Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead.",
    ),
    _refuses("a_word_as_limit", ("limit", "many"), decision(8), code="invalid_type", message=NOT_AN_INTEGER),
    _refuses("a_fraction_as_limit", ("limit", "1.5"), decision(8), code="invalid_type"),
    _refuses(
        "another_order",
        ("order", "sideways"),
        decision(9),
        code="invalid_value",
        message="Invalid value: 'sideways'. Supported values are: 'asc' and 'desc'.",
    ),
)


@check("list", decision(10))
def ignores_unknown_parameters(probe: Probe) -> None:
    """A query parameter that nobody knows changes nothing."""
    query = (("limit", "2"), ("order", "asc"))

    expect.equal(ids(probe.on_shelf(*query, ("colour", "green"))), ids(probe.on_shelf(*query)), "ids of the page")

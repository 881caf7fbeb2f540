"""Servers whose list has the wrong pages."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

from tests.conformance.broken import Answered, Asked, Document, Mutant, drops, errors_with, refuses, sets

LIST = ("GET", "/chat/completions")
LISTS_OF = {"list": LIST, "messages": ("GET", "/chat/completions/{id}/messages")}


def _wrong(name: str, *fails: str, answer: Callable[[Answered], None], of: str = "list") -> Mutant:
    return Mutant(name=f"{of}-{name}", fails=fails, answer=answer, only_to=LISTS_OF[of])


def asks(name: str, *fails: str, ask: Callable[[Asked], None], of: str = "list") -> Mutant:
    return Mutant(name=f"{of}-{name}", fails=fails, ask=ask, only_to=LISTS_OF[of])


def query_of(asked: Asked) -> list[tuple[str, str]]:
    return parse_qsl(asked.query, keep_blank_values=True)


def without(*names: str) -> Callable[[Asked], None]:
    """A server that does not know these parameters."""

    def edit(asked: Asked) -> None:
        asked.query = urlencode([(name, value) for name, value in query_of(asked) if name not in names])

    return edit


def with_(name: str, value: str) -> Callable[[Asked], None]:
    """A server that takes this parameter always for the same."""

    def edit(asked: Asked) -> None:
        asked.query = urlencode([pair for pair in query_of(asked) if pair[0] != name] + [(name, value)])

    return edit


def _page(act: Callable[[Document], None]) -> Callable[[Answered], None]:
    def edit(answered: Answered) -> None:
        if answered.status == 200:
            page = answered.document
            act(page)
            answered.document = page

    return edit


def _reverses(page: Document) -> None:
    page["data"].reverse()


def _shuffles(page: Document) -> None:
    """Sorted by time, at random within a second."""
    page["data"].sort(key=lambda one: (one["created"], one["id"][::-1]))


def _repeats(page: Document) -> None:
    """As a server that counts the cursor in."""
    page["data"] = page["data"][:1] + page["data"]


def _skips(page: Document) -> None:
    """As a server that goes on with the next second."""
    page["data"] = page["data"][1:]


def _adds_one_not_stored(page: Document) -> None:
    if len(page["data"]) > 1:
        page["data"].pop(0)


def _reverses_item_keys(page: Document) -> None:
    page["data"] = [dict(reversed(item.items())) for item in page["data"]]


def _reverses_keys(answered: Answered) -> None:
    answered.document = dict(reversed(answered.document.items()))


def _empty_ids(page: Document) -> None:
    if not page["data"]:
        page["first_id"] = page["last_id"] = ""


def _swaps_ids(page: Document) -> None:
    page["first_id"], page["last_id"] = page["last_id"], page["first_id"]


def _one_more(page: Document) -> None:
    page["data"] = [*page["data"], *page["data"][:1]]


def _shows_everything(created: list[Document]) -> Callable[[Answered], None]:
    """Lists whatever was created, stored or not, deleted or not."""

    def edit(answered: Answered) -> None:
        if answered.asked.is_to("POST", "/chat/completions") and answered.status == 200:
            created.append(answered.document)
        elif answered.asked.is_to(*LIST) and answered.status == 200:
            page = answered.document
            page["data"] += created
            answered.document = page

    return edit


def _refuses_deleted_cursors(answered: Answered) -> None:
    """A server that knows cursors only as long as they are there; the checks' unknown ones it refuses anyhow."""
    if "after=" in answered.asked.query:
        refuses(400, param="after", code="invalid_value")(answered)


def _no_data(page: Document) -> None:
    page["data"] = []


def _strict(answered: Answered) -> None:
    if "colour=" in answered.asked.query:
        refuses(400, param="colour", code="unknown_parameter")(answered)


MUTANTS = (
    _wrong("has-no-has-more", "list.envelope_has_its_five_keys", answer=drops("has_more")),
    _wrong("is-another-object", "list.object_is_list", answer=sets("page", "object")),
    _wrong("turns-keys-round", "list.envelope_has_its_five_keys", answer=_reverses_keys),
    _wrong("swaps-first-and-last", "list.first_and_last_id_are_those_of_data", answer=_page(_swaps_ids)),
    _wrong(
        "has-empty-ids",
        "list.an_empty_page_has_null_ids",
        "list.after_the_last_is_an_empty_page",
        answer=_page(_empty_ids),
    ),
    _wrong("shows-less-of-an-item", "list.items_are_what_get_shows", answer=drops("data", "choices")),
    _wrong(
        "turns-items-round", "list.items_have_their_keys_in_the_order_of_the_wire", answer=_page(_reverses_item_keys)
    ),
    _wrong("lags-behind", "list.shows_what_was_just_created", answer=_page(_no_data)),
    Mutant(
        name="list-shows-everything",
        fails=("list.shows_nothing_that_was_not_to_be_stored", "list.shows_nothing_that_was_deleted"),
        answer=_shows_everything([]),
    ),
    asks("has-ten-by-default", "list.a_page_has_20_items_by_default", ask=lambda asked: with_("limit", "10")(asked)),
    asks("knows-no-limit", "list.limit_*_holds", ask=without("limit")),
    _wrong("gives-one-too-many", "list.limit_*_holds", answer=_page(_one_more)),
    _wrong("never-has-more", "list.has_more_before_the_last_page", answer=sets(False, "has_more")),
    _wrong("always-has-more", "list.has_no_more_on_a_last_page_that_is_full", answer=sets(True, "has_more")),
    _wrong(
        "turns-pages-round",
        "list.asc_is_oldest_first",
        "list.desc_is_newest_first",
        "list.asc_is_the_order_of_creation_within_a_second",
        answer=_page(_reverses),
    ),
    _wrong(
        "shuffles-within-a-second",
        "list.asc_is_the_order_of_creation_within_a_second",
        "list.desc_is_asc_turned_round",
        answer=_page(_shuffles),
    ),
    asks("knows-no-order", "list.desc_is_newest_first", "list.desc_is_asc_turned_round", ask=without("order")),
    _wrong("has-no-time", "list.is_sorted_by_default", answer=sets(0, "data", "created")),
    _wrong("repeats-the-cursor", "list.pages_*", "list.after_leaves_the_cursor_out", answer=_page(_repeats)),
    _wrong("skips-one", "list.pages_*", answer=_page(_skips)),
    asks("begins-again", "list.pages_*", ask=without("after")),
    asks(
        "knows-no-cursor",
        "list.after_the_last_is_an_empty_page",
        "list.after_leaves_the_cursor_out",
        "list.after_an_unknown_one_is_refused",
        "list.after_a_deleted_one_goes_on",
        ask=without("after"),
    ),
    _wrong("forgets-deleted-cursors", "list.after_a_deleted_one_goes_on", answer=_refuses_deleted_cursors),
    asks(
        "asks-for-nothing",
        "list.refuses_*",
        "list.after_an_unknown_one_is_refused",
        ask=without("limit", "order", "after"),
    ),
    _wrong("refuses-with-422", "list.refuses_*", answer=errors_with(status=422)),
    _wrong("is-strict", "list.ignores_unknown_parameters", answer=_strict),
)

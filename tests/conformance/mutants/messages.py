"""Servers that show the messages of a stored completion otherwise."""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.broken import Answered, Document, Mutant, drops, errors_with, sets
from tests.conformance.mutants.pages import asks, with_, without

MESSAGES = ("GET", "/chat/completions/{id}/messages")


def _wrong(name: str, *fails: str, answer: Callable[[Answered], None]) -> Mutant:
    return Mutant(name=f"messages-{name}", fails=fails, answer=answer, only_to=MESSAGES)


def _page(act: Callable[[Document], None]) -> Callable[[Answered], None]:
    def edit(answered: Answered) -> None:
        if answered.status == 200:
            page = answered.document
            act(page)
            answered.document = page

    return edit


def _adds_the_reply(page: Document) -> None:
    """As a server that shows what was said, on both sides."""
    page["data"].append({**page["data"][-1], "role": "assistant", "content": "Two."})


def _turns_keys_round(page: Document) -> None:
    page["data"] = [dict(reversed(message.items())) for message in page["data"]]


def _empty_ids(page: Document) -> None:
    if not page["data"]:
        page["first_id"] = page["last_id"] = ""


def _joins_without_space(page: Document) -> None:
    for message in page["data"]:
        message["content"] = (message["content"] or "").replace(" ", "")


def _all_users(page: Document) -> None:
    for message in page["data"]:
        message["role"] = "user"


def _always_there(answered: Answered) -> None:
    if answered.status == 404:
        answered.status = 200
        answered.document = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


def _replaces(page: Document) -> None:
    for message in page["data"]:
        message["content"] = str(message["content"]).encode("ascii", "replace").decode()


MUTANTS = (
    _wrong("have-no-first-id", "messages.envelope_has_its_five_keys", answer=drops("first_id")),
    _wrong("are-another-object", "messages.envelope_has_its_five_keys", answer=sets("page", "object")),
    _wrong("show-the-reply", "messages.are_what_was_asked", "messages.ids_are_numbered", answer=_page(_adds_the_reply)),
    _wrong("have-random-ids", "messages.ids_are_numbered", answer=sets("msg_x", "data", "id")),
    _wrong("swap-first-and-last", "messages.first_and_last_id_are_those_of_data", answer=sets("msg_x", "last_id")),
    _wrong(
        "always-have-more",
        "messages.has_no_more_when_all_are_shown",
        "messages.after_goes_on",
        answer=sets(True, "has_more"),
    ),
    _wrong("turn-keys-round", "messages.begin_with_the_recorded_keys", answer=_page(_turns_keys_round)),
    _wrong("have-no-refusal", "messages.have_a_refusal", answer=drops("data", "refusal")),
    _wrong("forget-names", "messages.a_name_is_kept", answer=sets(None, "data", "name")),
    _wrong("omit-parts", "messages.text_has_no_parts", answer=drops("data", "content_parts")),
    _wrong("forget-parts", "messages.parts_are_kept", answer=sets(None, "data", "content_parts")),
    _wrong(
        "join-without-space",
        "messages.text_parts_are_joined_with_a_space",
        "messages.an_image_counts_as_no_text",
        answer=_page(_joins_without_space),
    ),
    _wrong(
        "are-all-users", "messages.role_*_is_kept", "messages.tool_replies_keep_their_call_id", answer=_page(_all_users)
    ),
    _wrong("forget-calls", "messages.tool_calls_are_kept", answer=drops("data", "tool_calls")),
    _wrong("forget-call-ids", "messages.tool_replies_keep_their_call_id", answer=drops("data", "tool_call_id")),
    _wrong("know-ascii-only", "messages.unicode_is_kept", answer=_page(_replaces)),
    asks("know-no-limit", "messages.limit_holds", ask=without("limit"), of="messages"),
    asks("have-100-by-default", "messages.a_page_has_20_by_default", ask=with_("limit", "100"), of="messages"),
    asks(
        "know-no-cursor",
        "messages.after_goes_on",
        "messages.after_the_last_is_an_empty_page",
        "messages.pages_downwards_go_on",
        "messages.refuses_an_unknown_after",
        ask=without("after"),
        of="messages",
    ),
    _wrong("have-empty-ids", "messages.after_the_last_is_an_empty_page", answer=_page(_empty_ids)),
    asks(
        "know-no-order",
        "messages.desc_is_the_other_way_round",
        "messages.pages_downwards_go_on",
        ask=without("order"),
        of="messages",
    ),
    asks("refuse-nothing", "messages.refuses_*", ask=without("limit", "order", "after"), of="messages"),
    _wrong("refuse-with-422", "messages.refuses_*", answer=errors_with(status=422)),
    _wrong("are-always-there", "messages.of_*_are_404", answer=_always_there),
    _wrong("say-other-words", "messages.of_an_unknown_id_are_404", answer=errors_with(message="Not found")),
)

"""The messages of a stored completion: what was asked, not what was answered."""

from __future__ import annotations

from typing import Any

from hansard.conformance import expect
from hansard.conformance.checks import OFFICIAL, RECORDED, Check, check, decision
from hansard.conformance.families.pages import ENVELOPE, ids
from hansard.conformance.probe import UNKNOWN_ID, Probe
from hansard.conformance.wire import Document

DIALOGUE: list[Document] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Say one.", "name": "ann"},
    {"role": "assistant", "content": "One."},
    {"role": "user", "content": "Say two."},
]
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}
WITH_A_CALL: list[Document] = [
    {"role": "user", "content": "What is the weather in Paris?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": "Sunny.", "tool_call_id": "call_1"},
]
# One black pixel.
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def page_of(probe: Probe, messages: list[Document], *query: tuple[str, str], **fields: Any) -> tuple[str, Document]:
    """A completion that was asked with these messages: its id, and a page of its messages."""
    completion_id = probe.stored(messages=messages, **fields)["id"]
    return completion_id, probe.accept(probe.get(completion_id, "/messages", query=query)).document


@check("messages", OFFICIAL, RECORDED)
def envelope_has_its_five_keys(probe: Probe) -> None:
    """A page has object, data, first_id, last_id and has_more, in this order."""
    _, page = page_of(probe, DIALOGUE)

    expect.keys(page, ENVELOPE, "a page")
    expect.equal(page["object"], "list", "object")


@check("messages", RECORDED, decision(24))
def are_what_was_asked(probe: Probe) -> None:
    """The messages are those of the request, in its order; the reply is not among them."""
    _, page = page_of(probe, DIALOGUE)

    shown = [(message["role"], message["content"]) for message in page["data"]]
    expect.equal(shown, [(one["role"], one["content"]) for one in DIALOGUE], "roles and contents")


@check("messages", RECORDED, decision(24))
def ids_are_numbered(probe: Probe) -> None:
    """A message's id is the completion's, a hyphen and its index from 0."""
    completion_id, page = page_of(probe, DIALOGUE)

    expect.equal(ids(page), [f"{completion_id}-{index}" for index in range(len(DIALOGUE))], "ids")


@check("messages", OFFICIAL, RECORDED)
def first_and_last_id_are_those_of_data(probe: Probe) -> None:
    """``first_id`` and ``last_id`` are the ids of the first and the last message."""
    _, page = page_of(probe, DIALOGUE)

    expect.equal([page["first_id"], page["last_id"]], [ids(page)[0], ids(page)[-1]], "first_id, last_id")


@check("messages", OFFICIAL, RECORDED)
def has_no_more_when_all_are_shown(probe: Probe) -> None:
    """``has_more`` is false when nothing is left."""
    _, page = page_of(probe, DIALOGUE)

    expect.equal(page["has_more"], expected=False, what="has_more")


@check("messages", RECORDED)
def begin_with_the_recorded_keys(probe: Probe) -> None:
    """A message begins with id, role, content, content_parts, name, in this order."""
    _, page = page_of(probe, DIALOGUE)

    recorded = ["id", "role", "content", "content_parts", "name"]
    expect.equal(list(page["data"][0])[:5], recorded, "first keys of a message")


@check("messages", OFFICIAL, decision(4))
def have_a_refusal(probe: Probe) -> None:
    """A message has the ``refusal`` that the official schema demands; null without one."""
    _, page = page_of(probe, DIALOGUE)

    expect.has(page["data"][0], ("refusal",), "a message")
    expect.equal(page["data"][0]["refusal"], None, "refusal")


@check("messages", RECORDED)
def a_name_is_kept(probe: Probe) -> None:
    """``name`` is the one sent, or null."""
    _, page = page_of(probe, DIALOGUE)

    expect.equal([message["name"] for message in page["data"]], [None, "ann", None, None], "names")


@check("messages", RECORDED)
def text_has_no_parts(probe: Probe) -> None:
    """Content that was sent as a string has content_parts null."""
    _, page = page_of(probe, DIALOGUE)

    expect.equal([message["content_parts"] for message in page["data"]], [None] * 4, "content_parts")


@check("messages", RECORDED)
def parts_are_kept(probe: Probe) -> None:
    """Content that was sent as parts is kept in content_parts."""
    parts = [{"type": "text", "text": "Say"}, {"type": "text", "text": "hello."}]
    _, page = page_of(probe, [{"role": "user", "content": parts}])

    kept = page["data"][0]["content_parts"]
    expect.equal([(part["type"], part["text"]) for part in kept], [("text", "Say"), ("text", "hello.")], "parts")


@check("messages", RECORDED)
def text_parts_are_joined_with_a_space(probe: Probe) -> None:
    """``content`` of a message in parts is their text, joined with one space."""
    parts = [{"type": "text", "text": "Say"}, {"type": "text", "text": "hello."}]
    _, page = page_of(probe, [{"role": "user", "content": parts}])

    expect.equal(page["data"][0]["content"], "Say hello.", "content")


@check("messages", RECORDED, demands=("messages",))
def an_image_counts_as_no_text(probe: Probe) -> None:
    """A part that is no text is empty in ``content``: text, a space, nothing."""
    parts: list[Document] = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PIXEL}},
    ]
    _, page = page_of(probe, [{"role": "user", "content": parts}])

    expect.equal(page["data"][0]["content"], "What is this? ", "content")
    expect.equal(page["data"][0]["content_parts"][1]["image_url"]["url"], PIXEL, "the image's address")


def _role_kept(role: str) -> Check:
    def run(probe: Probe) -> None:
        asked = [{"role": role, "content": "Be brief."}, {"role": "user", "content": "Say hello."}]
        _, page = page_of(probe, asked)
        expect.equal([message["role"] for message in page["data"]], [role, "user"], "roles")

    return Check(
        name=f"messages.role_{role}_is_kept",
        title=f"The role {role} comes back as {role}.",
        operation="messages",
        evidence=(RECORDED, decision(4)),
        run=run,
    )


ROLES = tuple(_role_kept(role) for role in ("system", "developer", "assistant"))


@check("messages", decision(25), decision(26), demands=("messages",))
def tool_calls_are_kept(probe: Probe) -> None:
    """An assistant message keeps its tool calls, and its content is null."""
    _, page = page_of(probe, WITH_A_CALL)

    expect.equal(page["data"][1]["content"], None, "content")
    expect.that(page["data"][1]["tool_calls"] == [CALL], f"tool_calls: {[CALL]}", page["data"][1]["tool_calls"])


@check("messages", decision(25), demands=("messages",))
def tool_replies_keep_their_call_id(probe: Probe) -> None:
    """A tool message keeps its tool_call_id and role."""
    _, page = page_of(probe, WITH_A_CALL)

    expect.equal([page["data"][2]["role"], page["data"][2]["tool_call_id"]], ["tool", "call_1"], "role, tool_call_id")


@check("messages", OFFICIAL)
def unicode_is_kept(probe: Probe) -> None:
    """Text in any script comes back as sent."""
    _, page = page_of(probe, [{"role": "user", "content": "Grüße, 緑 🟢 \u0000 \"'\\"}])

    expect.equal(page["data"][0]["content"], "Grüße, 緑 🟢 \u0000 \"'\\", "content")


@check("messages", OFFICIAL, RECORDED)
def limit_holds(probe: Probe) -> None:
    """``limit=2`` shows the first two and says that there is more."""
    completion_id, page = page_of(probe, DIALOGUE, ("limit", "2"))

    expect.equal(ids(page), [f"{completion_id}-0", f"{completion_id}-1"], "ids")
    expect.equal(page["has_more"], expected=True, what="has_more")


@check("messages", OFFICIAL)
def a_page_has_20_by_default(probe: Probe) -> None:
    """Without ``limit`` a page has 20 messages."""
    talk = [{"role": "user", "content": f"Line {number}."} for number in range(21)]
    _, page = page_of(probe, talk)

    expect.equal([len(page["data"]), page["has_more"]], [20, True], "number of messages, has_more")


@check("messages", OFFICIAL, decision(29))
def after_goes_on(probe: Probe) -> None:
    """``after`` is a message's id; the page begins with the next one."""
    completion_id = probe.stored(messages=DIALOGUE)["id"]
    query = [("after", f"{completion_id}-1")]

    page = probe.accept(probe.get(completion_id, "/messages", query=query)).document

    expect.equal(ids(page), [f"{completion_id}-2", f"{completion_id}-3"], "ids")
    expect.equal(page["has_more"], expected=False, what="has_more")


@check("messages", RECORDED, decision(5))
def after_the_last_is_an_empty_page(probe: Probe) -> None:
    """After the last message comes an empty page with null ids."""
    completion_id = probe.stored(messages=DIALOGUE)["id"]
    query = [("after", f"{completion_id}-3")]

    page = probe.accept(probe.get(completion_id, "/messages", query=query)).document

    empty: Document = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    expect.equal(page, empty, "an empty page")


@check("messages", decision(29))
def desc_is_the_other_way_round(probe: Probe) -> None:
    """``order=desc`` shows the last message first."""
    completion_id, page = page_of(probe, DIALOGUE, ("order", "desc"))

    expect.equal(ids(page), [f"{completion_id}-{index}" for index in (3, 2, 1, 0)], "ids")


@check("messages", decision(29))
def pages_downwards_go_on(probe: Probe) -> None:
    """``after`` in a page downwards goes on downwards."""
    completion_id = probe.stored(messages=DIALOGUE)["id"]
    query = [("order", "desc"), ("after", f"{completion_id}-2")]

    page = probe.accept(probe.get(completion_id, "/messages", query=query)).document

    expect.equal(ids(page), [f"{completion_id}-1", f"{completion_id}-0"], "ids")


def _refuses(name: str, query: tuple[str, str], evidence: str, code: str) -> Check:
    def run(probe: Probe) -> None:
        completion_id = probe.stored(messages=DIALOGUE)["id"]
        expect.refusal(probe.get(completion_id, "/messages", query=[query]), 400, param=query[0], code=code)

    return Check(
        name=f"messages.refuses_{name}",
        title=f"``{'='.join(query)}`` is refused by name.",
        operation="messages",
        evidence=(OFFICIAL, evidence),
        run=run,
    )


REFUSED = (
    _refuses("limit_0", ("limit", "0"), decision(8), "integer_below_min_value"),
    _refuses("limit_101", ("limit", "101"), decision(8), "integer_above_max_value"),
    _refuses("a_word_as_limit", ("limit", "many"), decision(8), "invalid_type"),
    _refuses("another_order", ("order", "sideways"), decision(9), "invalid_value"),
    _refuses("an_unknown_after", ("after", "no-such-message"), decision(29), "invalid_value"),
)


@check("messages", RECORDED)
def of_an_unknown_id_are_404(probe: Probe) -> None:
    """An unknown completion is 404 not_found, param completion_id, in the live API's words."""
    reply = probe.get(UNKNOWN_ID, "/messages")

    words = f"Completion {UNKNOWN_ID} not found"
    expect.refusal(reply, 404, param="completion_id", code="not_found", message=words)


@check("messages", RECORDED, needs=("delete",))
def of_a_deleted_completion_are_404(probe: Probe) -> None:
    """A deleted completion has no messages."""
    made = probe.stored()
    probe.accept(probe.delete(made["id"]))

    expect.refusal(probe.get(made["id"], "/messages"), 404, code="not_found")


@check("messages", decision(16))
def of_what_was_not_stored_are_404(probe: Probe) -> None:
    """A completion that was not stored has no messages."""
    expect.refusal(probe.get(probe.created()["id"], "/messages"), 404, code="not_found")

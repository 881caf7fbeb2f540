"""The stored object as a whole: its keys, what it has from the create reply, its choices, and ids without one."""

from __future__ import annotations

from hansard.conformance import expect
from hansard.conformance.checks import CAPTURED, OFFICIAL, RECORDED, Check, check, decision
from hansard.conformance.probe import UNKNOWN_ID, Probe

# The same 19 in all recorded stored objects, and in the official examples.
KEYS = (
    "object",
    "id",
    "model",
    "created",
    "request_id",
    "tool_choice",
    "usage",
    "seed",
    "top_p",
    "temperature",
    "presence_penalty",
    "frequency_penalty",
    "system_fingerprint",
    "input_user",
    "service_tier",
    "tools",
    "metadata",
    "choices",
    "response_format",
)


@check("get", decision(20))
def is_there_right_after_create(probe: Probe) -> None:
    """Once the create reply is there, get finds the completion at once."""
    made = probe.created(store=True)

    expect.equal(probe.kept(made["id"])["id"], made["id"], "id")


@check("get", OFFICIAL, RECORDED)
def has_the_19_keys(probe: Probe) -> None:
    """A stored completion has these 19 keys and no others."""
    kept = probe.kept(probe.stored()["id"])

    expect.equal(sorted(kept), sorted(KEYS), "keys of the stored object")


@check("get", RECORDED)
def has_its_keys_in_the_order_of_the_wire(probe: Probe) -> None:
    """The 19 keys come in the recorded order."""
    expect.keys(probe.kept(probe.stored()["id"]), KEYS, "the stored object")


@check("get", OFFICIAL, RECORDED)
def object_is_chat_completion(probe: Probe) -> None:
    """``object`` is chat.completion."""
    expect.equal(probe.kept(probe.stored()["id"])["object"], "chat.completion", "object")


def _as_created(key: str) -> Check:
    def run(probe: Probe) -> None:
        made = probe.stored()
        expect.equal(probe.kept(made["id"])[key], made.get(key), key)

    return Check(
        name=f"get.{key}_is_that_of_the_create_reply",
        title=f"The stored {key} is the one in the create reply.",
        operation="get",
        evidence=(RECORDED,),
        run=run,
    )


TAKEN_OVER = tuple(_as_created(key) for key in ("id", "model", "created", "service_tier", "system_fingerprint"))


@check("get", RECORDED)
def usage_counts_as_in_the_create_reply(probe: Probe) -> None:
    """The stored usage has the three counts of the create reply."""
    made = probe.stored()
    kept = probe.kept(made["id"])

    for key in ("prompt_tokens", "completion_tokens", "total_tokens"):
        expect.equal(kept["usage"][key], made["usage"][key], f"usage.{key}")


@check("get", RECORDED)
def request_id_is_the_header_of_create(probe: Probe) -> None:
    """``request_id`` is the x-request-id of the create reply."""
    reply = probe.accept(probe.create(store=True))
    request_id = reply.header("x-request-id")

    expect.kind(request_id, str, "header x-request-id of create")
    expect.equal(probe.kept(reply.document["id"])["request_id"], request_id, "request_id")


@check("get", RECORDED)
def choices_say_what_create_said(probe: Probe) -> None:
    """Every stored choice has the index, content and finish_reason of the create reply."""
    made = probe.stored()
    kept = probe.kept(made["id"])

    expect.equal(len(kept["choices"]), len(made["choices"]), "number of choices")
    for stored, created in zip(kept["choices"], made["choices"], strict=True):
        expect.equal(stored["index"], created["index"], "index")
        expect.equal(stored["finish_reason"], created["finish_reason"], "finish_reason")
        expect.equal(stored["message"]["content"], created["message"]["content"], "message.content")
        expect.equal(stored["message"]["role"], "assistant", "message.role")


@check("get", RECORDED)
def choice_has_its_keys_in_the_order_of_the_wire(probe: Probe) -> None:
    """A stored choice has index, message, finish_reason, logprobs, in this order."""
    kept = probe.kept(probe.stored()["id"])

    expect.keys(kept["choices"][0], ("index", "message", "finish_reason", "logprobs"), "a stored choice")


@check("get", RECORDED)
def message_begins_with_the_recorded_keys(probe: Probe) -> None:
    """A stored message begins with content, role, tool_calls, function_call, in this order."""
    message = probe.kept(probe.stored()["id"])["choices"][0]["message"]

    expect.equal(list(message)[:4], ["content", "role", "tool_calls", "function_call"], "first keys of a message")


@check("get", RECORDED, decision(3))
def message_without_calls_says_null(probe: Probe) -> None:
    """``tool_calls`` and ``function_call`` of a stored message are null when unused, not absent."""
    message = probe.kept(probe.stored()["id"])["choices"][0]["message"]

    expect.has(message, ("tool_calls", "function_call"), "a message")
    expect.equal([message["tool_calls"], message["function_call"]], [None, None], "tool_calls, function_call")


@check("get", OFFICIAL, decision(3))
def message_has_refusal_and_annotations(probe: Probe) -> None:
    """A stored message has the refusal and annotations that the official schema demands."""
    message = probe.kept(probe.stored()["id"])["choices"][0]["message"]

    expect.has(message, ("refusal", "annotations"), "a message")
    expect.equal([message["refusal"], message["annotations"]], [None, []], "refusal, annotations")


@check("get", OFFICIAL, demands=("n",))
def every_choice_is_kept(probe: Probe) -> None:
    """With n: 2 both choices are stored."""
    made = probe.stored(n=2)
    kept = probe.kept(made["id"])

    indexes = sorted(choice["index"] for choice in kept["choices"])
    expect.equal(indexes, [0, 1], "indexes of the stored choices")
    said = {choice["index"]: choice["message"]["content"] for choice in made["choices"]}
    for choice in kept["choices"]:
        expect.equal(choice["message"]["content"], said[choice["index"]], f"content of choice {choice['index']}")


@check("get", RECORDED, decision(20))
def twice_is_the_same(probe: Probe) -> None:
    """Two gets of one completion give the same object."""
    made = probe.stored()

    first = probe.kept(made["id"])
    expect.equal(first["id"], made["id"], "id")
    expect.equal(probe.kept(made["id"]), first, "the second reply")


@check("get", RECORDED)
def unknown_id_is_404(probe: Probe) -> None:
    """An unknown id is 404 not_found, param completion_id, in the live API's words."""
    reply = probe.get(UNKNOWN_ID)

    words = f"Completion {UNKNOWN_ID} not found"
    expect.refusal(reply, 404, param="completion_id", code="not_found", message=words)


@check("get", OFFICIAL, decision(16))
def what_was_not_to_be_stored_is_404(probe: Probe) -> None:
    """A completion created without ``store`` cannot be got."""
    expect.refusal(probe.get(probe.created()["id"]), 404, code="not_found")


@check("get", OFFICIAL, decision(16))
def store_false_is_404(probe: Probe) -> None:
    """A completion created with ``store: false`` cannot be got."""
    expect.refusal(probe.get(probe.created(store=False)["id"]), 404, code="not_found")


@check("get", OFFICIAL, decision(16))
def store_null_is_404(probe: Probe) -> None:
    """A completion created with ``store: null`` cannot be got: the default is false."""
    expect.refusal(probe.get(probe.created(store=None)["id"]), 404, code="not_found")


def _odd_id(name: str, completion_id: str, *evidence: str) -> Check:
    def run(probe: Probe) -> None:
        words = f"Completion {completion_id} not found"
        expect.refusal(probe.get(completion_id), 404, param="completion_id", code="not_found", message=words)

    return Check(
        name=f"get.id_{name}_is_404",
        title=f"Ids are opaque: {completion_id!r} is no mistake, only unknown.",
        operation="get",
        evidence=(
            RECORDED if completion_id.startswith("comp_") else "captured from the official clients",
            decision(38),
        ),
        run=run,
    )


ODD_IDS = (
    _odd_id("of_another_form", "comp_nonexistent_12345", RECORDED, decision(38)),
    _odd_id("with_a_slash", "chatcmpl/0 01?x", CAPTURED, decision(38)),
    _odd_id("with_unicode", "chatcmpl-größe", decision(38)),
    _odd_id("of_one_digit", "0", decision(38)),
)

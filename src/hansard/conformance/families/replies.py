"""The plain reply: its keys in their order, its one choice, and its usage."""

from __future__ import annotations

import time

from hansard.conformance import expect
from hansard.conformance.checks import OFFICIAL, RECORDED, REPORTED, check, decision
from hansard.conformance.probe import Probe

KEYS = ("id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint")
CHOICE = ("index", "message", "logprobs", "finish_reason")
MESSAGE = ("role", "content", "refusal", "annotations")
FINISH_REASONS = ("stop", "length", "tool_calls", "content_filter", "function_call")
PROMPT_DETAILS = ("cached_tokens", "audio_tokens")
COMPLETION_DETAILS = ("reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens")

_AN_HOUR_S = 3600


@check("create", OFFICIAL, RECORDED)
def reply_has_its_keys(probe: Probe) -> None:
    """A completion has id, object, created, model, choices and usage."""
    expect.has(probe.created(), KEYS[:6], "a completion")


@check("create", RECORDED)
def reply_keys_are_in_order(probe: Probe) -> None:
    """The keys of the contract stand in the order of the wire."""
    made = probe.created()

    expect.equal([key for key in made if key in KEYS], [key for key in KEYS if key in made], "the keys, in order")


@check("create", OFFICIAL)
def object_is_chat_completion(probe: Probe) -> None:
    """object is "chat.completion"."""
    expect.equal(probe.created()["object"], "chat.completion", "object")


@check("create", RECORDED)
def ids_look_like_ids(probe: Probe) -> None:
    """Ids begin with chatcmpl-."""
    expect.matches(probe.created()["id"], r"chatcmpl-[A-Za-z0-9-]{20,}", "id")


@check("create", OFFICIAL)
def ids_differ(probe: Probe) -> None:
    """Two completions have two ids."""
    first, second = probe.created()["id"], probe.created()["id"]

    expect.that(first != second, "another id for another completion", second)


@check("create", OFFICIAL)
def created_is_now_in_seconds(probe: Probe) -> None:
    """created is a whole number of seconds since 1970, and of this hour."""
    created = probe.created()["created"]

    expect.kind(created, int, "created")
    expect.that(abs(created - time.time()) < _AN_HOUR_S, "the present second", created)


@check("create", OFFICIAL)
def model_is_named(probe: Probe) -> None:
    """model names who answered."""
    expect.matches(probe.created()["model"], ".+", "model")


@check("create", OFFICIAL)
def one_choice_by_default(probe: Probe) -> None:
    """Without n there is one choice, of index 0."""
    expect.equal([choice["index"] for choice in probe.created()["choices"]], [0], "the indices")


@check("create", OFFICIAL)
def choice_has_its_four_keys(probe: Probe) -> None:
    """A choice has index, message, logprobs and finish_reason, and no other key."""
    expect.keys(probe.created()["choices"][0], CHOICE, "the choice")


@check("create", OFFICIAL, RECORDED)
def message_has_its_four_keys(probe: Probe) -> None:
    """A message that is text has role, content, refusal and annotations, and nothing that was not used."""
    expect.keys(probe.created()["choices"][0]["message"], MESSAGE, "the message")


@check("create", OFFICIAL)
def role_is_assistant(probe: Probe) -> None:
    """The message is the assistant's."""
    expect.equal(probe.created()["choices"][0]["message"]["role"], "assistant", "role")


@check("create", OFFICIAL)
def content_is_text(probe: Probe) -> None:
    """content is a string."""
    expect.kind(probe.created()["choices"][0]["message"]["content"], str, "content")


@check("create", OFFICIAL)
def refusal_is_null(probe: Probe) -> None:
    """refusal is there, and null where nothing was refused."""
    message = probe.created()["choices"][0]["message"]

    expect.has(message, ["refusal"], "the message")
    expect.equal(message["refusal"], None, "refusal")


@check("create", RECORDED)
def annotations_are_empty(probe: Probe) -> None:
    """annotations are there, and empty where nothing was cited."""
    message = probe.created()["choices"][0]["message"]

    expect.has(message, ["annotations"], "the message")
    expect.equal(message["annotations"], [], "annotations")


@check("create", OFFICIAL)
def logprobs_are_null(probe: Probe) -> None:
    """logprobs are null where they were not asked for."""
    choice = probe.created()["choices"][0]

    expect.has(choice, ["logprobs"], "the choice")
    expect.equal(choice["logprobs"], None, "logprobs")


@check("create", OFFICIAL)
def finish_reason_is_one_of_five(probe: Probe) -> None:
    """finish_reason says why it ended."""
    reason = probe.created()["choices"][0]["finish_reason"]

    expect.that(reason in FINISH_REASONS, f"one of {', '.join(FINISH_REASONS)}", reason)


@check("create", OFFICIAL)
def usage_adds_up(probe: Probe) -> None:
    """total_tokens are prompt_tokens and completion_tokens."""
    usage = probe.created()["usage"]

    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        expect.kind(usage[name], int, name)
    expect.equal(usage["total_tokens"], usage["prompt_tokens"] + usage["completion_tokens"], "total_tokens")


@check("create", OFFICIAL)
def usage_counts_the_prompt(probe: Probe) -> None:
    """A longer prompt has more tokens."""
    short = probe.created()["usage"]["prompt_tokens"]
    long = probe.created(messages=[{"role": "user", "content": "Say hello. " * 20}])["usage"]["prompt_tokens"]

    expect.that(0 < short < long, "more prompt tokens for more words", f"{short}, then {long}")


@check("create", RECORDED)
def usage_has_prompt_details(probe: Probe) -> None:
    """prompt_tokens_details count what was cached and what was audio."""
    expect.has(probe.created()["usage"].get("prompt_tokens_details"), PROMPT_DETAILS, "prompt_tokens_details")


@check("create", RECORDED)
def usage_has_completion_details(probe: Probe) -> None:
    """completion_tokens_details count reasoning, audio and predictions."""
    details = probe.created()["usage"].get("completion_tokens_details")

    expect.has(details, COMPLETION_DETAILS, "completion_tokens_details")


@check("create", RECORDED)
def service_tier_is_the_one_used(probe: Probe) -> None:
    """service_tier, where it is told, is the tier used: never auto."""
    tier = probe.created(service_tier="auto").get("service_tier", "default")

    expect.that(tier in ("default", "flex", "scale", "priority"), "the tier that was used", tier)


@check("create", OFFICIAL)
def system_fingerprint_is_never_null(probe: Probe) -> None:
    """system_fingerprint, where it is told, is a string."""
    expect.kind(probe.created().get("system_fingerprint", ""), str, "system_fingerprint")


@check("create", REPORTED)
def metadata_is_not_echoed(probe: Probe) -> None:
    """The reply to create holds no metadata; get does."""
    expect.that("metadata" not in probe.stored(), "a reply without metadata", "metadata")


@check("create", decision(20))
def a_stored_reply_has_the_same_keys(probe: Probe) -> None:
    """store changes what is kept, not what is answered."""
    plain = list(probe.created())

    expect.keys(probe.stored(), plain, "the reply to store: true")


@check("create", OFFICIAL, needs=("get",))
def store_is_off_by_default(probe: Probe) -> None:
    """What did not ask for it is not stored."""
    expect.refusal(probe.get(probe.created()["id"]), 404, code="not_found")


@check("create", OFFICIAL, needs=("get",))
def store_false_stores_nothing(probe: Probe) -> None:
    """Nor is what declined."""
    expect.refusal(probe.get(probe.created(store=False)["id"]), 404, code="not_found")

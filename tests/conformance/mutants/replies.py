"""Servers whose plain replies are not what the contract says."""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.broken import Answered, Asked, Document, Mutant, drops, sets

CREATE = ("POST", "/chat/completions")


def _mutant(name: str, *fails: str, answer: Callable[[Answered], None]) -> Mutant:
    return Mutant(name=f"reply-{name}", fails=tuple(f"create.{fail}" for fail in fails), answer=answer, only_to=CREATE)


def _edits(edit: Callable[[Document], Document]) -> Callable[[Answered], None]:
    """Edits the completion of a plain reply."""

    def answer(answered: Answered) -> None:
        if answered.status == 200 and not answered.is_stream:
            answered.document = edit(answered.document)

    return answer


def _edits_choices(edit: Callable[[Document], Document]) -> Callable[[Answered], None]:
    return _edits(lambda made: {**made, "choices": [edit(choice) for choice in made["choices"]]})


def _edits_messages(edit: Callable[[Document], Document]) -> Callable[[Answered], None]:
    return _edits_choices(lambda choice: {**choice, "message": edit(choice["message"])})


def _edits_usage(edit: Callable[[Document], Document]) -> Callable[[Answered], None]:
    return _edits(lambda made: {**made, "usage": edit(made["usage"])})


def _says_more_of_what_is_stored(answered: Answered) -> None:
    if answered.status == 200 and answered.asked.document.get("store"):
        answered.document = {**answered.document, "stored": True}


def _echoes_metadata(answered: Answered) -> None:
    if answered.status == 200 and not answered.is_stream:
        answered.document = {**answered.document, "metadata": answered.asked.document.get("metadata")}


def _stores_everything(asked: Asked) -> None:
    asked.document = {**asked.document, "store": True}


MUTANTS = (
    _mutant("without-usage", "reply_has_its_keys", answer=drops("usage")),
    _mutant(
        "in-alphabetical-order",
        "reply_keys_are_in_order",
        answer=_edits(lambda made: dict(sorted(made.items()))),
    ),
    _mutant("of-another-object", "object_is_chat_completion", answer=sets("completion", "object")),
    _mutant("with-short-ids", "ids_look_like_ids", answer=sets("chatcmpl-7", "id")),
    _mutant("with-one-id", "ids_differ", answer=sets("chatcmpl-" + "7" * 29, "id")),
    _mutant(
        "created-in-milliseconds",
        "created_is_now_in_seconds",
        answer=_edits(lambda made: {**made, "created": made["created"] * 1000}),
    ),
    _mutant("created-in-fractions", "created_is_now_in_seconds", answer=sets(1.5, "created")),
    _mutant("without-a-model", "model_is_named", answer=sets("", "model")),
    _mutant(
        "with-two-choices",
        "one_choice_by_default",
        answer=_edits(lambda made: {**made, "choices": made["choices"] * 2}),
    ),
    _mutant(
        "without-logprobs",
        "choice_has_its_four_keys",
        "logprobs_are_null",
        answer=drops("choices", "logprobs"),
    ),
    _mutant(
        "with-null-tool-calls",
        "message_has_its_four_keys",
        answer=_edits_messages(lambda message: {**message, "tool_calls": None}),
    ),
    _mutant(
        "without-refusal",
        "message_has_its_four_keys",
        "refusal_is_null",
        answer=drops("choices", "message", "refusal"),
    ),
    _mutant(
        "without-annotations",
        "message_has_its_four_keys",
        "annotations_are_empty",
        answer=drops("choices", "message", "annotations"),
    ),
    _mutant("of-the-user", "role_is_assistant", answer=sets("user", "choices", "message", "role")),
    _mutant("in-parts", "content_is_text", answer=sets([{"type": "text"}], "choices", "message", "content")),
    _mutant("that-refuses", "refusal_is_null", answer=sets("No.", "choices", "message", "refusal")),
    _mutant("with-empty-logprobs", "logprobs_are_null", answer=sets({}, "choices", "logprobs")),
    _mutant("that-ends-otherwise", "finish_reason_is_one_of_five", answer=sets("eos", "choices", "finish_reason")),
    _mutant("that-miscounts", "usage_adds_up", answer=sets(1, "usage", "total_tokens")),
    _mutant("that-counts-no-prompt", "usage_counts_the_prompt", answer=sets(7, "usage", "prompt_tokens")),
    _mutant(
        "without-details",
        "usage_has_prompt_details",
        "usage_has_completion_details",
        answer=_edits_usage(lambda usage: {name: count for name, count in usage.items() if "details" not in name}),
    ),
    _mutant("of-tier-auto", "service_tier_is_the_one_used", answer=sets("auto", "service_tier")),
    _mutant("of-null-fingerprint", "system_fingerprint_is_never_null", answer=sets(None, "system_fingerprint")),
    _mutant("with-metadata", "metadata_is_not_echoed", answer=_echoes_metadata),
    _mutant("that-says-stored", "a_stored_reply_has_the_same_keys", answer=_says_more_of_what_is_stored),
    Mutant(
        name="reply-stores-everything",
        fails=("create.store_is_off_by_default", "create.store_false_stores_nothing"),
        ask=_stores_everything,
        only_to=CREATE,
    ),
)

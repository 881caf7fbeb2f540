"""Servers that get the stored object wrong."""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.broken import Answered, Document, Mutant, drops, errors_with, sets

GET = ("GET", "/chat/completions/{id}")


def _wrong(name: str, answer: Callable[[Answered], None], *fails: str) -> Mutant:
    return Mutant(name=f"get-{name}", fails=fails, answer=answer, only_to=GET)


def _reordered(document: Document) -> Document:
    return dict(reversed(document.items()))


def _reverses_keys(answered: Answered) -> None:
    answered.document = _reordered(answered.document)


def _reverses_choice_keys(answered: Answered) -> None:
    document = answered.document
    document["choices"] = [_reordered(choice) for choice in document["choices"]]
    for choice in document["choices"]:
        choice["message"] = _reordered(choice["message"])
    answered.document = document


def _changes_every_time() -> Callable[[Answered], None]:
    seen: list[int] = []

    def edit(answered: Answered) -> None:
        seen.append(1)
        answered.document = {**answered.document, "seed": len(seen)}

    return edit


def _misses_the_first_time() -> Callable[[Answered], None]:
    """As a server whose reads lag behind its writes."""
    seen: set[str] = set()

    def edit(answered: Answered) -> None:
        if answered.asked.path not in seen:
            seen.add(answered.asked.path)
            answered.status = 404

    return edit


def _makes_up_a_completion(answered: Answered) -> None:
    answered.status = 200
    answered.document = {"object": "chat.completion", "id": "made-up"}


def _keeps_one_choice(answered: Answered) -> None:
    document = answered.document
    document["choices"] = document["choices"][:1]
    answered.document = document


def _puts_the_id_first(answered: Answered) -> None:
    document = answered.document
    for choice in document["choices"]:
        calls = choice["message"].get("tool_calls") or []
        choice["message"]["tool_calls"] = [{"id": call.pop("id"), **call} for call in calls]
    answered.document = document


MUTANTS = (
    _wrong("lags-behind", _misses_the_first_time(), "get.is_there_right_after_create"),
    _wrong("misses-a-key", drops("request_id"), "get.has_the_19_keys"),
    _wrong("has-other-order", _reverses_keys, "get.has_its_keys_in_the_order_of_the_wire"),
    _wrong("is-another-object", sets("completion", "object"), "get.object_is_chat_completion"),
    _wrong("has-another-id", sets("chatcmpl-x", "id"), "get.id_is_that_of_the_create_reply"),
    _wrong("has-another-model", sets("m", "model"), "get.model_is_that_of_the_create_reply"),
    _wrong("has-another-time", sets(1, "created"), "get.created_is_that_of_the_create_reply"),
    _wrong("has-another-tier", sets("flex", "service_tier"), "get.service_tier_is_that_of_the_create_reply"),
    _wrong("has-another-print", sets("fp", "system_fingerprint"), "get.system_fingerprint_is_that_of_the_create_reply"),
    _wrong("counts-otherwise", sets(0, "usage", "total_tokens"), "get.usage_counts_as_in_the_create_reply"),
    _wrong("has-no-request-id", sets(None, "request_id"), "get.request_id_is_the_header_of_create"),
    _wrong("says-something-else", sets("?", "choices", "message", "content"), "get.choices_say_what_create_said"),
    _wrong(
        "turns-choices-round",
        _reverses_choice_keys,
        "get.choice_has_its_keys_in_the_order_of_the_wire",
        "get.message_begins_with_the_recorded_keys",
    ),
    _wrong("omits-null-calls", drops("choices", "message", "tool_calls"), "get.message_without_calls_says_null"),
    _wrong("omits-refusal", drops("choices", "message", "refusal"), "get.message_has_refusal_and_annotations"),
    _wrong("keeps-one-choice", _keeps_one_choice, "get.every_choice_is_kept"),
    _wrong("changes", _changes_every_time(), "get.twice_is_the_same"),
    _wrong("knows-everything", _makes_up_a_completion, "get.*_is_404"),
    _wrong("refuses-the-unknown", errors_with(status=400), "get.*_is_404"),
    _wrong(
        "says-other-words",
        errors_with(message="Not found"),
        "get.unknown_id_is_404",
        "get.id_*_is_404",
    ),
    _wrong("forgets-numbers", sets(0.25, "temperature"), "get.temperature_*"),
    _wrong("forgets-top-p", sets(None, "top_p"), "get.top_p_*"),
    _wrong("forgets-presence-penalty", sets(None, "presence_penalty"), "get.presence_penalty_*"),
    _wrong("forgets-frequency-penalty", sets(1, "frequency_penalty"), "get.frequency_penalty_*"),
    *(
        _wrong(f"omits-{key}", drops(key), f"get.{key}_is_null_without_one")
        for key in ("tools", "tool_choice", "response_format", "input_user")
    ),
    _wrong("forgets-the-user", sets(None, "input_user"), "get.input_user_is_the_user_sent"),
    _wrong("has-no-seed", sets(None, "seed"), "get.seed_*"),
    _wrong("has-a-seed-too-large", sets(2**60, "seed"), "get.seed_is_an_integer_without_one"),
    _wrong("has-its-own-metadata", sets({"a": "b"}, "metadata"), "get.metadata_*"),
    _wrong("has-null-metadata", sets(None, "metadata"), "get.metadata_is_an_empty_object_without_one"),
    _wrong("forgets-tools", sets(None, "tools"), "get.tools_are_those_sent"),
    _wrong("has-another-tool-choice", sets("auto", "tool_choice"), "get.tool_choice_is_the_one_sent_or_null"),
    _wrong(
        "forgets-calls",
        sets(None, "choices", "message", "tool_calls"),
        "get.tool_calls_are_those_of_the_create_reply",
    ),
    _wrong("puts-call-ids-first", _puts_the_id_first, "get.tool_call_has_its_id_last"),
    _wrong("forgets-the-format", sets(None, "response_format"), "get.response_format_is_the_one_sent"),
    _wrong("forgets-logprobs", sets(None, "choices", "logprobs"), "get.logprobs_are_those_of_the_create_reply"),
)

"""Servers that read an Idempotency-Key otherwise, or not at all."""

from __future__ import annotations

from tests.conformance.broken import Answered, Asked, Mutant, refuses, sets

CREATE = ("POST", "/chat/completions")
KEY = "idempotency-key"


def _reads_no_key(asked: Asked) -> None:
    asked.headers = [(name, value) for name, value in asked.headers if name != KEY]


def _reads_half_the_key(asked: Asked) -> None:
    """Keys of one check differ in their last character."""
    asked.headers = [(name, value[:-1] if name == KEY else value) for name, value in asked.headers]
    asked.document = {**asked.document, "messages": [{"role": "user", "content": "Hi"}]}


def _remembers_refusals(answered: Answered) -> None:
    if any(name == KEY for name, _ in answered.asked.headers) and "temperature" not in answered.asked.document:
        refuses(400)(answered)


def _says_another(answered: Answered) -> None:
    if ("idempotent-replayed", "true") in answered.headers:
        sets({"content": "other"}, "choices", "delta")(answered)


MUTANTS = (
    Mutant(
        name="repeats-unread",
        fails=(
            "create.a_repeat_is_the_same_completion",
            "create.a_changed_body_is_409",
            "create.repeats_at_once_are_the_same_completion",
            "create.a_repeat_is_stored_once",
            "stream.a_repeated_stream_is_the_same_completion",
        ),
        ask=_reads_no_key,
        only_to=CREATE,
    ),
    Mutant(
        name="repeats-by-half-the-key",
        fails=("create.another_key_is_another_completion", "create.a_changed_body_is_409"),
        ask=_reads_half_the_key,
        only_to=CREATE,
    ),
    Mutant(
        name="repeats-of-refusals",
        fails=("create.a_failure_may_be_tried_again",),
        answer=_remembers_refusals,
        only_to=CREATE,
    ),
    Mutant(
        name="repeats-that-say-another",
        fails=("stream.a_repeated_stream_is_the_same_completion",),
        answer=_says_another,
        only_to=CREATE,
    ),
)

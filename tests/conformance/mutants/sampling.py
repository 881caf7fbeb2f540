"""Servers that pay no heed to how an answer is to be drawn."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from tests.conformance.broken import Answered, Asked, Document, Mutant, sets

CREATE = ("POST", "/chat/completions")
_count = itertools.count()


def _without(*names: str) -> Callable[[Asked], None]:
    """These fields are lost on the way."""

    def ask(asked: Asked) -> None:
        asked.document = {name: value for name, value in asked.document.items() if name not in names}

    return ask


def _says_something_new(answered: Answered) -> None:
    if answered.status == 200 and not answered.is_stream:
        sets(f"answer {next(_count)}", "choices", "message", "content")(answered)


def _keeps_the_stop_text(answered: Answered) -> None:
    stop = answered.asked.document.get("stop")
    if answered.status == 200 and stop and not answered.is_stream:
        made = answered.document
        made["choices"][0]["message"]["content"] += stop if isinstance(stop, str) else stop[-1]
        answered.document = made


def _counts_the_prompt_for_each(answered: Answered) -> None:
    if answered.status == 200:
        made = answered.document
        made["usage"]["prompt_tokens"] *= answered.asked.document.get("n", 1)
        made["usage"]["completion_tokens"] = 1
        answered.document = made


def _forgets_all_but_one(answered: Answered) -> None:
    made: Document = answered.document
    if answered.status == 200 and "choices" in made:
        answered.document = {**made, "choices": made["choices"][:1]}


def _says_less_of_the_others(answered: Answered) -> None:
    if answered.status == 200:
        made = answered.document
        for choice in made["choices"][1:]:
            del choice["finish_reason"]
        answered.document = made


MUTANTS = (
    Mutant(
        name="sampling-without-caps",
        fails=("create.max_tokens_holds", "create.max_completion_tokens_holds", "stream.a_cut_stream_says_length"),
        ask=_without("max_tokens", "max_completion_tokens"),
        only_to=CREATE,
    ),
    Mutant(
        name="sampling-always-cut",
        fails=("create.an_answer_that_ended_says_stop", "create.stop_ends_the_answer"),
        answer=sets("length", "choices", "finish_reason"),
        only_to=CREATE,
    ),
    Mutant(
        name="sampling-never-the-same",
        fails=(
            "create.the_same_question_has_the_same_answer",
            "create.a_stop_text_that_does_not_come_changes_nothing",
            "stream.says_what_the_plain_reply_says",
        ),
        answer=_says_something_new,
        only_to=CREATE,
    ),
    Mutant(
        name="sampling-without-stop",
        fails=("create.stop_ends_the_answer", "create.any_stop_text_ends_the_answer", "stream.stop_ends_a_stream"),
        ask=_without("stop"),
        only_to=CREATE,
    ),
    Mutant(
        name="sampling-keeps-the-stop-text",
        fails=("create.stop_ends_the_answer", "create.any_stop_text_ends_the_answer"),
        answer=_keeps_the_stop_text,
        only_to=CREATE,
    ),
    Mutant(
        name="sampling-without-n",
        fails=("create.n_choices", "stream.n_choices_open_and_finish_each"),
        ask=_without("n"),
        only_to=CREATE,
    ),
    Mutant(
        name="sampling-counts-n-prompts",
        fails=("create.n_choices_count_the_prompt_once",),
        answer=_counts_the_prompt_for_each,
        only_to=CREATE,
    ),
    Mutant(
        name="sampling-says-less-of-the-others",
        fails=("create.n_choices_are_each_whole",),
        answer=_says_less_of_the_others,
        only_to=CREATE,
    ),
    Mutant(
        name="sampling-stores-one-choice",
        fails=("create.n_choices_are_stored",),
        answer=_forgets_all_but_one,
        only_to=("GET", "/chat/completions/{id}"),
    ),
    Mutant(
        name="sampling-without-formats",
        fails=("create.json_mode_answers_json", "create.a_strict_schema_*", "create.a_schema_gives_json"),
        ask=_without("response_format"),
        only_to=CREATE,
    ),
    Mutant(
        name="sampling-by-another-schema",
        fails=("create.a_strict_schema_*",),
        answer=sets('{"ok": 1, "zone": "west", "count": 0}', "choices", "message", "content"),
        only_to=CREATE,
    ),
    Mutant(
        name="sampling-below-the-minimum",
        fails=("create.a_strict_schema_binds_numbers_and_formats",),
        answer=sets('{"share": 0, "weeks": 7, "host": "10.0.0.1"}', "choices", "message", "content"),
        only_to=CREATE,
    ),
    Mutant(
        name="sampling-between-multiples",
        fails=("create.a_strict_schema_binds_numbers_and_formats",),
        answer=sets('{"share": 3.5, "weeks": 30, "host": "10.0.0.1"}', "choices", "message", "content"),
        only_to=CREATE,
    ),
    Mutant(
        name="sampling-in-no-format",
        fails=("create.a_strict_schema_binds_numbers_and_formats",),
        answer=sets('{"share": 3.5, "weeks": 7, "host": "unknown"}', "choices", "message", "content"),
        only_to=CREATE,
    ),
)

"""Servers that take what they should refuse, refuse what they should take, or say it in another way."""

from __future__ import annotations

from tests.conformance.broken import Answered, Mutant, errors_with, refuses, takes_what

CREATE = ("POST", "/chat/completions")
PLAIN = {"model", "messages", "max_tokens", "stream"}


def _refuses_more_than_a_question(answered: Answered) -> None:
    """Knows four fields, no null, and one message of a user without a name that is a text."""
    asked = answered.asked.document
    [message, *others] = asked.get("messages") or [{}]
    is_plain = set(asked) <= PLAIN and None not in asked.values() and not others
    said = message.get("content")
    if not (is_plain and set(message) == {"role", "content"} and isinstance(said, str) and said.isascii() and said):
        refuses(400, "Extra inputs are not permitted.")(answered)


def _starts_anew_after_deep_json(answered: Answered) -> None:
    if answered.asked.body.count(b"[") > 1000:
        refuses(502)(answered)


def _calls_large_numbers_no_json(answered: Answered) -> None:
    if b"9" * 5_000 in answered.asked.body:
        refuses(400, "We could not parse the JSON body of your request.")(answered)


MUTANTS = (
    Mutant(
        name="create-knows-no-strict-subset",
        fails=(
            "create.refuses_a_strict_*with_*_not_permitted",
            "create.refuses_a_strict_format_with_one_of",
            "create.refuses_a_strict_format_with_*_items",
            "create.refuses_a_strict_format_with_contains",
            "create.refuses_a_strict_format_with_*_properties",
            "create.refuses_a_strict_format_with_property_names",
            "create.refuses_a_strict_format_with_m*_length",
            "create.refuses_a_strict_format_with_a_keyword_of_nobody",
        ),
        answer=takes_what(b"is not permitted"),
        only_to=CREATE,
    ),
    Mutant(
        name="create-takes-any-strict-format",
        fails=("create.refuses_a_strict_format_of_an_unpublished_format",),
        answer=takes_what(b"is not a valid format"),
        only_to=CREATE,
    ),
    Mutant(
        name="create-takes-any-strict-bound",
        fails=("create.refuses_a_strict_format_with_a_bound_that_is_no_number",),
        answer=takes_what(b"is not of type"),
        only_to=CREATE,
    ),
    Mutant(
        name="create-takes-any-strict-enum",
        fails=("create.refuses_a_strict_format_of_too_long_enum_values",),
        answer=takes_what(b"characters in total"),
        only_to=CREATE,
    ),
    Mutant(
        name="create-biases-words",
        fails=("create.refuses_logit_bias_of_what_is_no_token",),
        answer=takes_what(b"Invalid key in 'logit_bias'"),
        only_to=CREATE,
    ),
    Mutant(
        name="create-calls-large-numbers-no-json",
        fails=("create.refuses_a_number_of_five_thousand_digits",),
        answer=_calls_large_numbers_no_json,
        only_to=CREATE,
    ),
    Mutant(name="create-refuses-nothing", fails=("create.refuses_*",), answer=takes_what(), only_to=CREATE),
    Mutant(
        name="create-refuses-with-422",
        fails=("create.refuses_*",),
        answer=errors_with(status=422),
        only_to=CREATE,
    ),
    Mutant(
        name="create-refuses-with-another-type",
        fails=("create.refuses_*",),
        answer=errors_with(type="value_error"),
        only_to=CREATE,
    ),
    Mutant(
        name="create-refuses-without-param",
        fails=(
            "create.refuses_*_of_another_type",
            "create.refuses_*_its_bound",
            "create.refuses_*_of_unknown_value",
            "create.refuses_an_unknown_key_of_*",
            "create.refuses_the_first_of_several_mistakes",
            "create.refuses_a_strict_f*",
        ),
        answer=errors_with(param=None),
        only_to=CREATE,
    ),
    Mutant(
        name="create-refuses-without-code",
        fails=(
            "create.refuses_*_of_another_type",
            "create.refuses_*_its_bound",
            "create.refuses_*_of_unknown_value",
            "create.refuses_*_without_type",
            "create.refuses_an_unknown_model",
            "create.refuses_an_unknown_field*",
        ),
        answer=errors_with(code=None),
        only_to=CREATE,
    ),
    Mutant(
        name="create-refuses-in-other-words",
        fails=(
            "create.refuses_a_missing_model",
            "create.refuses_an_unknown_model",
            "create.refuses_broken_json",
            "create.refuses_both_token_caps",
            "create.refuses_*_without_stream",
            "create.refuses_*_without_store",
            "create.refuses_*_without_logprobs",
            "create.refuses_*_without_tools",
            "create.refuses_json_mode_without_the_word",
            "create.refuses_null_content",
            "create.refuses_content_of_another_type",
            "create.refuses_an_unanswered_call",
            "create.refuses_an_answer_to_no_call",
            "create.refuses_a_function_name_with_a_space",
            "create.refuses_five_stop_texts",
        ),
        answer=errors_with(message="Validation failed."),
        only_to=CREATE,
    ),
    Mutant(
        name="create-dies-of-deep-json",
        fails=("create.refuses_deep_nesting",),
        answer=_starts_anew_after_deep_json,
        only_to=CREATE,
    ),
    Mutant(
        name="create-takes-a-plain-question-only",
        fails=("create.takes_*",),
        answer=_refuses_more_than_a_question,
        only_to=CREATE,
    ),
)

"""Servers that take any function, custom tool, choice or bias."""

from __future__ import annotations

from tests.conformance.broken import Answered, Mutant, errors_with, takes_what

CREATE = ("POST", "/chat/completions")


def _names_neither_form(answered: Answered) -> None:
    if {"tools", "functions"} <= answered.asked.document.keys():
        errors_with(param=None)(answered)


def _takes(name: str, *words: bytes, fails: tuple[str, ...]) -> Mutant:
    return Mutant(name=name, fails=fails, answer=takes_what(*words), only_to=CREATE)


MUTANTS = (
    _takes(
        "create-calls-no-functions",
        b"only allowed when 'functions'",
        fails=("create.refuses_function_call_without_functions",),
    ),
    _takes(
        "create-calls-absent-functions",
        b"Invalid value for 'function_call': no function named",
        fails=("create.refuses_a_function_call_of_what_is_not_there",),
    ),
    _takes(
        "create-calls-functions-without-name",
        b"function_call.name",
        fails=("create.refuses_a_function_call_without_name",),
    ),
    _takes(
        "create-takes-any-deprecated-function",
        b"functions[0].name",
        fails=("create.refuses_a_deprecated_function_*",),
    ),
    _takes(
        "create-takes-any-strict",
        b"tools[0].function.strict",
        fails=("create.refuses_strict_of_another_type",),
    ),
    _takes(
        "create-takes-any-custom-format",
        b"tools[0].custom.format",
        fails=(
            "create.refuses_a_custom_tool_of_an_unknown_format",
            "create.refuses_an_unknown_key_of_a_grammar_format",
            "create.refuses_an_unknown_key_of_a_text_format",
        ),
    ),
    _takes(
        "create-takes-any-json-schema",
        b"response_format.json_schema.",
        fails=("create.refuses_a_long_format_name", "create.refuses_a_strict_format_without_schema"),
    ),
    _takes(
        "create-searches-nowhere",
        b"user_location.approximate",
        fails=("create.refuses_a_location_without_place",),
    ),
    _takes(
        "create-mixes-kinds-of-tools",
        b"Invalid value for 'tool_choice': no tool named",
        fails=(
            "create.refuses_a_choice_of_a_custom_tool_that_is_not_there",
            "create.refuses_a_choice_of_a_function_that_is_a_custom_tool",
        ),
    ),
    _takes(
        "create-takes-half-a-choice",
        b"Missing required parameter: 'tool_choice.",
        fails=(
            "create.refuses_a_choice_without_a_name",
            "create.refuses_allowed_tools_without_mode",
            "create.refuses_allowed_tools_without_their_list",
        ),
    ),
    _takes(
        "create-takes-any-seed",
        b"Invalid 'seed'",
        fails=("create.refuses_a_seed_past_its_bound", "create.refuses_a_seed_below_its_bound"),
    ),
    _takes(
        "create-stops-at-numbers",
        b"Invalid type for 'stop[1]'",
        fails=("create.refuses_a_stop_text_of_another_type",),
    ),
    _takes(
        "create-rounds-n",
        b"Invalid type for 'n'",
        fails=("create.refuses_a_number_of_choices_that_is_not_whole",),
    ),
    _takes(
        "create-takes-any-bias",
        b"Invalid type for 'logit_bias.5'",
        fails=("create.refuses_a_bias_of_another_type",),
    ),
    Mutant(
        name="create-names-neither-tools-nor-functions",
        fails=("create.takes_tools_beside_functions_or_names_them",),
        answer=_names_neither_form,
        only_to=CREATE,
    ),
)

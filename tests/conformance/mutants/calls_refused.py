"""Servers that know no parts, calls or counts of a conversation, or too few of them."""

from __future__ import annotations

from tests.conformance.broken import Answered, Mutant, refuses, takes_what

CREATE = ("POST", "/chat/completions")


def _forgets_after_twenty(answered: Answered) -> None:
    if len(answered.asked.document.get("messages") or ()) > 20:
        refuses(400, "Too many messages.")(answered)


def _parses_no_arguments(answered: Answered) -> None:
    if answered.asked.body.count(b"{") > 40:
        refuses(502)(answered)


def _hears_one_part(answered: Answered) -> None:
    for message in answered.asked.document.get("messages") or ():
        if message.get("role") == "assistant" and len(message.get("content") or ()) > 1:
            refuses(400, "Expected one part.")(answered)


def _takes(name: str, *words: bytes, fails: tuple[str, ...]) -> Mutant:
    return Mutant(name=name, fails=fails, answer=takes_what(*words), only_to=CREATE)


MUTANTS = (
    _takes(
        "create-joins-refusals",
        b"exactly one part of type 'refusal'",
        fails=(
            "create.refuses_two_refusal_parts",
            "create.refuses_a_refusal_before_text",
            "create.refuses_text_beside_a_refusal",
        ),
    ),
    _takes(
        "create-takes-any-refusal",
        b"Invalid type for 'messages[1].refusal'",
        b"Invalid type for 'messages[1].content[0].refusal'",
        fails=("create.refuses_a_refusal_part_of_another_type", "create.refuses_a_refusal_of_another_type"),
    ),
    _takes(
        "create-lets-anybody-refuse",
        b"Invalid value: 'refusal'",
        fails=("create.refuses_a_refusal_of_the_system", "create.refuses_a_refusal_of_the_user"),
    ),
    _takes(
        "create-sees-images-everywhere",
        b"Invalid value: 'image_url'",
        fails=("create.refuses_an_image_of_a_message_of_role_*", "create.refuses_an_image_of_the_system"),
    ),
    _takes(
        "create-misses-nothing-in-messages",
        b"Missing required parameter: 'messages[",
        fails=(
            "create.refuses_a_developer_message_without_content",
            "create.refuses_a_tool_message_without_content",
            "create.refuses_a_function_message_without_content",
            "create.refuses_a_refusal_part_without_refusal",
            "create.refuses_an_earlier_*_without_*",
            "create.refuses_a_call_of_a_custom_tool_without_input",
            "create.refuses_a_cache_breakpoint_without_mode",
        ),
    ),
    _takes(
        "create-takes-any-breakpoint",
        b"prompt_cache_breakpoint",
        fails=("create.refuses_an_unknown_cache_breakpoint", "create.refuses_a_cache_breakpoint_without_mode"),
    ),
    _takes(
        "create-calls-speakers-by-number",
        b"Invalid type for 'messages[0].name'",
        fails=("create.refuses_a_name_of_another_type",),
    ),
    _takes(
        "create-finds-images-without-address",
        b"Expected a URL",
        fails=("create.refuses_an_image_address_of_no_scheme",),
    ),
    _takes(
        "create-counts-no-array",
        b"maximum length 128",
        fails=(
            "create.refuses_a_hundred_and_twenty_nine_calls",
            "create.refuses_a_hundred_and_twenty_nine_functions",
            "create.refuses_a_hundred_and_twenty_nine_tools",
        ),
    ),
    _takes(
        "create-counts-no-messages",
        b"Expected at most 10000",
        fails=("create.refuses_ten_thousand_and_one_messages", "create.refuses_ten_thousand_and_one_parts"),
    ),
    _takes(
        "create-goes-into-any-depth",
        b"nested too deeply",
        fails=("create.refuses_arguments_of_two_hundred_levels", "create.refuses_a_body_of_two_hundred_levels"),
    ),
    _takes(
        "create-takes-any-plain-schema",
        b"levels of nesting",
        b"enum values in all functions",
        fails=(
            "create.refuses_a_plain_schema_of_too_many_levels",
            "create.refuses_too_many_enum_values_in_all_functions",
        ),
    ),
    Mutant(
        name="create-forgets-after-twenty-messages",
        fails=("create.takes_a_conversation_of_a_hundred_messages",),
        answer=_forgets_after_twenty,
        only_to=CREATE,
    ),
    Mutant(
        name="create-parses-no-deep-arguments",
        fails=("create.takes_arguments_of_fifty_levels",),
        answer=_parses_no_arguments,
        only_to=CREATE,
    ),
    Mutant(
        name="create-hears-one-part-of-the-assistant",
        fails=("create.takes_several_text_parts_of_the_assistant",),
        answer=_hears_one_part,
        only_to=CREATE,
    ),
)

"""Servers that look at a request in an order of their own."""

from __future__ import annotations

import json

from tests.conformance.broken import Asked, Mutant

CREATE = ("POST", "/chat/completions")


def _from_the_end(asked: Asked) -> None:
    asked.document = dict(reversed(asked.document.items()))


def _messages_from_the_end(asked: Asked) -> None:
    asked.document = {**asked.document, "messages": asked.document["messages"][::-1]}


def _what_is_missing_first(asked: Asked) -> None:
    if "messages" not in asked.document:
        asked.document = {"model": asked.document["model"]}


def _mends_json(asked: Asked) -> None:
    try:
        json.loads(asked.body)
    except ValueError:
        asked.body += b"}"


MUTANTS = (
    Mutant(
        name="create-looks-at-fields-from-the-end",
        fails=("create.tells_a*_before_*",),
        ask=_from_the_end,
        only_to=CREATE,
    ),
    Mutant(
        name="create-looks-at-messages-from-the-end",
        fails=(
            "create.tells_the_first_message_of_several_that_are_wrong",
            "create.tells_the_first_break_of_a_conversation",
        ),
        ask=_messages_from_the_end,
        only_to=CREATE,
    ),
    Mutant(
        name="create-looks-for-missing-fields-first",
        fails=("create.tells_what_is_there_before_what_is_missing",),
        ask=_what_is_missing_first,
        only_to=CREATE,
    ),
    Mutant(
        name="create-mends-json",
        fails=("create.tells_broken_json_before_all_mistakes",),
        ask=_mends_json,
        only_to=CREATE,
    ),
)

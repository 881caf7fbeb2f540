"""Of several mistakes in one request the first in the document is told, whatever kinds they are of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hansard.conformance import expect
from hansard.conformance.checks import REFUSABLE, REPORTED, Check, check, decided
from hansard.conformance.probe import COMPLETIONS, Probe

_ORDER = decided("several mistakes in one request")
_QUESTION = [{"role": "user", "content": "Hi"}]
_CALL = {"id": "call_x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
_UNANSWERED = [*_QUESTION, {"role": "assistant", "tool_calls": [_CALL]}]
_OPEN = {"type": "object", "properties": {}, "required": []}
_STRICT = {"type": "json_schema", "json_schema": {"name": "any", "strict": True, "schema": _OPEN}}

# A mistake of each kind: its field, the value, and what may stand beside it.
_KINDS: dict[str, tuple[str, Any]] = {
    "a_bound": ("temperature", 5),
    "a_type": ("seed", "x"),
    "a_value": ("verbosity", "loud"),
    "an_unknown_field": ("reasoning", {"effort": "low"}),
    "a_lonely_field": ("stream_options", {}),
    "a_lonely_choice": ("tool_choice", "auto"),
    "an_unanswered_call": ("messages", _UNANSWERED),
    "a_strict_schema": ("response_format", _STRICT),
}
_PAIRS = (
    ("a_bound", "a_type"),
    ("a_bound", "an_unanswered_call"),
    ("a_value", "an_unknown_field"),
    ("a_type", "a_lonely_field"),
    ("a_lonely_choice", "a_value"),
    ("an_unanswered_call", "an_unknown_field"),
    ("a_strict_schema", "a_bound"),
)


def _either_order() -> Iterator[Check]:
    for pair in _PAIRS:
        for first, second in (pair, pair[::-1]):
            yield _tells(first, second)


def _tells(first: str, second: str) -> Check:
    def run(probe: Probe) -> None:
        mistakes = dict(_KINDS[kind] for kind in (first, second))
        sound = {"model": probe.model, "messages": _QUESTION, "max_tokens": 5}
        rest = {name: value for name, value in sound.items() if name not in mistakes}
        reply = probe.send("POST", COMPLETIONS, body={**mistakes, **rest})
        probe.excuse(reply)
        expect.refusal(reply, 400, param=_KINDS[first][0])

    return Check(
        name=f"create.tells_{first}_before_{second}",
        title=f"{_words(first)} before {_words(second).lower()} in the document is told, and not the other.",
        operation="create",
        evidence=(REPORTED, _ORDER),
        run=run,
        demands=frozenset({_KINDS[first][0]} & REFUSABLE - {"messages"}),
    )


def _words(kind: str) -> str:
    return {
        "a_bound": "A value out of bounds",
        "a_type": "A value of another type",
        "a_value": "A value that is none of those there are",
        "an_unknown_field": "An unknown field",
        "a_lonely_field": "stream_options without stream",
        "a_lonely_choice": "tool_choice without tools",
        "an_unanswered_call": "A call without its answer",
        "a_strict_schema": "A schema outside the strict subset",
    }[kind]


EITHER_ORDER = tuple(_either_order())


@check("create", REPORTED, _ORDER)
def tells_what_is_there_before_what_is_missing(probe: Probe) -> None:
    """A field that is missing stands behind all that are there."""
    expect.refusal(probe.create(messages=..., temperature=5), 400, param="temperature")


@check("create", REPORTED, _ORDER)
def tells_a_bound_before_what_the_engine_cannot_do(probe: Probe) -> None:
    """A mistake is told before what comes behind it and is not supported."""
    reply = probe.create(temperature=5, web_search_options={})

    expect.refusal(reply, 400, param="temperature", code="decimal_above_max_value")


@check("create", REPORTED, _ORDER)
def tells_the_first_message_of_several_that_are_wrong(probe: Probe) -> None:
    """Of several messages that cannot be read the first is told, and in it the first key."""
    wrong = [*_QUESTION, {"role": "user", "content": 5, "name": 5}, {"role": "robot", "content": "Hi"}]

    expect.refusal(probe.create(messages=wrong), 400, param="messages[1].content", code="invalid_type")


@check("create", REPORTED, _ORDER)
def tells_the_first_break_of_a_conversation(probe: Probe) -> None:
    """Of several messages against the order of a conversation the first is told."""
    orphan = {"role": "tool", "tool_call_id": "call_x", "content": "x"}

    expect.refusal(probe.create(messages=[*_QUESTION, orphan, *_UNANSWERED]), 400, param="messages.[1].role")


@check("create", _ORDER)
def tells_broken_json_before_all_mistakes(probe: Probe) -> None:
    """A body that is no JSON is told before what is wrong in it."""
    reply = probe.send("POST", COMPLETIONS, body=json.dumps(probe.question(temperature=5)).encode()[:-1])

    expect.refusal(reply, 400, param=None, code=None)

"""Replies and their chunks have the shape that the structs say."""

from __future__ import annotations

import msgspec
import pytest

from hansard.contract import Document
from hansard.contract.response import Chunk, Completion
from hansard.core.explode import explode


def test_replies(reply: Document) -> None:
    completion = msgspec.convert(reply, Completion)
    assert msgspec.to_builtins(completion) == reply


def test_chunks(reply: Document) -> None:
    for chunk in explode(reply):
        assert msgspec.to_builtins(msgspec.convert(chunk, Chunk)) == chunk


@pytest.mark.parametrize("missing", ["logprobs", "finish_reason", "index", "message"])
def test_a_choice_has_all_four_keys(reply: Document, missing: str) -> None:
    del reply["choices"][0][missing]
    with pytest.raises(msgspec.ValidationError, match=missing):
        msgspec.convert(reply, Completion)


def test_unused_calls_are_absent_and_never_null(reply: Document) -> None:
    reply["choices"][0]["message"]["tool_calls"] = None
    with pytest.raises(msgspec.ValidationError, match="tool_calls"):
        msgspec.convert(reply, Completion)

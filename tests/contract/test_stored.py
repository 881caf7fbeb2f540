"""Stored objects, lists and errors have the shape that the structs say."""

from __future__ import annotations

import msgspec

from hansard.contract import Document
from hansard.contract.stored import CompletionList, ErrorEnvelope, MessageList, StoredCompletion
from hansard.core import paging, views


def test_stored_completions(reply: Document, asked: Document) -> None:
    shown = views.stored_completion(request=asked, reply=reply, metadata={"a": "b"}, request_id="req_1", seed=7)
    assert msgspec.to_builtins(msgspec.convert(shown, StoredCompletion)) == shown
    assert list(shown) == list(StoredCompletion.__struct_fields__)

    msgspec.convert(paging.page([shown], 20), CompletionList)


def test_input_messages(asked: Document) -> None:
    shown = paging.page(views.stored_messages("chatcmpl-1", asked), 20)
    assert msgspec.to_builtins(msgspec.convert(shown, MessageList)) == shown


def test_empty_pages() -> None:
    """Decision 5: null ids."""
    for kind in (CompletionList, MessageList):
        assert msgspec.convert(paging.page([], 20), kind).first_id is None


def test_errors_have_all_four_keys() -> None:
    envelope = {"error": {"message": "m", "type": "invalid_request_error", "param": None, "code": None}}
    assert msgspec.to_builtins(msgspec.convert(envelope, ErrorEnvelope)) == envelope

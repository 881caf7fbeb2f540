"""One reply of every kind, as an engine and the stamp make them, and a request with every kind of turn."""

from __future__ import annotations

from typing import Any

import pytest

from hansard.contract import Document

REPLIES: dict[str, Document] = {
    "text": {"content": "Hi there."},
    "refusal": {"refusal": "No."},
    "tool call": {"tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
    "custom call": {"tool_calls": [{"id": "call_1", "type": "custom", "custom": {"name": "g", "input": "x"}}]},
    "function call": {"function_call": {"name": "f", "arguments": "{}"}},
    "audio": {"audio": {"id": "audio_1", "data": "QUJD", "expires_at": 9, "transcript": "Hi"}},
}


@pytest.fixture(params=REPLIES)
def reply(request: Any) -> Document:
    """A completion, keys in wire order."""
    message = {"role": "assistant", "content": None, "refusal": None, "annotations": [], **REPLIES[request.param]}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 7,
        "model": "m-1",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        "service_tier": "default",
        "system_fingerprint": "fp_1",
    }


@pytest.fixture
def asked() -> Document:
    """A create request with a system text, parts, and a turn with a tool."""
    return {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief.", "name": "boss"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Whose logo is this?: "},
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "done"},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }

"""What is left of a request and a reply when what was said in them is to go: how it was asked, and how it ended.

Only what is known to be no content stays, so that a field somebody invents later goes with the rest.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hansard.contract import Document
from hansard.contract.request import ChatRequest
from hansard.core.pieces import Cut, without_messages

_CONTENT: Final = frozenset({"messages", "prediction"})

_PARAMETERS: Final = frozenset(
    field.encode_name for field in msgspec.structs.fields(ChatRequest) if field.encode_name not in _CONTENT
)

# Of a reply, beside what is stamped on it and its choices.
_OF_REPLY: Final = ("usage", "service_tier", "system_fingerprint")

# Stands for tools that lie elsewhere while the rest is read.
TOOLS_ELSEWHERE: Final = b"null"

_raw_values = msgspec.json.Decoder(dict[str, msgspec.Raw])
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def stripped_request(parts: Cut) -> Cut:
    """The parameters, as they were spelled, and no messages. ``parts.tools`` is any JSON, if they are a part apart.

    They stay one; of what is no JSON nothing stays.
    """
    try:
        text = without_messages(parts._replace(turns=()))
        text.decode()  # values are left as they are, so nobody else looks
        values = _raw_values.decode(text)
    except _UNREADABLE:
        return Cut(b'{"messages":[]}')
    kept = {name: value for name, value in values.items() if name in _PARAMETERS}
    kept["messages"] = msgspec.Raw(b"[]")
    if not parts.tools:
        return Cut(msgspec.json.encode(kept))
    kept.pop("tools", None)
    rest = msgspec.json.encode(kept)[:-1] + b',"tools":}'
    return Cut(rest, tools_at=len(rest) - 1, tools=parts.tools)


def stripped_reply(reply: bytes, *, completion_id: str, created: int, model: str) -> bytes:
    """Which completion it was, what it cost, and why each choice ended."""
    try:
        document = msgspec.json.decode(reply)
    except _UNREADABLE:
        document = None
    said: Document = document if isinstance(document, dict) else {}
    choices = said.get("choices")
    return msgspec.json.encode(
        {
            "id": completion_id,
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": [_choice(each) for each in choices if isinstance(each, dict)]
            if isinstance(choices, list)
            else [],
            **{name: said[name] for name in _OF_REPLY if name in said},
        }
    )


def _choice(choice: Document) -> Document:
    message: Any = choice.get("message")
    role = message.get("role") if isinstance(message, dict) else None
    return {
        "index": choice.get("index"),
        "message": {
            "role": role if isinstance(role, str) else "assistant",
            "content": None,
            "refusal": None,
            "annotations": [],
        },
        "logprobs": None,
        "finish_reason": choice.get("finish_reason"),
    }

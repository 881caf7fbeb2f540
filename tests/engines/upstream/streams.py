"""Streams as servers send them, each with the completion it spells: the quirks of this field, one by one.

The bytes are written after what these servers are known to send; no recording is copied.
"""

from __future__ import annotations

import json
from typing import Any

from hansard.contract import Document


def _event(payload: object, *, lead: str = "data: ", end: str = "\n\n") -> bytes:
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return f"{lead}{text}{end}".encode()


def _chunk(*choices: Document, **more: object) -> Document:
    return {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [*choices], **more}


def _choice(delta: object, finish_reason: str | None = None, index: int = 0, **more: object) -> Document:
    return {"index": index, "delta": delta, "finish_reason": finish_reason, **more}


USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
ROLE = _chunk(_choice({"role": "assistant", "content": ""}))
HE, LLO = _chunk(_choice({"content": "Hé"})), _chunk(_choice({"content": "llo"}))
STOP = _chunk(_choice({}, "stop"))
COUNTED = _chunk(usage=USAGE)
PLAIN = (ROLE, HE, LLO, STOP, COUNTED)
HELLO = {"content": "Héllo", "finish_reason": "stop", "usage": USAGE}

ARGUMENTS = '{"city":"Zürich"}'
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}
OPENER = {**CALL, "function": {"name": "weather", "arguments": ""}}
PIECES = [{"index": 0, "function": {"arguments": piece}} for piece in ('{"city"', ':"Zür', 'ich"}')]
CALLED = {
    "content": None,
    "finish_reason": "tool_calls",
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}],
}

STREAMS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "the API's own form": (b"".join(map(_event, (*PLAIN, "[DONE]"))), HELLO),
    "carriage returns": (b"".join(_event(chunk, end="\r\n\r\n") for chunk in (*PLAIN, "[DONE]")), HELLO),
    "lone carriage returns": (b"".join(_event(chunk, end="\r\r") for chunk in (*PLAIN, "[DONE]")), HELLO),
    "no space after data:": (b"".join(_event(chunk, lead="data:") for chunk in (*PLAIN, "[DONE]")), HELLO),
    "comments and other fields": (
        b": OPENROUTER PROCESSING\n\n"
        + b"".join(_event(chunk, lead="event: message\nid: 1\nretry: 5\ndata: ") + b":\n\n" for chunk in PLAIN)
        + b"data: [DONE]\n\n",
        HELLO,
    ),
    "a byte order mark": (b"\xef\xbb\xbf" + b"".join(map(_event, (*PLAIN, "[DONE]"))), HELLO),
    "JSON over several data lines": (
        b"".join(_event(json.dumps(chunk, indent=1).replace("\n", "\ndata: ")) for chunk in PLAIN),
        HELLO,
    ),
    "no [DONE]": (b"".join(map(_event, PLAIN)), HELLO),
    "no [DONE] and no last line end": (b"".join(map(_event, PLAIN)).rstrip(b"\n"), HELLO),
    "a final chunk without delta": (
        b"".join(map(_event, (ROLE, HE, LLO, _chunk({"index": 0, "finish_reason": "stop"}), COUNTED, "[DONE]"))),
        HELLO,
    ),
    "a final chunk whose delta is null": (
        b"".join(map(_event, (ROLE, HE, LLO, _chunk(_choice(None, "stop")), COUNTED, "[DONE]"))),
        HELLO,
    ),
    "usage on the last content chunk": (
        b"".join(map(_event, (ROLE, HE, _chunk(_choice({"content": "llo"}, "stop"), usage=USAGE), "[DONE]"))),
        HELLO,
    ),
    "usage null until the end": (
        b"".join(_event({**chunk, "usage": chunk.get("usage")}) for chunk in PLAIN) + b"data: [DONE]\n\n",
        HELLO,
    ),
    "role on every chunk": (
        b"".join(
            _event(_chunk(_choice({"role": "assistant", "content": text}, end)))
            for text, end in (("Hé", None), ("llo", None), ("", "stop"))
        )
        + _event(COUNTED),
        HELLO,
    ),
    "tool arguments piece by piece": (
        b"".join(_event(_chunk(_choice({"tool_calls": [part]}))) for part in (OPENER, *PIECES))
        + _event(_chunk(_choice({}, "tool_calls"))),
        CALLED,
    ),
    "tool arguments in one burst": (
        _event(_chunk(_choice({"role": "assistant", "content": "", "tool_calls": [CALL]})))
        + _event(_chunk(_choice({}, "tool_calls")))
        + b"data: [DONE]\n\n",
        CALLED,
    ),
    "keys nobody here knows": (
        _event(_chunk(_choice({"reasoning_content": "Hm"}, citations=["a"])))
        + _event(_chunk(_choice({"reasoning_content": "m.", "content": "Ja"})))
        + _event(_chunk(_choice({}, "stop", matched_stop=7), timings={"ms": 1.5})),
        {"content": "Ja", "finish_reason": "stop", "reasoning_content": "Hmm.", "timings": {"ms": 1.5}},
    ),
    "audio, which says no finish_reason": (
        _event(_chunk(_choice({"role": "assistant", "audio": {"id": "a", "transcript": "Hé"}})))
        + _event(_chunk(_choice({"audio": {"transcript": "llo"}})))
        + _event(_chunk(_choice({"audio": {"data": "UklG"}})))
        + _event(COUNTED)
        + _event(_chunk(_choice({"audio": {"expires_at": 9}})))
        + b"data: [DONE]\n\n",
        {
            "content": None,
            "finish_reason": "stop",
            "usage": USAGE,
            "audio": {"id": "a", "data": "UklG", "expires_at": 9, "transcript": "Héllo"},
        },
    ),
}

"""A completion to the chunks that spell it, in the order recorded from the API.

The inverse of ``core.accumulate``, for engines that can only answer whole and for tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, Final

from hansard.contract import Document

_PIECE: Final = re.compile(r"\s*\S+|\s+")
_HEAD: Final = ("id", "object", "created", "model", "service_tier", "system_fingerprint")
_KNOWN: Final = frozenset({*_HEAD, "choices", "moderation", "usage"})
_SPELT: Final = frozenset(
    {"role", "content", "refusal", "annotations", "tool_calls", "function_call", "audio"}
)  # every other key of a message is carried over as it is


def explode(completion: Document) -> Iterator[Document]:
    """The chunks of a stream of this completion; accumulated, they give it back."""
    head = {key: completion[key] for key in _HEAD if key in completion}
    if "object" in head:
        head["object"] = "chat.completion.chunk"
    choices = completion["choices"]
    for turn in zip_longest(*map(_choice_parts, choices)):
        for part in turn:
            if part is not None:
                yield head | {"choices": [part]}
    if "moderation" in completion:
        yield head | {"choices": [], "moderation": completion["moderation"]}
    unknown = {key: value for key, value in completion.items() if key not in _KNOWN and value is not None}
    if unknown:  # beside a choice, since only who asked for usage has to expect a chunk without one (official document)
        yield head | {"choices": [_part(choices[0], {})]} | unknown
    if completion.get("usage") is not None:
        yield head | {"choices": [], "usage": completion["usage"]}
    for choice in choices:
        if _ends_with_audio(choice):
            kept_until = choice["message"]["audio"]["expires_at"]
            yield head | {"choices": [_part(choice, {"audio": {"expires_at": kept_until}})]}


def _ends_with_audio(choice: Document) -> bool:
    """Audio streams say no finish_reason; they end, after the usage, with the time until which the audio is kept."""
    audio = choice["message"].get("audio") or {}
    return choice["finish_reason"] == "stop" and audio.get("expires_at") is not None


def _part(choice: Document, delta: Document, *, logprobs: Document | None = None) -> Document:
    return {"index": choice["index"], "delta": delta, "logprobs": logprobs, "finish_reason": None}


def _choice_parts(choice: Document) -> Iterator[Document]:
    """One choice as its opener, its deltas and its finish."""
    message = choice["message"]
    yield _part(choice, _opener(message), logprobs=_opening_logprobs(choice))
    for key in [key for key in message if key not in _SPELT]:
        yield from (_part(choice, {key: value}) for value in _pieces(message[key]))
    yield from _spoken_parts(choice)
    for delta in _call_deltas(message):
        yield _part(choice, delta)
    for delta in _audio_deltas(choice):
        yield _part(choice, delta)
    if message.get("annotations"):
        yield _part(choice, {"annotations": message["annotations"]})
    rest = {key: value for key, value in choice.items() if key not in ("index", "message", "logprobs")}
    if _ends_with_audio(choice):
        del rest["finish_reason"]
    if rest:
        yield _part(choice, {}) | rest


def _pieces(value: Any) -> list[Any]:
    """A text word by word; anything else in one piece."""
    return _PIECE.findall(value) if isinstance(value, str) and value else [value]


def _opener(message: Document) -> Document:
    """The recorded forms: audio, text, refusal, one tool call, several, function call."""
    calls = message.get("tool_calls") or []
    if message.get("audio") and message["content"] is None:
        return {"role": message["role"]}
    if message["content"] is not None:
        return {"role": message["role"], "content": "", "refusal": None}
    if message.get("refusal"):
        return {"role": message["role"], "content": None, "refusal": ""}
    if len(calls) > 1:
        return {"role": message["role"], "content": None}
    called: Document = {}
    if calls:
        called["tool_calls"] = [_call_opener(0, calls[0])]
    if message.get("function_call"):
        called["function_call"] = {"name": message["function_call"]["name"], "arguments": ""}
    return {"role": message["role"], "content": None, **called, "refusal": None}


def _opening_logprobs(choice: Document) -> Document | None:
    logprobs = choice.get("logprobs")
    return logprobs and {key: None if value is None else [] for key, value in logprobs.items()}


def _spoken_parts(choice: Document) -> Iterator[Document]:
    """Content and refusal piece by piece; with logprobs a token a piece, where the tokens spell the text."""
    message = choice["message"]
    logprobs = choice.get("logprobs") or {}
    for key in ("content", "refusal"):
        text, entries = message[key], logprobs.get(key) or []
        if entries and "".join(entry["token"] for entry in entries) == text:
            for entry in entries:
                yield _part(choice, {key: entry["token"]}, logprobs=_one_sided(logprobs, key, [entry]))
            continue
        if entries:
            yield _part(choice, {}, logprobs=_one_sided(logprobs, key, entries))
        yield from (_part(choice, {key: piece}) for piece in _PIECE.findall(text or ""))


def _one_sided(logprobs: Document, key: str, entries: list[Document]) -> Document:
    return {name: entries if name == key else None for name in logprobs}


def _call_opener(index: int, call: Document) -> Document:
    """The call with nothing of what the model writes into it yet."""
    kind = call["type"]
    return {"index": index, "id": call["id"], "type": kind, kind: {"name": call[kind]["name"], _written(kind): ""}}


def _written(kind: str) -> str:
    return "input" if kind == "custom" else "arguments"


def _call_deltas(message: Document) -> Iterator[Document]:
    """Call by call: its opener, unless the message's opener had it, then what the model wrote, in pieces."""
    calls = message.get("tool_calls") or []
    opened = len(calls) == 1 and "tool_calls" in _opener(message)
    for index, call in enumerate(calls):
        if not opened:
            yield {"tool_calls": [_call_opener(index, call)]}
        kind = call["type"]
        key = _written(kind)
        for piece in _PIECE.findall(call[kind][key]):
            yield {"tool_calls": [{"index": index, kind: {key: piece}}]}
    if call := message.get("function_call"):
        if "function_call" not in _opener(message):
            yield {"function_call": {"name": call["name"], "arguments": ""}}
        yield from ({"function_call": {"arguments": piece}} for piece in _PIECE.findall(call["arguments"]))


def _audio_deltas(choice: Document) -> Iterator[Document]:
    audio = choice["message"].get("audio")
    if not audio:
        return
    yield {"audio": {"id": audio["id"], "transcript": ""}}
    yield from ({"audio": {"transcript": piece}} for piece in _PIECE.findall(audio.get("transcript") or ""))
    said = {"id", "transcript", "expires_at"} if _ends_with_audio(choice) else {"id", "transcript"}
    yield {"audio": {key: value for key, value in audio.items() if key not in said}}

"""Chunks to the completion they spell. The way back is ``core.explode``.

It works on documents: a key that nobody here knows survives as the chunks carried it. The order
of keys is the one recorded from the API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from hansard.contract import Document
from hansard.core.spelled import Spelled
from hansard.errors import UpstreamFailed

# Said whole every time, so the last one counts; all other strings come in pieces.
_WHOLE: Final = frozenset({"role", "id", "type", "name", "index", "format"})
_HEAD: Final = ("id", "object", "created", "model")
_TAIL: Final = ("usage", "service_tier", "system_fingerprint")
_AUDIO: Final = ("id", "data", "expires_at", "transcript")


class IncompleteStream(UpstreamFailed):
    """The chunks ended before every choice had said why it ends."""

    code = "upstream_incomplete"


class MalformedStream(UpstreamFailed):
    """A chunk has not the shape of a chunk."""

    code = "upstream_malformed"

    def __init__(self) -> None:
        super().__init__("The model's stream holds a chunk that has not the shape of one.")


class CompletionTooLarge(UpstreamFailed):
    """The completion that the chunks spell is larger than may be held until its end."""

    code = "upstream_invalid_response"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The model's reply is larger than this server accepts ({limit_bytes} bytes).")


def is_finish_reason(value: object) -> bool:
    """Whether it ends a choice: some servers say an empty string in every chunk, which means "not yet"."""
    return isinstance(value, str) and value != ""


class _Text(list[str]):
    """A string that is still growing, piece by piece."""


class _Choice:
    """One choice so far. ``message`` holds its merged deltas, ``rest`` every other key of the choice."""

    __slots__ = ("finish_reason", "logprobs", "message", "rest")

    def __init__(self) -> None:
        self.message: Document = {}
        self.logprobs: Document | None = None
        self.finish_reason: str | None = None
        self.rest: Document = {}

    @property
    def finished(self) -> bool:
        """Audio streams never send a finish_reason: they end when the audio says until when it is kept."""
        audio = self.message.get("audio")
        return self.finish_reason is not None or (isinstance(audio, dict) and "expires_at" in audio)


class Accumulator:
    """Fed every chunk of one stream, it gives the completion that the same request gets unstreamed.

    ``choices`` is how many were asked for; a stream with fewer does not count as finished. Chunks of more than
    ``limit_bytes`` in all, without what their heads repeat, are not taken in.
    """

    def __init__(self, *, choices: int = 1, limit_bytes: int | None = None) -> None:
        self._wanted = choices
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._choices: dict[int, _Choice] = {}
        self._top: Document = {}
        self._head = b""
        self._text: _Text | None = None  # what the pieces go on, while chunks differ in nothing else

    @property
    def finished(self) -> bool:
        """Whether every choice has said why it ended."""
        choices = self._choices.values()
        return len(choices) >= self._wanted and all(choice.finished for choice in choices)

    def feed(self, chunk: Document | Spelled) -> None:
        """Take one chunk in; raises ``MalformedStream`` and ``CompletionTooLarge``."""
        if self._limit_bytes is not None:
            self._bytes += len(chunk.rest) if isinstance(chunk, Spelled) else len(msgspec.json.encode(chunk))
            if self._bytes > self._limit_bytes:
                raise CompletionTooLarge(self._limit_bytes)
        try:
            if not isinstance(chunk, Spelled):
                self._text = None
                self._head = b""  # it may say otherwise than the head before it, which is said again behind it
                self._feed_document(chunk)
            elif self._text is None or chunk.piece is None:
                self._feed_spelled(chunk)
            else:
                self._text.append(chunk.piece)
        except (AttributeError, TypeError, msgspec.DecodeError, RecursionError) as error:
            raise MalformedStream from error

    def finish(self) -> Document:
        """The completion, keys in wire order; raises ``IncompleteStream``."""
        if not self.finished:
            raise IncompleteStream("The model's stream ended before its reply was complete.")
        try:
            choices = [_finished(index, self._choices[index]) for index in sorted(self._choices)]
        except (AttributeError, TypeError, RecursionError) as error:
            raise MalformedStream from error
        top = self._top
        completion: Document = {key: top[key] for key in _HEAD if key in top}
        if "object" in completion:
            completion["object"] = "chat.completion"
        completion["choices"] = choices
        completion.update((key, top[key]) for key in _TAIL if key in top)
        rest = (key for key in top if key not in completion and key != "obfuscation")
        completion.update((key, top[key]) for key in [*rest])
        return completion

    def _feed_spelled(self, chunk: Spelled) -> None:
        """Decode the chunk, its head only where it is a new one. Of those alike that follow, the piece is all."""
        self._text = None
        if chunk.head is not self._head:
            self._head = chunk.head
            self._feed_document(chunk.document)
        else:
            self._feed_document(chunk.body)
        if chunk.piece is not None:
            text = self._choices[chunk.choices[0].index].message["content"]
            self._text = text if type(text) is _Text else None

    def _feed_document(self, chunk: Document) -> None:
        for key, value in chunk.items():
            if key == "choices":
                for choice in value or ():
                    self._feed_choice(choice)
            elif value is not None:
                self._top[key] = value

    def _feed_choice(self, choice: Document) -> None:
        index = choice.get("index", 0)
        state = self._choices.get(index)
        if state is None:
            state = self._choices[index] = _Choice()
        for key, value in choice.items():
            if value is None or key == "index":
                continue
            if key == "delta":
                _feed_delta(state.message, value)
            elif key == "finish_reason":
                if is_finish_reason(value):
                    state.finish_reason = value
            elif key == "logprobs":
                if state.logprobs is None:
                    state.logprobs = {}
                _merge(state.logprobs, value)
            elif key != "message":  # what was said so far, once more
                _say_anew(state.rest, key, value)


def _say_anew(rest: Document, key: str, value: Any) -> None:
    """Beside the delta a value comes whole: the newest counts. Objects say more, and lists (vLLM's tokens) go on."""
    old = rest.get(key)
    if isinstance(value, dict) and isinstance(old, dict):
        rest[key] = {**old, **value}
    elif isinstance(value, list):
        if not isinstance(old, list):
            old = rest[key] = []
        _extend(old, value)
    else:
        rest[key] = value


def _feed_delta(message: Document, delta: Document) -> None:
    if len(delta) == 1:  # nearly every chunk of a plain answer
        piece = delta.get("content")
        text = message.get("content")
        if type(text) is _Text and type(piece) is str:
            text.append(piece)
            return
    _merge(message, delta)


def _merge(into: Document, delta: Mapping[str, Any]) -> None:
    """Strings grow, objects merge, lists extend (by ``index`` where their objects have one), the rest is replaced.

    Raises TypeError where a string does not go on as one: what was said already would be lost.
    """
    for key, value in delta.items():
        if value is None:
            continue
        old = into.get(key)
        if key in _WHOLE:
            into[key] = value or old or value  # some upstreams repeat the key, emptied
            continue
        if type(old) is _Text and not isinstance(value, str):
            # An opener's empty text is none; one that was said goes on as a list of parts, if it is a message's.
            if any(old) and not (key == "content" and isinstance(value, list)):
                raise TypeError("a text does not go on with anything else")
            old = into[key] = [_part(old)] if any(old) else None
        if isinstance(value, str):
            if type(old) is _Text:
                old.append(value)
            elif not old:
                into[key] = _Text([value])
            elif key == "content" and type(old) is list:
                _say_in_parts(old, value)
            else:
                raise TypeError("what is no text does not go on with one")
        elif isinstance(value, dict):
            if not isinstance(old, dict):
                old = into[key] = {}
            _merge(old, value)
        elif isinstance(value, list):
            if not isinstance(old, list):
                old = into[key] = []
            _extend(old, value)
        else:
            into[key] = value


def _part(text: _Text) -> Document:
    return {"type": "text", "text": text}


def _say_in_parts(parts: list[Any], text: str) -> None:
    """Mistral's models think in parts of a list and then answer in plain text, which is one part more of it."""
    last = parts[-1]
    if isinstance(last, dict) and last.get("type") == "text" and type(last.get("text")) is _Text:
        last["text"].append(text)
    elif text:
        parts.append(_part(_Text([text])))


def _extend(into: list[Any], items: Sequence[Any]) -> None:
    for item in items:
        if not isinstance(item, dict) or "index" not in item:
            into.append(item)
            continue
        index = item["index"]
        for known in into:
            if isinstance(known, dict) and known.get("index") == index:
                break
        else:
            known = {}
            into.append(known)
        _merge(known, item)


def _grown(value: Any) -> Any:
    """The merged value with every string joined."""
    if type(value) is _Text:
        return "".join(value)
    if isinstance(value, dict):
        return {key: _grown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_grown(item) for item in value]
    return value


def _finished(index: int, choice: _Choice) -> Document:
    logprobs = None
    if choice.logprobs is not None:
        logprobs = {"content": None, "refusal": None, **_grown(choice.logprobs)}
    return {
        "index": index,
        "message": _message(_grown(choice.message)),
        "logprobs": logprobs,
        # Without one it is finished only as audio: such a stream says none, and its unstreamed form says "stop".
        "finish_reason": choice.finish_reason or "stop",
        **_grown(choice.rest),
    }


def _message(merged: Document) -> Document:
    """The merged deltas as a message: the first four keys always, the others only where they were used."""
    content, refusal = merged.pop("content", None), merged.pop("refusal", None) or None
    calls = merged.pop("tool_calls", None)
    message: Document = {"role": merged.pop("role", "assistant"), "content": content, "refusal": refusal}
    message["annotations"] = merged.pop("annotations", [])
    if calls:
        message["tool_calls"] = [_tool_call(call) for call in sorted(calls, key=_index)]
    for key in ("function_call", "audio"):
        if key in merged:
            message[key] = merged.pop(key)
    if "audio" in message:
        audio = message["audio"]
        message["audio"] = {key: audio.pop(key) for key in _AUDIO if key in audio} | audio
    if content == "" and (refusal or calls or "function_call" in message or "audio" in message):
        message["content"] = None  # an opener's empty text that nothing followed
    return message | merged


def _index(call: Document) -> int:
    index = call.get("index")
    return index if isinstance(index, int) else 0


def _tool_call(call: Document) -> Document:
    call.pop("index", None)
    call.setdefault("type", "custom" if "custom" in call else "function")
    return {key: call.pop(key) for key in ("id", "type") if key in call} | call

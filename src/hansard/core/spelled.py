"""A chunk in the spelling it came in: looked at, but not taken apart, because most chunks only pass through.

Relaying one so costs a third of decoding and encoding it, and no number or escape changes its spelling.
What is unusual about a chunk is not for this form: then ``look`` gives None, and it is decoded.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, UnsetType

from hansard.contract import Document

# The four keys that are stamped anew, wherever they come first, in whatever order and with whatever spaces.
_HEAD: Final = re.compile(rb'\s*\{\s*(?:"(?:id|object|created|model)"\s*:\s*(?:"[^"\\]*"|[0-9]+)\s*,\s*){4}')
_NO_USAGE: Final = b',"usage":null}'
_CONTENT: Final = re.compile(rb'"content"\s*:\s*("(?:[^"\\]|\\.)*")')
_decode: Final = msgspec.json.Decoder().decode
_text: Final = msgspec.json.Decoder(str).decode


# Where only null may stand, anything else makes the chunk an unusual one.


class _Object(msgspec.Struct, gc=False):
    """Some object."""


class _Delta(msgspec.Struct, gc=False):
    tool_calls: list[_Object] | None = None
    audio: None = None  # it ends a choice in a way of its own


class SpelledChoice(msgspec.Struct, gc=False):
    """What a choice of the chunk says of its end."""

    delta: _Delta
    logprobs: _Object | None = None
    index: int = 0
    finish_reason: Annotated[str, msgspec.Meta(min_length=1)] | None = None  # an empty one is to become null


class _Look(msgspec.Struct, gc=False):
    choices: Annotated[list[SpelledChoice], msgspec.Meta(min_length=1)]
    usage: UnsetType | None = UNSET
    error: None = None
    obfuscation: None = None


_look: Final = msgspec.json.Decoder(_Look).decode


class Spelled(msgspec.Struct, gc=False):
    """One chunk, in two parts: ``head`` has the four stamped keys and is one object for all chunks that have it
    in common, ``rest`` is the JSON text behind it, without ``usage`` and the last brace.
    """

    payload: bytes
    head: bytes
    rest: bytes
    model: str
    choices: list[SpelledChoice]

    @property
    def document(self) -> Document:
        """The chunk, decoded; raises ``msgspec.DecodeError`` for what only a full look finds."""
        document: Document = _decode(self.payload)
        return document

    @property
    def body(self) -> Document:
        """The same without the four keys of its head."""
        document: Document = _decode(b"{" + self.rest + b"}")
        return document


class Speller:
    """Looks at the chunks of one stream; what their heads have in common is parsed once."""

    def __init__(self) -> None:
        self._head = b"\0"
        self._model = ""

    def look(self, payload: bytes) -> Spelled | None:
        """The chunk as it is spelled, or None for one that has to be decoded to be understood."""
        if b"\n" in payload or (not payload.startswith(self._head) and not self._learn(payload)):
            return None
        try:
            seen = _look(payload)
            if not payload.isascii():
                payload.decode()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if seen.usage is None:
            end = len(payload) - len(_NO_USAGE) if payload.endswith(_NO_USAGE) else 0
        else:
            end = len(payload) - 1 if payload.endswith(b"}") else 0
        if not end:
            return None
        return Spelled(payload, self._head, payload[len(self._head) : end], self._model, seen.choices)

    def _learn(self, payload: bytes) -> bool:
        """Take this payload's head for that of those to come."""
        found = _HEAD.match(payload)
        if found is None:
            return False
        try:
            keys = _decode(found[0].rstrip().rstrip(b",") + b"}")
        except msgspec.MsgspecError:
            return False
        model = keys.get("model")
        if len(keys) != 4 or not isinstance(model, str) or not model:
            return False
        self._head, self._model = found[0], model
        return True


class Pieces:
    """Reads the piece of a text out of chunks that are alike in everything else, as nearly all of a plain answer are.

    A third of the price of decoding them.
    """

    def __init__(self) -> None:
        self._before = self._behind = b"\0"

    def read(self, chunk: Spelled) -> str | None:
        """What this chunk has in the place of the learned one's text; None if it differs in anything else."""
        rest = chunk.rest
        if not rest.startswith(self._before) or not rest.endswith(self._behind):
            return None
        try:
            return _text(rest[len(self._before) : len(rest) - len(self._behind)])
        except msgspec.MsgspecError:
            return None

    def learn(self, chunk: Spelled, body: Document) -> bool:
        """Whether those alike can be read from now on. ``body`` is the chunk's: one choice, that says only a text."""
        found = _CONTENT.search(chunk.rest)
        if found is None:
            return False
        self._before, self._behind = chunk.rest[: found.start(1)], chunk.rest[found.end(1) :]
        # Seen once with another text, it is sure that this is the only place where they may differ.
        other = _decode(b"{" + self._before + b'"other"' + self._behind + b"}")
        (choice,) = other["choices"]
        (told,) = body["choices"]
        is_text = choice["delta"] == {"content": "other"} and self.read(chunk) == told["delta"]["content"]
        return is_text and {**other, "choices": [{**choice, "delta": told["delta"]}]} == body

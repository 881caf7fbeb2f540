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
_CONTENT: Final = re.compile(rb'"content"\s*:\s*"((?:[^"\\]|\\.)*)"')
_LF: Final = ord("\n")
_decode: Final = msgspec.json.Decoder().decode
_text: Final = msgspec.json.Decoder(str).decode
# So often a stream's chunks may turn out to be unlike the one learned from; then it is left at that.
_LESSONS: Final = 8


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

    ``piece`` is the text of one that differs from the last chunk without a piece in nothing but this text, and says
    nothing else; ``choices`` is one object for all of these.
    """

    payload: bytes
    head: bytes
    rest: bytes
    model: str
    choices: list[SpelledChoice]
    piece: str | None = None

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
    """Looks at the chunks of one stream; what they have in common is parsed once.

    That is the head, and of most chunks of a plain answer all but the piece of its text: to read nothing but this
    costs half of a look.
    """

    def __init__(self) -> None:
        self._head = b"\0"
        self._model = ""
        self._before = self._behind = b"\0"  # of chunks that are alike: what is around their text, quotes included
        self._text = self._rest = slice(0)  # where their text stands, with its quotes, and their ``rest``
        self._choices: list[SpelledChoice] = []
        self._lessons = _LESSONS

    def look(self, payload: bytes) -> Spelled | None:
        """The chunk as it is spelled, or None for one that has to be decoded to be understood."""
        if payload.startswith(self._before) and payload.endswith(self._behind):
            try:
                piece = _text(payload[self._text])
            except (msgspec.MsgspecError, UnicodeDecodeError):
                pass  # there is more in its place than a text
            else:
                return Spelled(payload, self._head, payload[self._rest], self._model, self._choices, piece)
        if _LF in payload or (not payload.startswith(self._head) and not self._learn_head(payload)):
            return None
        try:
            seen = _look(payload)
            if not payload.isascii():
                payload.decode()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        tail = b"}" if seen.usage is UNSET else _NO_USAGE
        if not payload.endswith(tail):
            return None
        chunk = Spelled(payload, self._head, payload[len(self._head) : -len(tail)], self._model, seen.choices)
        if self._lessons and _may_be_a_text(seen.choices):
            self._lessons -= 1
            try:
                self._learn(chunk, tail)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                return None  # a look passes over what it does not ask for
        return chunk

    def _learn(self, chunk: Spelled, tail: bytes) -> None:
        """Take this chunk for the pattern of those to come, if it says nothing but a text."""
        found = _CONTENT.search(chunk.rest)
        if found is None:
            return
        before, behind = chunk.rest[: found.start(1)], chunk.rest[found.end(1) :]
        said = _only_text(chunk.body["choices"])
        # Seen once with another text in this place, it is sure that it is the place of the text.
        if (
            said is None
            or _only_text(_decode(b"{" + before + b"x" + found[1] + behind + b"}")["choices"]) != f"x{said}"
        ):
            return
        self._before, self._behind = chunk.head + before, behind + tail
        self._text = slice(len(self._before) - 1, 1 - len(self._behind))
        self._rest = slice(len(chunk.head), -len(tail))
        self._choices = chunk.choices

    def _learn_head(self, payload: bytes) -> bool:
        """Take this payload's head for that of those to come."""
        found = _HEAD.match(payload)
        if found is None:
            return False
        try:
            keys = _decode(found[0].rstrip().rstrip(b",") + b"}")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False
        model = keys.get("model")
        if len(keys) != 4 or not isinstance(model, str) or not model:
            return False
        self._head, self._model = found[0], model
        self._before = self._behind = b"\0"
        return True


def _may_be_a_text(choices: list[SpelledChoice]) -> bool:
    if len(choices) != 1:
        return False
    [choice] = choices
    return choice.finish_reason is None and choice.logprobs is None and choice.delta.tool_calls is None


def _only_text(choices: list[Document]) -> str | None:
    """The piece of its text, of a choice that says nothing else."""
    [choice] = choices
    said = {key: value for key, value in choice.items() if value is not None and key != "index"}
    text = said["delta"].get("content") if list(said) == ["delta"] and len(said["delta"]) == 1 else None
    return text if isinstance(text, str) else None

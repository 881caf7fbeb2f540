"""What an upstream's bytes mean: a completion, or chunks and how they end. Nothing is lost on the way.

The values of a plain reply and most chunks stay as they were spelled. What is unusual about them is
decoded, and where it lacks what the contract promises and clients rely on, that is filled in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from hansard.contract import Document
from hansard.core.explode import explode
from hansard.core.spelled import Spelled, Speller
from hansard.engines.upstream import refusals
from hansard.errors import HansardError


class _Message(msgspec.Struct, gc=False):
    tool_calls: list[dict[str, Any]] | None = None


class _Choice(msgspec.Struct, gc=False):
    """What makes a choice one: a reply, and why it ended. An unstreamed reply says it for audio too."""

    message: _Message
    finish_reason: Annotated[str, msgspec.Meta(min_length=1)]
    index: int | None = None


class _Part(msgspec.Struct, gc=False):
    """The choice of a chunk; kept or not, it is judged alike."""

    delta: _Message | None = None
    index: int | None = None
    logprobs: dict[str, Any] | None = None


_Parts: TypeAlias = list[_Part] | None
_Choices: TypeAlias = Annotated[list[_Choice], msgspec.Meta(min_length=1)]
_as_spelled = msgspec.json.Decoder(dict[str, msgspec.Raw])
# Read by us, so decoded; everything else is only passed on.
_READ = ("id", "model")
# What every message has (official document), in the order of the wire.
_MESSAGE: Final[Document] = {"role": "assistant", "content": None, "refusal": None, "annotations": []}


def completion(body: bytes) -> Document:
    """A whole completion, top-level values as ``msgspec.Raw`` save for those that are read here."""
    known = _completion(body)
    document: Document = {**_as_spelled.decode(body)}
    for key in _READ:
        if key in known:
            document[key] = known[key]
    if not all(map(_is_complete, known["choices"])):
        document["choices"] = _completed(known["choices"])
    return document


def exploded(body: bytes) -> list[Document | Spelled]:
    """The chunks of a whole completion, for an upstream that does not stream."""
    known = _completion(body)
    try:
        return list(explode({**known, "choices": _completed(known["choices"])}))
    except (AttributeError, KeyError, TypeError) as error:
        raise refusals.unreadable() from error


class Reader:
    """The chunks of one stream."""

    def __init__(self) -> None:
        self._speller = Speller()

    def chunks(self, payloads: Iterable[bytes]) -> tuple[list[Document | Spelled], HansardError | None]:
        """The chunks up to the first payload that is none, and what that one means."""
        read: list[Document | Spelled] = []
        for payload in payloads:
            if (spelled := self._speller.look(payload)) is not None:
                read.append(spelled)
                continue
            try:
                read.append(_chunk(payload))
            except HansardError as unusable:
                return read, unusable
        return read, None


def _chunk(payload: bytes) -> Document:
    chunk = _decode(payload)
    if refusals.is_failure(chunk):
        raise refusals.of_frame(payload)
    try:
        msgspec.convert(chunk.get("choices"), _Parts)
    except msgspec.ValidationError as error:
        raise refusals.unreadable() from error
    _complete(chunk)
    return chunk


def _completion(body: bytes) -> Document:
    document = _decode(body)
    try:
        msgspec.convert(document.get("choices"), _Choices)
    except msgspec.ValidationError as error:
        raise (refusals.of_frame(body) if refusals.is_failure(document) else refusals.unreadable()) from error
    return document


def _decode(body: bytes) -> Document:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise refusals.unreadable() from error
    if not isinstance(document, dict):
        raise refusals.unreadable()
    return document


def _is_complete(choice: Document) -> bool:
    """Whether it has the keys that the contract promises."""
    return "logprobs" in choice and choice.get("index") is not None and choice["message"].keys() >= _MESSAGE.keys()


def _completed(choices: Iterable[Document]) -> list[Document]:
    """The choices with what many servers leave out: their numbers, null for nothing, ``[]`` for no annotations."""
    return [choice if _is_complete(choice) else _with_keys(at, choice) for at, choice in enumerate(choices)]


def _with_keys(at: int, choice: Document) -> Document:
    index = at if choice.get("index") is None else choice["index"]
    shown: Document = {"index": index, "message": {**_MESSAGE, **choice["message"]}, "logprobs": None}
    return shown | {key: value for key, value in choice.items() if key not in ("index", "message")}


def _complete(chunk: Document) -> None:
    """Fill in a delta and a number, which every client reads, and make an empty reason null: it means "not yet"."""
    for choice in chunk.get("choices") or ():
        if choice.get("delta") is None:
            choice["delta"] = {}
        if "index" in choice and choice["index"] is None:
            choice["index"] = 0
        if choice.get("finish_reason") == "":
            choice["finish_reason"] = None

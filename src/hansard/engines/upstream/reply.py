"""What an upstream's bytes mean: a completion, or chunks and how they end. Nothing is lost on the way.

The values of a plain reply stay as they were spelled; chunks are decoded, and where one lacks what
clients rely on, it is filled in.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from hansard.contract import Document
from hansard.core.explode import explode
from hansard.engines.upstream import refusals
from hansard.errors import HansardError

_as_spelled = msgspec.json.Decoder(dict[str, msgspec.Raw])
# Read by us, so decoded; everything else is only passed on.
_READ = ("id", "model")


def completion(body: bytes) -> Document:
    """A whole completion, top-level values as ``msgspec.Raw`` save for those that are read here."""
    known = _completion(body)
    document: Document = {**_as_spelled.decode(body)}
    for key in _READ:
        if key in known:
            document[key] = known[key]
    return document


def exploded(body: bytes) -> list[Document]:
    """The chunks of a whole completion, for an upstream that does not stream."""
    try:
        return list(explode(_completion(body)))
    except (AttributeError, KeyError, TypeError) as error:
        raise refusals.unreadable() from error


def chunks(payloads: Iterable[bytes]) -> tuple[list[Document], HansardError | None]:
    """The chunks up to the first payload that is none, and what that one means."""
    read: list[Document] = []
    for payload in payloads:
        try:
            chunk = _decode(payload)
        except HansardError as unusable:
            return read, unusable
        if chunk.get("error"):
            return read, refusals.of_frame(payload)
        _complete(chunk)
        read.append(chunk)
    return read, None


def _completion(body: bytes) -> Document:
    document = _decode(body)
    if not isinstance(document.get("choices"), list):
        raise refusals.of_frame(body) if document.get("error") else refusals.unreadable()
    return document


def _decode(body: bytes) -> Document:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise refusals.unreadable() from error
    if not isinstance(document, dict):
        raise refusals.unreadable()
    return document


def _complete(chunk: Document) -> None:
    """Some end a choice without a delta; every client reads one."""
    for choice in chunk.get("choices") or ():
        if isinstance(choice, dict) and choice.get("delta") is None:
            choice["delta"] = {}

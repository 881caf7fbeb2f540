"""What of a request is likely to come again, cut out of it: the turns of its conversation, and its tools.

A client sends a conversation whole with each turn, so the messages of one request begin with those of the last. Cut
at the turns, from the front, they are the same pieces each time. Pieces are slices of the request as it is, so that
the whole is always the bytes that came, whatever they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

SHORTEST: Final = 256
"""Bytes; a shorter turn goes together with the next one, since a piece costs its keeper some 150."""

SHORTEST_LAST: Final = 4096
"""Bytes from which on the last turn of a request that begins a conversation is cut out: most are never sent again."""

DIGEST_BYTES: Final = 20

_OPENING: Final = frozenset({"system", "developer"})
_ASKING: Final = frozenset({"user", "tool", "function"})


class Cut(NamedTuple):
    """A request in parts. ``rest`` is it without ``turns`` and ``tools``; offsets are in ``rest``.

    The turns belong at ``at``, and ``tail`` bytes from there on are those messages that were not cut out.
    """

    rest: bytes
    at: int = 0
    tail: int = 0
    tools_at: int = 0
    turns: tuple[bytes, ...] = ()
    tools: bytes = b""


class _Message(msgspec.Struct):
    role: str = ""


class _Request(msgspec.Struct):
    messages: list[msgspec.Raw] = []
    tools: msgspec.Raw = msgspec.Raw()


_request = msgspec.json.Decoder(_Request)
_message = msgspec.json.Decoder(_Message)


def cut(request: bytes) -> Cut:
    """The request in parts; what is no request of the API is all rest."""
    if len(request) < SHORTEST:
        return Cut(request)
    try:
        found = _request.decode(request)
        roles = [_message.decode(raw).role for raw in found.messages]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Cut(request)
    places = _places(request, found.messages)
    if places is None:
        return Cut(request)
    start, end = places[0][0], places[-1][1]
    turns = _turns(request, roles, places)
    cut_until = start + sum(map(len, turns))
    before, after = request[:start], request[cut_until:]
    tools = bytes(found.tools) if len(memoryview(found.tools)) >= SHORTEST else b""
    tools_at, at = 0, start
    if tools and (place := before.find(tools)) >= 0:
        before = before[:place] + before[place + len(tools) :]
        tools_at, at = place, len(before)
    elif tools and (place := after.find(tools, end - cut_until)) >= 0:
        after = after[:place] + after[place + len(tools) :]
        tools_at = start + place
    else:
        tools = b""
    return Cut(before + after, at, end - cut_until, tools_at, turns, tools)


def joined(parts: Cut) -> bytes:
    """The request that was cut."""
    messages = b"".join(parts.turns)
    (first, one), (second, other) = sorted([(parts.at, messages), (parts.tools_at, parts.tools)])
    return b"".join([parts.rest[:first], one, parts.rest[first:second], other, parts.rest[second:]])


def without_messages(parts: Cut) -> bytes:
    """The request with an empty list in the place of its messages, or whole if they were not made out in it."""
    rest, at = parts.rest, parts.at
    tools_at = parts.tools_at if parts.tools_at <= at else parts.tools_at - parts.tail
    return joined(Cut(rest[:at] + rest[at + parts.tail :], at, 0, tools_at, (), parts.tools))


def digests(pieces: Sequence[bytes]) -> list[bytes]:
    """A name for each, which stands for all of them up to it."""
    names: list[bytes] = []
    name = b""
    for piece in pieces:
        name = next_digest(name, piece)
        names.append(name)
    return names


def next_digest(before: bytes, piece: bytes) -> bytes:
    """The name of a piece behind the one of that name, which is empty for the first."""
    return blake2b(before + piece, digest_size=DIGEST_BYTES).digest()


def _places(request: bytes, messages: Sequence[msgspec.Raw]) -> list[tuple[int, int]] | None:
    """Where each message begins and ends, if they are one list with nothing but commas between."""
    places: list[tuple[int, int]] = []
    end = 0
    for raw in messages:
        text = bytes(raw)
        start = request.find(text, end)
        if places and request[end:start].strip() != b",":
            return None
        end = start + len(text)
        places.append((start, end))
    if not places or request[: places[0][0]].rstrip()[-1:] != b"[" or request[end:].lstrip()[:1] != b"]":
        return None
    return places


def _turns(request: bytes, roles: Sequence[str], places: Sequence[tuple[int, int]]) -> tuple[bytes, ...]:
    """Each with the comma before it. Where one ends depends only on what comes before and the role that follows."""
    turns: list[bytes] = []
    start = places[0][0]
    for index, (_, end) in enumerate(places):
        following = roles[index + 1] if index + 1 < len(roles) else None
        shortest = SHORTEST
        if following is None and "assistant" not in roles:
            shortest = SHORTEST_LAST
        if end - start >= shortest and _ends_turn(roles[index], following):
            turns.append(request[start:end])
            start = end
    return tuple(turns)


def _ends_turn(role: str, following: str | None) -> bool:
    if role in _OPENING:
        return following not in _OPENING
    return role in _ASKING and following in ("assistant", None)

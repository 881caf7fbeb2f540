"""Words: what can be searched for in a completion, what a query asks for, and the text around what was found.

A word is a run of letters and digits, without case and accents. Both databases are given words and not text, so that
the same query finds the same in each.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from hansard.errors import InvalidRequest

VERSION: Final = 1
"""Of the rules by which words are made; an index made by others is made anew."""

MOST_BYTES: Final = 400_000
"""Of a completion's words together; what comes after is not searched. PostgreSQL takes 1 MiB with all positions."""

LONGEST: Final = 64
"""Characters of a word; of a longer one only these count."""

MOST_TERMS: Final = 16

SHORTEST_PREFIX: Final = 3
"""Characters; with fewer so many words begin that SQLite takes a second to gather them for a million completions."""

_WORD: Final = re.compile(r"[^\W_]+")
# The first combining character is U+0300: most texts of Latin letters have few beyond.
_MAY_COMBINE: Final = re.compile("[\u0300-\U0010ffff]+")
_TERM: Final = re.compile(r'"([^"]*)"?|([^\s"]+)')
_BEFORE: Final = 60
_AFTER: Final = 140


class Term(NamedTuple):
    """Words that follow each other; of the last one the beginning is enough if it ``is_prefix``."""

    words: tuple[str, ...]
    is_prefix: bool = False


class _Request(msgspec.Struct):
    messages: list[Any] = []


class _Reply(msgspec.Struct):
    choices: list[Any] = []


_request = msgspec.json.Decoder(_Request)
_reply = msgspec.json.Decoder(_Reply)


def terms(query: str) -> tuple[Term, ...]:
    """What must all be there: words, ``"phrases in quotes"``, and beginnings of words (``begin*``).

    No text is a wrong query, but one without any word, with too many, or with too short a beginning is
    ``InvalidRequest``.
    """
    found: dict[Term, None] = {}
    for match in _TERM.finditer(query):
        words = tuple(_words(match[0]))
        is_prefix = match[2] is not None and match[2].endswith("*")
        if words and is_prefix and len(words[-1]) < SHORTEST_PREFIX:
            raise InvalidRequest(
                f"Invalid 'q': expected at least {SHORTEST_PREFIX} letters or digits before '*'.",
                param="q",
                code="string_below_min_length",
            )
        if words:
            found[Term(words, is_prefix=is_prefix)] = None
    if not found:
        raise InvalidRequest("Invalid 'q': expected at least one word to search for.", param="q", code="invalid_value")
    if sum(len(term.words) for term in found) > MOST_TERMS:
        raise InvalidRequest(
            f"Invalid 'q': expected at most {MOST_TERMS} words.", param="q", code="array_above_max_length"
        )
    return tuple(found)


def words_of(request: bytes, reply: bytes) -> list[str]:
    """The words of a completion, in their order, the answer's first."""
    found: list[str] = []
    left = MOST_BYTES
    for text in texts(request, reply):
        words = _words(text[:left])
        left -= sum(map(_size, words))
        while left < 0:
            left += _size(words.pop())
        found += words
        if left <= 0:
            break
    return found


def texts(request: bytes, reply: bytes) -> Iterator[str]:
    """What was said: the answers, then the messages asked with. No images, no tools that were only offered."""
    for choice in _decoded(_reply, reply).choices:
        if isinstance(choice, dict):
            yield from _said(choice.get("message"))
    for message in _decoded(_request, request).messages:
        yield from _said(message)


def snippet(said: Iterable[str], wanted: Iterable[Term]) -> str:
    """Some of the text around the first word that is wanted; the beginning, if none is seen."""
    firsts = [(term.words[0], term.is_prefix and len(term.words) == 1) for term in wanted]
    beginning = ""
    for text in said:
        beginning = beginning or text
        for match in _WORD.finditer(text[:MOST_BYTES]):
            word = _folded(match[0])
            if any(word.startswith(first) if is_prefix else word == first for first, is_prefix in firsts):
                return _around(text, match.start())
    return _around(beginning, 0)


def _around(text: str, place: int) -> str:
    start = max(place - _BEFORE, 0)
    if start > 0:
        start = text.find(" ", start, place) + 1 or start
    end = place + _AFTER
    if end < len(text):
        end = max(text.rfind(" ", place + 1, end), place + _AFTER // 2)
    shown = " ".join(text[start:end].split())
    return f"{'…' if start > 0 else ''}{shown}{'…' if end < len(text) else ''}"


def _words(text: str) -> list[str]:
    return [word[:LONGEST] for word in _WORD.findall(_folded(text))]


def _folded(text: str) -> str:
    """Without case, and without accents: each letter stands alone once it is decomposed."""
    if text.isascii():
        return text.lower()
    return _MAY_COMBINE.sub(_without_accents, unicodedata.normalize("NFKD", text.casefold())).casefold()


def _without_accents(found: re.Match[str]) -> str:
    return "".join(character for character in found[0] if not unicodedata.combining(character))


def _size(word: str) -> int:
    """With the blank behind it."""
    return len(word) + 1 if word.isascii() else len(word.encode()) + 1


def _decoded(decoder: msgspec.json.Decoder[Any], document: bytes) -> Any:
    try:
        return decoder.decode(document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return decoder.type()


def _said(message: object) -> Iterator[str]:
    """The texts of a message, whatever an upstream made of its form."""
    if not isinstance(message, dict):
        return
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"text": content}]
    spoken = [part.get(name) for part in parts if isinstance(part, dict) for name in ("text", "refusal")]
    calls = [*_list(message.get("tool_calls")), {"function": message.get("function_call")}]
    for call in calls:
        for kind in ("function", "custom"):
            asked = call.get(kind) if isinstance(call, dict) else None
            spoken += [asked.get(name) for name in ("name", "arguments", "input")] if isinstance(asked, dict) else []
    yield from (text for text in [*spoken, message.get("refusal")] if isinstance(text, str) and text)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []

"""Which strings of a request or a reply only say how it is made, and which are files: by the names that lead to them.

Pure. The same names elsewhere, in metadata or in a tool's parameters, are a client's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["word", "file"]
Way: TypeAlias = tuple[str, ...]
"""Names of objects in one another, from the outermost on; lists have no part in it."""

_WORDS: Final = (
    "id object model service_tier system_fingerprint",
    "messages: role tool_call_id",
    "messages audio: id",
    "messages content: type",
    "messages tool_calls: id type",
    "prediction: type",
    "prediction content: type",
    "response_format: type",
    "tool_choice: type",
    "tools: type",
    "choices: finish_reason",
    "choices message: role",
    "choices message annotations: type",
    "choices message audio: id",
    "choices message tool_calls: id type",
)
# What an upstream may know beside the contract: clips by URL, and pictures in replies.
_FILES: Final = (
    "messages content audio_url: url",
    "messages content file: file_data",
    "messages content image_url: url",
    "messages content input_audio: data",
    "messages content video_url: url",
    "choices message audio: data",
    "choices message images image_url: url",
)

_URL: Final = re.compile(r"(?i:data:(?:[a-z]{1,40}/[\w.+\-]{1,100})?(?:;charset=[\w\-]{1,40})?;base64,)", re.ASCII)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*+")
# An expression lets no other thread run before its end.
_AT_ONCE: Final = 1024 * 1024

_NOTHING: Final = frozenset({"", " ", ",", ", "})
_BRACKET: Final = re.compile(r"[\[\]{}]")


def _kinds() -> Mapping[Way, Mapping[str, Kind]]:
    kinds: dict[Way, dict[str, Kind]] = {(): {}}
    tables: tuple[tuple[Kind, tuple[str, ...]], ...] = (("word", _WORDS), ("file", _FILES))
    for kind, table in tables:
        for line in table:
            way, _, names = line.rpartition(": ")
            names_to = tuple(way.split())
            for end in range(len(names_to)):
                kinds.setdefault(names_to[:end], {})
            kinds.setdefault(names_to, {}).update(dict.fromkeys(names.split(), kind))
    return kinds


_KINDS: Final = _kinds()


class Walk:
    """The way to where a reader of JSON text is, who says what it passes: names, and what is between strings."""

    def __init__(self) -> None:
        self._ways: list[Way | None] = [()]
        self._name: str | None = None

    def passed(self, between: str) -> None:
        """What stood between two strings, with brackets in it perhaps."""
        if between in _NOTHING:
            return
        for bracket in _BRACKET.findall(between):
            if bracket in "[{":
                self._ways.append(self._inner())
            elif len(self._ways) > 1:
                self._ways.pop()
            self._name = None

    def named(self, name: str) -> None:
        """What follows is the value of this name."""
        self._name = name

    def kind(self) -> Kind | None:
        """What the string that stands here is, if it is no text. It has one name only: the next has another."""
        name, self._name = self._name, None
        way = self._ways[-1]
        return None if way is None or name is None else _KINDS[way].get(name)

    def _inner(self) -> Way | None:
        """Where an object or a list leads; None where nothing stands that is known."""
        way = self._ways[-1]
        if way is None or self._name is None:
            return way
        inner = (*way, self._name)
        return inner if inner in _KINDS else None


def is_file(text: str) -> bool:
    """Whether it is base64 and nothing else, with or without the head of a data URL."""
    head = _URL.match(text)
    start, end = head.end() if head else 0, len(text.rstrip("="))
    if len(text) - end > 2:  # not how base64 ends
        return False
    return all(_BASE64.fullmatch(text, at, min(at + _AT_ONCE, end)) for at in range(start, end, _AT_ONCE))

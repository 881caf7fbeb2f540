"""Which strings of a request or a reply only say how it is made, and which are files: by the names that lead to them.

Pure. The same names elsewhere, in metadata or in a tool's parameters, are a client's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["word", "file"]
Way: TypeAlias = tuple[str, ...]
"""Names of objects in one another, from the outermost on; lists have no part in it."""
Structure: TypeAlias = Mapping[Way, Mapping[str, Kind | None]]
"""What stands under the names that are known where a way leads; None where it only leads on."""
Left: TypeAlias = tuple[tuple[int, int], str]
"""A string that was left alone: from where to where it stands, quotes included, and what it says."""

_WORDS_OF_REQUEST: Final = (
    "model service_tier",
    "messages: role tool_call_id",
    "messages audio: id",
    "messages content: type",
    "messages tool_calls: id type",
    "prediction: type",
    "prediction content: type",
    "response_format: type",
    "tool_choice: type",
    "tools: type",
)
_WORDS_OF_REPLY: Final = (
    "id object model service_tier system_fingerprint",
    "choices: finish_reason",
    "choices message: role",
    "choices message annotations: type",
    "choices message audio: id",
    "choices message tool_calls: id type",
)
# What an upstream may know beside the contract: clips by URL, and pictures in replies.
_FILES_OF_REQUEST: Final = (
    "messages content audio_url: url",
    "messages content file: file_data",
    "messages content image_url: url",
    "messages content input_audio: data",
    "messages content video_url: url",
)
_FILES_OF_REPLY: Final = (
    "choices message audio: data",
    "choices message images image_url: url",
)

_URL: Final = re.compile(r"(?i:data:(?:[a-z]{1,40}/[\w.+\-]{1,100})?(?:;charset=[\w\-]{1,40})?;base64,)", re.ASCII)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*+")
# An expression lets no other thread run before its end.
_AT_ONCE: Final = 1024 * 1024

_NOTHING: Final = frozenset({"", " ", ",", ", "})
_BRACKET: Final = re.compile(r"[\[\]{}]")


def _structure(words: Iterable[str], files: Iterable[str]) -> Structure:
    kinds: dict[Way, dict[str, Kind | None]] = {(): {}}
    tables: tuple[tuple[Kind, Iterable[str]], ...] = (("word", words), ("file", files))
    for kind, table in tables:
        for line in table:
            way, _, names = line.rpartition(": ")
            names_to = tuple(way.split())
            for end, name in enumerate(names_to):
                kinds.setdefault(names_to[:end], {}).setdefault(name)
            kinds.setdefault(names_to, {}).update(dict.fromkeys(names.split(), kind))
    return kinds


REQUEST: Final = _structure(_WORDS_OF_REQUEST, _FILES_OF_REQUEST)
REPLY: Final = _structure(_WORDS_OF_REPLY, _FILES_OF_REPLY)


class Walk:
    """The way to where a reader of JSON text is, who says what it passes: names, strings, and what is between them.

    ``overruled`` are those of the strings left alone that stand under a name which is there again in the same object:
    the last one counts, and nobody has looked at the others.
    """

    def __init__(self, structure: Structure) -> None:
        self.overruled: list[Left] = []
        self._structure = structure
        self._ways: list[Way | None] = [()]
        # Of each open object the known names: the last place of each, and where in ``_left`` each place begins.
        self._names: list[tuple[dict[str, int], list[int]] | None] = [None]
        self._left: list[Left] = []
        self._name: str | None = None

    def passed(self, between: str) -> None:
        """What stood between two strings, with brackets in it perhaps."""
        if between in _NOTHING:
            return
        for bracket in _BRACKET.findall(between):
            if bracket in "[{":
                self._ways.append(self._inner())
                self._names.append(None)
            elif len(self._ways) > 1:
                self._ways.pop()
                self._names.pop()
            self._name = None

    def named(self, name: str) -> bool:
        """What follows is the value of this name. Whether it is one of those that a document is read by."""
        self._name = name
        way = self._ways[-1]
        if way is None or name not in self._structure[way]:
            return False
        known = self._names[-1]
        if known is None:
            known = self._names[-1] = ({}, [])
        places, begins = known
        begins.append(len(self._left))
        if (place := places.get(name)) is not None:
            self.overruled += self._left[begins[place] : begins[place + 1]]
        places[name] = len(begins) - 1
        return True

    def kind(self) -> Kind | None:
        """What the string that stands here is, if it is no text. It has one name only: the next has another."""
        name, self._name = self._name, None
        way = self._ways[-1]
        return None if way is None or name is None else self._structure[way].get(name)

    def leaves(self, span: tuple[int, int], said: str) -> None:
        """The string that stands here was left alone."""
        self._left.append((span, said))

    def _inner(self) -> Way | None:
        """Where an object or a list leads; None where nothing stands that is known."""
        way = self._ways[-1]
        if way is None or self._name is None:
            return way
        inner = (*way, self._name)
        return inner if inner in self._structure else None


def is_file(text: str) -> bool:
    """Whether it is base64 and nothing else, with or without the head of a data URL."""
    head = _URL.match(text)
    start, end = head.end() if head else 0, len(text.rstrip("="))
    if len(text) - end > 2:  # not how base64 ends
        return False
    return all(_BASE64.fullmatch(text, at, min(at + _AT_ONCE, end)) for at in range(start, end, _AT_ONCE))

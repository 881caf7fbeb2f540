"""What is blacked out of requests and replies before they are kept: named patterns, over every string of a JSON text.

Pure. All but the strings that a pattern is found in stays byte for byte as it was. What only says how a document is
made, and what is no text, is left alone (``structure``): ids, roles, types, and images, sounds and files in base64.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any, Final

import msgspec

from hansard.contract.request import MAX_KEY, MAX_VALUE
from hansard.core.finders import BUILT_IN as _BUILT_IN
from hansard.core.spans import Finder, Span, plain
from hansard.core.structure import REPLY, REQUEST, Structure, Walk, is_file
from hansard.patterns import MOST_STEPS

_STRING: Final = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"(\s*:)?', re.DOTALL)


# An operator's own looks through so many characters in one go: before it has found something no other thread runs.
_AT_ONCE: Final = 4 * 1024
# So far it sees at most, and then the end of a word or a line.
_BEHIND: Final = MOST_STEPS + 2


# Where the usual one makes a label too long. It is not longer than anything that is found.
_SHORT_MARK: Final = "*"


class Unknown(ValueError):
    """No pattern has that name."""


class Redaction:
    """Blacks out what patterns of these names find. ``own`` are an operator's, beside the built-in ones."""

    def __init__(self, names: Iterable[str], *, own: Mapping[str, re.Pattern[str]] | None = None) -> None:
        self.names = tuple(dict.fromkeys(names))
        found = {name: _BUILT_IN.get(name) or _by_pattern((own or {}).get(name)) for name in self.names}
        for name, finder in found.items():
            if finder is None:
                raise Unknown(name)
        self._finders = [
            (f"[redacted:{name}]", finder, name in _BUILT_IN) for name, finder in found.items() if finder is not None
        ]

    def text(self, text: str, *, mark: str | None = None) -> str:
        """The text without what is found in it: there is its mark, or the one that is given."""
        looked_at = plain(text)
        is_plain = looked_at == text
        for usual, finder, in_plain in self._finders:
            spans = [*finder(looked_at if in_plain else text)]
            if spans:
                text = _without(text, spans, mark or usual)
                looked_at = text if is_plain else _without(looked_at, spans, mark or usual)
        return text

    def metadata(self, metadata: Mapping[str, str]) -> Mapping[str, str]:
        """Its values; keys as well, since clients choose them. As many as they were, and as short as labels are."""
        names = {key: self._short(key, MAX_KEY) for key in metadata}
        kept = {key for key, name in names.items() if name == key}
        labels: dict[str, str] = {}
        for key, value in metadata.items():
            name = names[key]
            if name != key:
                name = next(each for each in _numbered(name) if each not in kept)
                kept.add(name)
            labels[name] = self._short(value, MAX_VALUE)
        return labels

    def request(self, content: bytes) -> bytes:
        """The JSON text of a request without what is found in its strings."""
        return self._json(content, REQUEST)

    def reply(self, content: bytes) -> bytes:
        """The same of a completion; of one in which something was found the tokens go as well, that spell it again."""
        kept = self._json(content, REPLY)
        return kept if kept is content else _without_tokens(kept)

    def _json(self, content: bytes, structure: Structure) -> bytes:
        text = content.decode("utf-8", "surrogatepass")
        edits: list[tuple[Span, str]] = []
        names = _Names(self.text)
        walk = Walk(structure)
        ended = 0
        for found in _STRING.finditer(text):
            spelled, colon = found.groups()
            walk.passed(text[ended : found.start()])
            ended = found.end()
            span = found.start(), found.end(1) + 1
            said = json.loads(f'"{spelled}"', strict=False) if "\\" in spelled else spelled
            if colon is not None:
                kept = said if walk.named(said) else names[said]
            elif (kind := walk.kind()) == "word" or (kind == "file" and is_file(said)):
                walk.leaves(span, said)
                continue
            else:
                kept = self.text(said)
            if kept != said:
                edits.append((span, kept))
        edits += [(span, kept) for span, said in walk.overruled if (kept := self.text(said)) != said]
        return _edited(text, edits).encode("utf-8", "surrogatepass") if edits else content

    def _short(self, text: str, most: int) -> str:
        kept = self.text(text)
        return kept if len(kept) <= most or kept == text else self.text(text, mark=_SHORT_MARK)


class _Names(dict[str, str]):
    """Names in a document, which are the same again and again, as they are kept: no two are the same then."""

    def __init__(self, redacted: Callable[[str], str]) -> None:
        super().__init__()
        self._redacted = redacted
        self._taken: dict[str, int] = {}

    def __missing__(self, name: str) -> str:
        base = kept = self._redacted(name)
        while kept in self._taken:
            self._taken[base] += 1
            kept = f"{base}#{self._taken[base]}"
        self._taken[kept] = 1
        self[name] = kept
        return kept


def _numbered(name: str) -> Iterator[str]:
    """Names for what is to be kept apart from others, none longer than a key may be."""
    yield name
    for number in count(2):
        ending = f"#{number}"
        yield name[: MAX_KEY - len(ending)] + ending


def _without(text: str, spans: Iterable[Span], mark: str) -> str:
    pieces: list[str] = []
    at = 0
    for start, end in spans:
        pieces += (text[at:start], mark)
        at = end
    return "".join(pieces) + text[at:]


def _edited(text: str, edits: list[tuple[Span, str]]) -> str:
    pieces: list[str] = []
    at = 0
    for (start, end), kept in sorted(edits):
        pieces += (text[at:start], _spelled(kept))
        at = end
    return "".join(pieces) + text[at:]


def _spelled(text: str) -> str:
    spelled = json.dumps(text, ensure_ascii=False)
    try:
        spelled.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which a client has escaped
        return json.dumps(text)
    return spelled


def _without_tokens(content: bytes) -> bytes:
    reply: dict[str, Any] = msgspec.json.decode(content)
    choices = [choice for choice in reply.get("choices") or () if isinstance(choice, dict) and choice.get("logprobs")]
    if not choices:
        return content
    for choice in choices:
        choice["logprobs"] = None
    return msgspec.json.encode(reply)


def _by_pattern(pattern: re.Pattern[str] | None) -> Finder | None:
    if pattern is None:
        return None

    def find(text: str) -> Iterator[Span]:
        free = 0
        for start in range(0, len(text), _AT_ONCE):
            # What begins there may end behind it, and be looked at from further behind still.
            end = min(start + _AT_ONCE, len(text))
            for found in pattern.finditer(text, max(start, free), min(end + _BEHIND, len(text))):
                if found.start() >= end:
                    break
                if found.end() > found.start():
                    free = found.end()
                    yield found.span()

    return find


BUILT_IN: Final = tuple(_BUILT_IN)
"""The names of those that are always there."""

"""What is blacked out of requests and replies before they are kept: named patterns, over every string of a JSON text.

Pure. All but the strings that a pattern is found in stays byte for byte as it was. What only says how a document is
made, and what is no text, is left alone (``structure``): ids, roles, types, and images, sounds and files in base64.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from hansard.core.finders import BUILT_IN as _BUILT_IN
from hansard.core.finders import Finder, Span
from hansard.core.structure import Walk, is_file
from hansard.patterns import MOST_STEPS

_STRING: Final = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"(\s*:)?', re.DOTALL)


# An operator's own looks through so many characters in one go: before it has found something no other thread runs.
_AT_ONCE: Final = 4 * 1024
# So far it sees at most, and then the end of a word or a line.
_BEHIND: Final = MOST_STEPS + 2


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
        self._finders = [(f"[redacted:{name}]", finder) for name, finder in found.items() if finder is not None]

    def text(self, text: str) -> str:
        """The text without what is found in it."""
        for mark, finder in self._finders:
            pieces: list[str] = []
            at = 0
            for start, end in finder(text):
                pieces += (text[at:start], mark)
                at = end
            if at:
                text = "".join(pieces) + text[at:]
        return text

    def metadata(self, metadata: Mapping[str, str]) -> Mapping[str, str]:
        """Its values; keys as well, since clients choose them."""
        return {self.text(key): self.text(value) for key, value in metadata.items()}

    def json(self, content: bytes) -> bytes:
        """The JSON text without what is found in its strings."""
        text = content.decode("utf-8", "surrogatepass")
        pieces: list[str] = []
        known: dict[str, str] = {}  # keys are the same again and again
        walk = Walk()
        at = ended = 0
        for found in _STRING.finditer(text):
            spelled, colon = found.groups()
            walk.passed(text[ended : found.start()])
            ended = found.end()
            said = json.loads(f'"{spelled}"', strict=False) if "\\" in spelled else spelled
            if colon is None:
                kind = walk.kind()
                if kind == "word" or (kind == "file" and is_file(said)):
                    continue
                kept = self.text(said)
            else:
                walk.named(said)
                kept = known[said] if said in known else known.setdefault(said, self.text(said))
            if kept != said:
                pieces += (text[at : found.start()], _spelled(kept))
                at = found.end(1) + 1
        if not at:
            return content
        return ("".join(pieces) + text[at:]).encode("utf-8", "surrogatepass")

    def reply(self, content: bytes) -> bytes:
        """The same of a completion; of one in which something was found the tokens go as well, that spell it again."""
        kept = self.json(content)
        return kept if kept is content else _without_tokens(kept)


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

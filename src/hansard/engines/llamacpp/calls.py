"""Tool calls on their way out: from what the engine writes to the deltas of the contract.

Three forms of the same thing: function calls, custom calls (free text), and the deprecated function call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator

import msgspec

from hansard.contract import Document
from hansard.engines.llamacpp import grammars
from hansard.engines.llamacpp.tools import CUSTOM_INPUT, ToolPlan

_STRING = r'"(?:[^"\\]|\\.)*"'
_HEAD = re.compile(rf'\s*\{{\s*"name"\s*:\s*({_STRING})\s*,\s*"arguments"\s*:\s*(?=\S)')
# Enough of a JSON text to know that it has no such head: no object, an empty one, a first value
# that is no string, or whatever follows a first string.
_NO_HEAD = re.compile(
    rf"\s*(?:[^\s{{]|\{{\s*(?:\}}|{_STRING}\s*:\s*(?:[^\s\"]|{_STRING}\s*(?:\}}|,\s*{_STRING}\s*:\s*\S))))"
)
_TAIL = re.compile(r"[\s}]*\Z")
_INPUT = re.compile(rf'\s*\{{\s*"{CUSTOM_INPUT}"\s*:\s*"')
_HEX = "[0-9a-fA-F]"
# As much of a JSON string as can be read: the first half of a pair waits for what follows it.
_READABLE = re.compile(
    rf'(?:[^"\\]|\\[^u]|\\u(?![dD][89abAB]){_HEX}{{4}}|\\u[dD][89abAB]{_HEX}{{2}}(?:\\u{_HEX}{{4}}|(?=[^\\]|\\[^u])))*',
    re.DOTALL,
)


class JsonReader:
    """Reads JSON as it is written: a call, ``{"name": ..., "arguments": {...}}``, or an answer in its own right.

    ``name`` is set once it is known to be a call of one of ``names``, ``answering`` once it is known to be none. The
    calls of those in ``raw`` go on after their head as they are, and to the end.
    """

    def __init__(self, names: Collection[str], *, raw: Collection[str] = ()) -> None:
        self._names = names
        self._raw = raw
        self.name: str | None = None
        self.answering = False
        self._held = ""

    def feed(self, text: str) -> str:
        """What is certain now of the arguments, or of the answer; "" while it may be either."""
        self._held += text
        if self.name is None and not self.answering and not self._decide():
            return ""
        if self.answering or self.name in self._raw:
            certain, self._held = self._held, ""
            return certain
        # The last brace closes the call itself, so braces at the end wait for what follows them.
        tail = _TAIL.search(self._held)
        assert tail is not None
        certain, self._held = self._held[: tail.start()], tail[0]
        return certain

    def end(self, *, closed: bool) -> str:
        """What was held back; ``closed`` when the JSON was written to its end."""
        held, self._held = self._held, ""
        if self.name is None:
            self.answering = True
            return held
        return held.rstrip().removesuffix("}").rstrip() if closed else held

    def _decide(self) -> bool:
        for name in self._raw:
            if self._held.startswith(begun := grammars.head(name)):
                self.name, self._held = name, self._held[len(begun) :]
                return True
        head = _HEAD.match(self._held)
        if head is not None and (name := msgspec.json.decode(head[1], type=str)) in self._names:
            self.name = name
            self._held = self._held[head.end() :]
        elif _NO_HEAD.match(self._held):
            self.answering = True
        return self.name is not None or self.answering


class CallWriter:
    """Spells calls as deltas, one call after the other."""

    def __init__(self, plan: ToolPlan, mint: Callable[[], str]) -> None:
        self._plan = plan
        self._mint = mint
        self._input: InputReader | None = None
        self._raw = False
        self.count = 0

    def begin(self, name: str) -> Iterator[Document]:
        """The end of the call before, if that had any, and the opener of this one."""
        yield from self.end()
        index, self.count = self.count, self.count + 1
        if self._plan.legacy:
            yield {"function_call": {"name": name, "arguments": ""}}
            return
        opener: Document = {"index": index, "id": self._mint()}
        self._raw = name in self._plan.grammars and name in self._plan.custom
        if name in self._plan.custom:
            self._input = None if self._raw else InputReader()
            yield {"tool_calls": [{**opener, "type": "custom", "custom": {"name": name, "input": ""}}]}
        else:
            yield {"tool_calls": [{**opener, "type": "function", "function": {"name": name, "arguments": ""}}]}

    def more(self, arguments: str) -> Iterator[Document]:
        """The next piece of the arguments of the call begun last."""
        if not arguments:
            return
        if self._raw:
            yield self._custom(arguments)
        elif self._input is not None:
            if text := self._input.feed(arguments):
                yield self._custom(text)
        elif self._plan.legacy:
            yield {"function_call": {"arguments": arguments}}
        else:
            yield {"tool_calls": [{"index": self.count - 1, "function": {"arguments": arguments}}]}

    def end(self) -> Iterator[Document]:
        """What is left to say of the call begun last, if it was a custom one."""
        reader, self._input = self._input, None
        if reader is not None and (text := reader.end()):
            yield self._custom(text)

    def _custom(self, text: str) -> Document:
        return {"tool_calls": [{"index": self.count - 1, "custom": {"input": text}}]}


class InputReader:
    """Reads the one text in the arguments of a custom call, ``{"input": "..."}``, as it is written."""

    def __init__(self) -> None:
        self._held = ""
        self._inside = self._closed = False

    def feed(self, arguments: str) -> str:
        """What is certain now of the text; whatever comes after it is dropped."""
        if self._closed:
            return ""
        self._held += arguments
        if not self._inside:
            begun = _INPUT.match(self._held)
            if begun is None:
                return ""
            self._inside, self._held = True, self._held[begun.end() :]
        readable = _READABLE.match(self._held)
        assert readable is not None
        self._held = self._held[readable.end() :]
        self._closed = self._held.startswith('"')
        return _unescaped(readable[0])

    def end(self) -> str:
        """Arguments of another form stay as they are; half an escape is dropped."""
        return "" if self._inside else self._held


def _unescaped(text: str) -> str:
    """The inside of a JSON string, with a replacement for halves of pairs; as it is where it cannot be read."""
    try:
        read = json.loads(f'"{text}"', strict=False)
    except ValueError:
        return text
    return str(read).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

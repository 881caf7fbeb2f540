"""Tool calls on their way out: from what the engine writes to the deltas of the contract.

Three forms of the same thing: function calls, custom calls (free text), and the deprecated function call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator

import msgspec

from hansard.contract import Document
from hansard.engines.llamacpp.tools import CUSTOM_INPUT, ToolPlan

_STRING = r'"(?:[^"\\]|\\.)*"'
_HEAD = re.compile(rf'\s*\{{\s*"name"\s*:\s*({_STRING})\s*,\s*"arguments"\s*:\s*(?=\S)')
# Enough of a JSON text to know that it has no such head: no object, an empty one, a first value
# that is no string, or whatever follows a first string.
_NO_HEAD = re.compile(
    rf"\s*(?:[^\s{{]|\{{\s*(?:\}}|{_STRING}\s*:\s*(?:[^\s\"]|{_STRING}\s*(?:\}}|,\s*{_STRING}\s*:\s*\S))))"
)
_TAIL = re.compile(r"[\s}]*\Z")


class JsonReader:
    """Reads JSON as it is written: a call, ``{"name": ..., "arguments": {...}}``, or an answer in its own right.

    ``name`` is set once it is known to be a call of one of ``names``, ``answering`` once it is known to be none.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self.name: str | None = None
        self.answering = False
        self._held = ""

    def feed(self, text: str) -> str:
        """What is certain now of the arguments, or of the answer; "" while it may be either."""
        self._held += text
        if self.name is None and not self.answering and not self._decide():
            return ""
        if self.answering:
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
        self._custom_text: list[str] | None = None
        self.count = 0

    def begin(self, name: str) -> Iterator[Document]:
        """The end of the call before, if that had any, and the opener of this one."""
        yield from self.end()
        index, self.count = self.count, self.count + 1
        if self._plan.legacy:
            yield {"function_call": {"name": name, "arguments": ""}}
            return
        opener: Document = {"index": index, "id": self._mint()}
        if name in self._plan.custom:
            self._custom_text = []
            yield {"tool_calls": [{**opener, "type": "custom", "custom": {"name": name, "input": ""}}]}
        else:
            yield {"tool_calls": [{**opener, "type": "function", "function": {"name": name, "arguments": ""}}]}

    def more(self, arguments: str) -> Iterator[Document]:
        """The next piece of the arguments of the call begun last."""
        if not arguments:
            return
        if self._custom_text is not None:
            self._custom_text.append(arguments)
        elif self._plan.legacy:
            yield {"function_call": {"arguments": arguments}}
        else:
            yield {"tool_calls": [{"index": self.count - 1, "function": {"arguments": arguments}}]}

    def end(self) -> Iterator[Document]:
        """What is left to say of the call begun last: the whole input, if it was a custom one."""
        if self._custom_text is None:
            return
        text, self._custom_text = _custom_input("".join(self._custom_text)), None
        if text:
            yield {"tool_calls": [{"index": self.count - 1, "custom": {"input": text}}]}


def _custom_input(arguments: str) -> str:
    """The one text in the arguments; a call that was cut off keeps what it has."""
    try:
        return msgspec.json.decode(arguments, type=dict[str, str]).get(CUSTOM_INPUT, "")
    except msgspec.MsgspecError:
        return arguments

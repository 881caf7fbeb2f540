"""Tool calls on their way out: from what the engine writes to the deltas of the contract.

Three forms of the same thing: function calls, custom calls (free text), and the deprecated function call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

from hansard.contract import Document
from hansard.engines.llamacpp.tools import CUSTOM_INPUT, ToolPlan

_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\S)')
_TAIL = re.compile(r"[\s}]*\Z")


class ForcedCall:
    """Reads ``{"name": ..., "arguments": {...}}`` as it is written: the name once, the arguments piece by piece."""

    def __init__(self) -> None:
        self.name: str | None = None
        self._held = ""

    def feed(self, text: str) -> str:
        """The argument text that is certain now; "" while the name is still being written."""
        self._held += text
        if self.name is None:
            head = _HEAD.match(self._held)
            if head is None:
                return ""
            self.name = msgspec.json.decode(head[1], type=str)
            self._held = self._held[head.end() :]
        # The last brace closes the call itself, so braces at the end wait for what follows them.
        tail = _TAIL.search(self._held)
        assert tail is not None
        certain, self._held = self._held[: tail.start()], tail[0]
        return certain

    def end(self, *, closed: bool) -> str:
        """What was held back; ``closed`` when the call was written to its end."""
        held, self._held = self._held, ""
        if self.name is None:
            return ""
        return held.rstrip().removesuffix("}").rstrip() if closed else held


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

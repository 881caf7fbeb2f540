"""What every reply of one completion carries: our id and time, the model's name, and usage where it was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from hansard.contract import Document
from hansard.core.spelled import Spelled

# What a chunk of any stream may say (official document): a usage chunk that says no more is there for usage alone.
_KNOWN: Final = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint", "obfuscation"}
)
# Only who asked for usage has to expect a chunk without choices (official document); many read choices[0] of each.
_SILENT: Final[Document] = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": None}


class Stamp:
    """Puts the four common keys on an engine's documents.

    They come first, in wire order, and are ours, save that an engine that knows the resolved name of
    the model says it itself; once said, it holds for the whole stream. ``include_usage`` is the
    client's wish for a stream: then every chunk has ``usage`` (null but in the last), otherwise none has.
    """

    def __init__(self, *, completion_id: str, created: int, model: str, include_usage: bool) -> None:
        self._id = completion_id
        self._created = created
        self._model = model
        self._include_usage = include_usage
        self._end = b',"usage":null}' if include_usage else b"}"
        self._head = b""

    def completion(self, made: Document) -> Document:
        """The whole completion."""
        return self._stamped(made, "chat.completion")

    def chunks(self, made: Iterable[Document | Spelled]) -> list[Document | bytes]:
        """The chunks that the client may see, stamped; one in its own spelling as the text that it now is."""
        shown: list[Document | bytes] = []
        for chunk in made:
            if type(chunk) is Spelled:
                if not self._head or chunk.model != self._model:
                    self._learn_head(chunk.model)
                shown.append(self._head + chunk.rest + self._end)
            elif (stamped := self.chunk(chunk)) is not None:  # type: ignore[arg-type]
                shown.append(stamped)
        return shown

    def chunk(self, made: Document) -> Document | None:
        """The chunk as the client may see it; None for a usage chunk nobody asked for.

        What else that one says (llama-server's ``timings``) still goes out, at once, in its own place, beside a choice
        that says nothing: an engine not asked for usage says it beside its last choice, and that one is not held back.
        """
        stamped = self._stamped(made, "chat.completion.chunk")
        if self._include_usage:
            stamped.setdefault("usage", None)
        elif stamped.pop("usage", None) is not None and not stamped.get("choices"):
            if all(value is None or key in _KNOWN for key, value in stamped.items()):
                return None
            stamped["choices"] = [_SILENT]
        return stamped

    def _learn_head(self, model: str) -> None:
        self._model = model
        self._head = msgspec.json.encode(self._ours("chat.completion.chunk"))[:-1] + b","

    def _stamped(self, made: Document, kind: str) -> Document:
        if (model := made.get("model")) and isinstance(model, str):
            self._model = model
        ours = self._ours(kind)
        return {**ours, **made, **ours}

    def _ours(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._model}

"""What every reply of one completion carries: our id and time, the model's name, and usage where it was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hansard.contract import Document


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

    def completion(self, made: Document) -> Document:
        """The whole completion."""
        return self._stamped(made, "chat.completion")

    def chunks(self, made: Iterable[Document]) -> list[Document]:
        """The chunks that the client may see, stamped."""
        stamped = (self.chunk(chunk) for chunk in made)
        return [chunk for chunk in stamped if chunk is not None]

    def chunk(self, made: Document) -> Document | None:
        """The chunk as the client may see it; None for a usage chunk nobody asked for."""
        stamped = self._stamped(made, "chat.completion.chunk")
        if self._include_usage:
            stamped.setdefault("usage", None)
        elif stamped.pop("usage", None) is not None and not stamped.get("choices"):
            return None
        return stamped

    def _stamped(self, made: Document, kind: str) -> Document:
        if (model := made.get("model")) and isinstance(model, str):
            self._model = model
        ours: dict[str, Any] = {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._model,
        }
        return {**ours, **made, **ours}

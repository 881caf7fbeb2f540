"""What of a stream has to be known even if nothing of it is kept: that it is complete, and what it used.

``core.accumulate`` knows the same and all the rest, at the price of holding the whole completion.
"""

from __future__ import annotations

from hansard.contract import Document
from hansard.core.accumulate import IncompleteStream, MalformedStream, is_finish_reason
from hansard.core.spelled import Spelled, SpelledChoice


class Ending:
    """Fed every chunk of one stream, it knows whether the stream is complete; its size does not grow with it.

    ``choices`` is how many were asked for; a stream with fewer does not count as finished.
    """

    def __init__(self, *, choices: int = 1) -> None:
        self._wanted = choices
        self._ended: dict[int, bool] = {}
        self._usage: Document | None = None
        self._said: list[SpelledChoice] | None = None  # by the last chunk, which those alike share

    @property
    def finished(self) -> bool:
        """Whether every choice has said why it ended."""
        return len(self._ended) >= self._wanted and all(self._ended.values())

    def feed(self, chunk: Document | Spelled) -> None:
        """Look at one chunk; raises ``MalformedStream``."""
        if isinstance(chunk, Spelled):
            if chunk.choices is self._said:
                return
            self._said = chunk.choices
            for said in chunk.choices:
                if said.finish_reason:
                    self._ended[said.index] = True
                else:
                    self._ended.setdefault(said.index, False)
            return
        try:
            for choice in chunk.get("choices") or ():
                index = choice.get("index", 0)
                self._ended[index] = _ends(choice) or self._ended.get(index, False)
            if chunk.get("usage") is not None:
                self._usage = chunk["usage"]
        except (AttributeError, TypeError) as error:
            raise MalformedStream from error

    def finish(self) -> Document:
        """``usage``, if it was said; raises ``IncompleteStream``."""
        if not self.finished:
            raise IncompleteStream("The model's stream ended before its reply was complete.")
        return {} if self._usage is None else {"usage": self._usage}


def _ends(choice: Document) -> bool:
    """Audio streams never send a finish_reason: they end when the audio says until when it is kept."""
    if is_finish_reason(choice.get("finish_reason")):
        return True
    audio = (choice.get("delta") or {}).get("audio")
    return isinstance(audio, dict) and "expires_at" in audio

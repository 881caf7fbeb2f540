"""Stop sequences found here and not in the engine, for answers whose every token is wanted.

What the engine holds back, because it may be the beginning of a stop sequence, it says later as one piece with the log
probability of the last token only. Pure, and knows nothing of chunks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Stops(Generic[T]):
    """Fed an answer piece by piece, each with something that belongs to it, it gives back those before the stop.

    ``found`` is set once one of ``sequences`` has come; nothing must be fed after that.
    """

    def __init__(self, sequences: Sequence[str]) -> None:
        self._sequences = sequences
        self._held: list[tuple[str, T]] = []
        self.found = False

    def feed(self, text: str, mark: T) -> Iterable[tuple[str, T]]:
        """The pieces that are certain now; the last one before a stop may be cut."""
        self._held.append((text, mark))
        together = "".join(piece for piece, _ in self._held)
        places = [place for sequence in self._sequences if (place := together.find(sequence)) >= 0]
        if places:
            self.found = True
            return self._before(min(places))
        return self._certain(len(together) - self._begun(together))

    def flush(self) -> Iterable[tuple[str, T]]:
        """What was held when the answer ended without a stop."""
        held, self._held = self._held, []
        return held

    def _begun(self, text: str) -> int:
        """How much of the text's end may be the beginning of a stop."""
        lengths = range(min(len(text), max(map(len, self._sequences)) - 1), 0, -1)
        return next((length for length in lengths if any(s.startswith(text[-length:]) for s in self._sequences)), 0)

    def _before(self, place: int) -> Iterable[tuple[str, T]]:
        kept: list[tuple[str, T]] = []
        for piece, mark in self.flush():
            if place > 0:
                kept.append((piece[:place], mark))
            place -= len(piece)
        return kept

    def _certain(self, length: int) -> Iterable[tuple[str, T]]:
        """Whole pieces within so much text; one that reaches beyond waits with the rest."""
        count = 0
        for piece, _ in self._held:
            length -= len(piece)
            if length < 0:
                break
            count += 1
        certain, self._held = self._held[:count], self._held[count:]
        return certain

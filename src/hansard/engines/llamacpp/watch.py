"""Whether a text is by its grammar, followed piece by piece while the engine writes it.

LLGuidance, in the engine, gives up a grammar that passes one of its limits on the way, and the text goes on unbound, in
silence. So the same grammar is followed here too. Knows nothing of chunks.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hansard.engines.llamacpp import grammars

if TYPE_CHECKING:
    from llguidance import LLMatcher

# A byte takes a microsecond, but of an ambiguous grammar ("s: s s") ten thousand, with the interpreter's lock held.
MOST_WORK_S = 1.0


class Watch:
    """Follows one text. ``may_break_off`` if something else than the grammar may end it, like a stop sequence."""

    def __init__(self, matcher: LLMatcher, *, may_break_off: bool = False) -> None:
        self._matcher = matcher
        self._may_break_off = may_break_off
        self._left_s = MOST_WORK_S

    def another(self) -> Watch:
        """For another text by the same grammar; only of one that has followed none."""
        return Watch(self._matcher.deep_copy(), may_break_off=self._may_break_off)

    def feed(self, text: str) -> bool:
        """Whether it is by the grammar so far. Nothing must be fed once it is not."""
        if self._left_s <= 0:
            return False
        begun_s = time.thread_time()
        taken = self._matcher.consume_tokens(list(text.encode()))
        self._left_s -= time.thread_time() - begun_s
        return taken

    def end(self) -> bool:
        """Whether the grammar lets the text end here."""
        return self._may_break_off or self._matcher.is_accepting()


def by(source: str, *, may_break_off: bool = False) -> Watch:
    """For a text by this grammar. It is compiled, which takes milliseconds and is for a thread."""
    from llguidance import LLMatcher  # here, because most requests have no grammar

    return Watch(LLMatcher(grammars.letters(), source, log_level=0), may_break_off=may_break_off)

"""How many create requests there are now, by model: those that wait for an engine and those that one works on.

Numbers that go up and down are kept where they change: events would have to be paired by whoever reads them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping


class Load:
    """Each request ``waits``, then ``begins``, and ``ends`` from either; models go by their served names."""

    def __init__(self) -> None:
        self._waiting: dict[str, int] = defaultdict(int)
        self._running: dict[str, int] = defaultdict(int)

    @property
    def waiting(self) -> Mapping[str, int]:
        """How many wait, for every model that was ever asked for."""
        return self._waiting

    @property
    def running(self) -> Mapping[str, int]:
        """How many an engine works on."""
        return self._running

    def waits(self, model: str) -> None:
        self._waiting[model] += 1

    def begins(self, model: str) -> None:
        self._waiting[model] -= 1
        self._running[model] += 1

    def ends(self, model: str, *, had_begun: bool) -> None:
        (self._running if had_begun else self._waiting)[model] -= 1

"""How long a database that went away is waited for (decision 21): a restart or a failover is ridden out, no more.

Shared by the writer and the readers of one store: whoever gets through ends the outage for all.
"""

from __future__ import annotations

import time
from typing import Final

_PAUSE_S: Final = 0.1

WAITS_S: Final = 30.0
"""Longer than any outage is ridden out: one that has not gone away, and answers nobody, is waited for no longer."""

ENDS_S: Final = 10.0
"""Nor is it, by a store that stops. Whoever still waits then was acknowledged nothing."""

TOO_LONG: Final = "The store is unavailable: the database took too long."


class Outage:
    """At most one at a time. ``bound_s`` counts from when the database was first missed."""

    def __init__(self, *, bound_s: float) -> None:
        self._bound_s = bound_s
        self._since: float | None = None

    @property
    def lasts(self) -> bool:
        """Whether the database has been missed and has not answered since."""
        return self._since is not None

    def ended(self) -> None:
        """It has answered."""
        self._since = None

    def is_ridden_out(self) -> bool:
        """It is missed: pause and say whether to try again. Once the bound is over, it says no at once."""
        since = self._since
        if since is None:
            since = self._since = time.monotonic()
        if time.monotonic() - since >= self._bound_s:
            return False
        time.sleep(min(_PAUSE_S, self._bound_s))
        return True

"""How long a database that went away is waited for (decision 21): a restart or a failover is ridden out, no more.

Those who write and those who read have one each: a write that gets through ends both, and a read that of the readers
only, since there are databases that can be read and not written.
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
    """At most one at a time. ``bound_s`` counts from when the database was first missed.

    ``of_readers`` is over as soon as this one is.
    """

    def __init__(self, *, bound_s: float, of_readers: Outage | None = None) -> None:
        self._bound_s = bound_s
        self._of_readers = of_readers
        self._since: float | None = None

    @property
    def lasts(self) -> bool:
        """Whether the database has been missed and has not answered since, by these or by the readers."""
        return self._since is not None or (self._of_readers is not None and self._of_readers.lasts)

    def ended(self) -> None:
        """It has answered."""
        self._since = None
        if self._of_readers is not None:
            self._of_readers.ended()

    def is_ridden_out(self) -> bool:
        """It is missed: pause and say whether to try again. Once the bound is over, it says no at once."""
        since = self._since
        if since is None:
            since = self._since = time.monotonic()
        if time.monotonic() - since >= self._bound_s:
            return False
        time.sleep(min(_PAUSE_S, self._bound_s))
        return True

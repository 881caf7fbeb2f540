"""How often, how soon and for what an upstream is asked again: pure; time and chance are passed in."""

from __future__ import annotations

from typing import Final

import msgspec

from hansard.errors import EngineBusy, HansardError, Unavailable, UpstreamFailed

RETRIES: Final = 2
SHARE: Final = 0.2
RESERVE: Final = 10.0

# Not a time-out: who waited that long is not made to wait as long again. Not a rate limit: it is there to be kept.
_WORTH_ANOTHER_TRY: Final = frozenset({"upstream_unreachable", "upstream_error"})


class Pauses(msgspec.Struct, frozen=True, kw_only=True):
    """Between tries, in seconds: at most ``first_s`` after the first, then twice that, up to ``longest_s``."""

    first_s: float = 0.1
    longest_s: float = 2.0

    def after(self, tries: int, chance: float) -> float:
        """How long to wait after so many tries; ``chance`` from 0 to 1 spreads what failed together ("full jitter")."""
        longest_s: float = min(self.first_s * 2 ** (tries - 1), self.longest_s)
        return chance * longest_s

    def allow(self, error: HansardError) -> bool:
        """Whether the same upstream may well answer the same request a moment later."""
        if asked_pause_s(error) > self.longest_s:
            return False
        is_passing = isinstance(error, UpstreamFailed) and error.code in _WORTH_ANOTHER_TRY
        return is_passing or (isinstance(error, Unavailable) and not isinstance(error, EngineBusy))


def asked_pause_s(error: HansardError) -> int:
    """How long the upstream itself asks to be left alone; what its class tells our own clients does not count."""
    return vars(error).get("retry_after_s") or 0


class Budget:
    """Lets ``share`` of the calls be retries, and ``reserve`` more: an outage must not become a storm of our making."""

    def __init__(self, *, share: float = SHARE, reserve: float = RESERVE) -> None:
        self._share = share
        self._reserve = reserve
        self._left = reserve

    def earn(self) -> None:
        """A call begins."""
        self._left = min(self._left + self._share, max(self._reserve, 1.0))

    def spend(self) -> bool:
        """Whether there is a retry left; it is then gone."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

"""How often, how soon and for what an upstream is asked again: pure; time and chance are passed in."""

from __future__ import annotations

from typing import Final

from hansard.errors import HansardError, Unavailable, UpstreamFailed

FIRST_DELAY_S: Final = 0.1
LONGEST_DELAY_S: Final = 2.0

# Not a time-out: who waited that long is not made to wait as long again. Not a rate limit: it is there to be kept.
_WORTH_ANOTHER_TRY: Final = frozenset({"upstream_unreachable", "upstream_error"})


class Budget:
    """Lets a fifth of the calls be retries, and ten more: an outage must not become a storm of our own making."""

    SHARE: Final = 0.2
    RESERVE: Final = 10.0

    def __init__(self) -> None:
        self._left = self.RESERVE

    def earn(self) -> None:
        """A call begins."""
        self._left = min(self._left + self.SHARE, self.RESERVE)

    def spend(self) -> bool:
        """Whether there is a retry left; it is then gone."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


def is_worth_another_try(error: HansardError) -> bool:
    """Whether the same upstream may well answer the same request a moment later."""
    if isinstance(error, Unavailable):
        return (error.retry_after_s or 0) <= LONGEST_DELAY_S
    return isinstance(error, UpstreamFailed) and error.code in _WORTH_ANOTHER_TRY


def delay_s(tries: int, chance: float) -> float:
    """How long to wait after so many tries; ``chance`` from 0 to 1 spreads what failed together ("full jitter")."""
    longest_s: float = min(FIRST_DELAY_S * 2 ** (tries - 1), LONGEST_DELAY_S)
    return chance * longest_s

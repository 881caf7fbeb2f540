"""The circuit breaker of one upstream: pure, time is passed in (seconds of any steady clock).

closed ── FAILURES in a row ──> open ── the pause is over ──> half-open: PROBES calls go through
  ^                              ^                                │
  │                              └─────── it fails: a longer pause ┤
  └──────────────────────────────────────────── it succeeds ───────┘
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

State: TypeAlias = Literal["closed", "open", "half-open"]

FAILURES: Final = 5
PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 60.0
PROBES: Final = 1

# How long others are asked to wait while a probe is under way.
_PROBE_S: Final = 1.0


class Breaker:
    """Ask ``admit`` before each call, and tell what became of it: ``succeeded``, ``failed`` or ``abandoned``.

    It opens after ``failures`` in a row, with 0 never; half-open it lets ``probes`` through at once.
    """

    def __init__(
        self,
        *,
        failures: int = FAILURES,
        pause_s: float = PAUSE_S,
        longest_pause_s: float = LONGEST_PAUSE_S,
        probes: int = PROBES,
    ) -> None:
        self._limit = failures
        self._probes = probes
        self._first_pause_s = pause_s
        self._longest_pause_s = longest_pause_s
        self._failures = 0
        self._pause_s = pause_s
        self._open_until: float | None = None
        self._probing = 0

    def state(self, now: float) -> State:
        """Where it stands; half-open from the end of the pause until a probe has shown something."""
        if self._open_until is None:
            return "closed"
        return "open" if now < self._open_until else "half-open"

    def wait_s(self, now: float) -> float:
        """How long no call will be let through; 0 when the next one will."""
        if self._open_until is None:
            return 0.0
        return max(self._open_until - now, _PROBE_S if self._probing >= self._probes else 0.0)

    def admit(self, now: float) -> bool:
        """Whether a call may go. In the half-open state it is a probe."""
        if self.wait_s(now):
            return False
        if self._open_until is not None:
            self._probing += 1
        return True

    def succeeded(self) -> None:
        """The upstream answered; what it answered does not matter here."""
        self._failures = 0
        self._pause_s = self._first_pause_s
        self._open_until = None
        self._probing = 0

    def failed(self, now: float) -> None:
        """The upstream did not answer, or said that it cannot."""
        if self._probing:
            self._pause_s = min(self._pause_s * 2, self._longest_pause_s)
        elif self._open_until is not None:  # a call from before it opened, or a probe beside one that failed
            return
        self._failures += 1
        self._probing = 0
        if self._limit and self._failures >= self._limit:
            self._open_until = now + self._pause_s

    def abandoned(self) -> None:
        """Nobody waited for the outcome; a probe that was left lets the next call be one."""
        self._probing = max(self._probing - 1, 0)

"""What a check can come to: how it says so, and the result that is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hansard.conformance.checks import Check
    from hansard.conformance.wire import Exchange


class Outcome(Enum):
    """``ERROR``: no verdict, because the connection broke or the check itself did."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"
    ERROR = "error"


class Mismatch(Exception):
    """The server did something else than the rule says."""

    def __init__(self, *, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got


class NotApplicable(Exception):
    """The rule does not bind this server, and why: it refused by name, or the documents leave it open."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """How one check ended. ``exchanges`` are those the verdict rests on; none of a check that passed."""

    check: Check
    outcome: Outcome
    reason: str = ""
    expected: str = ""
    got: str = ""
    exchanges: Sequence[Exchange] = ()
    duration_s: float = 0.0

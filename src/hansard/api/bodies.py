"""How many bodies come at once, and how much of all of them is held.

A body costs memory from its first byte on, long before its request can be counted among those that run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hansard.errors import BodyTooLarge, LimitReached, TooManyBodies
from hansard.tenancy import Principal

ALWAYS_BYTES: Final = 64 * 1024
"""A body of up to so much is always taken: large ones are not to keep everybody else out."""

# Nobody knows when a body is whole.
_SOON_S: Final = 1.0


class Bodies:
    """Counts them. ``most_bytes`` are those of one body, ``in_all_bytes`` of all that are held at once."""

    def __init__(self, *, most_bytes: int, in_all_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._in_all_bytes = max(in_all_bytes, most_bytes)
        self._held_bytes = 0
        self._arriving: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def arriving(self, principal: Principal) -> Iterator[None]:
        """The block in which a body of its is read; LimitReached if as many are as it may have requests running.

        Those that run are not counted in: a repeat of one of them may have to wait for it (``repeats``).
        """
        places = _places(principal)
        for place, most in places:
            if self._arriving[place] >= most:
                raise _refusal(place, most)
        for place, _ in places:
            self._arriving[place] += 1
        try:
            yield
        finally:
            for place, _ in places:
                self._arriving[place] -= 1
                if not self._arriving[place]:
                    del self._arriving[place]

    def grow(self, size: int, *, by: int) -> int:
        """A body of so many bytes has got more; its new size. BodyTooLarge or TooManyBodies if it may not."""
        grown = size + by
        if grown > self.most_bytes:
            raise BodyTooLarge(self.most_bytes)
        if grown > ALWAYS_BYTES and self._held_bytes + by > self._in_all_bytes:
            raise TooManyBodies(self._in_all_bytes)
        self._held_bytes += by
        return grown

    def let_go(self, size: int) -> None:
        """A body of so many bytes is held no more."""
        self._held_bytes -= size


def _places(principal: Principal) -> list[tuple[tuple[str, str], int]]:
    own, of_project = principal.policy.limits, principal.project_policy.limits
    each = (((principal.project, principal.key or "-"), own), ((principal.project, ""), of_project))
    return [(place, limits.concurrent_requests) for place, limits in each if limits.concurrent_requests is not None]


def _refusal(place: tuple[str, str], most: int) -> LimitReached:
    project, key = place
    whose = f"in project {project}" + (" with this key" if key else "")
    return LimitReached(
        f"{whose} on concurrent requests",
        unit="requests",
        model="a request",  # it has not said yet which
        limit=most,
        used=most,
        asked=1,
        wait_s=_SOON_S,
        wait=f"{_SOON_S:g}s",
    )

"""How long a completion is kept: what its client asked for wins, and what the project says holds for the rest.

Both have two lengths: one of the whole completion, one of what was said in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from hansard.durations import WANTED, duration_s
from hansard.errors import InvalidRequest

TTL_HEADER: Final = "X-Hansard-TTL"
BODY_TTL_HEADER: Final = "X-Hansard-Body-TTL"

TTL_KEY: Final = "hansard_ttl"
BODY_TTL_KEY: Final = "hansard_body_ttl"

Length: TypeAlias = int | UnsetType | None
"""Seconds, None for ever, UNSET where nobody said."""


class Ends(NamedTuple):
    """When a completion may be forgotten, and what was said in it: unix seconds, None for never."""

    expires: int | None
    body_expires: int | None


class Lifetimes(msgspec.Struct, frozen=True, kw_only=True):
    """For how long the whole is kept, and what was said in it."""

    whole_s: Length = UNSET
    body_s: Length = UNSET

    def over(self, policy: Lifetimes) -> Lifetimes:
        """These, and the policy's where these say nothing."""
        return Lifetimes(
            whole_s=policy.whole_s if self.whole_s is UNSET else self.whole_s,
            body_s=policy.body_s if self.body_s is UNSET else self.body_s,
        )

    def ends(self, now: int) -> Ends:
        """Counted from ``now``. What goes with the whole anyway has no end of its own."""
        expires, body_expires = _end(now, self.whole_s), _end(now, self.body_s)
        if expires is not None and body_expires is not None and body_expires >= expires:
            body_expires = None
        return Ends(expires, body_expires)


KEPT: Final = Lifetimes()
"""For ever."""


def asked_for(*, header: str | None, body_header: str | None, metadata: Mapping[str, str]) -> Lifetimes:
    """What the client of a create asks for: a header wins over the metadata. Raises InvalidRequest."""
    return Lifetimes(
        whole_s=_length(TTL_HEADER, header, TTL_KEY, metadata),
        body_s=_length(BODY_TTL_HEADER, body_header, BODY_TTL_KEY, metadata),
    )


def _length(header: str, said: str | None, key: str, metadata: Mapping[str, str]) -> Length:
    """Both are looked at, so that a mistake in the one that does not count is no surprise later."""
    lengths = [
        _parsed(where, text)
        for where, text in ((header, said), (f"metadata.{key}", metadata.get(key)))
        if text is not None
    ]
    return lengths[0] if lengths else UNSET


def _parsed(where: str, text: str) -> Length:
    try:
        return duration_s(text.strip())
    except ValueError as error:
        raise InvalidRequest(
            f"Invalid value for '{where}': expected {WANTED}.", param=where, code="invalid_value"
        ) from error


def _end(now: int, length_s: Length) -> int | None:
    return None if length_s is None or length_s is UNSET else now + length_s

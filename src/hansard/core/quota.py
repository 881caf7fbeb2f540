"""How much may be used in which time: buckets that empty steadily, months, and what is said of them to clients.

Pure: every function is told the time. Who counts, and for whom, is ``limits``.

The live API counts a minute by a bucket, as its own numbers show (dossier, section e): ``Limit 30000, Used 29937,
Requested 385`` is over by 322, and 322 thirty-thousandths of a minute are its ``try again in 644ms``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal, NamedTuple, TypeAlias

from hansard.contract.messages import AudioPart, FilePart, ImagePart
from hansard.contract.request import ChatRequest
from hansard.core import normalize

Unit: TypeAlias = Literal["requests", "tokens"]

MINUTE_S: Final = 60.0
_DAY_S: Final = 86_400

# The live API's own rule of thumb, before anybody has counted: https://help.openai.com/en/articles/4936856
_BYTES_PER_TOKEN: Final = 4

# A float's dust: what fits exactly must fit.
_DUST: Final = 1e-6


class Bucket:
    """What was used of so many a minute. It empties at that rate all the time, so that a full one is empty in a minute.

    In any ``t`` seconds no more than ``limit * (1 + t / 60)`` goes in, but for what is added without asking, which
    then has to run out first. ``limit`` is 1 at least; times are seconds of one clock.
    """

    __slots__ = ("_at", "_used", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0.0
        self._at = -math.inf

    def used(self, now: float) -> float:
        """What of it has not run out by then."""
        if self._used <= 0 or now == self._at:
            return self._used
        left = self._used - (now - self._at) * self.limit / MINUTE_S
        return left if left > 0 else 0.0

    def wait_s(self, amount: float, now: float) -> float:
        """How long until so much fits: 0 if it does now, infinity if it never will."""
        if amount > self.limit:
            return math.inf
        over = self.used(now) + amount - self.limit
        return 0.0 if over <= _DUST else over * MINUTE_S / self.limit

    def add(self, amount: float, now: float) -> None:
        """Put so much in, whether or not it fits; less than nothing takes some out."""
        used = self.used(now) + amount
        self._used, self._at = used if used > 0 else 0.0, now

    def correct(self, by: float, since: float, now: float) -> float:
        """What went in at ``since`` was so much more, or less: by how much that changes what is in it now.

        What has run out since then can not be given back: others have had its room already.
        """
        if by < 0:
            by = min(by + (now - since) * self.limit / MINUTE_S, 0.0)
        self.add(by, now)
        return by

    def set(self, used: float, now: float) -> None:
        """So much is in it now, whoever counted."""
        self._used, self._at = used if used > 0 else 0.0, now

    def standing(self, now: float) -> Standing:
        """What is said of it to a client."""
        used = self.used(now)
        left = self.limit - used + _DUST
        return Standing(self.limit, int(left) if left > 0 else 0, used * MINUTE_S / self.limit)


class Standing(NamedTuple):
    """Of one limit: how much, what is left of it, and in how many seconds all of it is there again."""

    limit: int
    remaining: int
    reset_s: float


class Allowance(NamedTuple):
    """Where a client stands; None where it has no such limit."""

    requests: Standing | None = None
    tokens: Standing | None = None


def tightest(standings: Sequence[Standing]) -> Standing | None:
    """Of several limits that hold at once the one that stops first."""
    if len(standings) < 2:
        return standings[0] if standings else None
    return min(standings, key=_stops_in)


def _stops_in(standing: Standing) -> tuple[int, float]:
    return standing.remaining, -standing.reset_s


class Demand(NamedTuple):
    """What a request may come to, before it runs: ``prompt`` and ``answer`` are tokens."""

    model: str
    streamed: bool
    prompt: int
    answer: int

    @property
    def tokens(self) -> int:
        return self.prompt + self.answer


def demand(request: ChatRequest, *, body_bytes: int) -> Demand:
    """As the live API counts at the door: a token for four bytes, and the most that the answer may have.

    Images, sounds and files count for nothing here: in bytes they say nothing of their tokens. An answer without a
    cap counts for nothing either. Both count in the end, by what the engine says.
    """
    said_bytes = max(body_bytes - _binary_characters(request), 0)
    answer = (normalize.max_tokens(request) or 0) * normalize.n(request)
    return Demand(request.model, normalize.is_streamed(request), math.ceil(said_bytes / _BYTES_PER_TOKEN), answer)


def spent(wanted: Demand, *, usage: Mapping[str, object] | None, pieces: int, failed: bool) -> int:
    """The tokens that a request has come to: what the engine counted, and without that what is known.

    ``pieces`` are the chunks that were seen of a stream, each about a token; ``failed``: an error was all the answer.
    Whose client left is charged for what was made until then: of a plain reply that can only be what it asked for.
    """
    total = None if usage is None else usage.get("total_tokens")
    if type(total) is int and total >= 0:
        return total
    if pieces:
        return wanted.prompt + pieces
    return 0 if failed else wanted.tokens


def month_of(unix_s: float) -> str:
    """The calendar month in UTC, ``2026-11``."""
    return _month_of_day(unix_s // _DAY_S)


@lru_cache(maxsize=4)
def _month_of_day(day: float) -> str:
    """Of the day with this number; writing out a date takes more time than all else that a limit costs."""
    return datetime.fromtimestamp(day * _DAY_S, UTC).strftime("%Y-%m")


def month_left_s(unix_s: float) -> int:
    """Seconds until the next month begins in UTC, at least 1."""
    now = datetime.fromtimestamp(unix_s, UTC)
    following = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    return max(math.ceil((following - now).total_seconds()), 1)


def spelled(duration_s: float) -> str:
    """As the live API spells it: ``0s``, ``644ms``, ``8.64s``, ``6m0s``, ``1h0m0s``; rounded up to milliseconds.

    That is how Go prints a duration: https://pkg.go.dev/time#Duration.String
    """
    ms = math.ceil(round(duration_s * 1000, 3))
    if ms <= 0:
        return "0s"
    if ms < 1000:
        return f"{ms}ms"
    minutes, ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{ms / 1000:.3f}".rstrip("0").rstrip(".")
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{seconds}s"


def _binary_characters(request: ChatRequest) -> int:
    """Of what comes in messages as base64."""
    size = 0
    for message in request.messages:
        content: object = message.content
        for part in content if isinstance(content, list) else ():
            match part:
                case ImagePart():
                    size += len(part.image_url.url)
                case AudioPart():
                    size += len(part.input_audio.data)
                case FilePart():
                    size += len(normalize.given(part.file.file_data) or "")
    return size

"""Who has used how much: counts what keys and projects may do, and refuses what is too much.

The rules are ``core.quota``'s. Everything is counted in this process, so that a request waits for nobody; what other
servers on the same database have counted is taken over by ``limits.Limiter.at_work``, a few times a second. A database
that is away stops that and nothing else.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Final

from hansard.core.policies import Limits
from hansard.core.quota import (
    Allowance,
    Bucket,
    Demand,
    Standing,
    month_left_s,
    month_of,
    spelled,
    spent,
    tightest,
)
from hansard.errors import HansardError, LimitReached, QuotaExhausted, RequestTooCostly
from hansard.runs import Progress
from hansard.tenancy import Principal

_NONE: Final = Limits()

# What runs at once ends when it ends: nobody knows when.
_SOON_S: Final = 1.0


class Account:
    """One key's counts, or one project's."""

    def __init__(self, limits: Limits, *, project: str, key: str) -> None:
        self.project = project
        self.key = key
        self.requests: Bucket | None = None
        self.tokens: Bucket | None = None
        self.running = 0
        self.streams = 0
        self.month = ""
        self.spent = 0
        """Tokens of this month, as far as is known."""
        self.reserved = 0
        """Tokens of what runs now."""
        self.limits = _NONE
        self.hold(limits)

    @property
    def whose(self) -> str:
        """As an error names it."""
        return f"in project {self.project}" + (" with this key" if self.key else "")

    def hold(self, limits: Limits) -> None:
        """From now on these hold; what was used stays used."""
        self.limits = limits
        self.requests = _bucket(self.requests, limits.requests_per_minute)
        self.tokens = _bucket(self.tokens, limits.tokens_per_minute)

    def refusal(self, wanted: Demand, *, now: float, unix_s: float) -> HansardError | None:
        """Why it may not run now."""
        limits = self.limits
        counted = (
            ("requests per min (RPM)", "requests", self.requests, 1),
            ("tokens per min (TPM)", "tokens", self.tokens, wanted.tokens),
        )
        for name, unit, bucket, amount in counted:
            if bucket is not None and (wait_s := bucket.wait_s(amount, now)):
                return self._too_much(wanted, name, unit, bucket=bucket, amount=amount, wait_s=wait_s, now=now)
        at_once = (
            ("concurrent requests", self.running, limits.concurrent_requests, True),
            ("concurrent streams", self.streams, limits.concurrent_streams, wanted.streamed),
        )
        for name, running, limit, counts in at_once:
            if limit is not None and counts and running >= limit:
                return self._reached(wanted, name, "requests", limit=limit, used=running, amount=1, wait_s=_SOON_S)
        if limits.tokens_per_month is not None:
            self._turn(unix_s)
            if self.spent + self.reserved + wanted.tokens > limits.tokens_per_month:
                return QuotaExhausted(retry_after_s=month_left_s(unix_s))
        return None

    def take(self, wanted: Demand, *, now: float) -> None:
        """It runs."""
        self.running += 1
        self.streams += wanted.streamed
        self.reserved += wanted.tokens
        if self.requests is not None:
            self.requests.add(1, now)
        if self.tokens is not None:
            self.tokens.add(wanted.tokens, now)

    def settle(self, wanted: Demand, tokens: int, *, since: float, now: float, unix_s: float) -> None:
        """What was taken at ``since`` has ended, and came to so many tokens."""
        self.running -= 1
        self.streams -= wanted.streamed
        self.reserved -= wanted.tokens
        if self.tokens is not None:
            self.tokens.correct(tokens - wanted.tokens, since, now)
        self._turn(unix_s)
        self.spent += tokens

    def _turn(self, unix_s: float) -> None:
        """A new month begins with nothing."""
        month = month_of(unix_s)
        if month != self.month:
            self.month, self.spent = month, 0

    def _too_much(
        self, wanted: Demand, name: str, unit: str, *, bucket: Bucket, amount: int, wait_s: float, now: float
    ) -> HansardError:
        if wait_s == math.inf and unit == "tokens":
            of = f"{self.whose} on {name}"
            return RequestTooCostly(of, model=wanted.model, limit=bucket.limit, asked=amount)
        used = math.ceil(bucket.used(now))
        if wait_s == math.inf:  # none at all are allowed
            wait_s = 60.0
        return self._reached(wanted, name, unit, limit=bucket.limit, used=used, amount=amount, wait_s=wait_s)

    def _reached(
        self, wanted: Demand, name: str, unit: str, *, limit: int, used: int, amount: int, wait_s: float
    ) -> LimitReached:
        return LimitReached(
            f"{self.whose} on {name}",
            unit=unit,
            model=wanted.model,
            limit=limit,
            used=used,
            asked=amount,
            wait_s=wait_s,
            wait=spelled(wait_s),
        )


class Limiter:
    """Counts for everyone who has a limit. ``clock`` is monotonic seconds, ``calendar`` unix seconds."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, calendar: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._calendar = calendar
        self._accounts: dict[tuple[str, str], Account] = {}

    def reserve(self, principal: Principal, wanted: Callable[[], Demand], progress: Progress) -> Reservation:
        """A place for a request, to be entered; that raises RateLimited if there is none.

        ``wanted`` is asked only for one who has limits. ``progress`` is told where its client stands, and knows in
        the end what came of it.
        """
        accounts = self._of(principal)
        if not accounts:
            return UNLIMITED
        demand = wanted()
        now, unix_s = self._clock(), self._calendar()
        refusals = (account.refusal(demand, now=now, unix_s=unix_s) for account in accounts)
        refusal = next((one for one in refusals if one is not None), None)
        if refusal is None:
            for account in accounts:
                account.take(demand, now=now)
        progress.allowance = _allowance(accounts, now)
        return _Refused(refusal) if refusal else _Taken(self, accounts, demand, progress=progress, since=now)

    def settle(self, accounts: Iterable[Account], wanted: Demand, *, tokens: int, since: float) -> None:
        """What a reservation stood for has ended."""
        now, unix_s = self._clock(), self._calendar()
        for account in accounts:
            account.settle(wanted, tokens, since=since, now=now, unix_s=unix_s)

    def _of(self, principal: Principal) -> tuple[Account, ...]:
        """The accounts that its requests count for: those with a limit, the key's before the project's."""
        own, all_of_project = principal.policy.limits, principal.project_policy.limits
        if own == _NONE and all_of_project == _NONE:
            return ()
        held = (own, principal.key or "-"), (all_of_project, "")
        return tuple(self._account(principal.project, key, limits) for limits, key in held if limits != _NONE)

    def _account(self, project: str, key: str, limits: Limits) -> Account:
        account = self._accounts.get((project, key))
        if account is None:
            account = self._accounts[project, key] = Account(limits, project=project, key=key)
        elif account.limits is not limits and account.limits != limits:
            account.hold(limits)
        return account


class Reservation:
    """The block in which a request runs. However it is left, what it came to is settled."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


UNLIMITED: Final = Reservation()
"""That of everyone without a limit."""


class _Refused(Reservation):
    def __init__(self, refusal: HansardError) -> None:
        self._refusal = refusal

    def __enter__(self) -> None:
        raise self._refusal


class _Taken(Reservation):
    def __init__(
        self, limiter: Limiter, accounts: tuple[Account, ...], wanted: Demand, *, progress: Progress, since: float
    ) -> None:
        self._limiter = limiter
        self._accounts = accounts
        self._wanted = wanted
        self._progress = progress
        self._since = since

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        progress = self._progress
        failed = isinstance(error, Exception)  # a client that leaves is none
        tokens = spent(self._wanted, usage=progress.usage, pieces=progress.pieces, failed=failed)
        self._limiter.settle(self._accounts, self._wanted, tokens=tokens, since=self._since)


def _bucket(before: Bucket | None, limit: int | None) -> Bucket | None:
    if limit is None:
        return None
    if before is None:
        return Bucket(limit)
    before.limit = limit
    return before


def _allowance(accounts: Iterable[Account], now: float) -> Allowance:
    accounts = tuple(accounts)
    return Allowance(
        requests=tightest(list(_standings((account.requests for account in accounts), now))),
        tokens=tightest(list(_standings((account.tokens for account in accounts), now))),
    )


def _standings(buckets: Iterable[Bucket | None], now: float) -> Iterator[Standing]:
    return (bucket.standing(now) for bucket in buckets if bucket is not None)

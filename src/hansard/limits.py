"""Who has used how much: counts what keys and projects may do, and refuses what is too much.

The rules are ``core.quota``'s. Everything is counted in this process, so that a request waits for nobody; what other
servers on the same database have counted is taken over by ``limits.Limiter.at_work``, a few times a second. A database
that is away stops that and nothing else.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Final

from hansard.core.policies import Limits
from hansard.core.quota import (
    MINUTE_S,
    Allowance,
    Bucket,
    Demand,
    Unit,
    month_left_s,
    month_of,
    spelled,
    spent,
    tightest,
)
from hansard.errors import HansardError, LimitReached, QuotaExhausted, RequestTooCostly, StoreUnavailable
from hansard.observe import Crashed, Observer, ignore
from hansard.runs import Progress
from hansard.store.base import Tallies, Tally
from hansard.tenancy import Principal

SHARED_EVERY_S: Final = 0.25
"""How old, beside the time of a transaction, a server's knowledge of what others have counted may be."""

KEPT_EVERY_S: Final = 1.0
"""How much of a month's count is lost with a process that is killed, where there is one."""

HEARD_EVERY_S: Final = 1.0
"""How old its knowledge is of what others have used of months, for whom nobody has asked here."""

# From when the database's clock was read for an addition until that is committed.
_COMMITTED_WITHIN_S: Final = 10.0

LET_GO: Final = 256  # accounts, until it is asked whose month has to be known no more

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
        self.touched = 0.0
        """When somebody last asked, by the limiter's clock."""
        self.unsent: dict[str, float] = {}
        """What is counted here and not yet in the database."""
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
        self._buckets: list[tuple[str, Unit, Bucket]] = []
        if self.requests is not None:
            self._buckets.append(("requests per min (RPM)", "requests", self.requests))
        if self.tokens is not None:
            self._buckets.append(("tokens per min (TPM)", "tokens", self.tokens))

    def refusal(self, wanted: Demand, *, now: float, unix_s: float) -> HansardError | None:
        """Why it may not run now."""
        for name, unit, bucket in self._buckets:
            amount = 1 if unit == "requests" else wanted.tokens
            if wait_s := bucket.wait_s(amount, now):
                return self._too_much(wanted, name, unit, bucket=bucket, amount=amount, wait_s=wait_s, now=now)
        limits = self.limits
        most = limits.concurrent_requests
        if most is not None and self.running >= most:
            return self._at_once(wanted, "concurrent requests", limit=most, used=self.running)
        most = limits.concurrent_streams
        if most is not None and wanted.streamed and self.streams >= most:
            return self._at_once(wanted, "concurrent streams", limit=most, used=self.streams)
        if limits.tokens_per_month is not None:
            self._turn(unix_s)
            if self.spent + self.reserved + wanted.tokens > limits.tokens_per_month:
                return QuotaExhausted(retry_after_s=month_left_s(unix_s))
        return None

    def take(self, wanted: Demand, *, now: float) -> None:
        """It runs."""
        tokens = wanted.tokens
        self.running += 1
        self.streams += wanted.streamed
        self.reserved += tokens
        if self.requests is not None:
            self.requests.add(1, now)
            self._note("requests", 1)
        if self.tokens is not None:
            self.tokens.add(tokens, now)
            self._note("tokens", tokens)

    def settle(self, wanted: Demand, tokens: int, *, since: float, now: float, unix_s: float) -> None:
        """What was taken at ``since`` has ended, and came to so many tokens."""
        reserved = wanted.tokens
        self.running -= 1
        self.streams -= wanted.streamed
        self.reserved -= reserved
        if self.tokens is not None:
            self._note("tokens", self.tokens.correct(tokens - reserved, since, now))
        self._turn(unix_s)
        self.spent += tokens
        self._note(self.month, tokens)

    def is_idle(self, now: float) -> bool:
        """Whether nothing would be known any less without it, but for what its month has used."""
        buckets = [bucket for bucket in (self.requests, self.tokens) if bucket is not None]
        is_over = now - self.touched > MINUTE_S and not any(bucket.used(now) for bucket in buckets)
        return is_over and not (self.running or self.unsent)

    def changes(self, *, shared: bool) -> list[Tally]:
        """What is to be added to the database's counts, which is to be asked for even if it is nothing."""
        minutes = [
            Tally(self.project, self.key, unit, self.unsent.get(unit, 0.0), bucket.limit / MINUTE_S)
            for _, unit, bucket in self._buckets
            if shared
        ]
        months = {self.month, *self.unsent} - {"", "requests", "tokens"}
        self.unsent, unsent = {}, self.unsent
        return minutes + [Tally(self.project, self.key, month, unsent.get(month, 0.0)) for month in sorted(months)]

    def kept_back(self, tally: Tally) -> None:
        """It could not be sent."""
        self._note(tally.what, tally.change)

    def learn(self, what: str, used: float, *, now: float) -> None:
        """So much all have used, by the database's count; what was counted here since is not in it."""
        used += self.unsent.get(what, 0.0)
        bucket = {"requests": self.requests, "tokens": self.tokens}.get(what)
        if bucket is not None:
            bucket.set(used, now)
        elif what == self.month:
            self.spent = round(used)

    def begin(self, month: str, spent: float) -> None:
        """What was used of the month before this server began."""
        self.month, self.spent = month, round(spent)

    def _note(self, what: str, amount: float) -> None:
        self.unsent[what] = self.unsent.get(what, 0.0) + amount

    def _turn(self, unix_s: float) -> None:
        """A new month begins with nothing."""
        month = month_of(unix_s)
        if month != self.month:
            self.month, self.spent = month, 0

    def _too_much(
        self, wanted: Demand, name: str, unit: Unit, *, bucket: Bucket, amount: int, wait_s: float, now: float
    ) -> HansardError:
        if wait_s == math.inf:  # of tokens only: a limit of requests is one at least
            return RequestTooCostly(f"{self.whose} on {name}", model=wanted.model, limit=bucket.limit, asked=amount)
        used = math.ceil(bucket.used(now))
        return self._reached(wanted, name, unit, limit=bucket.limit, used=used, amount=amount, wait_s=wait_s)

    def _at_once(self, wanted: Demand, name: str, *, limit: int, used: int) -> HansardError:
        return self._reached(wanted, name, "requests", limit=limit, used=used, amount=1, wait_s=_SOON_S)

    def _reached(
        self, wanted: Demand, name: str, unit: Unit, *, limit: int, used: int, amount: int, wait_s: float
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
        self,
        *,
        store: Tallies | None = None,
        observer: Observer = ignore,
        clock: Callable[[], float] = time.monotonic,
        calendar: Callable[[], float] = time.time,
        let_go: int = LET_GO,
    ) -> None:
        self._clock = clock
        self._calendar = calendar
        self._store = store
        self._observer = observer
        self._accounts: dict[tuple[str, str], Account] = {}
        self._month = ""
        self._spent: dict[tuple[str, str], float] = {}
        self._let_go, self._most_let_go = 0, let_go
        self._heard = -math.inf

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
        for account in accounts:
            account.touched = now
        for account in accounts:
            if (refusal := account.refusal(demand, now=now, unix_s=unix_s)) is not None:
                progress.allowance = _allowance(accounts, now)
                return _Refused(refusal)
        for account in accounts:
            account.take(demand, now=now)
        progress.allowance = _allowance(accounts, now)
        return _Taken(self, accounts, demand, progress=progress, since=now)

    def standing(self, project: str, key: str = "") -> Allowance:
        """Where a key stands, or a project."""
        account = self._accounts.get((project, key))
        return Allowance() if account is None else _allowance([account], self._clock())

    def settle(self, accounts: Iterable[Account], wanted: Demand, *, tokens: int, since: float) -> None:
        """What a reservation stood for has ended."""
        now, unix_s = self._clock(), self._calendar()
        for account in accounts:
            account.settle(wanted, tokens, since=since, now=now, unix_s=unix_s)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Share the counts meanwhile, and once more in the end. The store must be open."""
        store = self._store
        if store is None:
            yield
            return
        self._month = month_of(self._calendar())
        with suppress(StoreUnavailable):  # then the first exchange tells
            await self._recall(store)
        # Not in a task group: it would wrap what whoever runs beside it raises, and this task raises nothing.
        over = asyncio.Event()
        task = asyncio.get_running_loop().create_task(self._share(store, over), name="hansard-limits")
        try:
            yield
        finally:
            over.set()  # not cancelled: what is under way would be counted twice
            await asyncio.wait([task])

    async def exchange(self, store: Tallies) -> None:
        """Send what was counted here, and take over what all have; StoreUnavailable if that is not known."""
        self._forget()
        if self._let_go >= self._most_let_go or (store.is_shared and self._heard == -math.inf):
            await self._recall(store)
        elif store.is_shared and self._clock() - self._heard >= HEARD_EVERY_S:
            await self._hear(store)
        recent = self._clock() - MINUTE_S
        accounts = [one for one in self._accounts.values() if one.unsent or one.touched > recent]
        sent = [(account, tally) for account in accounts for tally in account.changes(shared=store.is_shared)]
        if not sent:
            return
        try:
            used = await store.tally([tally for _, tally in sent])
        except BaseException:
            for account, tally in sent:
                account.kept_back(tally)
            raise
        now = self._clock()
        for (account, tally), amount in zip(sent, used, strict=True):
            account.learn(tally.what, amount, now=now)

    def _forget(self) -> None:
        """Let accounts go that are idle. Of each a number stays until its month is over, or its key counts no more."""
        now, month = self._clock(), month_of(self._calendar())
        if month != self._month:
            self._month, self._spent = month, {}
        for place, account in [each for each in self._accounts.items() if each[1].is_idle(now)]:
            del self._accounts[place]
            if account.month == month and account.spent:
                self._spent[place] = account.spent
                self._let_go += 1

    async def _hear(self, store: Tallies) -> None:
        """What was added since to the month, by whatever server."""
        now, month = self._clock(), self._month
        for each in await store.tallied(month, within_s=now - self._heard + _COMMITTED_WITHIN_S):
            self._spent[each.project, each.key] = each.change
            if (account := self._accounts.get((each.project, each.key))) is not None:
                account.learn(month, each.change, now=now)
        self._heard = now

    async def _recall(self, store: Tallies) -> None:
        """What was used of the month, as the database has it, which knows which keys count no more."""
        self._heard = self._clock()
        self._spent = {(each.project, each.key): each.change for each in await store.tallied(self._month)}
        self._let_go = 0

    async def _share(self, store: Tallies, over: asyncio.Event) -> None:
        every_s = SHARED_EVERY_S if store.is_shared else KEPT_EVERY_S
        is_last = False
        while not is_last:
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), every_s)
            is_last = over.is_set()
            try:
                with suppress(StoreUnavailable):  # each server goes on by its own counts
                    await self.exchange(store)
            except Exception as error:  # noqa: BLE001 - the edge of this task: a bug here must not end the server
                self._observer(Crashed(request_id="limits", exception=error))

    def _of(self, principal: Principal) -> tuple[Account, ...]:
        """The accounts that its requests count for: those with a limit, the key's before the project's."""
        own, all_of_project = principal.policy.limits, principal.project_policy.limits
        found: tuple[Account, ...] = ()
        if own != _NONE:
            found += (self._account(principal.project, principal.key or "-", own),)
        if all_of_project != _NONE:
            found += (self._account(principal.project, "", all_of_project),)
        return found

    def _account(self, project: str, key: str, limits: Limits) -> Account:
        account = self._accounts.get((project, key))
        if account is None:
            account = self._accounts[project, key] = Account(limits, project=project, key=key)
            account.begin(self._month, self._spent.get((project, key), 0.0))
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


def _allowance(accounts: Sequence[Account], now: float) -> Allowance:
    return Allowance(
        requests=tightest([one.requests.standing(now) for one in accounts if one.requests is not None]),
        tokens=tightest([one.tokens.standing(now) for one in accounts if one.tokens is not None]),
    )

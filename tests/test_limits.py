"""limits.py: what is refused and in which words, what is settled, and where a client is told that it stands."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from hansard.core.policies import Limits, Policy
from hansard.core.quota import Allowance, Demand, Standing
from hansard.errors import HansardError, LimitReached, QuotaExhausted, RateLimited, RequestTooCostly
from hansard.limits import UNLIMITED, Limiter
from hansard.runs import Progress
from hansard.tenancy import Principal

NOVEMBER = datetime(2026, 11, 30, 23, 59, 0, tzinfo=UTC).timestamp()


class Clocks:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def calendar(self) -> float:
        return NOVEMBER + self.now - 1000.0


class Desk:
    """A limiter, and requests that run there."""

    def __init__(self, *, key: Limits | None = None, project: Limits | None = None) -> None:
        self.clocks = Clocks()
        self.limiter = Limiter(clock=self.clocks.monotonic, calendar=self.clocks.calendar)
        self.principal = principal("k1", key=key, project=project)

    def run(
        self, *, tokens: int = 0, streamed: bool = False, spends: int | None = None, by: Principal | None = None
    ) -> Progress:
        """A whole request."""
        with self.running(tokens=tokens, streamed=streamed, by=by) as running:
            running.spends(spends)
        return running.progress

    def running(self, *, tokens: int = 0, streamed: bool = False, by: Principal | None = None) -> Running:
        return Running(self.limiter, by or self.principal, Demand("m", streamed, 0, tokens))

    def refused(self, *, tokens: int = 0, streamed: bool = False, by: Principal | None = None) -> RateLimited:
        with pytest.raises(RateLimited) as refusal:
            self.run(tokens=tokens, streamed=streamed, by=by)
        return refusal.value


class Running:
    def __init__(self, limiter: Limiter, principal: Principal, wanted: Demand) -> None:
        self.progress = Progress()
        self.reservation = limiter.reserve(principal, lambda: wanted, self.progress)

    def spends(self, tokens: int | None) -> None:
        self.progress.usage = None if tokens is None else {"total_tokens": tokens}

    def __enter__(self) -> Running:
        self.reservation.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self.reservation.__exit__(*raised)  # type: ignore[arg-type]


def principal(mark: str, *, key: Limits | None = None, project: Limits | None = None) -> Principal:
    return Principal(
        "acme",
        mark,
        policy=Policy(limits=key or Limits()),
        project_policy=Policy(limits=project or Limits()),
    )


def test_requests_over_the_limit_are_refused_in_the_words_of_the_live_api() -> None:
    desk = Desk(project=Limits(requests_per_minute=3))
    for _ in range(3):
        desk.run()

    error = desk.refused()

    assert error.message == (
        "Rate limit reached for m in project acme on requests per min (RPM): Limit 3, Used 3, Requested 1. "
        "Please try again in 20s."
    )
    assert (error.status, error.type, error.code) == (429, "requests", "rate_limit_exceeded")
    assert (error.retry_after_s, error.retry_after_ms, error.is_final) == (20, 20_000, False)


def test_the_time_that_is_named_is_long_enough_and_no_longer() -> None:
    desk = Desk(project=Limits(requests_per_minute=3))
    for _ in range(3):
        desk.run()

    desk.clocks.now += 19.9
    assert isinstance(desk.refused(), LimitReached)
    desk.clocks.now += 0.1
    desk.run()


def test_tokens_over_the_limit_are_refused_as_such() -> None:
    desk = Desk(key=Limits(tokens_per_minute=30_000))
    desk.run(spends=29_937)

    error = desk.refused(tokens=385)

    # The numbers of the dossier's own example.
    assert error.message == (
        "Rate limit reached for m in project acme with this key on tokens per min (TPM): Limit 30000, Used 29937, "
        "Requested 385. Please try again in 644ms."
    )
    assert (error.type, error.retry_after_s, error.retry_after_ms) == ("tokens", 1, 644)


def test_a_request_of_more_tokens_than_a_minute_has_is_not_to_be_sent_again() -> None:
    error = Desk(project=Limits(tokens_per_minute=30_000)).refused(tokens=39_143)

    assert isinstance(error, RequestTooCostly)
    # Recorded: https://community.openai.com/t/request-too-large-for-gpt-4o/863460
    assert error.message.startswith(
        "Request too large for m in project acme on tokens per min (TPM): Limit 30000, Requested 39143. The input or"
    )
    assert (error.type, error.code, error.is_final) == ("tokens", "rate_limit_exceeded", True)


def test_a_refused_request_uses_nothing() -> None:
    desk = Desk(key=Limits(requests_per_minute=1), project=Limits(requests_per_minute=10))
    desk.run()
    for _ in range(20):
        desk.refused()

    other = principal("k2", project=Limits(requests_per_minute=10))
    for _ in range(9):
        desk.run(by=other)


def test_what_was_asked_for_and_not_used_is_given_back() -> None:
    desk = Desk(key=Limits(tokens_per_minute=1000))
    desk.run(tokens=900, spends=100)

    assert _tokens(desk.run(tokens=900)).remaining == 0


def test_while_it_runs_a_request_holds_all_it_asked_for() -> None:
    desk = Desk(key=Limits(tokens_per_minute=1000))
    with desk.running(tokens=900):
        desk.refused(tokens=101)
        desk.run(tokens=100)


def test_what_has_run_out_meanwhile_is_not_given_back_a_second_time() -> None:
    desk = Desk(key=Limits(tokens_per_minute=1000))
    with desk.running(tokens=1000) as long:
        desk.clocks.now += 60
        desk.run(tokens=1000, spends=1000)
        long.spends(100)

    desk.refused(tokens=100)


@pytest.mark.parametrize("streamed", [False, True])
def test_so_many_requests_run_at_once(streamed: bool) -> None:
    desk = Desk(key=Limits(concurrent_requests=2))
    with desk.running(streamed=streamed), desk.running():
        error = desk.refused()
        assert "on concurrent requests: Limit 2, Used 2, Requested 1." in error.message
        assert (error.type, error.retry_after_s) == ("requests", 1)
    desk.run()


def test_streams_are_counted_apart() -> None:
    desk = Desk(key=Limits(concurrent_streams=1))
    with desk.running(streamed=True):
        assert "on concurrent streams: Limit 1" in desk.refused(streamed=True).message
        desk.run()
    desk.run(streamed=True)


@pytest.mark.parametrize("raised", [HansardError("failed"), asyncio.CancelledError(), GeneratorExit()])
def test_a_place_is_free_again_however_the_request_ends(raised: BaseException) -> None:
    desk = Desk(key=Limits(concurrent_requests=1, concurrent_streams=1))
    with pytest.raises(type(raised)), desk.running(streamed=True):
        raise raised

    desk.run(streamed=True)


@pytest.mark.parametrize(
    ("raised", "pieces", "left"),
    [
        (HansardError("no engine"), 0, 1000),  # nothing was made
        (HansardError("broken off"), 30, 970),
        (GeneratorExit(), 30, 970),  # the client left a stream
        (asyncio.CancelledError(), 0, 400),  # and a plain request: it holds what it asked for
    ],
)
def test_who_leaves_or_fails_pays_for_what_was_made(raised: BaseException, pieces: int, left: int) -> None:
    desk = Desk(key=Limits(tokens_per_minute=1000))
    with pytest.raises(type(raised)), desk.running(tokens=600) as running:
        running.progress.pieces = pieces
        raise raised

    standing = _tokens(desk.run())
    assert standing.remaining == left


def test_the_month_ends_in_the_words_of_the_live_api_and_comes_again() -> None:
    desk = Desk(project=Limits(tokens_per_month=100))
    desk.run(spends=100)

    error = desk.refused(tokens=1)

    assert isinstance(error, QuotaExhausted)
    assert error.message == "You exceeded your current quota, please check your plan and billing details."
    assert (error.type, error.code, error.is_final) == ("insufficient_quota", "insufficient_quota", True)
    assert error.retry_after_s == 60
    desk.clocks.now += 60
    desk.run(tokens=100)


def test_the_month_counts_what_runs() -> None:
    desk = Desk(project=Limits(tokens_per_month=100))
    with desk.running(tokens=60):
        desk.refused(tokens=41)
    desk.run(tokens=40)


def test_of_the_limits_of_a_key_and_of_its_project_both_hold() -> None:
    desk = Desk(key=Limits(requests_per_minute=100), project=Limits(requests_per_minute=2))
    other = principal("k2", project=Limits(requests_per_minute=2))
    desk.run()
    desk.run(by=other)

    assert "in project acme on requests" in desk.refused().message
    assert "in project acme on requests" in desk.refused(by=other).message


def test_keys_do_not_use_each_others_limits() -> None:
    desk = Desk(key=Limits(requests_per_minute=1))
    desk.run()

    other = desk.run(by=principal("k2", key=Limits(requests_per_minute=1)))

    assert other.allowance == Allowance(Standing(1, 0, 60.0))


def test_a_changed_limit_holds_at_once_and_what_was_used_stays_used() -> None:
    desk = Desk(key=Limits(requests_per_minute=1))
    desk.run()
    more = principal("k1", key=Limits(requests_per_minute=2))
    desk.run(by=more)

    desk.refused(by=more)


def test_a_client_is_told_where_it_stands_after_this_request() -> None:
    desk = Desk(key=Limits(requests_per_minute=60), project=Limits(requests_per_minute=600, tokens_per_minute=6000))

    allowance = desk.run(tokens=100).allowance

    assert allowance == Allowance(Standing(60, 59, 1.0), Standing(6000, 5900, 1.0))


def test_a_refused_client_is_told_as_well() -> None:
    desk = Desk(key=Limits(requests_per_minute=1))
    desk.run()
    running = desk.running()

    assert running.progress.allowance == Allowance(Standing(1, 0, 60.0), None)


def test_for_whoever_has_no_limit_nothing_is_counted() -> None:
    def never() -> Demand:
        raise AssertionError("nobody needs it")

    progress = Progress()
    reservation = Limiter().reserve(Principal("acme", "k1"), never, progress)

    assert reservation is UNLIMITED
    assert progress.allowance is None


def _tokens(progress: Progress) -> Standing:
    assert progress.allowance is not None
    assert progress.allowance.tokens is not None
    return progress.allowance.tokens

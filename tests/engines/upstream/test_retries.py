"""engines/upstream/retries.py: what is tried again, how soon, and how much of it."""

from __future__ import annotations

import pytest

from hansard.engines.upstream.retries import Budget, Pauses, asked_pause_s
from hansard.errors import (
    EngineBusy,
    HansardError,
    InvalidRequest,
    RateLimited,
    Unavailable,
    UpstreamFailed,
    UpstreamTimeout,
)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (UpstreamFailed("refused, reset, TLS", code="upstream_unreachable"), True),
        (UpstreamFailed("500, 502", code="upstream_error"), True),
        (Unavailable("503"), True),
        (Unavailable("503, come back in two seconds", retry_after_s=2), True),
        (Unavailable("503, come back in a minute", retry_after_s=60), False),
        (UpstreamFailed("the operator's key", code="upstream_auth"), False),
        (UpstreamFailed("no JSON", code="upstream_invalid_response"), False),
        (UpstreamTimeout("too late"), False),
        (EngineBusy("no connection of ours came free"), False),
        (RateLimited("slow down"), False),
        (InvalidRequest("wrong"), False),
    ],
    ids=lambda value: str(value),
)
def test_what_is_worth_another_try(error: HansardError, again: bool) -> None:
    assert Pauses().allow(error) is again


def test_the_delay_doubles_up_to_a_bound_and_chance_spreads_it() -> None:
    assert [Pauses().after(tries, 1.0) for tries in (1, 2, 3, 10)] == [0.1, 0.2, 0.4, 2.0]
    assert [Pauses().after(2, chance) for chance in (0.0, 0.25)] == [0.0, 0.05]


def test_the_budget_is_ten_retries_and_a_fifth_of_the_calls() -> None:
    budget = Budget()

    assert [budget.spend() for _ in range(11)] == [True] * 10 + [False]
    spent = 0
    for _ in range(100):
        budget.earn()
        spent += budget.spend()

    assert spent in (19, 20)  # 0.2 is no exact number


def test_calls_that_go_well_do_not_save_up() -> None:
    budget = Budget()

    for _ in range(1000):
        budget.earn()

    assert sum(budget.spend() for _ in range(1000)) == 10


def test_the_pauses_can_be_others() -> None:
    pauses = Pauses(first_s=1.0, longest_s=3.0)

    assert [pauses.after(tries, 1.0) for tries in (1, 2, 3)] == [1.0, 2.0, 3.0]
    assert pauses.allow(Unavailable("x", retry_after_s=3))
    assert not pauses.allow(Unavailable("x", retry_after_s=4))


def test_the_budget_can_be_another() -> None:
    none, half = Budget(share=0.0, reserve=0.0), Budget(share=0.5, reserve=0.0)
    spent = []
    for _ in range(4):
        none.earn()
        half.earn()
        spent.append((none.spend(), half.spend()))

    assert spent == [(False, False), (False, True), (False, False), (False, True)]


def test_a_retry_after_that_is_too_long_is_not_waited_for_whatever_failed() -> None:
    assert Pauses().allow(UpstreamFailed("x", code="upstream_error", retry_after_s=2))
    assert not Pauses().allow(UpstreamFailed("x", code="upstream_error", retry_after_s=3))


def test_only_a_retry_after_that_was_sent_counts() -> None:
    bare = Unavailable("503")

    assert bare.retry_after_s == 1  # what our own client is told
    assert asked_pause_s(bare) == 0
    assert asked_pause_s(Unavailable("503", retry_after_s=1)) == 1
    assert Pauses(longest_s=0.5).allow(bare)
    assert not Pauses(longest_s=0.5).allow(Unavailable("503", retry_after_s=1))

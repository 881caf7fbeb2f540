"""engines/upstream/breaker.py: closed, open, half-open."""

from __future__ import annotations

from hansard.engines.upstream.breaker import Breaker


def opened() -> Breaker:
    """A breaker that opened at 0 for 2 seconds."""
    breaker = Breaker(failures=3, pause_s=2.0, longest_pause_s=5.0)
    for _ in range(3):
        assert breaker.admit(0.0)
        breaker.failed(0.0)
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = Breaker(failures=3)

    for outcome in ("failed", "failed", "succeeded", "failed", "failed"):
        assert breaker.admit(0.0)
        breaker.failed(0.0) if outcome == "failed" else breaker.succeeded()
        assert breaker.state(0.0) == "closed"
    breaker.failed(0.0)

    assert breaker.state(0.0) == "open"
    assert not breaker.admit(0.0)


def test_it_says_how_long_it_stays_open() -> None:
    assert [opened().wait_s(now) for now in (0.0, 1.5, 2.0)] == [2.0, 0.5, 0.0]


def test_after_the_pause_one_call_is_the_probe() -> None:
    breaker = opened()

    assert breaker.state(2.0) == "half-open"
    assert [breaker.admit(2.0), breaker.admit(2.0)] == [True, False]
    assert breaker.wait_s(2.0) == 1.0


def test_a_probe_that_succeeds_closes_it() -> None:
    breaker = opened()
    breaker.admit(2.0)

    breaker.succeeded()

    assert breaker.state(2.0) == "closed"
    assert [breaker.admit(2.0), breaker.admit(2.0)] == [True, True]


def test_every_probe_that_fails_makes_the_pause_longer_up_to_a_bound() -> None:
    breaker = opened()
    now, pauses = 2.0, []

    for _ in range(3):
        assert breaker.admit(now)
        breaker.failed(now)
        pauses.append(breaker.wait_s(now))
        now += pauses[-1]

    assert pauses == [4.0, 5.0, 5.0]


def test_after_it_closed_the_pause_is_short_again() -> None:
    breaker = opened()
    breaker.admit(2.0)
    breaker.failed(2.0)
    breaker.admit(6.0)
    breaker.succeeded()

    for _ in range(3):
        breaker.failed(7.0)

    assert breaker.wait_s(7.0) == 2.0


def test_a_probe_that_nobody_waited_for_makes_room_for_another() -> None:
    breaker = opened()
    breaker.admit(2.0)

    breaker.abandoned()

    assert breaker.admit(2.0)


def test_calls_from_before_it_opened_do_not_prolong_it() -> None:
    breaker = opened()

    breaker.failed(1.0)

    assert breaker.wait_s(1.0) == 1.0


def test_it_can_let_several_probes_through() -> None:
    breaker = Breaker(failures=1, pause_s=2.0, probes=2)
    breaker.failed(0.0)

    assert [breaker.admit(2.0) for _ in range(3)] == [True, True, False]


def test_of_several_probes_the_first_to_fail_counts_and_the_others_do_not() -> None:
    breaker = Breaker(failures=1, pause_s=2.0, probes=2)
    breaker.failed(0.0)
    breaker.admit(2.0)
    breaker.admit(2.0)

    breaker.failed(3.0)
    breaker.failed(4.0)

    assert breaker.wait_s(3.0) == 4.0


def test_without_a_limit_it_never_opens() -> None:
    breaker = Breaker(failures=0)

    for now in range(100):
        breaker.failed(float(now))

    assert breaker.admit(100.0)

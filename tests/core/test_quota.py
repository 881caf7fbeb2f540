"""core/quota.py: buckets, months, what a request counts for, and how waits are spelled."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.core.quota import (
    Bucket,
    Demand,
    Standing,
    demand,
    month_left_s,
    month_of,
    spelled,
    spent,
    tightest,
)
from hansard.core.validate import parse_create

WANTED = Demand("m", streamed=False, prompt=10, answer=50)


def test_the_wait_is_the_one_that_the_live_api_names() -> None:
    bucket = Bucket(30_000)
    bucket.set(29_937, 0.0)

    assert spelled(bucket.wait_s(385, 0.0)) == "644ms"  # dossier, section e


def test_three_requests_a_minute_come_again_every_twenty_seconds() -> None:
    bucket = Bucket(3)
    for _ in range(3):
        assert bucket.wait_s(1, 0.0) == 0.0
        bucket.add(1, 0.0)

    assert bucket.wait_s(1, 0.0) == pytest.approx(20.0)
    assert bucket.wait_s(1, 19.9) > 0.0
    assert bucket.wait_s(1, 20.0) == 0.0


def test_what_is_larger_than_the_limit_never_fits() -> None:
    assert Bucket(10).wait_s(11, 0.0) == math.inf


def test_what_came_to_more_than_it_asked_for_has_to_run_out_first() -> None:
    bucket = Bucket(60)
    bucket.add(120, 0.0)

    assert bucket.wait_s(60, 0.0) == pytest.approx(120.0)


def test_what_is_given_back_is_there_again_and_no_more_than_that() -> None:
    bucket = Bucket(60)
    bucket.add(10, 0.0)
    bucket.add(-50, 0.0)

    assert bucket.standing(0.0) == Standing(60, 60, 0.0)


def test_a_bucket_says_what_is_left_and_when_all_of_it_is() -> None:
    bucket = Bucket(60)
    bucket.add(1, 0.0)

    # The API reference's own sample: limit 60, remaining 59, reset 1s (guides/rate-limits).
    assert bucket.standing(0.0) == Standing(60, 59, 1.0)


@pytest.mark.parametrize("unix_s", [0.0, 1_767_225_599.999, 1_767_225_600.0, 1_772_323_199.5, 1_772_323_200.0])
def test_a_month_is_the_calendars(unix_s: float) -> None:
    for _ in range(2):  # the second time it is remembered
        assert month_of(unix_s) == time.strftime("%Y-%m", time.gmtime(unix_s))


@given(
    limit=st.integers(1, 1000),
    asks=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 200)), max_size=60),
)
def test_no_more_goes_in_than_the_limit_and_what_ran_out(limit: int, asks: list[tuple[float, int]]) -> None:
    bucket, now, taken = Bucket(limit), 0.0, 0
    for pause_s, amount in asks:
        now += pause_s
        if bucket.wait_s(amount, now) == 0.0:
            bucket.add(amount, now)
            taken += amount
        assert taken <= limit * (1 + now / 60) + 0.001


@given(limit=st.integers(1, 1000), used=st.floats(0, 5000), amount=st.integers(0, 1000), now=st.floats(0, 1e6))
def test_after_the_wait_it_fits(limit: int, used: float, amount: int, now: float) -> None:
    bucket = Bucket(limit)
    bucket.set(used, now)
    wait_s = bucket.wait_s(amount, now)
    if wait_s < math.inf:
        assert bucket.wait_s(amount, now + wait_s + 0.001) == 0.0


def test_of_several_limits_the_one_that_stops_first_is_told() -> None:
    assert tightest([Standing(100, 50, 1.0), Standing(60, 2, 9.0)]) == Standing(60, 2, 9.0)
    assert tightest([]) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0001, "1ms"),
        (0.006, "6ms"),  # recorded: dossier, section c
        (0.644, "644ms"),
        (1, "1s"),
        (8.64, "8.64s"),
        (59.9999, "1m0s"),
        (360, "6m0s"),  # the API reference's own sample
        (3600, "1h0m0s"),
        (86_399.5, "23h59m59.5s"),
    ],
)
def test_waits_are_spelled_as_the_live_api_does(seconds: float, text: str) -> None:
    assert spelled(seconds) == text


def _demand(**fields: object) -> Demand:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}).encode()
    return demand(parse_create(body).request, body_bytes=len(body))


def test_a_request_counts_a_token_for_four_bytes_and_the_most_of_each_answer() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"max_completion_tokens":100,"n":2}'

    assert demand(parse_create(body).request, body_bytes=len(body)) == Demand("m", False, 23, 200)


def test_an_image_does_not_count_by_its_bytes() -> None:
    url = "data:image/png;base64," + "A" * 100_000
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]

    assert _demand(messages=[{"role": "user", "content": content}]).prompt < 100


def test_a_sound_and_a_file_do_not_either() -> None:
    content = [
        {"type": "input_audio", "input_audio": {"data": "A" * 100_000, "format": "wav"}},
        {"type": "file", "file": {"file_data": "A" * 100_000, "filename": "x.pdf"}},
    ]

    assert _demand(messages=[{"role": "user", "content": content}]).prompt < 100


@pytest.mark.parametrize(
    ("usage", "pieces", "failed", "tokens"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, 0, False, 7),
        ({"total_tokens": 7}, 100, False, 7),
        ({}, 5, False, 15),  # a stream without a word of usage
        (None, 5, True, 15),  # left or broken off on the way
        (None, 0, True, 0),  # nothing but an error
        (None, 0, False, 60),  # the client left a plain request
        ({"total_tokens": "many"}, 0, False, 60),
    ],
)
def test_what_a_request_has_come_to(usage: dict[str, object] | None, pieces: int, failed: bool, tokens: int) -> None:
    assert spent(WANTED, usage=usage, pieces=pieces, failed=failed) == tokens


def test_months_are_those_of_utc() -> None:
    last = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()

    assert (month_of(last), month_left_s(last)) == ("2026-12", 1)
    assert month_of(last + 1) == "2027-01"
    assert month_left_s(datetime(2028, 2, 1, tzinfo=UTC).timestamp()) == 29 * 86_400

"""observe/metrics.py: what is counted, and how it is spelled (Prometheus text format 0.0.4)."""

from __future__ import annotations

import pytest

from hansard.observe import (
    Crashed,
    EngineChanged,
    Event,
    RecordLost,
    RecordsExpired,
    RequestServed,
    TargetFailed,
    UpstreamTried,
    both,
)
from hansard.observe.metrics import Metrics


def served(path: str = "/v1/chat/completions", **fields: object) -> RequestServed:
    known = {"method": "POST", "path": path, "status": 200, "duration_ms": 12.4, "request_id": "req_1"}
    return RequestServed(**{**known, **fields})  # type: ignore[arg-type]


def samples(*events: Event) -> dict[str, str]:
    metrics = Metrics()
    for event in events:
        metrics(event)
    lines = metrics.render({}).decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


@pytest.mark.parametrize(
    ("event", "sample"),
    [
        (served(), 'hansard_requests_total{method="POST",path="/chat/completions",status="200"}'),
        (served(stored=True), "hansard_completions_stored_total"),
        (
            UpstreamTried(upstream="office", outcome="upstream_timeout", duration_s=1),
            'hansard_upstream_tries_total{upstream="office",outcome="upstream_timeout"}',
        ),
        (
            TargetFailed(engine="office", model="m", reason="upstream_timeout"),
            'hansard_targets_failed_total{engine="office",reason="upstream_timeout"}',
        ),
        (EngineChanged(engine="m", state="lost"), 'hansard_engine_changes_total{engine="m",state="lost"}'),
        (RecordLost(completion_id="chatcmpl-1", reason="full"), "hansard_completions_lost_total"),
        (RecordsExpired(records=1, bodies=0, freed_bytes=0, duration_s=1), "hansard_expired_records_total"),
        (RecordsExpired(records=0, bodies=1, freed_bytes=0, duration_s=1), "hansard_expired_bodies_total"),
        (RecordsExpired(records=1, bodies=0, freed_bytes=1, duration_s=1), "hansard_expired_freed_bytes_total"),
        (Crashed(request_id="req_1", exception=KeyError()), "hansard_crashes_total"),
    ],
)
def test_every_event_is_counted(event: Event, sample: str) -> None:
    assert samples(event, event)[sample] == "2"


def test_tokens_are_added_up() -> None:
    found = samples(served(prompt_tokens=3, completion_tokens=2), served(prompt_tokens=4), served())

    assert found['hansard_tokens_total{kind="prompt"}'] == "7"
    assert found['hansard_tokens_total{kind="completion"}'] == "2"


def test_durations_fall_into_buckets() -> None:
    found = samples(*(served(duration_ms=ms) for ms in (5, 6, 400_000)))

    bucket = 'hansard_request_duration_seconds_bucket{method="POST",path="/chat/completions",le="%s"}'
    assert [found[bucket % bound] for bound in ("0.005", "0.01", "120", "+Inf")] == ["1", "2", "2", "3"]
    assert found['hansard_request_duration_seconds_count{method="POST",path="/chat/completions"}'] == "3"
    assert found['hansard_request_duration_seconds_sum{method="POST",path="/chat/completions"}'] == "400.011"


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("/v1/chat/completions", "/chat/completions"),
        ("/chat/completions", "/chat/completions"),
        ("/v1/chat/completions/chatcmpl-1", "/chat/completions/{id}"),
        ("/v1/chat/completions/chatcmpl-1/messages", "/chat/completions/{id}/messages"),
        ("/v1/models/org/m", "/models/{id}"),
        ("/readyz", "/readyz"),
        ("/wp-login.php", "other"),
    ],
)
def test_addresses_are_counted_without_what_a_client_may_choose(path: str, label: str) -> None:
    assert f'hansard_requests_total{{method="POST",path="{label}",status="200"}}' in samples(served(path))


def test_a_method_nobody_knows_is_another() -> None:
    assert any('method="other"' in name for name in samples(served(method="BREW")))


def test_names_are_escaped_and_readiness_is_a_gauge() -> None:
    lines = Metrics().render({'a"\\\nb': True, "store": False}).decode().splitlines()

    assert lines[:4] == [
        "# HELP hansard_ready Whether this part would take work now.",
        "# TYPE hansard_ready gauge",
        'hansard_ready{part="a\\"\\\\\\nb"} 1',
        'hansard_ready{part="store"} 0',
    ]


def test_every_metric_says_what_it_is() -> None:
    lines = Metrics().render({}).decode().splitlines()

    named = [line.split(" ")[2] for line in lines if line.startswith("# HELP")]
    typed = [line.split(" ")[2] for line in lines if line.startswith("# TYPE")]
    assert named == typed
    assert len(set(named)) == len(named) == 14


def test_two_sinks_are_told_the_same() -> None:
    first: list[Event] = []
    second: list[Event] = []

    both(first.append, second.append)(served())

    assert first == second == [served()]


@pytest.mark.parametrize("tokens", [-5, 10**400])
def test_a_count_that_makes_no_sense_is_left_out(tokens: int) -> None:
    assert samples(served(prompt_tokens=2), served(prompt_tokens=tokens))['hansard_tokens_total{kind="prompt"}'] == "2"

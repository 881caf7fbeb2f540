"""observe/metrics.py: what is counted, and how it is spelled (Prometheus text format 0.0.4)."""

from __future__ import annotations

import pytest

from hansard.observe import (
    Committed,
    Crashed,
    EngineChanged,
    Event,
    RecordLost,
    RecordsExpired,
    RequestServed,
    TargetFailed,
    UpstreamTried,
    Work,
    both,
)
from hansard.observe.metrics import Metrics, Now


def served(path: str = "/v1/chat/completions", **fields: object) -> RequestServed:
    known = {"method": "POST", "path": path, "status": 200, "duration_ms": 12.4, "request_id": "req_1"}
    return RequestServed(**{**known, **fields})  # type: ignore[arg-type]


def made(**fields: object) -> RequestServed:
    """A completion of two tokens from a model that is here; ``fields`` are the work's."""
    known = {"model_name": "m", "engine": "m", "queue_s": 0.5, "finish_reason": "stop"}
    work = Work(**{**known, **fields})  # type: ignore[arg-type]
    return served(prompt_tokens=3, completion_tokens=5, work=work, duration_ms=2500)


def samples(*events: Event, now: Now | None = None) -> dict[str, str]:
    metrics = Metrics(version="1.2.3", upstreams=["office"], since=1700000000.5)
    for event in events:
        metrics(event)
    lines = metrics.render(now or Now()).decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


@pytest.mark.parametrize(
    "sample",
    [
        "hansard_stored_completions_total",
        "hansard_lost_completions_total",
        "hansard_store_writes_total",
        "hansard_store_commit_seconds_count",
        "hansard_store_queue_seconds_count",
        "hansard_expired_records_total",
        "hansard_expired_bodies_total",
        "hansard_expired_freed_bytes_total",
        "hansard_crashes_total",
        'hansard_upstream_tries_total{upstream="office",outcome="ok"}',
        'hansard_engine_changes_total{engine="office",state="left alone"}',
        'hansard_engine_changes_total{engine="office",state="back"}',
    ],
)
def test_what_has_not_happened_yet_is_told_as_nothing(sample: str) -> None:
    """Prometheus sees no increase in a series that begins with its first event."""
    assert samples()[sample] == "0"


@pytest.mark.parametrize(
    ("event", "sample"),
    [
        (served(), 'hansard_requests_total{method="POST",path="/chat/completions",status="200"}'),
        (served(stored=True), "hansard_stored_completions_total"),
        (made(), 'hansard_request_success_total{model_name="m",upstream="",finished_reason="stop"}'),
        (
            made(finish_reason="made up", model_name="n", engine="office"),
            'hansard_request_success_total{model_name="n",upstream="office",finished_reason="other"}',
        ),
        (Committed(writes=1, queue_s=0.1, duration_s=0.1), "hansard_store_writes_total"),
        (Committed(writes=9, queue_s=0.1, duration_s=0.0005), 'hansard_store_commit_seconds_bucket{le="0.0005"}'),
        (Committed(writes=9, queue_s=0.001, duration_s=1), 'hansard_store_queue_seconds_bucket{le="0.001"}'),
        (
            UpstreamTried(upstream="office", outcome="upstream_timeout", duration_s=1),
            'hansard_upstream_tries_total{upstream="office",outcome="upstream_timeout"}',
        ),
        (
            TargetFailed(engine="office", model="m", reason="upstream_timeout"),
            'hansard_targets_failed_total{engine="office",reason="upstream_timeout"}',
        ),
        (EngineChanged(engine="m", state="lost"), 'hansard_engine_changes_total{engine="m",state="lost"}'),
        (RecordLost(completion_id="chatcmpl-1", reason="full"), "hansard_lost_completions_total"),
        (RecordsExpired(records=1, bodies=0, freed_bytes=0, duration_s=1), "hansard_expired_records_total"),
        (RecordsExpired(records=0, bodies=1, freed_bytes=0, duration_s=1), "hansard_expired_bodies_total"),
        (RecordsExpired(records=1, bodies=0, freed_bytes=1, duration_s=1), "hansard_expired_freed_bytes_total"),
        (Crashed(request_id="req_1", exception=KeyError()), "hansard_crashes_total"),
    ],
)
def test_every_event_is_counted(event: Event, sample: str) -> None:
    assert samples(event, event)[sample] == "2"


STATES = ("up", "failing", "half-open", "open")
OF_M = '{model_name="m",upstream=""}'


def test_tokens_are_added_up_for_each_model() -> None:
    found = samples(made(), made(), made(model_name="n"), served())

    assert found[f"hansard_prompt_tokens_total{OF_M}"] == "6"
    assert found[f"hansard_generation_tokens_total{OF_M}"] == "10"


def test_the_times_of_a_stream() -> None:
    found = samples(made(first_chunk_s=1.0, last_chunk_s=2.0))

    assert found[f"hansard_time_to_first_token_seconds_sum{OF_M}"] == "1"
    assert found[f"hansard_request_queue_time_seconds_sum{OF_M}"] == "0.5"
    assert found[f"hansard_e2e_request_latency_seconds_sum{OF_M}"] == "2.5"
    # Five tokens have four gaps, in one second.
    assert found[f"hansard_inter_token_latency_seconds_sum{OF_M}"] == "0.25"
    assert found[f"hansard_inter_token_latency_seconds_count{OF_M}"] == "1"


def test_a_plain_reply_has_no_first_token_and_one_token_has_no_gap() -> None:
    one = served(completion_tokens=1, work=Work(model_name="m", engine="m", first_chunk_s=1.0, last_chunk_s=2.0))
    found = samples(made(), one)

    assert found[f"hansard_time_to_first_token_seconds_count{OF_M}"] == "1"
    assert not [name for name in found if name.startswith("hansard_inter_token")]


def test_what_failed_is_no_success_and_has_no_latency_of_its_own() -> None:
    found = samples(made(finish_reason=None))

    assert not [name for name in found if "success" in name or "e2e" in name]
    assert found[f"hansard_request_queue_time_seconds_count{OF_M}"] == "1"


def test_what_is_now() -> None:
    now = Now(upstreams={"office": "half-open"}, waiting={"m": 2}, running={"m": 3}, writes_waiting=4, tasks=5)
    found = samples(now=now)

    assert found['hansard_requests_waiting{model_name="m"}'] == "2"
    assert found['hansard_requests_running{model_name="m"}'] == "3"
    assert found["hansard_store_queue_depth"] == "4"
    assert found["hansard_event_loop_tasks"] == "5"
    assert {state: found[f'hansard_upstream_state{{upstream="office",state="{state}"}}'] for state in STATES} == {
        "up": "0",
        "failing": "0",
        "half-open": "1",
        "open": "0",
    }


def test_what_runs_and_what_it_takes() -> None:
    found = samples()

    [build] = [name for name in found if name.startswith("hansard_build_info")]
    assert 'version="1.2.3"' in build
    assert found["process_start_time_seconds"] == "1700000000.5"
    assert float(found["process_cpu_seconds_total"]) > 0


def test_what_python_holds_is_seen_to_come_and_go() -> None:
    name = "hansard_python_allocated_blocks"
    before = int(samples()[name])
    held = [object() for _ in range(100_000)]
    meanwhile = int(samples()[name])
    del held

    assert meanwhile - before > 90_000
    assert int(samples()[name]) < meanwhile - 90_000


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
        ("/openai/v1/chat/completions", "/chat/completions"),
        ("/openai/chat/completions", "/chat/completions"),
        ("/openai/deployments/org/m/chat/completions", "/chat/completions"),
        ("/v1/hansard/v1/keys/key_1/rotate", "/hansard/v1/keys/{id}/rotate"),
        ("/hansard/v1/projects/proj_1", "/hansard/v1/projects/{id}"),
        ("/wp-login.php", "other"),
    ],
)
def test_addresses_are_counted_without_what_a_client_may_choose(path: str, label: str) -> None:
    assert f'hansard_requests_total{{method="POST",path="{label}",status="200"}}' in samples(served(path))


def test_a_method_nobody_knows_is_another() -> None:
    assert any('method="other"' in name for name in samples(served(method="BREW")))


def test_names_are_escaped_and_readiness_is_a_gauge() -> None:
    lines = Metrics().render(Now(ready={'a"\\\nb': True, "store": False})).decode().splitlines()

    assert lines[3:7] == [
        "# HELP hansard_ready Whether this part would take work now.",
        "# TYPE hansard_ready gauge",
        'hansard_ready{part="a\\"\\\\\\nb"} 1',
        'hansard_ready{part="store"} 0',
    ]


def test_every_metric_says_what_it_is() -> None:
    lines = Metrics().render(Now()).decode().splitlines()

    named = [line.split(" ")[2] for line in lines if line.startswith("# HELP")]
    typed = [line.split(" ")[2] for line in lines if line.startswith("# TYPE")]
    assert named == typed
    assert len(set(named)) == len(named) > 20


def test_two_sinks_are_told_the_same() -> None:
    first: list[Event] = []
    second: list[Event] = []

    both(first.append, second.append)(served())

    assert first == second == [served()]


@pytest.mark.parametrize("tokens", [-5, 10**400])
def test_a_count_that_makes_no_sense_is_left_out(tokens: int) -> None:
    wrong = served(prompt_tokens=tokens, work=Work(model_name="m", engine="m"))
    assert samples(made(), wrong)[f"hansard_prompt_tokens_total{OF_M}"] == "3"

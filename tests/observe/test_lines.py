"""observe/lines.py: what a machine reads, one JSON object a line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from hansard import observe
from hansard.observe import (
    Crashed,
    EngineChanged,
    Event,
    RecordLost,
    RequestServed,
    StoreUpgraded,
    TargetFailed,
    UpstreamTried,
    Work,
)
from hansard.observe.lines import line, lines

AT = datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC)
HEAD = {"time": "2026-01-02T03:04:05.678Z", "level": "info"}
SERVED = RequestServed(method="GET", path="/v1/models", status=200, duration_ms=1.25, request_id="req_1")


def told(event: Event) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(line(event, at=AT))
    return written


def test_a_request_says_what_is_known_of_it_and_nothing_else() -> None:
    assert told(SERVED) == {
        **HEAD,
        "event": "request",
        "method": "GET",
        "path": "/v1/models",
        "status": 200,
        "duration_ms": 1.25,
        "request_id": "req_1",
    }


def test_a_completion_says_how_it_was_made() -> None:
    work = Work(
        model_name="m", engine="office", queue_s=0.5, first_chunk_s=0.75, last_chunk_s=2.0, finish_reason="stop"
    )
    fields = {"model": "m", "completion_id": "chatcmpl-1", "prompt_tokens": 3, "completion_tokens": 2, "stored": True}
    event = RequestServed(
        method="POST",
        path="/v1/chat/completions",
        status=200,
        duration_ms=2500,
        request_id="req_1",
        client_request_id="mine",
        work=work,
        **fields,  # type: ignore[arg-type]
    )

    assert told(event) == {
        **HEAD,
        "event": "request",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "duration_ms": 2500,
        **fields,
        "request_id": "req_1",
        "client_request_id": "mine",
        "model_name": "m",
        "engine": "office",
        "queue_s": 0.5,
        "first_chunk_s": 0.75,
        "last_chunk_s": 2,
        "finish_reason": "stop",
    }


@pytest.mark.parametrize(
    ("event", "name", "level"),
    [
        (EngineChanged(engine="m", state="ready"), "engine", "info"),
        (EngineChanged(engine="m", state="lost"), "engine", "warning"),
        (UpstreamTried(upstream="u", outcome="upstream_timeout", duration_s=1), "upstream", "warning"),
        (TargetFailed(engine="u", model="m", reason="upstream_timeout"), "next_target", "warning"),
        (RecordLost(completion_id="chatcmpl-1", reason="full"), "not_stored", "error"),
        (StoreUpgraded(before="0001", now="0002"), "store_upgraded", "info"),
        (observe.RecordsExpired(records=1, bodies=0, freed_bytes=0, duration_s=1), "expired", "info"),
        (observe.SearchIndexed(completions=1, is_complete=True), "search_indexed", "info"),
    ],
)
def test_each_event_has_a_name_and_a_level(event: Event, name: str, level: str) -> None:
    found = told(event)

    assert (found["event"], found["level"]) == (name, level)


@pytest.mark.parametrize(("status", "level"), [(200, "info"), (404, "info"), (499, "info"), (503, "warning")])
def test_a_request_that_failed_for_our_sake_is_a_warning(status: int, level: str) -> None:
    event = RequestServed(method="GET", path="/", status=status, duration_ms=1, request_id="req_1")

    assert told(event)["level"] == level


def test_a_bug_shows_where_it_is() -> None:
    try:
        raise KeyError("oops")
    except KeyError as error:
        found = told(Crashed(request_id="req_1", exception=error))

    assert (found["event"], found["level"], found["request_id"]) == ("bug", "error", "req_1")
    assert "test_lines.py" in found["exception"]
    assert "KeyError: 'oops'" in found["exception"]


def test_what_others_wrote_is_one_line_and_not_long(capsys: pytest.CaptureFixture[str]) -> None:
    forged = 'x"}\n{"event": "request"}\x1b[2J' + "z" * 3000

    lines(RequestServed(method="GET", path="/", status=200, duration_ms=1, request_id="r", client_request_id=forged))

    written = capsys.readouterr()
    [only] = written.err.splitlines()
    assert written.out == ""
    assert json.loads(only)["event"] == "request"
    assert "\x1b" not in only
    assert len(only) < 600


def test_what_only_confirms_has_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines(observe.Committed(writes=1, queue_s=0, duration_s=0.1))
    lines(UpstreamTried(upstream="office", outcome="ok", duration_s=0.1))
    lines(RequestServed(method="GET", path="/livez", status=200, duration_ms=1, request_id="req_1"))

    assert capsys.readouterr().err == ""

"""observe/console.py: what a person at a terminal reads."""

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
    StoreUpgraded,
    TargetFailed,
    UpstreamTried,
)
from hansard.observe.console import console


def served(**fields: object) -> RequestServed:
    known = {
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "duration_ms": 12.4,
        "request_id": "req_1",
    }
    return RequestServed(**{**known, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (served(), "POST  /v1/chat/completions  200  12ms  req_1"),
        (
            served(client_request_id="mine\n7"),
            "POST  /v1/chat/completions  200  12ms  req_1  client mine 7",
        ),
        (
            served(model="m", completion_id="chatcmpl-1", prompt_tokens=3, completion_tokens=2, stored=True),
            "POST  /v1/chat/completions  200  12ms  m  3+2 tokens  stored chatcmpl-1  req_1",
        ),
        (
            served(model="m", completion_id="chatcmpl-1", replayed=True),
            "POST  /v1/chat/completions  200  12ms  m  replayed chatcmpl-1  req_1",
        ),
        (
            served(status=404, duration_ms=1234, error="model_not_found"),
            "POST  /v1/chat/completions  404  1.2s  model_not_found  req_1",
        ),
        (EngineChanged(engine="m", state="restarting", reason="it died"), "engine m: restarting (it died)"),
        (EngineChanged(engine="m", state="ready"), "engine m: ready"),
        (
            UpstreamTried(upstream="office", outcome="upstream_timeout", duration_s=2.5),
            "upstream office: upstream_timeout after 2.5s",
        ),
        (
            TargetFailed(engine="office", model="qwen3", reason="upstream_timeout"),
            "next target: qwen3 of office does not answer (upstream_timeout)",
        ),
        (RecordLost(completion_id="chatcmpl-1", reason="disk full"), "not stored: chatcmpl-1 (disk full)"),
        (
            RecordsExpired(records=64, bodies=3, freed_bytes=4096, duration_s=1.25),
            "expired: 64 completions, and what was said in 3; 4096 bytes given back, in 1.2s",
        ),
        (
            StoreUpgraded(before="0001", now="0002"),
            "database upgraded from 0001 to 0002; older versions of Hansard cannot open it any more",
        ),
    ],
)
def test_an_event_is_one_line(event: Event, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    console(event)

    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.split(" ", 1)[1] == line + "\n"


def test_a_bug_shows_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise KeyError("oops")
    except KeyError as error:
        console(Crashed(request_id="req_1", exception=error))

    written = capsys.readouterr().err
    assert "bug in req_1" in written
    assert "test_console.py" in written
    assert "KeyError: 'oops'" in written


def test_an_upstream_that_answers_needs_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    console(UpstreamTried(upstream="office", outcome="ok", duration_s=0.1))

    assert capsys.readouterr().err == ""


def test_a_commit_needs_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    console(Committed(writes=3, queue_s=0.1, duration_s=0.1))

    assert capsys.readouterr().err == ""


def test_only_a_probe_that_fails_is_worth_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    console(served(method="GET", path="/readyz"))
    assert capsys.readouterr().err == ""

    console(served(method="GET", path="/readyz", status=503))
    assert "503" in capsys.readouterr().err


FORGED = 'c"\n2099 FAKE LOG LINE\r\n\x1b[2J\u202e\u2028x  stored chatcmpl-0' + "z" * 3000


@pytest.mark.parametrize(
    "event",
    [
        served(path=FORGED),
        served(method=FORGED),
        served(model=FORGED, error="not_found"),
        served(error=FORGED),
        served(client_request_id=FORGED),
        UpstreamTried(upstream="office", outcome=FORGED, duration_s=1),
        TargetFailed(engine="office", model="m", reason=FORGED),
        TargetFailed(engine="office", model=FORGED, reason="upstream_timeout"),
        EngineChanged(engine="m", state="lost", reason=FORGED),
        RecordLost(completion_id="chatcmpl-1", reason=FORGED),
    ],
)
def test_what_others_wrote_forges_no_line_and_no_column(event: Event, capsys: pytest.CaptureFixture[str]) -> None:
    console(event)

    [line] = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    assert "  stored" not in line
    assert len(line) < 500


def test_a_bug_with_a_text_of_others_forges_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    console(Crashed(request_id="req_1", exception=ValueError(FORGED + "y" * 100_000 + "\ny" * 1000)))

    first, *others = capsys.readouterr().err.rstrip("\n").split("\n")
    assert "bug in req_1" in first
    assert others
    assert all(line.startswith("  ") for line in others)
    assert "\x1b" not in "".join(others)
    assert sum(map(len, others)) <= 200 * 310

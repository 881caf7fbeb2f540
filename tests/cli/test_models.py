"""cli/models: the list of models in each form."""

from __future__ import annotations

import json

from tests.cli.run import Run, Terminal, without_style
from tests.cli.stub import Stub

MODELS = {
    "object": "list",
    "data": [
        {
            "id": "hansard-tiny",
            "object": "model",
            "created": 1795169731,
            "owned_by": "hansard",
            "description": "A demonstration model.",
        },
        {"id": "org/big", "object": "model", "created": 1795169731, "owned_by": "upstream"},
    ],
}


def test_lines(stub: Stub, run: Run) -> None:
    stub.answers(MODELS)

    assert run("models", "list").out == (
        "id\towned by\tcreated\tdescription\n"
        "hansard-tiny\thansard\t2026-11-20 10:15:31\tA demonstration model.\n"
        "org/big\tupstream\t2026-11-20 10:15:31\t\n"
    )


def test_ids(stub: Stub, run: Run) -> None:
    stub.answers(MODELS)

    assert run("models", "list", "-q").out == "hansard-tiny\norg/big\n"


def test_json(stub: Stub, run: Run) -> None:
    stub.answers(MODELS)
    stub.answers(MODELS)

    assert json.loads(run("models", "list", "--json").out) == MODELS
    assert [json.loads(line) for line in run("models", "list", "--jsonl").out.splitlines()] == MODELS["data"]


def test_table(stub: Stub, terminal: Terminal) -> None:
    stub.answers(MODELS)

    assert without_style(terminal.run("models", "list").out) == (
        "ID            OWNED BY  CREATED              DESCRIPTION\n"
        "hansard-tiny  hansard   2026-11-20 10:15:31  A demonstration model.\n"
        "org/big       upstream  2026-11-20 10:15:31\n"
    )


READINESS = {
    "status": "ready",
    "checks": {"store": "ok"},
    "reasons": {"office": "breaker open: several calls in a row failed"},
    "models": {
        "chat": [
            {"engine": "office", "model": "qwen3", "ready": False, "weight": 3.0},
            {"engine": "cloud", "model": "big", "ready": True},
        ],
        "hansard-tiny": [{"engine": "hansard-tiny", "model": "hansard-tiny", "ready": True}],
    },
}


def test_check_says_who_answers_for_each_model_and_who_does_not(stub: Stub, run: Run) -> None:
    stub.answers(READINESS, status=503)

    checked = run("models", "check")

    assert (checked.code, checked.out) == (
        1,
        "model\tengine\tname there\tanswers\twhy not\n"
        "chat\toffice\tqwen3\tno\tbreaker open: several calls in a row failed\n"
        "chat\tcloud\tbig\tyes\t\n"
        "hansard-tiny\thansard-tiny\thansard-tiny\tyes\t\n",
    )
    assert stub.seen[0].path == "/v1/readyz?verbose"


def test_check_is_content_when_everybody_answers(stub: Stub, run: Run) -> None:
    stub.answers({**READINESS, "models": {"m": [{"engine": "e", "model": "m", "ready": True}]}})

    checked = run("models", "check", "--jsonl")

    assert checked.code == 0
    assert json.loads(checked.out) == {"id": "m", "engine": "e", "model": "m", "ready": True, "reason": ""}


def test_check_wants_a_hansard_server(stub: Stub, run: Run) -> None:
    stub.answers({"status": "fine"})

    checked = run("models", "check")

    assert checked.code == 1
    assert "is it a Hansard server?" in checked.err

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


def check(model: str, engine: str, there: str, answers: str, reason: str = "") -> dict[str, str]:
    return {"id": model, "engine": engine, "model": there, "asked": "list", "answers": answers, "reason": reason}


CHECKS = {
    "object": "list",
    "data": [
        check("chat", "office", "qwen3", "no", "breaker open: several calls in a row failed"),
        check("chat", "cloud", "big", "yes"),
        check("hansard-tiny", "hansard-tiny", "hansard-tiny", "yes"),
    ],
}


def test_check_says_who_answers_for_each_model_and_who_does_not(stub: Stub, run: Run) -> None:
    stub.answers(CHECKS)

    checked = run("models", "check")

    assert (checked.code, checked.out) == (
        1,
        "model\tengine\tname there\tasked for\tanswers\twhy not\n"
        "chat\toffice\tqwen3\tlist\tno\tbreaker open: several calls in a row failed\n"
        "chat\tcloud\tbig\tlist\tyes\t\n"
        "hansard-tiny\thansard-tiny\thansard-tiny\tlist\tyes\t\n",
    )
    assert (stub.seen[0].method, stub.seen[0].path) == ("POST", "/v1/check")


def test_check_is_content_while_nobody_is_known_not_to_answer(stub: Stub, run: Run) -> None:
    target = check("m", "e", "m", "unknown", "no list")
    stub.answers({"object": "list", "data": [target]})
    stub.answers({"object": "list", "data": [target]})

    lines, whole = run("models", "check", "--jsonl"), run("models", "check", "--json")

    assert (lines.code, whole.code) == (0, 0)
    assert json.loads(lines.out) == target
    assert json.loads(whole.out) == {"object": "list", "data": [target]}


def test_check_asks_for_a_completion_only_when_told_to_and_for_models_by_name(stub: Stub, run: Run) -> None:
    stub.answers(CHECKS)

    run("models", "check", "--ask", "chat", "org/big")

    assert stub.seen[0].path == "/v1/check?model=chat&model=org%2Fbig&ask=completion"


def test_check_wants_a_hansard_server(stub: Stub, run: Run) -> None:
    stub.answers({"status": "fine"})

    checked = run("models", "check")

    assert checked.code == 1
    assert "is it a Hansard server?" in checked.err

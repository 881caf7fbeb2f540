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

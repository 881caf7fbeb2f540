"""cli/facets: keys and values with their counts, over HTTP."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.run import Run
from tests.cli.stub import Stub


def counts(*found: dict[str, Any], has_more: bool = False) -> dict[str, Any]:
    return {"object": "list", "data": [{"object": "hansard.facet", **one} for one in found], "has_more": has_more}


def test_keys_are_listed(stub: Stub, run: Run) -> None:
    stub.answers(counts({"key": "metadata[team]", "count": 3}, {"key": "model", "count": 12}))

    outcome = run("facets")

    hint = "To see the values of one: hansard facets 'metadata[team]'\n"
    assert outcome == (0, "count\tkey\n3\tmetadata[team]\n12\tmodel\n", hint)
    assert stub.seen[0].path == "/v1/hansard/v1/facets?limit=20"


def test_values_of_a_key_are_listed(stub: Stub, run: Run) -> None:
    stub.answers(counts({"key": "metadata[team]", "value": "red\tone", "count": 3}, has_more=True))

    outcome = run("facets", "metadata[team]", "--limit", "1")

    assert outcome == (0, "count\tkey\tvalue\n3\tmetadata[team]\tred one\n", "There are more: --limit 5\n")
    assert stub.seen[0].path == "/v1/hansard/v1/facets?key=metadata%5Bteam%5D&limit=1"


def test_json_is_the_page(stub: Stub, run: Run) -> None:
    page = counts({"key": "model", "value": "m", "count": 3})
    stub.answers(page)

    outcome = run("facets", "model", "--json")

    assert (outcome.code, json.loads(outcome.out)) == (0, page)


def test_nothing_stored_is_said(stub: Stub, run: Run) -> None:
    stub.answers(counts())

    assert run("facets") == (0, "count\tkey\n", "None found.\n")

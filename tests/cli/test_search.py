"""cli/search: what is asked of the server, and how hits are shown."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.cli.run import Run
from tests.cli.stub import Stub, envelope

HEADING = "id\tcreated\tmodel\tfinish\tmeta\ttext\n"
ROW = "chatcmpl-1\t2026-11-20 10:15:31\thansard-tiny\tstop\tteam=red\t…the capital is Paris.\n"


def hit(number: int) -> dict[str, Any]:
    return {
        "object": "hansard.search_result",
        "id": f"chatcmpl-{number}",
        "created": 1795169731,
        "model": "hansard-tiny",
        "finish_reason": "stop",
        "metadata": {"team": "red"},
        "snippet": "…the capital\nis Paris.",
    }


def page(*hits: dict[str, Any], next_after: str | None = None, complete: bool = True) -> dict[str, Any]:
    ids = [each["id"] for each in hits] or [None]
    more = {"has_more": next_after is not None, "complete": complete, "next_after": next_after}
    return {"object": "list", "data": list(hits), "first_id": ids[0], "last_id": ids[-1], **more}


def asked(stub: Stub, at: int) -> tuple[str, list[tuple[str, str]]]:
    parts = urlsplit(stub.seen[at].path)
    return parts.path, parse_qsl(parts.query)


def test_hits_are_lines_where_nobody_looks(stub: Stub, run: Run) -> None:
    stub.answers(page(hit(1)))

    assert run("search", "capital", "fran*") == (0, HEADING + ROW, "")
    assert asked(stub, 0) == ("/v1/hansard/v1/search", [("q", "capital fran*"), ("limit", "20")])


def test_the_filters_are_sent(stub: Stub, run: Run) -> None:
    stub.answers(page())

    outcome = run(
        *("search", "word", "-m", "m", "--meta", "a=b", "--finish", "length", "--since", "2026-11-20", "--until"),
        *("1800000000", "--after", "chatcmpl-9", "--limit", "5"),
    )

    assert outcome == (0, HEADING, "None found.\n")
    assert asked(stub, 0)[1] == [
        *(("q", "word"), ("model", "m"), ("metadata[a]", "b"), ("finish_reason", "length")),
        *(("created_after", "1795132799"), ("created_before", "1800000000"), ("after", "chatcmpl-9"), ("limit", "5")),
    ]


def test_pages_are_followed_to_the_limit(stub: Stub, run: Run) -> None:
    stub.answers(page(*(hit(number) for number in range(100)), next_after="chatcmpl-99"))
    stub.answers(page(hit(100), next_after="chatcmpl-100"))

    outcome = run("search", "word", "--limit", "101", "--quiet")

    assert (outcome.out.count("\n"), outcome.err) == (101, "More follow: --after chatcmpl-100\n")
    assert asked(stub, 1)[1] == [("q", "word"), ("after", "chatcmpl-99"), ("limit", "1")]


def test_a_page_that_ran_out_of_time_says_where_to_go_on(stub: Stub, run: Run) -> None:
    stub.answers(page(next_after="chatcmpl-7", complete=False))

    assert run("search", "word").err == "The server's time was over; older ones: --after chatcmpl-7\n"


def test_an_index_that_is_behind_is_told_of(stub: Stub, run: Run) -> None:
    stub.answers(page(hit(1), complete=False))

    assert run("search", "word").err.startswith("The server is still indexing")


def test_json_is_one_page_of_all(stub: Stub, run: Run) -> None:
    stub.answers(page(hit(1), hit(2)))

    assert json.loads(run("search", "word", "--json").out) == page(hit(1), hit(2))


def test_a_time_that_is_none_is_a_usage_error(run: Run) -> None:
    outcome = run("search", "word", "--since", "yesterday")

    assert (outcome.code, "'yesterday' is no time" in outcome.err) == (2, True)


def test_search_that_is_off_is_said(stub: Stub, run: Run) -> None:
    stub.answers(envelope("Search is off on this server."), status=400)

    outcome = run("search", "word")

    assert (outcome.code, outcome.err.splitlines()[0]) == (1, "Search is off on this server.")

"""Every client creates, streams, calls a tool, gets an object by schema, stores with metadata, and finds it again.

The programs are what users write and check nothing; what they got is checked here, alike for all of them,
and what they stored is read from the server over plain HTTP.
"""

from __future__ import annotations

import re
from urllib.parse import urlencode

from tests.acceptance.npm import assert_no_registry

from .clients import CLIENTS, NODE, PROGRAMS, ROOT, Run

PAGE = ROOT / "docs" / "clients.md"
PARIS = "The capital of France is Paris."
ALICE = {"name": "Alice", "age": 30}


def test_create(ran: Run) -> None:
    assert ran.result("create") == PARIS


def test_stream(ran: Run) -> None:
    pieces = ran.result("stream")

    assert len(pieces) > 3
    if ran.client.streams_text:
        assert "".join(pieces) == PARIS
    else:
        assert pieces[0] != pieces[-1] == ALICE


def test_call_a_tool(ran: Run) -> None:
    call = ran.result("call_a_tool")

    assert call["name"] == "get_weather"
    assert call["arguments"] == {"location": "Paris"}
    if ran.client.returns_results_of_tools:
        assert "21" in call["answer"]


def test_structured_output(ran: Run) -> None:
    assert ran.result("structured_output") == ALICE


def test_store_with_metadata(ran: Run) -> None:
    stored = ran.stored(f"/{ran.result('store_with_metadata')}")

    assert stored["metadata"] == ran.metadata
    assert stored["model"] == "hansard-tiny"
    assert stored["choices"][0]["message"]["content"]


def test_list_stored(ran: Run) -> None:
    made = ran.result("store_with_metadata")
    query = urlencode({f"metadata[{key}]": value for key, value in ran.metadata.items()})

    assert ran.result("list_stored") == [made]
    assert [stored["id"] for stored in ran.stored(f"?{query}")["data"]] == [made]


def test_every_lock_has_its_client() -> None:
    locks = {f".venv-{lock.stem.replace('-', '/', 1)}" for lock in (ROOT / "requirements").glob("clients-*.txt")}

    assert locks < {client.environment for client in CLIENTS.values()}


def test_the_node_lock_names_no_registry() -> None:
    assert_no_registry(NODE)


def test_the_code_on_the_page_is_code_that_is_run() -> None:
    programs = [lines(path.read_text(encoding="utf-8")) for path in (*PROGRAMS.glob("use_*"), *NODE.glob("use_*"))]

    shown = re.findall(
        r"^```(?:python|js|yaml)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )

    assert len(shown) > 5
    assert [block for block in shown if not any(lines(block) in program for program in programs)] == []


def lines(text: str) -> str:
    """Without indentation and blank lines, between line breaks, so that only whole lines are found in it."""
    return "\n".join(["", *(line.strip() for line in text.splitlines() if line.strip()), ""])

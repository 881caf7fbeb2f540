"""cli/conformance: running the suite, and saying what is in the way of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.run import Run, Terminal, without_style
from tests.cli.stub import Stub
from tests.conformance.broken import Mutant, Zoo, sets, zoo

MUTANT = Mutant(
    name="strange", fails=(), answer=sets("strange", "object"), only_to=("DELETE", "/chat/completions/{id}")
)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    with zoo({"strange": MUTANT}, tmp_path_factory.mktemp("zoo")) as running:
        yield running


def test_a_server_that_keeps_the_rules(servers: Zoo, run: Run) -> None:
    outcome = run("conformance", "--base-url", servers.base_url(), "--model", "echo", "--only", "delete.*")

    assert outcome.code == 0
    heading, counted, total = outcome.out.splitlines()
    assert heading == "operation\tpassed\tfailed\tnot applicable\tno verdict"
    assert counted.split("\t")[0] == "delete"
    assert counted.split("\t")[2:] == ["0", "0", "0"]
    assert total.split("\t")[1:] == counted.split("\t")[1:]


def test_a_server_that_does_not(servers: Zoo, run: Run, tmp_path: Path) -> None:
    json_file, junit_file = tmp_path / "run.json", tmp_path / "run.xml"
    only = ("--only", "delete.answers_what_it_deleted")

    outcome = run(
        *("conformance", "--base-url", servers.base_url("strange"), "--model", "echo", *only),
        *("--json", str(json_file), "--junit", str(junit_file)),
    )

    assert outcome.code == 1
    lines = outcome.out.splitlines()
    assert lines[0] == "FAIL delete.answers_what_it_deleted"
    assert lines[2].startswith('  expected: the whole reply: {"object": "chat.completion.deleted"')
    assert lines[3].startswith('  got: {"object": "strange"')
    assert lines[-1] == "all\t0\t1\t0\t0"
    document = json.loads(json_file.read_text())
    assert document["model"] == "echo"
    assert document["totals"]["fail"] == 1
    assert len(ElementTree.parse(junit_file).findall(".//failure")) == 1
    assert outcome.err.splitlines() == [f"Wrote {json_file}.", f"Wrote {junit_file}."]


def test_without_a_model_the_first_listed_is_asked(servers: Zoo, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "run.json"

    run("conformance", "--base-url", servers.base_url(), "--only", "delete.takes_only_one", "--json", str(file))

    assert json.loads(file.read_text())["model"] == "echo"


def test_the_list(run: Run) -> None:
    outcome = run("conformance", "--list", "--only", "delete.unknown_id_is_404")

    assert outcome.code == 0
    assert outcome.out == (
        "check\tevidence\trule\n"
        "delete.unknown_id_is_404\trecorded traffic\t"
        "An unknown id is 404 not_found, param completion_id, in the live API's words.\n"
    )


def test_no_check_of_that_name(run: Run) -> None:
    outcome = run("conformance", "--only", "no-such-check")

    assert (outcome.code, outcome.err) == (2, "No check is called no-such-check; see --list.\n")


def test_nobody_there(stub: Stub, run: Run) -> None:
    stub.close()

    outcome = run("conformance", "--model", "m")

    assert outcome.code == 1
    assert outcome.err.startswith(f"Nothing answers at {stub.base_url}: ConnectionRefusedError")


def test_what_is_no_address(run: Run) -> None:
    outcome = run("conformance", "--base-url", "localhost", "--model", "m")

    assert (outcome.code, outcome.err.splitlines()) == (
        2,
        ["--base-url is not an address; write one like http://127.0.0.1:8000/v1"],
    )


def test_a_server_that_wants_a_key(stub: Stub, run: Run) -> None:
    stub.answers({"error": {"message": "no"}}, status=401)

    outcome = run("conformance", "--model", "m")

    assert outcome.code == 4
    assert "wants a key" in outcome.err


def test_the_key_is_sent(stub: Stub, run: Run, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("from-file\n")
    for arguments in (["--api-key", "given"], ["--api-key-file", str(key_file)]):
        stub.answers({"error": {"message": "no"}}, status=401)
        run("conformance", "--model", "m", *arguments)

    assert [request.headers["authorization"] for request in stub.seen] == ["Bearer given", "Bearer from-file"]


def test_an_unknown_model(stub: Stub, run: Run) -> None:
    stub.answers({"error": {"message": "no"}}, status=404)

    outcome = run("conformance", "--model", "m")

    assert outcome.code == 5
    assert outcome.err.startswith(f"{stub.base_url} has no model m, or is not its address: ")


def test_a_server_without_models(stub: Stub, run: Run) -> None:
    stub.answers({"object": "list", "data": []})

    outcome = run("conformance")

    assert (outcome.code, outcome.err) == (2, f"{stub.base_url} lists no model; name one with --model.\n")


def test_a_server_of_another_kind(stub: Stub, run: Run) -> None:
    stub.says("<html>")

    outcome = run("conformance")

    assert outcome.code == 1
    assert "answers, but not as this API does" in outcome.err


def test_a_person_sees_how_far_it_is(servers: Zoo, terminal: Terminal) -> None:
    arguments = ("conformance", "--base-url", servers.base_url(), "--model", "echo", "--only", "delete.*")

    seen = without_style(terminal.run(*arguments).out)

    assert "0/" in seen  # the bar
    assert "OPERATION  PASSED  FAILED" in seen

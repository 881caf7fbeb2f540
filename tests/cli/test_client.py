"""cli/client: what is sent with every request, and what becomes of each way to get no answer."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

import pytest

from tests.cli.run import Run
from tests.cli.stub import Stub, envelope

MODELS = {"object": "list", "data": []}


def test_without_a_key_none_is_sent(stub: Stub, run: Run) -> None:
    stub.answers(MODELS)

    assert run("models", "list").code == 0
    assert "authorization" not in stub.seen[0].headers


def test_the_usual_variables_are_sent(stub: Stub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-variable")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    stub.answers(MODELS)

    run("models", "list")

    headers = stub.seen[0].headers
    assert [headers[name] for name in ("authorization", "openai-organization", "openai-project")] == [
        "Bearer sk-variable",
        "org-1",
        "proj-1",
    ]


def test_a_key_file_wins_over_the_variable(
    stub: Stub, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-variable")
    (tmp_path / "key").write_text("sk-file\n")
    stub.answers(MODELS)

    run("models", "list", "--api-key-file", str(tmp_path / "key"))

    assert stub.seen[0].headers["authorization"] == "Bearer sk-file"


def test_an_unreadable_key_file_is_named(run: Run) -> None:
    outcome = run("models", "list", "--api-key-file", "/none")

    assert outcome == (1, "", "--api-key-file: cannot read /none: No such file or directory.\n")


def test_the_flag_wins_over_the_variable(stub: Stub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    stub.answers(MODELS)

    assert run("models", "list", "--base-url", stub.base_url + "/").code == 0
    assert stub.seen[0].path == "/v1/models"


TRACE = "request req_0123456789abcdef\n"


@pytest.mark.parametrize(("status", "code"), [(400, 1), (401, 4), (403, 4), (404, 5), (409, 1), (429, 1), (503, 1)])
def test_the_exit_code_tells_what_kind_of_refusal_it_was(stub: Stub, run: Run, status: int, code: int) -> None:
    stub.answers(envelope("Because."), status=status)

    assert run("models", "list") == (code, "", f"Because.\nStatus {status}, {TRACE}")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("<h1>Bad Gateway</h1>", "The server answered 502 Bad Gateway."),
        ('{"error":"plain words"}', "plain words"),
        ('{"error":{"message":"a\\u001b[2Jb"}}', "a\ufffd[2Jb"),
        ('{"detail":"other"}', "The server answered 502 Bad Gateway."),
    ],
)
def test_a_refusal_in_another_form_is_still_told(stub: Stub, run: Run, body: str, message: str) -> None:
    stub.says(body, status=502)

    assert run("models", "list") == (1, "", f"{message}\nStatus 502, {TRACE}")


def test_an_answer_that_is_not_the_apis_is_told(stub: Stub, run: Run) -> None:
    stub.says("<h1>Welcome</h1>")

    outcome = run("models", "list")

    expected = f"{stub.base_url} answers, but not with the API's JSON. Is this its address?\n"
    assert outcome == (1, "", expected)


def test_nobody_listening_asks_whether_serve_runs(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"

        outcome = run("models", "list", "--base-url", url)

    assert outcome == (1, "", f"Nothing answers at {url}. Is `hansard serve` running?\n")


def test_an_unknown_host_is_told(run: Run) -> None:
    outcome = run("models", "list", "--base-url", "http://host.invalid/v1")

    assert outcome.err == "No machine is called host.invalid; check --base-url and OPENAI_BASE_URL.\n"


def test_a_server_that_hangs_up_is_told(stub: Stub, run: Run) -> None:
    stub.hangs_up()

    assert run("models", "list") == (1, "", f"{stub.base_url} broke the connection off.\n")


def test_every_reply_is_closed_however_it_ended(stub: Stub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    replies: list[http.client.HTTPResponse] = []
    getresponse = http.client.HTTPConnection.getresponse

    def kept(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        replies.append(getresponse(connection))
        return replies[-1]

    monkeypatch.setattr(http.client.HTTPConnection, "getresponse", kept)
    stub.streams('{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}', "[DONE]")
    run("chat", "Hi", "--model", "m")
    stub.answers(envelope("No."), status=404)
    run("models", "list")

    assert [reply.status for reply in replies] == [200, 404]
    assert all(reply.isclosed() for reply in replies)


def test_https_where_there_is_none_is_told(stub: Stub, run: Run) -> None:
    url = stub.base_url.replace("http:", "https:")

    outcome = run("models", "list", "--base-url", url)

    assert outcome.code == 1
    assert outcome.err.startswith(f"No secure connection to {url}: ")


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://"])
def test_what_is_no_address_is_a_usage_error(run: Run, url: str) -> None:
    outcome = run("models", "list", "--base-url", url)

    assert outcome == (2, "", f"{url!r} is not an address; write one like http://127.0.0.1:8000/v1\n")


@pytest.mark.parametrize("url", ["ftp://me:word@x", "ftp://x/v1?key=word", "word"])
def test_what_may_hold_a_secret_is_not_shown(run: Run, url: str) -> None:
    outcome = run("models", "list", "--base-url", url)

    assert outcome == (2, "", "this is not an address; write one like http://127.0.0.1:8000/v1\n")

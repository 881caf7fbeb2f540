"""cli/chat: an answer as it is born, and a conversation."""

from __future__ import annotations

import io

import pytest

from tests.cli.run import CTRL_C, CTRL_D, Run, Terminal
from tests.cli.stub import Stub, envelope

MODELS = {"object": "list", "data": [{"id": "hansard-tiny", "object": "model", "created": 1, "owned_by": "hansard"}]}

OPENER = '{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}'
FINISH = '{"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
CUT = '{"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"length"}]}'
USAGE = '{"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}'


def said(text: str, key: str = "content") -> str:
    return f'{{"id":"chatcmpl-1","choices":[{{"index":0,"delta":{{"{key}":"{text}"}},"finish_reason":null}}]}}'


def test_an_answer_is_printed_and_asked_of_the_first_model(stub: Stub, run: Run) -> None:
    stub.answers(MODELS)
    stub.streams(OPENER, said("Par"), said("is."), FINISH, USAGE, "[DONE]")

    outcome = run("chat", "What is the", "capital of France?")

    assert outcome == (0, "Paris.\n", "")
    assert [(request.method, request.path) for request in stub.seen] == [
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
    ]
    assert stub.seen[1].body == {
        "model": "hansard-tiny",
        "stream": True,
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
    }


def test_all_that_can_be_asked_for_is_sent(stub: Stub, run: Run) -> None:
    stub.streams(said("Hi"), FINISH, "[DONE]")

    outcome = run("chat", "-m", "m", "--system", "Be brief.", "--meta", "team=search", "Hello")

    assert outcome.err == "Stored. To see it again: hansard completions get chatcmpl-1\n"
    assert stub.seen[0].body == {
        "model": "m",
        "stream": True,
        "store": True,
        "metadata": {"team": "search"},
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    }


@pytest.mark.parametrize("arguments", [("chat", "-m", "m"), ("chat", "-m", "m", "-")])
def test_the_prompt_can_come_from_a_pipe(
    stub: Stub, run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Hello\n"))
    stub.streams(said("Hi"), FINISH, "[DONE]")

    assert run(*arguments).out == "Hi\n"
    assert stub.seen[0].body["messages"] == [{"role": "user", "content": "Hello\n"}]


def test_a_refusal_is_an_answer(stub: Stub, run: Run) -> None:
    stub.streams(said("No.", "refusal"), FINISH, "[DONE]")

    assert run("chat", "-m", "m", "x") == (0, "No.\n", "")


def test_a_cut_answer_is_called_one(stub: Stub, run: Run) -> None:
    stub.streams(said("One, two"), CUT, "[DONE]")

    assert run("chat", "-m", "m", "x") == (0, "One, two\n", "The answer was cut: it reached the limit of tokens.\n")


def test_an_error_in_the_stream_ends_the_command(stub: Stub, run: Run) -> None:
    stub.streams(said("One"), '{"error":{"message":"The engine died.","type":"server_error"}}', "[DONE]")

    assert run("chat", "-m", "m", "x") == (1, "One\n", "The engine died.\n")


def test_a_stream_that_just_ends_is_a_failure(stub: Stub, run: Run) -> None:
    stub.streams(said("One"))

    outcome = run("chat", "-m", "m", "x")

    assert outcome == (1, "One\n", "The answer broke off: the server ended the stream without [DONE].\n")


def test_a_refused_request_prints_nothing(stub: Stub, run: Run) -> None:
    message = "The model `m` does not exist or you do not have access to it."
    stub.answers(envelope(message, code="model_not_found"), status=404)

    assert run("chat", "-m", "m", "x") == (5, "", f"{message}\nStatus 404, request req_0123456789abcdef\n")


def test_a_server_without_models_wants_one_named(stub: Stub, run: Run) -> None:
    stub.answers({"object": "list", "data": []})

    assert run("chat", "x") == (2, "", "The server lists no models; name one with --model.\n")


def test_a_pipe_gets_the_answer_as_it_is_and_a_terminal_what_is_harmless(
    stub: Stub, run: Run, terminal: Terminal
) -> None:
    stub.streams(said("\\u001b[31mred"), FINISH, "[DONE]")
    stub.streams(said("\\u001b[31mred"), FINISH, "[DONE]")

    assert run("chat", "-m", "m", "x").out == "\x1b[31mred\n"
    assert terminal.run("chat", "-m", "m", "x").out == "\ufffd[31mred\n"


def test_a_conversation_remembers(stub: Stub, terminal: Terminal) -> None:
    stub.streams(said("Hello Ada."), FINISH, "[DONE]")
    stub.answers(envelope("Busy."), status=503)
    stub.streams(said("Ada."), FINISH, "[DONE]")

    steps = [("> ", "I am Ada.\n"), ("> ", "\n"), ("> ", "Lost?\n"), ("> ", "Who am I?\n"), ("> ", CTRL_D)]
    outcome = terminal.run("chat", "-m", "m", steps=steps)

    assert outcome.code == 0
    assert "Hello Ada.\n" in outcome.out
    assert "Busy.\nStatus 503" in outcome.out
    assert [request.body["messages"] for request in stub.seen][-1] == [
        {"role": "user", "content": "I am Ada."},
        {"role": "assistant", "content": "Hello Ada."},
        {"role": "user", "content": "Who am I?"},
    ]


def test_ctrl_c_stops_an_answer(stub: Stub, terminal: Terminal) -> None:
    stub.streams_without_end(said("One, "))

    outcome = terminal.run("chat", "-m", "m", "Count.", steps=[("One, ", CTRL_C)])

    assert outcome == (130, "One, \n", "")


def test_ctrl_c_in_a_conversation_stops_only_the_answer(stub: Stub, terminal: Terminal) -> None:
    stub.streams_without_end(said("One, "))
    stub.streams(said("Yes."), FINISH, "[DONE]")

    steps = [("> ", "Count.\n"), ("One, ", CTRL_C), ("> ", "Still there?\n"), ("> ", CTRL_D)]
    outcome = terminal.run("chat", "-m", "m", steps=steps)

    assert outcome.code == 0
    assert "Stopped.\n" in outcome.out
    assert stub.seen[-1].body["messages"] == [{"role": "user", "content": "Still there?"}]

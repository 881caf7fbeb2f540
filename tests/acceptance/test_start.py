"""How the server starts, how it says that it cannot, and how it stops."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import psutil
import pytest

from .conftest import Workshop
from .server import ECHO, EMBEDDED, MODEL, MODEL_FILE, START_S, Server, eventually, mounted, question
from .upstream import TEXT, Upstream
from .wire import DONE, send, stream

KEY = "sk-acceptance-0123456789"

# What the dynamic loader says on an image without libgomp1, raised where the engine's package is imported.
NO_LIBGOMP = 'raise ImportError("libgomp.so.1: cannot open shared object file: No such file or directory")\n'


# What it says, and to whom


def test_the_banner_says_where_and_what(make_server: Workshop) -> None:
    server = make_server("--alias", f"gpt-4o={MODEL}").start()
    assert f"listens on {server.base_url}" in server.banner
    assert f"Data: {server.data}" in server.banner
    assert f"Model: {MODEL}" in server.banner
    assert f"Alias: gpt-4o = {MODEL}" in server.banner
    assert "hansard serve --upstream " in server.banner
    assert (server.data / "hansard.sqlite3").is_file()


def test_a_second_server_on_the_same_data_is_refused_and_told_of_the_first(make_server: Workshop) -> None:
    server = make_server(model=ECHO).start()
    arguments = ("serve", "--port", "0", "--data", str(server.data), *ECHO)
    second = subprocess.run([sys.executable, "-m", "hansard", *arguments], capture_output=True, text=True, timeout=30)
    assert second.returncode == 1
    assert f"in use by another `hansard serve` (process {server.pid})" in second.stderr


@pytest.mark.skipif(MODEL_FILE != "builtin", reason="HANSARD_TEST_MODEL replaces the built-in model")
def test_asked_for_nothing_it_serves_the_built_in_model(make_server: Workshop) -> None:
    server = make_server(model=()).start()
    assert [model["id"] for model in server.get("/models").json()["data"]] == [MODEL]
    assert server.ask("What is the capital of France?").text == "The capital of France is Paris."


def test_a_line_per_request_without_contents_or_keys(make_server: Workshop) -> None:
    server = make_server(model=ECHO, environment={"HANSARD_API_KEY": KEY}).start()
    assert server.ask("a secret of state", model="echo", store=True).status == 401
    body = question("a secret of state", model="echo", store=True)
    completion = server.post("/chat/completions", body, authorization=f"Bearer {KEY}").json()
    eventually(lambda: completion["id"] in server.stderr, "the request's line")
    assert "401" in server.stderr
    assert "secret of state" not in server.stderr
    assert KEY not in server.stderr


def test_python_m_hansard_tells_its_version() -> None:
    ran = subprocess.run([sys.executable, "-m", "hansard", "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"hansard \d+\.\d+\.\d+\S*\n", ran.stdout)


# Settings


def test_settings_from_variables(make_server: Workshop) -> None:
    environment = {"HANSARD_MODELS": "echo", "HANSARD_API_KEY": KEY, "HANSARD_LIST_ORDER": "desc"}
    server = make_server(model=(), environment=environment).start()
    assert server.get("/models").status == 401
    key = {"authorization": f"Bearer {KEY}"}
    assert [model["id"] for model in server.get("/models", **key).json()["data"]] == ["echo"]
    made = [
        server.post("/chat/completions", question(word, model="echo", store=True), **key).json()["id"]
        for word in ("first", "second")
    ]
    assert [stored["id"] for stored in server.get("/chat/completions", **key).json()["data"]] == made[::-1]


def test_all_mistakes_are_told_together(make_server: Workshop) -> None:
    said = make_server("--queue", "many", "--on-disconnect", "cry", environment={"HANSARD_DRAIN": "soon"})
    text = said.refuses_to_start()
    assert all(name in text for name in ("--queue", "--on-disconnect", "HANSARD_DRAIN")), text


def test_idle_it_stays_small(make_server: Workshop) -> None:
    """100 MB is the promise; the engine's process is counted apart."""
    server = make_server().start()
    assert server.ask("Hello!", store=True).status == 200
    assert psutil.Process(server.pid).memory_info().rss < 100_000_000


# Going on


def test_a_second_start_goes_on_with_what_is_there(make_server: Workshop) -> None:
    server = make_server().start()
    made = server.ask("What is the capital of France?", store=True, metadata={"a": "b"}).json()
    assert server.stop() == 0
    server.assert_nothing_remains()

    server.start()
    stored = server.get(f"/chat/completions/{made['id']}").json()
    assert stored["choices"][0]["message"] | made["choices"][0]["message"] == stored["choices"][0]["message"]
    assert stored["metadata"] == {"a": "b"}
    assert server.ask("Hello!", store=True).status == 200
    assert len(server.stored_ids) == 2


def test_the_built_in_model_beside_another(make_server: Workshop) -> None:
    server = make_server("--model", "echo").start()
    assert {model["id"] for model in server.get("/models").json()["data"]} == {MODEL, "echo"}
    assert server.ask("So be it.", model="echo").text == "So be it."
    assert server.ask("What is the capital of France?").text == "The capital of France is Paris."


# Refusals


def test_a_port_in_use(make_server: Workshop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = make_server("--port", str(port), model=ECHO).refuses_to_start()
    assert f"{port} on 127.0.0.1 is in use" in said
    assert f"--port {port + 1}" in said


def test_a_data_directory_below_a_file(make_server: Workshop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("I am no directory.", encoding="utf-8")
    data = tmp_path / "file" / "data"
    said = make_server(model=ECHO, data=data).refuses_to_start()
    assert str(data) in said
    assert "--data" in said


@pytest.mark.parametrize(
    ("options", "fill", "reason"),
    [("ro", "true", "read-only"), ("size=64k", "head -c 64k /dev/zero > '{data}/ballast'", "full")],
    ids=["read-only", "full"],
)
def test_a_file_system_that_takes_nothing(
    make_server: Workshop, tmp_path: Path, options: str, fill: str, reason: str
) -> None:
    data = tmp_path / "mounted"
    wrapper = mounted(data, options, fill.format(data=data))
    said = make_server(model=ECHO, data=data, wrapper=wrapper).refuses_to_start()
    assert str(data) in said
    assert reason in said
    assert "--data" in said


def test_a_database_from_a_newer_version(make_server: Workshop) -> None:
    server = make_server(model=ECHO).start()
    assert server.stop() == 0
    database = server.data / "hansard.sqlite3"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = content(database)

    said = server.refuses_to_start()

    assert "newer Hansard" in said
    assert str(database) in said
    assert content(database) == before


def test_somebody_elses_database(make_server: Workshop, tmp_path: Path) -> None:
    database = tmp_path / "data" / "hansard.sqlite3"
    database.parent.mkdir()
    database.write_text("This is a letter, and no database." * 100, encoding="utf-8")
    said = make_server(model=ECHO, data=database.parent).refuses_to_start()
    assert str(database) in said
    assert database.read_text(encoding="utf-8").startswith("This is a letter")


@pytest.mark.parametrize(
    "content", [b"", b"GGUF", b"not a model at all" * 1000, b"GGUF\x03\x00\x00\x00" + b"\xff" * 64]
)
def test_a_bad_model_file(make_server: Workshop, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(content)
    said = make_server(model=("--model", str(file))).refuses_to_start()
    assert "bad.gguf" in said
    assert len(said.strip().splitlines()) == 1, said


def test_a_truncated_model_file(make_server: Workshop, tmp_path: Path) -> None:
    whole = builtin_file()
    file = tmp_path / "half.gguf"
    file.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    said = make_server(model=("--model", str(file))).refuses_to_start()
    assert "half" in said
    assert len(said.strip().splitlines()) == 1, said


def test_no_such_model_file(make_server: Workshop) -> None:
    said = make_server(model=("--model", "/nowhere/model.gguf")).refuses_to_start()
    assert "/nowhere/model.gguf" in said


def test_an_alias_for_a_model_that_is_not_there(make_server: Workshop) -> None:
    said = make_server("--alias", "gpt-4o=qwen", model=ECHO).refuses_to_start()
    assert "qwen" in said
    assert "echo" in said


# Beyond loopback


def test_no_key_no_listening_beyond_loopback(make_server: Workshop) -> None:
    said = make_server("--host", "0.0.0.0", model=ECHO).refuses_to_start()
    assert "HANSARD_API_KEY" in said
    assert "--api-key-file" in said


def test_beyond_loopback_with_a_key(make_server: Workshop, tmp_path: Path) -> None:
    key_file = tmp_path / "key.txt"
    key_file.write_text(f"{KEY}\n", encoding="utf-8")
    server = make_server("--host", "0.0.0.0", "--api-key-file", str(key_file), model=ECHO).start()
    body = question("Aye.", model="echo")
    refused = server.post("/chat/completions", body)
    assert refused.status == 401
    assert refused.error["message"].startswith("You didn't provide an API key.")
    wrong = server.post("/chat/completions", body, authorization="Bearer sk-of-somebody-else")
    assert (wrong.status, wrong.error["code"]) == (401, "invalid_api_key")
    assert "sk-of-somebody-else" not in wrong.error["message"]
    assert server.post("/chat/completions", body, authorization=f"Bearer {KEY}").text == "Aye."
    assert send("GET", f"{server.root}/health").status == 200


# Without libgomp


@pytest.fixture
def without_libgomp(tmp_path: Path) -> dict[str, str]:
    """An environment in which importing the engine fails as it does on a slim image."""
    package = tmp_path / "slim" / "xllamacpp"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(NO_LIBGOMP, encoding="utf-8")
    return {"PYTHONPATH": str(package.parent)}


def test_without_libgomp_it_names_the_command(make_server: Workshop, without_libgomp: dict[str, str]) -> None:
    said = make_server(model=EMBEDDED, environment=without_libgomp).refuses_to_start()
    assert "apt-get install libgomp1" in said


def test_without_libgomp_everything_else_works(make_server: Workshop, without_libgomp: dict[str, str]) -> None:
    with Upstream().running() as upstream:
        server = make_server("--upstream", upstream.base_url, model=ECHO, environment=without_libgomp).start()
        assert server.ask("Aye.", model="echo", store=True).text == "Aye."
        assert server.ask("Order?", model="steady", store=True).text == TEXT
        assert len(server.stored_ids) == 2


# The end


def test_a_stream_under_way_is_finished(make_server: Workshop) -> None:
    with Upstream().running() as upstream:
        server = make_server("--upstream", upstream.base_url, model=()).start()
        with stream(f"{server.base_url}/chat/completions", question("Go on.", model="pauses", stream=True)) as reply:
            payloads = iter(reply)
            next(payloads)
            server.signal(signal.SIGTERM)
            eventually(lambda: not accepts(server), "the server to accept nobody new", server=server)
            upstream.release.set()
            *_, last, done = payloads
        assert json.loads(last)["choices"][0]["finish_reason"] == "stop"
        assert done == DONE
        assert server.wait() == 0


def test_what_is_to_be_stored_is_committed_before_the_end(make_server: Workshop) -> None:
    with Upstream().running() as upstream:
        server = make_server("--upstream", upstream.base_url, model=()).start()
        asked = question("Go on.", model="pauses", stream=True, store=True)
        with stream(f"{server.base_url}/chat/completions", asked) as reply:
            payloads = iter(reply)
            made = json.loads(next(payloads))["id"]
            server.signal(signal.SIGTERM)
            eventually(lambda: not accepts(server), "the server to accept nobody new", server=server)
            upstream.release.set()
            assert [*payloads][-1] == DONE
        assert server.wait() == 0
        server.start()
        assert server.stored_ids == [made]


def test_systemd_is_told_when_it_is_ready_and_when_it_stops(make_server: Workshop, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(START_S)
        server = make_server(model=ECHO, environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        server.start()
        assert listening.recv(100) == b"READY=1"
        assert server.stop() == 0
        assert listening.recv(100) == b"STOPPING=1"


def test_a_key_from_systemds_credentials(make_server: Workshop, tmp_path: Path) -> None:
    (tmp_path / "api_key").write_text(f"{KEY}\n", encoding="utf-8")
    server = make_server(model=ECHO, environment={"CREDENTIALS_DIRECTORY": str(tmp_path)}).start()
    assert server.get("/models").status == 401
    assert server.get("/models", authorization=f"Bearer {KEY}").status == 200


def test_a_line_of_json_per_request(make_server: Workshop) -> None:
    server = make_server("--log", "json", model=ECHO).start()
    body = question("a secret of state", model="echo", store=True)
    made = server.post("/chat/completions", body, **{"x-client-request-id": "mine-7"})
    line = eventually(lambda: told(server, "request"), "the line of the request", server=server)
    assert line["completion_id"] == made.json()["id"]
    assert line["client_request_id"] == "mine-7"
    assert (line["status"], line["stored"], line["finish_reason"]) == (200, True, "stop")
    assert "secret of state" not in server.stderr


def test_every_line_is_json_from_the_first_to_the_last(make_server: Workshop) -> None:
    with Upstream().running() as upstream:
        arguments = ("--upstream", upstream.base_url, "--log", "json", "--drain", "1", "--alias", "a=steady")
        server = make_server(*arguments, model=ECHO, environment={"HANSARD_API_KEY": KEY}).start()
        asked = question("Go on.", model="pauses", stream=True)
        headers = {"authorization": f"Bearer {KEY}"}
        with stream(f"{server.base_url}/chat/completions", asked, headers=headers) as reply:
            next(iter(reply))
            assert server.stop() == 0

    started = told(server, "server_started")
    assert started["level"] == "info"
    assert started["address"] == server.base_url
    assert "echo" in started["models"]
    assert started["aliases"] == {"a": "steady"}
    assert started["store"] == f"sqlite:///{server.data}/hansard.sqlite3"
    assert all(json.loads(line)["level"] for line in server.stderr.splitlines())


@pytest.mark.parametrize("arguments", [("--queue", "many"), ("--model", "/no/such/file.gguf")])
def test_why_it_does_not_start_is_json_as_well(make_server: Workshop, arguments: tuple[str, ...]) -> None:
    server = make_server("--log", "json", *arguments, model=ECHO)
    server.refuses_to_start()

    refused = told(server, "not_started")
    assert refused["level"] == "error"
    assert arguments[1] in refused["message"]
    assert all(json.loads(line)["level"] for line in server.stderr.splitlines())


def test_the_drain_has_an_end(make_server: Workshop) -> None:
    with Upstream().running() as upstream:
        server = make_server("--upstream", upstream.base_url, "--drain", "1", model=()).start()
        with stream(f"{server.base_url}/chat/completions", question("Go on.", model="pauses", stream=True)) as reply:
            payloads = iter(reply)
            next(payloads)
            assert server.stop() == 0
            *_, last, done = payloads
        assert json.loads(last)["error"]["message"] == "The server is shutting down."
        assert done == DONE
    [line] = [line for line in server.stderr.splitlines() if "POST  /v1/chat/completions" in line]
    assert "server_error" in line
    assert "Traceback" not in server.stderr


def test_bytes_that_are_no_http_have_one_line(make_server: Workshop) -> None:
    server = make_server("--log", "json", model=ECHO).start()
    said_before = server.stderr
    with socket.create_connection((urlsplit(server.base_url).hostname, urlsplit(server.base_url).port)) as connection:
        connection.sendall(b"SSH-2.0-x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert server.stop() == 0

    [line] = server.stderr.removeprefix(said_before).splitlines()
    assert json.loads(line)["status"] == 400


@pytest.mark.parametrize("limits", [("--silence-s", "0.2"), ("--body-s", "0.2")])
def test_a_body_that_comes_too_late_has_one_line(make_server: Workshop, limits: tuple[str, str]) -> None:
    server = make_server("--log", "json", *limits, model=ECHO).start()
    reply = reply_to_half(server)
    assert server.stop() == 0

    line = told(server, "request")
    assert reply.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"\r\nconnection: close\r\n" in reply
    assert f"\r\nx-request-id: {line['request_id']}\r\n".encode() in reply
    assert (line["status"], line["method"], line["path"]) == (408, "POST", "/v1/chat/completions")


def test_a_request_answered_before_its_body_has_come_is_answered_once(make_server: Workshop) -> None:
    arguments = ("--log", "json", "--silence-s", "0.2")
    server = make_server(*arguments, model=ECHO, environment={"HANSARD_API_KEY": KEY}).start()
    reply = reply_to_half(server)
    assert server.stop() == 0

    assert reply.startswith(b"HTTP/1.1 401 ")
    assert reply.count(b"HTTP/1.1 ") == 1
    assert told(server, "request")["status"] == 401


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_two_signals_end_it_at_once(make_server: Workshop, first: signal.Signals, second: signal.Signals) -> None:
    with Upstream().running() as upstream:
        server = make_server("--upstream", upstream.base_url, "--drain", "3600", model=EMBEDDED).start()
        kept = server.ask("Aye.", store=True).json()["id"]
        with stream(f"{server.base_url}/chat/completions", question("Go on.", model="pauses", stream=True)) as reply:
            payloads = iter(reply)
            next(payloads)
            server.signal(first)
            eventually(lambda: not accepts(server), "the first signal to be heard", server=server)
            server.signal(second)
            *_, last, done = payloads
            assert server.wait() == 0
        assert json.loads(last)["error"]["message"] == "The server is shutting down."
        assert done == DONE
        server.assert_nothing_remains()
        assert "Traceback" not in server.stderr
        server.start()
        assert server.stored_ids == [kept]


def test_two_signals_wait_for_nothing_that_outlived_its_client(make_server: Workshop) -> None:
    with Upstream().running() as upstream:
        arguments = ("--upstream", upstream.base_url, "--drain", "3600", "--on-disconnect", "finish")
        server = make_server(*arguments, model=()).start()
        asked = question("Go on.", model="pauses", stream=True, store=True)
        with stream(f"{server.base_url}/chat/completions", asked) as reply:
            next(iter(reply))
        eventually(lambda: " 499 " in server.stderr, "the client to be missed", server=server)
        server.signal(signal.SIGTERM)
        eventually(lambda: not accepts(server), "the first signal to be heard", server=server)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


def test_two_signals_end_it_though_nobody_takes_its_log(make_server: Workshop, tmp_path: Path) -> None:
    log = tmp_path / "log"
    os.mkfifo(log)
    elsewhere = ("sh", "-c", f"exec \"$@\" 2>'{log}'", "sh")
    server = make_server("--log", "json", model=ECHO, wrapper=elsewhere)
    with open(os.open(log, os.O_RDWR), "rb", buffering=0) as said:
        fcntl.fcntl(said, fcntl.F_SETPIPE_SZ, 4096)
        server.spawn()
        started = json.loads(said.readline())
        with pytest.raises(TimeoutError):
            ask_for_ever(urlsplit(started["address"]))
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGINT)  # another one: of two that are alike and not yet heard the system keeps one
        assert server.wait() == -signal.SIGALRM


def ask_for_ever(address: SplitResult) -> None:
    """Until no reply comes."""
    while True:
        with closing(http.client.HTTPConnection(address.netloc, timeout=3)) as connection:
            connection.request("GET", "/v1/models")
            connection.getresponse().read()


def test_sigterm_while_it_works_leaves_nothing(make_server: Workshop) -> None:
    server = make_server("--drain", "5").start()
    replies: list[int] = []

    def ask() -> None:
        while True:
            try:
                replies.append(server.ask("Hello!", store=True).status)
            except OSError:
                return

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    eventually(lambda: len(replies) > 4, "some replies", server=server)
    assert server.stop() == 0
    for thread in asking:
        thread.join()
    server.assert_nothing_remains()
    assert set(replies) <= {200, 503}
    server.start()
    assert len(server.stored_ids) == min(replies.count(200), 100)


def reply_to_half(server: Server) -> bytes:
    """All that comes back for a request whose body stops."""
    address = urlsplit(server.base_url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.settimeout(START_S)
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        return b"".join(iter(lambda: connection.recv(4096), b""))


def told(server: Server, event: str) -> Any:
    """The one line of JSON of this event, or None."""
    found = [line for line in map(json.loads, server.stderr.splitlines()) if line["event"] == event]
    assert len(found) < 2, found
    return found[0] if found else None


def content(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return list(connection.iterdump())


def accepts(server: Server) -> bool:
    try:
        return send("GET", f"{server.root}/health").status == 200
    except OSError:
        return False


def builtin_file() -> Path:
    """The model file the server runs on."""
    if MODEL_FILE != "builtin":
        return Path(MODEL_FILE)
    import hansard

    return Path(hansard.__file__).parent / "engines" / "builtin" / f"{MODEL}.gguf"

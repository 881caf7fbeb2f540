"""conformance/wire: requests as they are meant, replies as they came."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from hansard.conformance.families.models import spellings
from hansard.conformance.outcome import Mismatch
from hansard.conformance.wire import Address, Reply

EVENTS = b'data: {"b":1,"a":2}\n\ndata: [DONE]\n\n'


@contextmanager
def saying(*pieces: bytes, closes: bool = True) -> Iterator[tuple[str, Sequence[bytes]]]:
    """A server that says these bytes to whoever asks, and keeps what it was asked."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.recv(65536))
                for piece in pieces:
                    connection.sendall(piece)
                if not closes:
                    connection.recv(1)  # until the client leaves

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1/", heard
        thread.join()


def reply_to(base_url: str, *, leave_after: int | None = None) -> Reply:
    address = Address(base_url=base_url, timeout_s=10)
    return address.exchange(address.request("GET", "/x", body=None, headers={}), leave_after=leave_after)


def http(body: bytes, *, length: int | None = None) -> bytes:
    return b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: %d\r\n\r\n" % (length or len(body)) + body


def chunked(*pieces: bytes) -> list[bytes]:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return [head, *(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n"]


@pytest.mark.parametrize("base_url", ["127.0.0.1:8000", "ftp://h/v1", ""])
def test_what_is_no_address(base_url: str) -> None:
    with pytest.raises(ValueError, match="write one like"):
        Address(base_url=base_url)


def test_a_request() -> None:
    address = Address(base_url="http://h:1/base/v1/", key="k")

    sent = address.request("POST", "/x", body=b"{}", headers={"accept-x": "y", "Accept": None}, query=[("a[b]", "c d")])

    assert (sent.method, sent.target, sent.body) == ("POST", "/base/v1/x?a%5Bb%5D=c+d", b"{}")
    assert sent.headers["Authorization"] == "Bearer k"
    assert sent.headers["Content-Type"] == "application/json"
    assert sent.headers["accept-x"] == "y"
    assert "Accept" not in sent.headers


def test_a_query_as_it_is_and_a_path_from_the_root() -> None:
    address = Address(base_url="http://h/v1")

    assert address.request("GET", "/x", body=None, headers={}, query="a[b]=c%20d").target == "/v1/x?a[b]=c%20d"
    assert address.request("GET", "/x", body=None, headers={}, from_root=True).target == "/x"


def test_a_key_is_not_shown() -> None:
    assert "secret" not in repr(Address(base_url="http://h/v1", key="secret"))


def test_a_reply_as_it_came() -> None:
    with saying(http(b'{"b":1,"a":{"d":1,"c":2}}')) as (base_url, heard):
        reply = reply_to(base_url)

    assert heard[0].startswith(b"GET /v1/x HTTP/1.1\r\n")
    assert reply.headers[:2] == (("X-A", "1"), ("x-a", "2"))
    assert (reply.header("x-A"), reply.header("y")) == ("1", None)
    assert json.dumps(reply.document) == '{"b": 1, "a": {"d": 1, "c": 2}}'
    assert reply.whole


@pytest.mark.parametrize("body", [b"[1]", b"no", b"\xff", b"null", b""])
def test_a_body_that_is_no_object(body: bytes) -> None:
    reply = Reply(status=200, headers=(), body=body)

    with pytest.raises(Mismatch, match="a JSON object"):
        _ = reply.document


@pytest.mark.parametrize("error", ['{"detail":"no"}', '{"error":"no"}', '{"error":null}'])
def test_an_error_without_envelope(error: str) -> None:
    reply = Reply(status=400, headers=(), body=error.encode())

    with pytest.raises(Mismatch, match="an envelope"):
        _ = reply.error


@pytest.mark.parametrize("at", range(1, len(EVENTS)))
def test_events_however_they_are_cut(at: int) -> None:
    with saying(*chunked(EVENTS[:at], EVENTS[at:])) as (base_url, _):
        reply = reply_to(base_url)

    assert [frame.raw for frame in reply.frames] == [b'data: {"b":1,"a":2}', b"data: [DONE]"]
    assert reply.chunks == [{"b": 1, "a": 2}]
    assert 0 < reply.frames[0].at_s <= reply.frames[1].at_s


@pytest.mark.parametrize("event", [b"data:x", b": comment", b"event: error\ndata: x", b""])
def test_an_event_of_another_form(event: bytes) -> None:
    [frame, *_] = Reply(status=200, headers=(), body=event + b"\n\n").frames

    with pytest.raises(Mismatch, match="an event of one line"):
        _ = frame.payload


def test_a_reply_cut_off_is_not_whole() -> None:
    with saying(http(b"half", length=8)) as (base_url, _):
        reply = reply_to(base_url)

    assert (reply.body, reply.whole) == (b"half", False)


def test_leaving_midway() -> None:
    head, first, *_ = chunked(b"data: 1\n\n")
    with saying(head, first, closes=False) as (base_url, _):
        reply = reply_to(base_url, leave_after=1)

    assert (reply.body, reply.whole) == (b"data: 1\n\n", False)


@pytest.mark.parametrize(("at", "spelled"), [(0, "org/a%20model"), (1, "org%2Fa%20model")])
def test_a_model_whose_id_has_a_space_can_be_asked_for(at: int, spelled: str) -> None:
    with saying(http(b"{}")) as (base_url, heard):
        address = Address(base_url=base_url, timeout_s=10)
        asked = address.request("GET", f"/models/{spellings('org/a model')[at]}", body=None, headers={})
        assert address.exchange(asked).status == 200

    assert heard[0].startswith(f"GET /v1/models/{spelled} HTTP/1.1".encode())

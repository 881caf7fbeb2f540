"""engines/upstream/refusals.py: an upstream's no in our envelope."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import pytest

from hansard.engines.client import Reply
from hansard.engines.upstream.refusals import of_frame, of_reply
from hansard.errors import HansardError, Unavailable

SAID = {"message": "No.", "type": "their_type", "param": "p", "code": "bad"}


def refusal(status: int, body: object = None, *, key_is_clients: bool = False, **headers: str) -> HansardError:
    content = body if isinstance(body, bytes) else json.dumps(body or {"error": SAID}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return of_reply(Reply(status=status, headers=named, body=content), key_is_clients=key_is_clients)


@pytest.mark.parametrize(
    ("status", "ours", "kind", "code"),
    [
        # What is wrong with the request is passed on as it was said,
        (400, 400, "their_type", "bad"),
        (402, 402, "their_type", "bad"),
        (404, 404, "invalid_request_error", "bad"),
        (409, 409, "their_type", "bad"),
        (413, 413, "their_type", "bad"),
        (422, 422, "their_type", "bad"),
        (429, 429, "their_type", "bad"),
        # the operator's key is nothing to do with the client,
        (401, 502, "server_error", "upstream_auth"),
        (403, 502, "server_error", "upstream_auth"),
        # and what broke there is a gateway's error here.
        (204, 502, "server_error", "upstream_invalid_response"),
        (301, 502, "server_error", "upstream_invalid_response"),
        (307, 502, "server_error", "upstream_invalid_response"),
        (500, 502, "server_error", "upstream_error"),
        (502, 502, "server_error", "upstream_error"),
        (503, 503, "server_error", "upstream_unavailable"),
        (504, 504, "server_error", "upstream_timeout"),
        (529, 503, "server_error", "upstream_unavailable"),
    ],
)
def test_refusals_by_status(status: int, ours: int, kind: str, code: str) -> None:
    error = refusal(status)

    assert (error.status, error.type, error.code) == (ours, kind, code)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_of_the_clients_own_is_the_clients_to_know(status: int) -> None:
    error = refusal(status, key_is_clients=True)

    assert (error.status, error.message, error.code) == (status, "No.", "bad")


def test_a_refused_key_of_ours_says_nothing_of_it() -> None:
    error = refusal(401, {"error": {"message": "Incorrect API key provided: sk-1234."}})

    assert error.message == "The model server refused this server's key."


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7), (" 0 ", 0), (formatdate(time.time() - 60, usegmt=True), 0)], ids=["7", "0", "past"]
)
def test_the_time_to_come_back_is_kept(status: int, text: str, seconds: int) -> None:
    assert refusal(status, retry_after=text).retry_after_s == seconds


def test_the_time_to_come_back_may_be_a_date() -> None:
    seconds = refusal(429, retry_after=formatdate(time.time() + 100, usegmt=True)).retry_after_s

    assert seconds is not None
    assert 95 <= seconds <= 100


@pytest.mark.parametrize("text", ["9999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 -2359"])
def test_no_time_to_come_back_is_longer_than_a_million_seconds(text: str) -> None:
    assert refusal(503, retry_after=text).retry_after_s == 10**6


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5e9", "٣", "Mon, 01 Jan 2024 00:00:00 +99999999999999999999"])
def test_a_time_that_is_none_counts_as_not_said(text: str) -> None:
    assert refusal(500, retry_after=text).retry_after_s is None
    assert refusal(503, retry_after=text).retry_after_s == Unavailable.retry_after_s


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", None),
        (b"<html>", None),
        (b"\xff", None),
        (b'{"error": "No."}', "No."),
        (b'{"error": {"message": null, "code": 7}}', None),
        (b'{"detail": []}', None),
    ],
)
def test_a_refusal_need_not_be_an_envelope(body: bytes, text: str | None) -> None:
    error = refusal(418, body)

    assert error.status == 418
    assert error.message == (text or "The model server answered with status 418.")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"object": "error", "message": "too long", "type": "BadRequestError", "param": None, "code": 400}, "too long"),
        ({"detail": "too long"}, "too long"),
        ({"detail": {"message": "too long"}}, "too long"),
        ({"detail": {"error": "too long"}}, "too long"),
        (
            {"detail": [{"loc": ["body", "messages", 0], "msg": "Field required"}, {"loc": ["body"], "msg": "No"}]},
            "body.messages.0: Field required; body: No",
        ),
        ({"error": "too long", "code": 400}, "too long"),
        ({"error": {"message": "too long", "param": ["a"], "code": 1.5}}, "too long"),
        ({"message": "too long"}, "too long"),
    ],
)
def test_the_text_of_a_refusal_is_found_wherever_servers_put_it(body: object, text: str) -> None:
    assert refusal(400, body).message == text


@pytest.mark.parametrize("body", [{"detail": []}, {"detail": [{}, 1]}, {"detail": 7}, {"message": {}}, [1], 7])
def test_a_refusal_without_a_text_says_its_status(body: object) -> None:
    assert refusal(400, body).message == "The model server answered with status 400."


def test_a_flat_refusal_keeps_its_code_and_type() -> None:
    error = refusal(400, {"object": "error", "message": "no", "type": "BadRequestError", "param": "n", "code": 40})

    assert (error.type, error.param, error.code) == ("BadRequestError", "n", "40")


def test_an_error_frame_says_what_it_said() -> None:
    assert of_frame(b'{"error": {"message": "Lost my voice.", "type": "x"}}').message == "Lost my voice."
    assert of_frame(b'{"error": 7}').message == "The model server failed midway."


@pytest.mark.parametrize("status", [400, 404, 422, 429])
def test_what_an_upstream_calls_its_refusal_is_not_our_word_for_it(status: int) -> None:
    """Words of ours become labels of metrics, of which each new one is kept for good."""
    error = refusal(status, {"error": {"message": "No.", "type": "t" * 3000, "code": 'c"\n'}})
    nameless = refusal(status, {"error": {"message": "No.", "type": "t" * 3000}})

    assert error.code == 'c"\n'
    assert error.word == nameless.word == f"upstream_refused_{status}"


def test_a_failure_of_an_upstreams_has_our_own_code_as_its_word() -> None:
    assert [refusal(status).word for status in (401, 500, 503)] == [
        "upstream_auth",
        "upstream_error",
        "upstream_unavailable",
    ]

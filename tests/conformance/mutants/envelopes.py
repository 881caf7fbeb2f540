"""Servers with other headers, other envelopes, and other tastes in requests."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.conformance.broken import Answered, Asked, Mutant, errors_with, refuses

ANY = ("POST", "/chat/completions")


def _wrong(name: str, *fails: str, answer: Callable[[Answered], None], to: tuple[str, str] | None = None) -> Mutant:
    return Mutant(name=f"http-{name}", fails=fails, answer=answer, only_to=to)


def _header(name: str, value: str | None) -> Callable[[Answered], None]:
    return lambda answered: answered.header(name, value)


def _without_code(answered: Answered) -> None:
    document = answered.document
    if "error" in document:
        del document["error"]["code"]
        answered.document = document


def _detail(answered: Answered) -> None:
    """As a framework answers by itself."""
    if answered.status >= 400:
        answered.status = 422 if answered.status == 400 else answered.status
        answered.document = {"detail": "no"}


def _crashes(answered: Answered) -> None:
    if answered.status == 400:
        refuses(500, "The server had an error", kind="server_error")(answered)


def _forgives(asked: Asked) -> None:
    """Takes what is no JSON for an empty object."""
    try:
        document = json.loads(asked.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        asked.document = {}


def _wants(name: str, *values: str) -> Callable[[Answered], None]:
    def edit(answered: Answered) -> None:
        if not any(key == name and value in values for key, value in answered.asked.headers):
            refuses(415)(answered)

    return edit


def _knows_no(name: str) -> Callable[[Answered], None]:
    def edit(answered: Answered) -> None:
        if any(key == name for key, _ in answered.asked.headers):
            refuses(400)(answered)

    return edit


def _streams_by_accept(asked: Asked) -> None:
    if ("accept", "text/event-stream") in asked.headers:
        asked.document = {**asked.document, "stream": True}


def _streams_only_by_accept(asked: Asked) -> None:
    if ("accept", "text/event-stream") not in asked.headers:
        asked.document = {**asked.document, "stream": False}


def _parses_bodies_of_delete(answered: Answered) -> None:
    if answered.asked.method == "DELETE" and answered.asked.body:
        refuses(400)(answered)


MUTANTS = (
    _wrong(
        "have-no-request-id",
        "http.a_reply_has_a_request_id",
        "http.an_error_has_a_request_id",
        "http.a_stream_has_a_request_id",
        "http.request_ids_differ",
        "http.a_404_is_json",
        answer=_header("x-request-id", None),
    ),
    _wrong("repeats-request-ids", "http.request_ids_differ", answer=_header("x-request-id", "req_" + "0" * 32)),
    _wrong("has-uuids", "http.a_reply_has_a_request_id", answer=_header("x-request-id", "req_1b4e28ba-2fa1-11d2")),
    _wrong("has-no-time", "http.a_reply_has_its_processing_time", answer=_header("openai-processing-ms", None)),
    _wrong("has-no-version", "http.a_reply_has_the_api_version", answer=_header("openai-version", None)),
    _wrong(
        "is-text",
        "http.a_reply_is_json",
        "http.an_error_is_json",
        "http.a_404_is_json",
        answer=_header("content-type", "text/plain"),
    ),
    _wrong("has-no-code", "http.an_error_has_its_four_keys", answer=_without_code),
    _wrong("has-details", "http.an_error_has_its_four_keys", "http.*_is_no_json", answer=_detail),
    _wrong("crashes", "http.*_is_no_json", "http.deep_nesting_is_refused", answer=_crashes),
    Mutant(name="http-forgives", fails=("http.*_is_no_json",), ask=_forgives),
    _wrong("knows-every-address", "http.an_unknown_address_is_404", answer=errors_with(status=200)),
    _wrong("says-not-found", "http.an_unknown_address_is_404", answer=errors_with(message="Not Found")),
    _wrong(
        "wants-plain-json",
        "http.content_type_may_be_*",
        "http.content_type_may_name_a_charset",
        answer=_wants("content-type", "application/json"),
        to=ANY,
    ),
    Mutant(name="http-streams-by-accept", fails=("http.accept_may_be_odd",), ask=_streams_by_accept, only_to=ANY),
    Mutant(
        name="http-streams-only-by-accept",
        fails=("http.accept_does_not_decide_on_streaming",),
        ask=_streams_only_by_accept,
        only_to=ANY,
    ),
    _wrong("knows-no-clients", "http.client_headers_are_welcome", answer=_knows_no("x-stainless-lang")),
    _wrong("parses-bodies-of-delete", "http.a_body_of_delete_is_ignored", answer=_parses_bodies_of_delete),
)

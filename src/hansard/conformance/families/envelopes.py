"""What all replies share: headers, error envelopes, and what a request may look like before anyone reads its fields."""

from __future__ import annotations

from hansard.conformance import expect
from hansard.conformance.checks import CAPTURED, OFFICIAL, RECORDED, REPORTED, Check, check, decision
from hansard.conformance.probe import COMPLETIONS, UNKNOWN_ID, Probe

NOT_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble "
    "figuring out how to fix this, please contact us through our help center at help.openai.com.)"
)


@check("http", RECORDED)
def a_reply_has_a_request_id(probe: Probe) -> None:
    """A reply has the header x-request-id: req_ and 32 hexadecimal digits."""
    reply = probe.accept(probe.create())

    expect.matches(reply.header("x-request-id"), "req_[0-9a-f]{32}", "header x-request-id")


@check("http", RECORDED, CAPTURED)
def an_error_has_a_request_id(probe: Probe) -> None:
    """An error has x-request-id, too; clients show it."""
    reply = expect.status(probe.send("POST", COMPLETIONS, body={}), 400)

    expect.matches(reply.header("x-request-id"), "req_.+", "header x-request-id")


@check("http", RECORDED)
def a_stream_has_a_request_id(probe: Probe) -> None:
    """A streamed reply has x-request-id."""
    expect.matches(probe.streamed().header("x-request-id"), "req_.+", "header x-request-id")


@check("http", RECORDED)
def request_ids_differ(probe: Probe) -> None:
    """Every request has an id of its own."""
    found = [probe.accept(probe.create()).header("x-request-id") for _ in range(2)]

    expect.that(None not in found and found[0] != found[1], "two different x-request-id", found)


@check("http", RECORDED)
def a_reply_has_its_processing_time(probe: Probe) -> None:
    """A reply has openai-processing-ms, a number of milliseconds."""
    expect.matches(probe.accept(probe.create()).header("openai-processing-ms"), "[0-9]+", "header openai-processing-ms")


@check("http", RECORDED)
def a_reply_has_the_api_version(probe: Probe) -> None:
    """A reply has openai-version: 2020-10-01."""
    expect.equal(probe.accept(probe.create()).header("openai-version"), "2020-10-01", "header openai-version")


@check("http", OFFICIAL, RECORDED)
def a_reply_is_json(probe: Probe) -> None:
    """A reply is application/json."""
    kind = probe.accept(probe.create()).header("content-type")

    expect.that((kind or "").split(";")[0] == "application/json", "content-type: application/json", kind)


@check("http", OFFICIAL, RECORDED)
def an_error_is_json(probe: Probe) -> None:
    """An error is application/json."""
    kind = expect.status(probe.send("POST", COMPLETIONS, body={}), 400).header("content-type")

    expect.that((kind or "").split(";")[0] == "application/json", "content-type: application/json", kind)


@check("http", OFFICIAL, RECORDED)
def an_error_has_its_four_keys(probe: Probe) -> None:
    """An error is {"error": {message, type, param, code}}; a key without a value is null, not absent."""
    reply = probe.send("POST", COMPLETIONS, body={"model": probe.model})

    expect.keys(reply.document, ("error",), "the envelope")
    expect.equal(sorted(reply.error), ["code", "message", "param", "type"], "keys of error")


@check("http", REPORTED)
def an_unknown_address_is_404(probe: Probe) -> None:
    """An unknown address is 404 with param and code null, and names method and path."""
    reply = probe.send("POST", f"{COMPLETIONS}/chat/completions/x", body={})

    expect.refusal(reply, 404, param=None, code=None)
    expect.that(reply.error["message"].startswith("Invalid URL (POST "), "Invalid URL (POST …", reply.error["message"])


def _not_json(name: str, title: str, body: bytes) -> Check:
    def run(probe: Probe) -> None:
        expect.refusal(probe.send("POST", COMPLETIONS, body=body), 400, param=None, code=None, message=NOT_JSON)

    return Check(name=f"http.{name}_is_no_json", title=title, operation="http", evidence=(REPORTED,), run=run)


BODIES = (
    _not_json("a_cut_body", "A body that breaks off is refused in the live API's words.", b'{"model": "m", '),
    _not_json("an_empty_body", "An empty body is refused in the live API's words.", b""),
    _not_json("an_array", "A body that is no object is refused in the live API's words.", b"[1, 2]"),
    _not_json("a_form", "A form is refused in the live API's words.", b"model=m&messages=hello"),
    _not_json("broken_utf8", "A body that is no UTF-8 is refused in the live API's words.", b'{"model": "\xff\xfe"}'),
)


@check("http", decision(38), REPORTED)
def deep_nesting_is_refused(probe: Probe) -> None:
    """A body nested a hundred thousand levels deep is the client's mistake, and no 500."""
    reply = probe.send("POST", COMPLETIONS, body=b'{"model":' + b"[" * 100_000 + b"]" * 100_000 + b"}")

    expect.that(400 <= reply.status < 500, "a status of 400 to 499", f"status {reply.status}")
    expect.equal(sorted(reply.error), ["code", "message", "param", "type"], "keys of error")


def _taken(name: str, title: str, headers: dict[str, str | None], evidence: tuple[str, ...]) -> Check:
    def run(probe: Probe) -> None:
        expect.equal(probe.created(headers=headers)["object"], "chat.completion", "object")

    return Check(name=f"http.{name}", title=title, operation="http", evidence=evidence, run=run)


TAKEN = (
    _taken(
        "content_type_may_be_missing", "A body without Content-Type is parsed.", {"Content-Type": None}, (decision(32),)
    ),
    _taken(
        "content_type_may_be_odd",
        "A body is parsed whatever Content-Type says.",
        {"Content-Type": "text/plain"},
        (decision(32),),
    ),
    _taken(
        "content_type_may_name_a_charset",
        "A charset in Content-Type is no obstacle.",
        {"Content-Type": "application/json; charset=utf-8"},
        (decision(32),),
    ),
    _taken(
        "accept_may_be_odd",
        "What Accept says changes nothing.",
        {"Accept": "text/event-stream"},
        (CAPTURED, decision(33)),
    ),
    _taken(
        "client_headers_are_welcome",
        "What the official clients send beside is no obstacle.",
        {"X-Stainless-Lang": "python", "X-Stainless-Retry-Count": "0", "X-Stainless-Read-Timeout": "600"},
        (CAPTURED,),
    ),
)


@check("http", CAPTURED, decision(33), needs=("stream",))
def accept_does_not_decide_on_streaming(probe: Probe) -> None:
    """Clients ask for streams with Accept: application/json; ``stream`` alone decides."""
    reply = probe.streamed(headers={"Accept": "application/json"})

    expect.that(
        (reply.header("content-type") or "").startswith("text/event-stream"),
        "text/event-stream",
        reply.header("content-type"),
    )


@check("http", decision(32), needs=("delete",))
def a_body_of_delete_is_ignored(probe: Probe) -> None:
    """DELETE with a body deletes, whatever is in it."""
    made = probe.stored()

    reply = probe.send("DELETE", f"{COMPLETIONS}/{made['id']}", body=b"not json")

    expect.equal(probe.accept(reply).document["deleted"], expected=True, what="deleted")


@check("http", RECORDED, needs=("get",))
def a_404_is_json(probe: Probe) -> None:
    """A 404 is application/json with a request id."""
    reply = expect.status(probe.get(UNKNOWN_ID), 404)

    kind = reply.header("content-type")
    expect.that((kind or "").split(";")[0] == "application/json", "content-type: application/json", kind)
    expect.matches(reply.header("x-request-id"), "req_.+", "header x-request-id")

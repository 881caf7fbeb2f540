"""Addresses and methods: with and without slash and prefix, never a redirect; and methods that nobody has."""

from __future__ import annotations

from urllib.parse import urlsplit

from hansard.conformance import expect
from hansard.conformance.checks import OFFICIAL, REPORTED, Check, check, decision
from hansard.conformance.outcome import NotApplicable
from hansard.conformance.probe import COMPLETIONS, UNKNOWN_ID, Probe
from hansard.conformance.wire import Document

RFC_9110 = "RFC 9110, 15.5.6"


@check("http", decision(35))
def create_takes_a_trailing_slash(probe: Probe) -> None:
    """POST /chat/completions/ creates; a redirect would lose the body."""
    reply = probe.send("POST", f"{COMPLETIONS}/", body=probe.question())

    expect.equal(probe.accept(reply).document["object"], "chat.completion", "object")


@check("http", decision(35), needs=("list",))
def list_takes_a_trailing_slash(probe: Probe) -> None:
    """GET /chat/completions/ lists."""
    expect.equal(probe.accept(probe.send("GET", f"{COMPLETIONS}/")).document["object"], "list", "object")


@check("http", decision(35), needs=("get",))
def get_takes_a_trailing_slash(probe: Probe) -> None:
    """GET /chat/completions/{id}/ gets."""
    made = probe.stored()

    reply = probe.send("GET", f"{COMPLETIONS}/{made['id']}/")

    expect.equal(probe.accept(reply).document["id"], made["id"], "id")


@check("http", decision(35), needs=("messages",))
def messages_take_a_trailing_slash(probe: Probe) -> None:
    """GET /chat/completions/{id}/messages/ lists the messages."""
    reply = probe.get(probe.stored()["id"], "/messages/")

    expect.equal(probe.accept(reply).document["object"], "list", "object")


@check("http", decision(35), needs=("models",))
def models_take_a_trailing_slash(probe: Probe) -> None:
    """GET /models/ lists the models."""
    expect.equal(probe.accept(probe.send("GET", "/models/")).document["object"], "list", "object")


def _above_prefix(probe: Probe) -> str:
    path = urlsplit(probe.session.address.base_url).path.rstrip("/")
    if not path.endswith("/v1"):
        raise NotApplicable("the base address does not end in /v1")
    return path.removesuffix("/v1")


@check("http", decision(35))
def create_works_without_the_prefix(probe: Probe) -> None:
    """POST /chat/completions without /v1 creates."""
    reply = probe.send("POST", _above_prefix(probe) + COMPLETIONS, body=probe.question(), from_root=True)

    expect.equal(probe.accept(reply).document["object"], "chat.completion", "object")


@check("http", decision(35), needs=("list",))
def list_works_without_the_prefix(probe: Probe) -> None:
    """GET /chat/completions without /v1 lists."""
    reply = probe.send("GET", _above_prefix(probe) + COMPLETIONS, from_root=True)

    expect.equal(probe.accept(reply).document["object"], "list", "object")


@check("http", decision(35), needs=("models",))
def models_work_without_the_prefix(probe: Probe) -> None:
    """GET /models without /v1 lists the models."""
    reply = probe.send("GET", f"{_above_prefix(probe)}/models", from_root=True)

    expect.equal(probe.accept(reply).document["object"], "list", "object")


def _no_method(method: str, name: str, path: str) -> Check:
    def run(probe: Probe) -> None:
        body: Document | None = {} if method in ("PUT", "PATCH", "POST") else None
        expect.refusal(probe.send(method, path, body=body), 405, param=None, code="method_not_supported")

    return Check(
        name=f"http.{method.lower()}_{name}_is_405",
        title=f"{method} {path} is 405 method_not_supported.",
        operation="http",
        evidence=(REPORTED, RFC_9110),
        run=run,
    )


METHODS = (
    _no_method("PUT", "completions", COMPLETIONS),
    _no_method("PATCH", "completions", COMPLETIONS),
    _no_method("DELETE", "completions", COMPLETIONS),
    _no_method("PUT", "completion", f"{COMPLETIONS}/{UNKNOWN_ID}"),
    _no_method("PATCH", "completion", f"{COMPLETIONS}/{UNKNOWN_ID}"),
    _no_method("POST", "messages", f"{COMPLETIONS}/{UNKNOWN_ID}/messages"),
    _no_method("DELETE", "messages", f"{COMPLETIONS}/{UNKNOWN_ID}/messages"),
    _no_method("POST", "models", "/models"),
)


@check("http", RFC_9110)
def a_405_says_what_is_allowed(probe: Probe) -> None:
    """A 405 has the header Allow with the methods that there are."""
    reply = expect.status(probe.send("PATCH", COMPLETIONS, body={}), 405)

    allowed = {method.strip() for method in (reply.header("allow") or "").split(",")}
    expect.that({"GET", "POST"} <= allowed, "allow: GET and POST", reply.header("allow"))


@check("http", OFFICIAL, decision(35))
def nothing_is_redirected(probe: Probe) -> None:
    """No address of the API answers with a redirect."""
    for path in (COMPLETIONS, f"{COMPLETIONS}/", "/models", "/models/", f"{COMPLETIONS}/{UNKNOWN_ID}/"):
        reply = probe.send("GET", path)
        expect.that(not 300 <= reply.status < 400, "no redirect", f"status {reply.status}")

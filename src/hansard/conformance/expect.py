"""How checks compare: each function returns in silence or raises a Mismatch that says both sides."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from hansard.conformance.outcome import Mismatch
from hansard.conformance.wire import Document, Reply

ENVELOPE = ("message", "type", "param", "code")

# For an argument that may be null: it was not given.
ANY: Any = object()


def equal(got: object, expected: object, what: str) -> None:
    """Equal as JSON: ``true`` is not 1. ``what`` names the thing, for the report."""
    if _spelled(got) != _spelled(expected):
        raise Mismatch(expected=f"{what}: {_spelled(expected)}", got=_spelled(got))


def that(holds: object, expected: str, got: object) -> None:
    """Whatever no other function says."""
    if not holds:
        raise Mismatch(expected=expected, got=got if isinstance(got, str) else _spelled(got))


def keys(document: Document, expected: Sequence[str], what: str) -> None:
    """These keys and no others, in this order."""
    equal(list(document), list(expected), f"keys of {what}, in order")


def has(document: object, names: Iterable[str], what: str) -> None:
    """These keys at least, of an object."""
    missing = [name for name in names if not isinstance(document, dict) or name not in document]
    that(not missing, f"{what} with {', '.join(missing)}", document)


def number(got: object, expected: float, what: str) -> None:
    """Equal as numbers: 1 is 1.0."""
    that(type(got) in (int, float) and got == expected, f"{what}: {expected}", got)


def kind(value: object, wanted: type | tuple[type, ...], what: str) -> None:
    """A JSON type, by Python's; bool is no int here."""
    allowed = wanted if isinstance(wanted, tuple) else (wanted,)
    names = " or ".join("null" if one is type(None) else one.__name__ for one in allowed)
    that(type(value) in allowed, f"{what}: {names}", value)


def matches(text: object, pattern: str, what: str) -> None:
    """A string that is, from end to end, of this form."""
    that(isinstance(text, str) and re.fullmatch(pattern, text), f"{what} like {pattern}", text)


def status(reply: Reply, wanted: int) -> Reply:
    """The reply, if it has this status."""
    that(reply.status == wanted, f"status {wanted}", f"status {reply.status}: {_text(reply)}")
    return reply


def refusal(
    reply: Reply,
    wanted: int,
    *,
    type: str = "invalid_request_error",  # noqa: A002 (the envelope's own word)
    param: str | None = ANY,
    code: str | None = ANY,
    message: str | None = None,
) -> None:
    """The error envelope: four keys, and those values that are given."""
    status(reply, wanted)
    error = reply.error
    equal(sorted(error), sorted(ENVELOPE), "keys of error")
    kind(error["message"], str, "error.message")
    wishes = {"type": type, "param": param, "code": code, "message": message or ANY}
    for key, wish in wishes.items():
        if wish is not ANY:
            equal(error[key], wish, f"error.{key}")


def _spelled(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=repr)


def _text(reply: Reply) -> str:
    return reply.body[:500].decode(errors="replace")

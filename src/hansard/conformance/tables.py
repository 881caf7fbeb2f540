"""Checks of one form, for families that are tables: a create request that is refused, or taken."""

from __future__ import annotations

from typing import Any

from hansard.conformance import expect
from hansard.conformance.checks import OFFICIAL, REPORTED, Check
from hansard.conformance.expect import ANY
from hansard.conformance.probe import Probe

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
"""A PNG of one black pixel."""


def refuses(
    rule: str,
    title: str,
    *evidence: str,
    fields: dict[str, Any],
    param: str | None = ANY,
    code: str | None = ANY,
    message: str | None = None,
    demands: tuple[str, ...] = (),
) -> Check:
    """A create request with these fields is 400, with what is given of the envelope."""

    def run(probe: Probe) -> None:
        reply = probe.create(**fields)
        probe.excuse(reply)
        expect.refusal(reply, 400, param=param, code=code, message=message)

    return Check(
        name=f"create.refuses_{rule}",
        title=title,
        operation="create",
        evidence=evidence,
        run=run,
        demands=frozenset(demands),
    )


def refuses_messages(rule: str, title: str, *evidence: str, messages: list[Any], **told: Any) -> Check:
    """As ``refuses``, of a request with this conversation."""
    return refuses(rule, title, *evidence, fields={"messages": messages}, **told)


def lacks(rule: str, what: str, path: str, messages: list[Any], *demands: str) -> Check:
    """A conversation with one part that lacks what stands at the end of ``path``."""
    return refuses_messages(
        rule,
        f"{what} without '{path.rpartition('.')[2]}' is 400 missing_required_parameter.",
        OFFICIAL,
        REPORTED,
        messages=messages,
        param=path,
        code="missing_required_parameter",
        message=f"Missing required parameter: '{path}'.",
        demands=demands,
    )


def takes(rule: str, title: str, *evidence: str, fields: dict[str, Any], demands: tuple[str, ...] = ()) -> Check:
    """A create request with these fields is answered."""

    def run(probe: Probe) -> None:
        choices = probe.created(**fields)["choices"]
        expect.that(choices, "a completion with choices", choices)

    return Check(
        name=f"create.takes_{rule}",
        title=title,
        operation="create",
        evidence=evidence,
        run=run,
        demands=frozenset(demands),
    )

"""Requests that come again under one Idempotency-Key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hansard.conformance import expect
from hansard.conformance.checks import check, decision
from hansard.conformance.families.sampling import COUNT
from hansard.conformance.probe import Probe
from hansard.conformance.wire import Document


def _key(probe: Probe, number: int = 0) -> dict[str, str | None]:
    return {"Idempotency-Key": f"{probe.mark}-{number}"}


@check("create", decision(22))
def a_repeat_is_the_same_completion(probe: Probe) -> None:
    """The same key and body give the same completion."""
    first = probe.created(messages=COUNT, headers=_key(probe))

    expect.equal(probe.created(messages=COUNT, headers=_key(probe)), first, "the repeat")


@check("create", decision(22))
def another_key_is_another_completion(probe: Probe) -> None:
    """Another key gives another completion."""
    first, other = (probe.created(headers=_key(probe, number))["id"] for number in (1, 2))

    expect.that(first != other, "another id", other)


@check("create", decision(22))
def a_changed_body_is_409(probe: Probe) -> None:
    """The same key with another body is 409."""
    probe.created(headers=_key(probe))

    expect.refusal(probe.create(messages=COUNT, headers=_key(probe)), 409)


@check("create", decision(22))
def repeats_at_once_are_the_same_completion(probe: Probe) -> None:
    """Repeats that come while the first is under way wait for it."""
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: probe.created(messages=COUNT, headers=_key(probe))["id"], range(4)))

    expect.equal(len(set(made)), 1, "how many ids")


@check("create", decision(22), needs=("list",))
def a_repeat_is_stored_once(probe: Probe) -> None:
    """What was stored is stored once."""
    for _ in range(2):
        probe.stored(headers=_key(probe))

    expect.equal(len(probe.mine()["data"]), 1, "how many are stored")


@check("create", decision(22))
def a_failure_may_be_tried_again(probe: Probe) -> None:
    """A request that was refused leaves its key free."""
    expect.refusal(probe.create(temperature=9, headers=_key(probe)), 400)

    probe.created(headers=_key(probe))


@check("stream", decision(22))
def a_repeated_stream_is_the_same_completion(probe: Probe) -> None:
    """A stream that comes again has the same id, and says the same."""
    first, again = (probe.streamed(messages=COUNT, headers=_key(probe)).chunks for _ in range(2))

    expect.equal([chunk["id"] for chunk in again], [first[0]["id"]] * len(again), "the ids of the repeat")
    expect.equal(_said(again), _said(first), "the content")


def _said(chunks: list[Document]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])

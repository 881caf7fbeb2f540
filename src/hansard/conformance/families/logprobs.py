"""Log probabilities: their form, and that they are those of the answer."""

from __future__ import annotations

from typing import Any

from hansard.conformance import expect
from hansard.conformance.checks import OFFICIAL, RECORDED, check
from hansard.conformance.families.sampling import COUNT, STEADY
from hansard.conformance.probe import Probe
from hansard.conformance.wire import Document

ENTRY = ("token", "logprob", "bytes", "top_logprobs")
ALTERNATIVE = ("token", "logprob", "bytes")
WANTED = ("logprobs", "top_logprobs")


def _choice(probe: Probe, **fields: Any) -> Document:
    made = probe.created(messages=COUNT, max_tokens=6, logprobs=True, **STEADY, **fields)
    found: Document = made["choices"][0]
    return found


def _entries(probe: Probe, **fields: Any) -> list[Document]:
    entries: list[Document] = _choice(probe, **fields)["logprobs"]["content"]
    expect.that(entries, "an entry for every token", entries)
    return entries


@check("create", OFFICIAL, demands=WANTED)
def logprobs_have_two_keys(probe: Probe) -> None:
    """logprobs are {content, refusal}, and refusal is null in an answer."""
    logprobs = _choice(probe)["logprobs"]

    expect.keys(logprobs, ("content", "refusal"), "logprobs")
    expect.equal(logprobs["refusal"], None, "refusal")


@check("create", OFFICIAL, demands=WANTED)
def an_entry_has_its_four_keys(probe: Probe) -> None:
    """Each entry has token, logprob, bytes and top_logprobs."""
    for entry in _entries(probe):
        expect.keys(entry, ENTRY, "each entry")


@check("create", OFFICIAL, demands=WANTED)
def a_logprob_is_not_above_0(probe: Probe) -> None:
    """A logarithm of a probability."""
    for entry in _entries(probe):
        expect.that(entry["logprob"] <= 0, "a number of 0 or less", entry["logprob"])


@check("create", OFFICIAL, demands=WANTED)
def entries_spell_the_answer(probe: Probe) -> None:
    """The bytes of the entries, one after the other, are the content."""
    choice = _choice(probe)
    spelled = bytes(byte for entry in choice["logprobs"]["content"] for byte in entry["bytes"])

    expect.equal(spelled.decode(errors="replace"), choice["message"]["content"], "the tokens' bytes")


@check("create", RECORDED, demands=WANTED)
def alternatives_are_empty_unless_asked_for(probe: Probe) -> None:
    """Without top_logprobs there are no alternatives."""
    for entry in _entries(probe):
        expect.equal(entry["top_logprobs"], [], "top_logprobs")


@check("create", OFFICIAL, demands=WANTED)
def as_many_alternatives_as_asked(probe: Probe) -> None:
    """top_logprobs says how many."""
    for entry in _entries(probe, top_logprobs=3):
        expect.equal(len(entry["top_logprobs"]), 3, "how many alternatives")


@check("create", OFFICIAL, demands=WANTED)
def alternatives_have_their_keys(probe: Probe) -> None:
    """Each has token, logprob and bytes."""
    for entry in _entries(probe, top_logprobs=2):
        for alternative in entry["top_logprobs"]:
            expect.keys(alternative, ALTERNATIVE, "each alternative")


@check("create", OFFICIAL, RECORDED, demands=WANTED)
def alternatives_begin_with_the_likeliest(probe: Probe) -> None:
    """They are in falling order."""
    for entry in _entries(probe, top_logprobs=3):
        found = [alternative["logprob"] for alternative in entry["top_logprobs"]]
        expect.equal(found, sorted(found, reverse=True), "the alternatives' logprobs")


@check("create", OFFICIAL, demands=WANTED)
def without_temperature_the_likeliest_is_taken(probe: Probe) -> None:
    """At temperature 0 the token is the first of its alternatives."""
    for entry in _entries(probe, top_logprobs=1):
        expect.equal(entry["top_logprobs"][0]["token"], entry["token"], "the likeliest token")


@check("create", OFFICIAL, demands=WANTED, needs=("get",))
def logprobs_are_stored(probe: Probe) -> None:
    """A stored completion keeps them."""
    made = probe.stored(messages=COUNT, max_tokens=4, logprobs=True, **STEADY)

    kept = probe.kept(made["id"])["choices"][0]
    expect.kind(made["choices"][0]["logprobs"], dict, "the logprobs of create")
    expect.equal(kept["logprobs"], made["choices"][0]["logprobs"], "the stored logprobs")


@check("stream", RECORDED, demands=WANTED)
def logprobs_of_a_stream_open_empty(probe: Probe) -> None:
    """The opener has {"content": [], "refusal": null}."""
    chunks = probe.streamed(messages=COUNT, max_tokens=4, logprobs=True).chunks

    expect.equal(chunks[0]["choices"][0]["logprobs"], {"content": [], "refusal": None}, "the opener's logprobs")


@check("stream", RECORDED, demands=WANTED)
def logprobs_of_a_stream_end_null(probe: Probe) -> None:
    """The finish chunk has null."""
    chunks = probe.streamed(messages=COUNT, max_tokens=4, logprobs=True).chunks
    [finish] = [chunk for chunk in chunks if chunk["choices"] and chunk["choices"][0]["finish_reason"]]

    given = [choice["logprobs"] for chunk in chunks[:-1] for choice in chunk["choices"]]
    expect.that(any(given), "logprobs in the chunks before", given)
    expect.equal(finish["choices"][0]["logprobs"], None, "the finish chunk's logprobs")


@check("stream", RECORDED, demands=WANTED)
def logprobs_come_with_their_tokens(probe: Probe) -> None:
    """Each chunk's entries spell its piece."""
    for chunk in probe.streamed(messages=COUNT, max_tokens=6, logprobs=True, **STEADY).chunks:
        for choice in chunk["choices"]:
            if piece := choice["delta"].get("content"):
                spelled = bytes(byte for entry in choice["logprobs"]["content"] for byte in entry["bytes"])
                expect.equal(spelled.decode(errors="replace"), piece, "the tokens' bytes")

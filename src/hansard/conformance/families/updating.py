"""Updating a stored completion: its metadata, whole, and nothing else."""

from __future__ import annotations

from typing import Any

from hansard.conformance import expect
from hansard.conformance.checks import OFFICIAL, RECORDED, REPORTED, Check, check, decision
from hansard.conformance.families.stored_object import KEYS
from hansard.conformance.probe import COMPLETIONS, UNKNOWN_ID, Probe

NOT_JSON_STARTS = "We could not parse the JSON body of your request."


@check("update", OFFICIAL, RECORDED)
def answers_with_the_stored_object(probe: Probe) -> None:
    """The reply is the stored object, with the new metadata."""
    made = probe.stored()

    updated = probe.accept(probe.update(made["id"], {"metadata": {"a": "b"}})).document

    expect.equal(sorted(updated), sorted(KEYS), "keys of the reply")
    expect.equal(updated["id"], made["id"], "id")
    expect.equal(updated["metadata"], {"a": "b"}, "metadata")


@check("update", RECORDED)
def answers_in_the_order_of_the_wire(probe: Probe) -> None:
    """The 19 keys come in the recorded order."""
    updated = probe.accept(probe.update(probe.stored()["id"], {"metadata": {}})).document

    expect.keys(updated, KEYS, "the stored object")


@check("update", OFFICIAL, needs=("get",))
def is_seen_by_get(probe: Probe) -> None:
    """Get shows the new metadata."""
    made = probe.stored()

    probe.accept(probe.update(made["id"], {"metadata": {"a": "b"}}))

    expect.equal(probe.kept(made["id"])["metadata"], {"a": "b"}, "metadata")


@check("update", OFFICIAL, decision(14))
def replaces_the_metadata(probe: Probe) -> None:
    """The new metadata replaces the old; pairs that are not in it are gone."""
    made = probe.stored(metadata={"old": "1", "both": "1"})

    updated = probe.accept(probe.update(made["id"], {"metadata": {"both": "2", "new": "2"}})).document

    expect.that(updated["metadata"] == {"both": "2", "new": "2"}, "only the new pairs", updated["metadata"])


@check("update", OFFICIAL, decision(15))
def null_clears_the_metadata(probe: Probe) -> None:
    """``metadata: null`` leaves {}."""
    updated = probe.accept(probe.update(probe.stored()["id"], {"metadata": None})).document

    expect.equal(updated["metadata"], {}, "metadata")


@check("update", OFFICIAL, decision(15))
def an_empty_object_clears_the_metadata(probe: Probe) -> None:
    """``metadata: {}`` leaves {}."""
    updated = probe.accept(probe.update(probe.stored()["id"], {"metadata": {}})).document

    expect.equal(updated["metadata"], {}, "metadata")


@check("update", OFFICIAL, needs=("get",))
def changes_nothing_else(probe: Probe) -> None:
    """All keys but metadata stay what they were."""
    made = probe.stored(user="user-42", temperature=0.5)
    before = probe.kept(made["id"])

    probe.accept(probe.update(made["id"], {"metadata": {"a": "b"}}))

    after = probe.kept(made["id"])
    expect.equal({**after, "metadata": None}, {**before, "metadata": None}, "the object without its metadata")


@check("update", OFFICIAL)
def can_be_repeated(probe: Probe) -> None:
    """The same update twice gives the same object."""
    made = probe.stored()

    first = probe.accept(probe.update(made["id"], {"metadata": {"a": "b"}})).document
    again = probe.accept(probe.update(made["id"], {"metadata": {"a": "b"}})).document

    expect.equal(first["metadata"], {"a": "b"}, "metadata")
    expect.equal(again, first, "the second reply")


def _takes(name: str, title: str, metadata: dict[str, str]) -> Check:
    def run(probe: Probe) -> None:
        updated = probe.accept(probe.update(probe.stored()["id"], {"metadata": metadata})).document
        expect.that(updated["metadata"] == metadata, f"metadata: {metadata}", updated["metadata"])

    return Check(name=f"update.takes_{name}", title=title, operation="update", evidence=(OFFICIAL,), run=run)


TAKEN = (
    _takes("unicode", "Keys and values may be of any script.", {"größe": "grün 緑 🟢"}),
    _takes("an_empty_value", "An empty value is a value.", {"empty": ""}),
    _takes(
        "the_largest_metadata",
        "16 pairs, keys of 64 characters and values of 512 are within the limits.",
        {f"{number:064}": "v" * 512 for number in range(16)},
    ),
)


def _refuses(name: str, title: str, body: Any, evidence: tuple[str, ...], **wanted: Any) -> Check:
    def run(probe: Probe) -> None:
        expect.refusal(probe.update(probe.stored()["id"], body), 400, **wanted)

    return Check(name=f"update.refuses_{name}", title=title, operation="update", evidence=evidence, run=run)


REFUSED = (
    _refuses(
        "a_body_without_metadata",
        "``metadata`` is required.",
        {},
        (OFFICIAL, REPORTED, decision(15)),
        param="metadata",
        code="missing_required_parameter",
        message="Missing required parameter: 'metadata'.",
    ),
    _refuses(
        "other_keys",
        "Nothing but metadata can be updated.",
        {"metadata": {}, "model": "other"},
        (OFFICIAL, REPORTED, decision(15)),
        param="model",
        code="unknown_parameter",
        message="Unknown parameter: 'model'.",
    ),
    _refuses(
        "a_number_as_value",
        "Values are strings.",
        {"metadata": {"k": 1}},
        (OFFICIAL, decision(31)),
        param="metadata.k",
        code="invalid_type",
        message="Invalid type for 'metadata.k': expected a string, but got an integer instead.",
    ),
    _refuses(
        "null_as_value",
        "Values are strings, not null.",
        {"metadata": {"k": None}},
        (OFFICIAL, decision(31)),
        param="metadata.k",
        code="invalid_type",
    ),
    _refuses(
        "an_object_as_value",
        "Values are strings, not objects.",
        {"metadata": {"k": {"a": "b"}}},
        (OFFICIAL, decision(31)),
        param="metadata.k",
        code="invalid_type",
    ),
    _refuses(
        "an_array",
        "Metadata is an object.",
        {"metadata": ["a"]},
        (OFFICIAL, REPORTED),
        param="metadata",
        code="invalid_type",
    ),
    _refuses(
        "a_string",
        "Metadata is an object.",
        {"metadata": "a=b"},
        (OFFICIAL, REPORTED),
        param="metadata",
        code="invalid_type",
    ),
    _refuses(
        "17_pairs", "At most 16 pairs.", {"metadata": {str(n): "v" for n in range(17)}}, (OFFICIAL,), param="metadata"
    ),
    _refuses("a_key_of_65_characters", "Keys have at most 64 characters.", {"metadata": {"k" * 65: "v"}}, (OFFICIAL,)),
    _refuses(
        "a_value_of_513_characters",
        "Values have at most 512 characters.",
        {"metadata": {"actual": "v" * 513}},
        (OFFICIAL, REPORTED),
        param="metadata.actual",
        code="string_above_max_length",
        message="Invalid 'metadata.actual': string too long. Expected a string with maximum length 512, "
        "but got a string with length 513 instead.",
    ),
)


def _not_json(name: str, title: str, body: bytes) -> Check:
    def run(probe: Probe) -> None:
        reply = probe.update(probe.stored()["id"], body)
        expect.refusal(reply, 400, param=None, code=None)
        expect.that(reply.error["message"].startswith(NOT_JSON_STARTS), f"{NOT_JSON_STARTS} …", reply.error["message"])

    return Check(name=f"update.refuses_{name}", title=title, operation="update", evidence=(REPORTED,), run=run)


NOT_JSON = (
    _not_json("broken_json", "A body that is no JSON is refused in the live API's words.", b'{"metadata": {'),
    _not_json("an_empty_body", "No body is no JSON.", b""),
)


@check("update", OFFICIAL, needs=("get",))
def changes_nothing_when_refused(probe: Probe) -> None:
    """A refused update leaves the metadata as it was."""
    made = probe.stored(metadata={"a": "b"})
    before = probe.kept(made["id"])["metadata"]

    expect.status(probe.update(made["id"], {"metadata": {"c": "d", "e": 1}}), 400)

    expect.equal(probe.kept(made["id"])["metadata"], before, "metadata")


@check("update", decision(32))
def parses_the_body_whatever_its_content_type(probe: Probe) -> None:
    """A body is parsed whatever Content-Type says."""
    path = f"{COMPLETIONS}/{probe.stored()['id']}"

    reply = probe.send("POST", path, body={"metadata": {"a": "b"}}, headers={"Content-Type": "text/plain"})

    expect.equal(probe.accept(reply).document["metadata"], {"a": "b"}, "metadata")


@check("update", RECORDED)
def unknown_id_is_404(probe: Probe) -> None:
    """An unknown id is 404 not_found, param completion_id, in the live API's words."""
    reply = probe.update(UNKNOWN_ID, {"metadata": {}})

    words = f"Completion {UNKNOWN_ID} not found"
    expect.refusal(reply, 404, param="completion_id", code="not_found", message=words)


@check("update", decision(16), needs=("delete",))
def deleted_id_is_404(probe: Probe) -> None:
    """A deleted completion cannot be updated."""
    made = probe.stored()
    probe.accept(probe.delete(made["id"]))

    expect.refusal(probe.update(made["id"], {"metadata": {}}), 404, code="not_found")


@check("update", decision(16))
def what_was_not_stored_is_404(probe: Probe) -> None:
    """A completion that was not stored cannot be updated."""
    expect.refusal(probe.update(probe.created()["id"], {"metadata": {}}), 404, code="not_found")

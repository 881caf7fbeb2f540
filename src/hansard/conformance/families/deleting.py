"""Deleting a stored completion."""

from __future__ import annotations

from hansard.conformance import expect
from hansard.conformance.checks import CAPTURED, OFFICIAL, RECORDED, check, decision
from hansard.conformance.probe import COMPLETIONS, UNKNOWN_ID, Probe


@check("delete", OFFICIAL, RECORDED)
def answers_what_it_deleted(probe: Probe) -> None:
    """The reply is exactly {"object": "chat.completion.deleted", "id", "deleted": true}."""
    made = probe.stored()

    reply = probe.accept(probe.delete(made["id"]))

    expect.equal(
        reply.document, {"object": "chat.completion.deleted", "id": made["id"], "deleted": True}, "the whole reply"
    )


@check("delete", RECORDED, needs=("get",))
def is_gone_from_get(probe: Probe) -> None:
    """A deleted completion is 404 for get."""
    made = probe.stored()
    probe.accept(probe.get(made["id"]))
    probe.accept(probe.delete(made["id"]))

    expect.refusal(probe.get(made["id"]), 404, code="not_found")


@check("delete", RECORDED)
def a_second_time_is_404(probe: Probe) -> None:
    """Deleting twice is 404 the second time."""
    made = probe.stored()
    probe.accept(probe.delete(made["id"]))

    expect.refusal(probe.delete(made["id"]), 404, code="not_found")


@check("delete", RECORDED)
def unknown_id_is_404(probe: Probe) -> None:
    """An unknown id is 404 not_found, param completion_id, in the live API's words."""
    expect.refusal(
        probe.delete(UNKNOWN_ID),
        404,
        param="completion_id",
        code="not_found",
        message=f"Completion {UNKNOWN_ID} not found",
    )


@check("delete", CAPTURED, decision(32))
def ignores_a_content_type_without_body(probe: Probe) -> None:
    """The Python client sends Content-Type: application/json and no body; that is no mistake."""
    made = probe.stored()

    reply = probe.send("DELETE", f"{COMPLETIONS}/{made['id']}", headers={"Content-Type": "application/json"})

    expect.equal(probe.accept(reply).document["deleted"], expected=True, what="deleted")


@check("delete", OFFICIAL)
def takes_only_one(probe: Probe) -> None:
    """Deleting one completion leaves the others."""
    gone, kept = probe.stored(), probe.stored()

    probe.accept(probe.delete(gone["id"]))

    expect.equal(probe.kept(kept["id"])["id"], kept["id"], "id of the other")


@check("delete", decision(16))
def what_was_not_stored_is_404(probe: Probe) -> None:
    """A completion that was not stored cannot be deleted."""
    expect.refusal(probe.delete(probe.created()["id"]), 404, code="not_found")


@check("delete", decision(38))
def id_of_another_form_is_404(probe: Probe) -> None:
    """Ids are opaque: one of another form is no mistake, only unknown."""
    reply = probe.delete("comp_nonexistent_12345")

    words = "Completion comp_nonexistent_12345 not found"
    expect.refusal(reply, 404, param="completion_id", code="not_found", message=words)

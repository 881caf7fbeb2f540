"""The models a server answers with."""

from __future__ import annotations

from urllib.parse import quote

from hansard.conformance import expect
from hansard.conformance.checks import CAPTURED, OFFICIAL, RECORDED, check, decision
from hansard.conformance.outcome import NotApplicable
from hansard.conformance.probe import Probe
from hansard.conformance.wire import Document

UNKNOWN = "no-such-model"


def listed(probe: Probe) -> Document:
    return probe.accept(probe.send("GET", "/models")).document


@check("models", RECORDED, decision(39))
def object_is_list(probe: Probe) -> None:
    """The reply is a list: object is list, data an array."""
    models = listed(probe)

    expect.equal(models["object"], "list", "object")
    expect.kind(models["data"], list, "data")


@check("models", OFFICIAL, RECORDED)
def each_has_the_four_documented_keys(probe: Probe) -> None:
    """Every model has id, object, created and owned_by."""
    for model in listed(probe)["data"]:
        expect.has(model, ("id", "object", "created", "owned_by"), "a model")


@check("models", OFFICIAL, RECORDED)
def each_has_values_of_the_documented_types(probe: Probe) -> None:
    """``object`` is model, ``created`` an integer, the others strings."""
    for model in listed(probe)["data"]:
        expect.equal(model["object"], "model", "object")
        expect.kind(model["created"], int, "created")
        expect.kind(model["id"], str, "id")
        expect.kind(model["owned_by"], str, "owned_by")


@check("models", OFFICIAL)
def the_one_asked_for_is_listed(probe: Probe) -> None:
    """The model that answers is in the list."""
    names = [model["id"] for model in listed(probe)["data"]]

    expect.that(probe.model in names, f"{probe.model} in the list", names)


@check("models", OFFICIAL)
def one_is_what_the_list_shows(probe: Probe) -> None:
    """A model by its id is the item of the list."""
    one = probe.accept(probe.send("GET", f"/models/{quote(probe.model, safe='')}")).document
    shown = [model for model in listed(probe)["data"] if model["id"] == probe.model]

    expect.equal([one], shown, "the model")


@check("models", RECORDED)
def an_unknown_one_is_404(probe: Probe) -> None:
    """An unknown model is 404 model_not_found, param model, in the live API's words."""
    reply = probe.send("GET", f"/models/{UNKNOWN}")

    words = f"The model '{UNKNOWN}' does not exist"
    expect.refusal(reply, 404, param="model", code="model_not_found", message=words)


@check("models", CAPTURED, decision(39))
def an_id_may_have_slashes(probe: Probe) -> None:
    """Old clients send the slash of an id as it is, new ones encoded; both name the same model."""
    for spelled in ("org/no-such-model", "org%2Fno-such-model"):
        reply = probe.send("GET", f"/models/{spelled}")
        expect.refusal(reply, 404, code="model_not_found", message="The model 'org/no-such-model' does not exist")


@check("models", CAPTURED, decision(39))
def one_with_slashes_is_found(probe: Probe) -> None:
    """A model whose id has slashes is found, with the slash encoded or not."""
    names = [model["id"] for model in listed(probe)["data"] if "/" in model["id"]]
    if not names:
        raise NotApplicable("no model here has a slash in its id")

    for spelled in spellings(names[0]):
        found = probe.accept(probe.send("GET", f"/models/{spelled}")).document
        expect.equal(found["id"], names[0], "id")


def spellings(model_id: str) -> tuple[str, str]:
    """An id within a path, with its slashes as they are and encoded; what no path may hold is encoded in both."""
    return quote(model_id), quote(model_id, safe="")

"""Servers that show their models otherwise."""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.broken import Answered, Mutant, drops, errors_with, refuses, sets

LIST = ("GET", "/models")


def _wrong(name: str, *fails: str, answer: Callable[[Answered], None], to: str = "/models") -> Mutant:
    return Mutant(name=f"models-{name}", fails=fails, answer=answer, only_to=("GET", to))


def _names_no_slashes(answered: Answered) -> None:
    """A server whose routes end at the first slash."""
    if answered.asked.path.count("/") > 2:
        refuses(404, "Invalid URL")(answered)


def _lists_one_with_a_slash(answered: Answered) -> None:
    """And does not find it."""
    if answered.asked.path == "/models":
        document = answered.document
        document["data"] = [{**document["data"][0], "id": "org/m"}]
        answered.document = document


MUTANTS = (
    _wrong("are-no-list", "models.object_is_list", answer=sets("models", "object")),
    _wrong("have-no-owner", "models.each_has_the_four_documented_keys", answer=drops("data", "owned_by")),
    _wrong("have-times-as-text", "models.each_has_values_of_the_documented_types", answer=sets("x", "data", "created")),
    _wrong("are-hidden", "models.the_one_asked_for_is_listed", answer=sets([], "data")),
    _wrong("differ", "models.one_is_what_the_list_shows", answer=sets("x", "owned_by"), to="/models/{id}"),
    _wrong(
        "are-all-known",
        "models.an_unknown_one_is_404",
        "models.an_id_may_have_slashes",
        answer=lambda answered: setattr(answered, "status", 200),
        to="*",
    ),
    _wrong("are-unknown-otherwise", "models.an_unknown_one_is_404", answer=errors_with(param=None), to="*"),
    _wrong("have-no-slashes", "models.an_id_may_have_slashes", answer=_names_no_slashes, to="*"),
    _wrong("lose-one", "models.one_with_slashes_is_found", answer=_lists_one_with_a_slash, to="*"),
)

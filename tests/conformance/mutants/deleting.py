"""Servers that break a rule of deleting."""

from __future__ import annotations

from tests.conformance.broken import Answered, Asked, Mutant, errors_with, refuses, sets

GET = ("GET", "/chat/completions/{id}")
DELETE = ("DELETE", "/chat/completions/{id}")


def _always_succeeds(answered: Answered) -> None:
    answered.status = 200
    completion_id = answered.asked.path.split("/")[-1]
    answered.document = {"object": "chat.completion.deleted", "id": completion_id, "deleted": True}


def _deletes_nothing(asked: Asked) -> None:
    asked.method = "GET"


def _demands_a_body(answered: Answered) -> None:
    if ("content-type", "application/json") in answered.asked.headers:
        answered.status = 400
        answered.document = {"error": {"message": "no body", "type": "x", "param": None, "code": None}}


MUTANTS = (
    Mutant(
        name="delete-names-another-object",
        fails=("delete.answers_what_it_deleted",),
        answer=sets("chat.completion", "object"),
        only_to=DELETE,
    ),
    Mutant(
        name="delete-always-succeeds",
        fails=("delete.*_is_404",),
        answer=_always_succeeds,
        only_to=DELETE,
    ),
    Mutant(name="delete-deletes-nothing", fails=("delete.is_gone_from_get",), ask=_deletes_nothing, only_to=DELETE),
    Mutant(
        name="delete-of-unknown-is-400",
        fails=("delete.*_is_404",),
        answer=errors_with(status=400),
        only_to=DELETE,
    ),
    Mutant(name="delete-takes-all", fails=("delete.takes_only_one",), answer=refuses(404), only_to=GET),
    Mutant(
        name="delete-demands-a-body",
        fails=("delete.ignores_a_content_type_without_body",),
        answer=_demands_a_body,
        only_to=DELETE,
    ),
)

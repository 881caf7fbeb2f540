"""Servers that ask for a key, and say it badly. The sound one asks for none."""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.broken import Answered, Mutant, refuses

KEY = "sk-conformance"


def asks_for_a_key(
    without: Callable[[Answered], None], wrong: Callable[[Answered], None]
) -> Callable[[Answered], None]:
    """Who has none is answered by ``without``, who has another by ``wrong``."""

    def edit(answered: Answered) -> None:
        given = dict(answered.asked.headers).get("authorization")
        if given is None:
            without(answered)
        elif given != f"Bearer {KEY}":
            wrong(answered)

    return edit


def _list_is_open(answered: Answered) -> None:
    if not answered.asked.is_to("GET", "/chat/completions"):
        refuses(401, "You didn't provide an API key.")(answered)


def _shows_the_key(answered: Answered) -> None:
    key = dict(answered.asked.headers)["authorization"].removeprefix("Bearer ")
    refuses(401, f"Incorrect API key provided: {key}.", code="invalid_api_key")(answered)


MUTANTS = (
    Mutant(
        name="keys-are-403",
        fails=("http.without_key_*", "http.a_wrong_key_*", "http.the_list_asks_for_a_key"),
        answer=asks_for_a_key(refuses(403), refuses(403)),
    ),
    Mutant(
        name="keys-leave-the-list-open",
        fails=("http.the_list_asks_for_a_key",),
        answer=asks_for_a_key(_list_is_open, refuses(401)),
    ),
    Mutant(
        name="keys-are-shown",
        fails=("http.a_wrong_key_is_shown_masked",),
        answer=asks_for_a_key(refuses(401), _shows_the_key),
    ),
)

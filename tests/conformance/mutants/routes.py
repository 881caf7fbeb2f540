"""Servers with other addresses and methods."""

from __future__ import annotations

from tests.conformance.broken import Answered, Mutant, errors_with, refuses


def _redirects(answered: Answered) -> None:
    """As frameworks do with a slash at the end."""
    if answered.asked.path.endswith("/"):
        answered.status = 307
        answered.headers = [("location", answered.asked.path.rstrip("/"))]
        answered.body = b""


def _only_below_prefix(answered: Answered) -> None:
    if not answered.asked.has_prefix:
        refuses(404)(answered)


def _keeps_nothing(answered: Answered) -> None:
    """As most chat servers: whatever lies below /chat/completions is unknown."""
    if answered.asked.path.count("/") > 2:
        refuses(404, "Not Found")(answered)


MUTANTS = (
    # An absent operation keeps none of its rules, those about 404 included.
    Mutant(name="nothing-stored", fails=("get.*", "messages.*", "update.*", "delete.*"), answer=_keeps_nothing),
    Mutant(
        name="routes-redirect",
        fails=("http.*_takes_a_trailing_slash", "http.*_take_a_trailing_slash", "http.nothing_is_redirected"),
        answer=_redirects,
    ),
    Mutant(
        name="routes-need-the-prefix",
        fails=("http.*_works_without_the_prefix", "http.*_work_without_the_prefix"),
        answer=_only_below_prefix,
    ),
    Mutant(name="routes-hide-methods", fails=("http.*_is_405", "http.a_405_says_*"), answer=errors_with(status=404)),
    Mutant(name="routes-call-it-otherwise", fails=("http.*_is_405",), answer=errors_with(code="method_not_allowed")),
    Mutant(
        name="routes-do-not-say-what-is-allowed",
        fails=("http.a_405_says_what_is_allowed",),
        answer=lambda answered: answered.header("allow", None),
    ),
)

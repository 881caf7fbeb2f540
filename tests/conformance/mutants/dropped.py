"""Servers that drop in silence what they cannot do, where decision 36 wants it refused by name.

Made from the checks themselves: one server for each set of fields that a check demands.
"""

from __future__ import annotations

from collections.abc import Callable

from hansard.conformance.checks import Check
from hansard.conformance.suite import all_checks
from tests.conformance.broken import Asked, Mutant

# What holds also where the field is not heeded: that it is taken, or that nothing comes of it.
UNMOVED = (
    "create.auto_is_the_default",
    "create.none_calls_no_tool",
    "create.takes_",
    "create.refuses_",
    "get.tool_choice_is_the_one_sent_or_null",
)


def _dropping(fields: frozenset[str]) -> Callable[[Asked], None]:
    def edit(asked: Asked) -> None:
        asked.document = {key: value for key, value in asked.document.items() if key not in fields}

    return edit


def _server(fields: frozenset[str], checks: list[Check]) -> Mutant:
    return Mutant(
        name=f"drops-{'-and-'.join(sorted(fields))}",
        fails=tuple(check.name for check in checks),
        ask=_dropping(fields),
        only_to=("POST", "/chat/completions"),
    )


def _moved() -> dict[frozenset[str], list[Check]]:
    """The checks that a field moves, by what they demand; nobody can drop the messages."""
    found: dict[frozenset[str], list[Check]] = {}
    for check in all_checks():
        if check.demands and "messages" not in check.demands and not check.name.startswith(UNMOVED):
            found.setdefault(check.demands, []).append(check)
    return found


MUTANTS = tuple(_server(fields, checks) for fields, checks in _moved().items())

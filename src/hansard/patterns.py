"""Regular expressions of an operator's own, which are to take no longer than a text is long."""

from __future__ import annotations

import re
from re import _constants as words  # type: ignore[attr-defined]  # the parser's own tree: the one that is run
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, Final, NamedTuple

_MOST_CHARACTERS: Final = 500
_MOST_REPEATS: Final = 256
MOST_STEPS: Final = 1_000
"""What is tried at one place of a text, all ways counted. So nothing that is found, or looked at, is longer either."""


def bounded(text: str) -> re.Pattern[str]:
    """The pattern; ValueError, with what to do instead, if it could take long, or find nothing everywhere."""
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"a pattern has {_MOST_CHARACTERS} characters at most.")
    try:
        compiled = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"it is no regular expression of Python's: {error}.") from error
    parsed = parser.parse(text)
    if _sequence(parsed).steps > MOST_STEPS:
        raise ValueError(
            f"it can take more than {MOST_STEPS:,} steps at one place; bound its repeats more closely, "
            "write {1,64}+, which never backs up, and [ab] for (a|b)."
        )
    if compiled.match(""):
        raise ValueError("it finds nothing, everywhere; ask for one character at least.")
    if parsed.getwidth()[1] == 0:
        raise ValueError("it can find only the empty text, so it would redact nothing; ask for one character at least.")
    return compiled


class _Cost(NamedTuple):
    """At most so many steps, and so many ways to succeed: what follows is tried after each."""

    steps: int
    ways: int

    def then(self, following: _Cost) -> _Cost:
        return _cost(self.steps + self.ways * following.steps, self.ways * following.ways)


_FREE: Final = _Cost(0, 1)
_ONE: Final = _Cost(1, 1)


def _cost(steps: int, ways: int) -> _Cost:
    """Never more than a little too much: else there were numbers of a million digits."""
    return _Cost(min(steps, MOST_STEPS + 1), min(ways, MOST_STEPS + 1))


def _sequence(tree: Any) -> _Cost:
    whole = _FREE
    for word, value in tree:
        whole = whole.then(_of(word, value))
    return whole


def _of(word: Any, value: Any) -> _Cost:
    if word in (words.GROUPREF, words.GROUPREF_IGNORE, words.GROUPREF_EXISTS):
        raise ValueError("it refers back to a group, which can take long; spell it out.")
    if word in (words.MAX_REPEAT, words.MIN_REPEAT):
        return _repeated(*value)
    if word == words.POSSESSIVE_REPEAT:
        return _cost(_repeated(*value).steps, 1)
    if word == words.BRANCH:
        branches = [_sequence(branch) for branch in value[1]]
        return _cost(sum(1 + each.steps for each in branches), sum(each.ways for each in branches))
    if word == words.SUBPATTERN:
        return _sequence(value[-1])
    if word == words.ATOMIC_GROUP:
        return _cost(_sequence(value).steps, 1)
    if word in (words.ASSERT, words.ASSERT_NOT):
        return _cost(_sequence(value[1]).steps, 1)
    return _ONE


def _repeated(least: int, most: int, inner: Any) -> _Cost:
    if most > _MOST_REPEATS:
        raise ValueError(f"a repeat without a bound can take long; write {{1,64}} for + ({_MOST_REPEATS} at most).")
    once, so_far = _sequence(inner), _FREE
    ways = 0
    for times in range(most + 1):
        ways += so_far.ways if times >= least else 0
        if times < most:
            so_far = so_far.then(once)
    return _cost(so_far.steps, ways)

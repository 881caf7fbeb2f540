"""Regular expressions of an operator's own, which are to take no longer than a text is long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import _constants as words  # type: ignore[attr-defined]  # the parser's own tree: the one that is run
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, Final

_MOST_CHARACTERS: Final = 500
_MOST_REPEATS: Final = 256

# Ways in which one place of a text can be tried.
_MOST_WAYS: Final = 100_000


def bounded(text: str) -> re.Pattern[str]:
    """The pattern; ValueError, with what to do instead, if it could take long, or find nothing everywhere."""
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"a pattern has {_MOST_CHARACTERS} characters at most.")
    try:
        compiled = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"it is no regular expression of Python's: {error}.") from error
    ways = 1
    for most, is_inside in _repeats(parser.parse(text)):
        if most > _MOST_REPEATS:
            raise ValueError(f"a repeat without a bound can take long; write {{1,64}} for + ({_MOST_REPEATS} at most).")
        if is_inside:
            raise ValueError("a repeat inside another can take long; write the inner one {1,64}+: it never backs up.")
        ways *= max(most, 1)
    if ways > _MOST_WAYS:
        raise ValueError("its repeats together can take long; bound them more closely, or write {1,64}+.")
    if compiled.match(""):
        raise ValueError("it finds nothing, everywhere; ask for one character at least.")
    return compiled


def _repeats(tree: Any, *, is_inside: bool = False) -> Iterator[tuple[int, bool]]:
    """How often each repeat may, of those that can back up, and whether it is inside another one."""
    for word, value in tree:
        if word in (words.GROUPREF, words.GROUPREF_IGNORE, words.GROUPREF_EXISTS):
            raise ValueError("it refers back to a group, which can take long; spell it out.")
        if word in (words.MAX_REPEAT, words.MIN_REPEAT):
            least, most, inner = value
            is_fixed = least == most and most <= _MOST_REPEATS
            if not is_fixed:
                yield int(most), is_inside
            yield from _repeats(inner, is_inside=is_inside or most > 1)
        elif word == words.POSSESSIVE_REPEAT:  # tried once from each place, so its length alone counts
            if value[1] > _MOST_REPEATS:
                yield int(value[1]), is_inside
            yield from _repeats(value[2], is_inside=is_inside)
        else:
            for inner in _inside(value):
                yield from _repeats(inner, is_inside=is_inside)


def _inside(value: Any) -> Iterator[Any]:
    """The trees in what a word of the parser's says: groups, branches, looks around."""
    if isinstance(value, parser.SubPattern):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _inside(each)

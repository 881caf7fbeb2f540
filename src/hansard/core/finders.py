"""The built-in patterns of ``redaction``, by name, and those among them that find secrets and numbers of accounts.

Pure. What they have in common is said in ``spans``; the others are in ``addresses``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from string import ascii_letters
from typing import Final, NamedTuple

from hansard.core.addresses import emails, ips, phones
from hansard.core.spans import Finder, Span, merged

LONG: Final = 32 * 1024
"""So many characters are looked through in one go, where there are lines."""

_PEM_BEGINS: Final = "-----BEGIN "
_BEARER: Final = "(?i:bearer)"

# How keys begin at vendors that give them no other mark: Groq, Cerebras, xAI, NVIDIA, Perplexity, Replicate, npm, PyPI,
# Slack (of apps), Google (OAuth).
_BEGINNINGS: Final = ("gsk_", "csk-", "xai-", "nvapi-", "pplx-", "r8_", "npm_", "pypi-", "xapp-", "ya29.")

# What every hit has, in any case, and the pattern. Sources:
# https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
# (gh?_), https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html (AKIA, ASIA),
# https://api.slack.com/concepts/token-types (xox?-), RFC 7519 (a JWT begins with the base64 of `{"`), RFC 7468 (PEM).
_SECRETS: Final = tuple(
    (each.lower(), compiled)
    for had, pattern in (
        (("k-", "k_"), r"[spr](?<![A-Za-z0-9].)k[-_][A-Za-z0-9_\-]{16,}+"),
        (("gho_", "ghp_", "ghr_", "ghs_", "ghu_"), r"gh(?<![A-Za-z0-9]..)[pousr]_[A-Za-z0-9]{30,}+"),
        (("github_pat_",), r"github_pat_(?<![A-Za-z0-9].{11})\w{22,}+"),
        (("glpat-",), r"glpat-(?<![A-Za-z0-9].{6})[\w\-]{20,}+"),
        (("xox",), r"xox(?<![A-Za-z0-9]...)[abeprs]-[A-Za-z0-9\-]{10,}+"),
        (("AKIA", "ASIA"), r"A(?<![A-Za-z0-9].)(?:KIA|SIA)[0-9A-Z]{16}"),
        (("AIza",), r"AIza(?<![A-Za-z0-9].{4})[0-9A-Za-z_\-]{35}"),
        (("hf_",), r"hf_(?<![A-Za-z0-9]...)[A-Za-z0-9]{30,}+"),
        *(
            ((begins,), rf"{re.escape(begins)}(?<![A-Za-z0-9]{'.' * len(begins)})[A-Za-z0-9_\-]{{30,}}+")
            for begins in _BEGINNINGS
        ),
        # What only begins like one is passed over, not looked at again from its middle. The group is what makes it one.
        (("eyJ",), r"eyJ(?<![A-Za-z0-9]...)[\w\-]{10,}+(\.eyJ[\w\-]{10,}+\.[\w\-]*+)?"),
        # RFC 6750, 2.1, and RFC 9110, 11.1: the word in any case. It stays.
        (("earer",), rf"[Rr](?<={_BEARER})[ \t]{{1,8}}+(?P<token>[\w\-.~+/]{{16,}}+=*+)"),
        (
            (_PEM_BEGINS,),
            rf"{_PEM_BEGINS}[A-Z ]{{0,40}}PRIVATE KEY-----.*?(?:-----END [A-Z ]{{0,40}}PRIVATE KEY-----|\Z)",
        ),
    )
    for compiled in (re.compile(pattern, re.DOTALL),)
    for each in had
)

# Digits in groups of three and more, as people write cards; what of them is one is for the last digit to say
# (ISO/IEC 7812). So many groups at a time, since sums are kept of them.
_MOST_GROUPS: Final = 1000
_GROUPS: Final = re.compile(
    rf"[0-9](?<![0-9].)[0-9]{{2,18}}+(?![0-9])(?:[ \-][0-9]{{3,19}}+(?![0-9])){{0,{_MOST_GROUPS - 1}}}+"
)
_DIGITS: Final = re.compile(r"[0-9]+")
_FEWEST_IN_CARD: Final = 13
_MOST_IN_CARD: Final = 19
_MOST_GROUPS_OF_CARD: Final = _MOST_IN_CARD // 3
# The sum of the digits of twice each digit.
_DOUBLED: Final = str.maketrans("0123456789", "0246813579")

# https://www.swift.com/standards/data-standards/iban-international-bank-account-number: 15 to 34 characters. The
# expression begins behind the two letters.
_IBAN: Final = re.compile(r"[0-9](?<=[A-Za-z]{2}.)(?<![A-Za-z0-9][A-Za-z]{2}.)[0-9](?: ?[A-Za-z0-9]){11,30}")
_LETTERS_OF_IBAN: Final = 2
_COUNTRY_AND_CHECK: Final = 4
_FEWEST_IN_IBAN: Final = 15
_MOST_IN_IBAN: Final = 34
_SPELLED: Final = {ord(each): str(int(each, 36)) for each in ascii_letters}
_MOST_KNOWN: Final = 1000


def _secrets(text: str) -> Iterator[Span]:
    lowered = text.lower()
    patterns = dict.fromkeys([pattern for had, pattern in _SECRETS if had in lowered])
    if not patterns:
        return iter(())
    hits = (
        found for pattern in patterns for found in pattern.finditer(text) if (found.lastindex or 0) == pattern.groups
    )
    return merged(found.span(found.lastgroup or 0) for found in hits)


def _cards(text: str) -> Iterator[Span]:
    at = 0
    while found := _GROUPS.search(text, at):
        at = found.end()
        if found.end() - found.start() < _FEWEST_IN_CARD:
            continue
        groups = [each.span() for each in _DIGITS.finditer(text, *found.span())]
        whole = len(groups)
        if whole == _MOST_GROUPS:  # more may follow: what begins among the last may go on there
            whole -= _MOST_GROUPS_OF_CARD - 1
            at = groups[whole][0]
        for card in _cards_of(groups, text, beginning_among=whole):
            at = max(at, card[1])
            yield card


def _cards_of(groups: Sequence[Span], text: str, *, beginning_among: int) -> Iterator[Span]:
    """Those that begin and end where groups do; of several that begin at one the longest."""
    ends = [0, *accumulate(end - start for start, end in groups)]
    sums = _sums("".join(text[start:end] for start, end in groups))
    at = 0
    while at < beginning_among:
        begins, last = ends[at], 0
        for to in range(at + 1, min(at + _MOST_GROUPS_OF_CARD, len(groups)) + 1):
            length = ends[to] - begins
            if length > _MOST_IN_CARD:
                break
            if length >= _FEWEST_IN_CARD:
                of_last = sums[ends[to] % 2]
                total = of_last[ends[to]] - of_last[begins]
                if total % 10 == 0 and total:  # zeros alone are no number
                    last = to
        if last:
            yield groups[at][0], groups[last - 1][1]
        at = last or at + 1


def _sums(digits: str) -> tuple[Sequence[int], Sequence[int]]:
    """Those of Luhn of all digits before each: for numbers that end after an even count of them, and an odd one."""
    doubled = digits.translate(_DOUBLED)
    even, odd = [*map(int, digits)], [*map(int, digits)]
    even[0::2], odd[1::2] = map(int, doubled[0::2]), map(int, doubled[1::2])
    return [0, *accumulate(even)], [0, *accumulate(odd)]


def _ibans(text: str) -> Iterator[Span]:
    known = _Words()
    found = _IBAN.search(text)
    while found is not None:
        span = _iban_at(found, known)
        if span is not None:
            yield span
        found = _IBAN.search(text, found.start() + 2 if span is None else span[1])


def _iban_at(found: re.Match[str], known: _Words) -> Span | None:
    """The longest that begins there; what follows it may be more words.

    By the check digits (ISO 7064, MOD 97-10): the country and they themselves count as if they stood at the end.
    """
    text, start = found.string, found.start() - _LETTERS_OF_IBAN
    said = text[start : found.end()]
    words = said.split(" ")
    if text[found.end() : found.end() + 1].isalnum():  # the last goes on
        words.pop()
    head, first = known[said[:_COUNTRY_AND_CHECK]], said[_COUNTRY_AND_CHECK : len(words[0]) if words else 0]
    at, length, remainder, ended = start + _COUNTRY_AND_CHECK - 1, _COUNTRY_AND_CHECK, 0, None
    for word in (first, *words[1:]):
        each = known[word]
        remainder = (remainder * each.factor + each.remainder) % 97
        length += len(word)
        at += 1 + len(word)
        if (remainder * head.factor + head.remainder) % 97 == 1 and _FEWEST_IN_IBAN <= length <= _MOST_IN_IBAN:
            ended = at
    return None if ended is None else (start, ended)


class _Word(NamedTuple):
    """As digits, of which a letter makes two: what they are of 97, and what they make of digits before them."""

    remainder: int
    factor: int


class _Words(dict[str, _Word]):
    """The same ones are in many places that could be an account number."""

    def __missing__(self, word: str) -> _Word:
        if len(self) >= _MOST_KNOWN:
            self.clear()
        digits = word.translate(_SPELLED)
        made = self[word] = _Word(int(digits or 0) % 97, 10 ** len(digits) % 97)
        return made


def _of_at_least(characters: int, finder: Finder) -> Finder:
    """The same; in a shorter text there is none, and most strings of a request are short. Long ones go by lines."""

    def find(text: str) -> Iterable[Span]:
        if len(text) < characters:
            return ()
        # A key in PEM is the only thing that goes over lines.
        if len(text) <= LONG or _PEM_BEGINS in text:
            return finder(text)
        return _by_lines(text, finder)

    return find


def _by_lines(text: str, finder: Finder) -> Iterator[Span]:
    """In some lines after others: an expression lets no other thread run before it has found something."""
    start = 0
    while start < len(text):
        end = text.rfind("\n", start, start + LONG) + 1 or text.find("\n", start + LONG) + 1 or len(text)
        for found, ended in finder(text[start:end]):
            yield start + found, start + ended
        start = end


BUILT_IN: Final[Mapping[str, Finder]] = {
    "credit_card": _of_at_least(_FEWEST_IN_CARD, _cards),
    "email": _of_at_least(len("a@b.cc"), emails),
    "iban": _of_at_least(_FEWEST_IN_IBAN, _ibans),
    "ip": _of_at_least(len("::1"), ips),
    "phone": _of_at_least(len("12345678"), phones),
    "secret": _of_at_least(len("xoxb-") + 10, _secrets),
}
"""The names of those that are always there."""

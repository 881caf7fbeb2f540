"""The built-in patterns of ``redaction``: where in a text a card number, an address or a secret stands.

Pure. Each takes time by the length of a text alone: none backs up over more than a bounded part of it. And each begins
with something rare that every hit has (an ``@``, a digit, ``sk-``) and looks from there to both sides: Python's
expressions skip fast only to a character that they begin with, and so do not begin with what stands before a hit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from itertools import accumulate
from string import ascii_letters
from typing import Final, NamedTuple, TypeAlias

Span: TypeAlias = tuple[int, int]
Finder: TypeAlias = Callable[[str], Iterable[Span]]
"""Where in a text it is: in order, none over another."""

LONG: Final = 32 * 1024
"""So many characters are looked through in one go, where there are lines."""

_LOCAL: Final = re.compile(r"[\w.%+\-]{1,64}\Z")
_MOST_IN_LOCAL: Final = 64
_AT_DOMAIN: Final = re.compile(r"@(?:[\w\-]{1,63}\.){1,8}[^\W\d_]{2,24}")

_PEM_BEGINS: Final = "-----BEGIN "

# What every hit has, and the pattern. Sources:
# https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
# (gh?_), https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html (AKIA, ASIA),
# https://api.slack.com/concepts/token-types (xox?-), RFC 7519 (a JWT begins with the base64 of `{"`), RFC 7468 (PEM).
_SECRETS: Final = tuple(
    (had, re.compile(pattern, re.DOTALL))
    for had, pattern in (
        (("k-", "k_"), r"[spr](?<![A-Za-z0-9].)k[-_][A-Za-z0-9_\-]{16,}+"),
        (("gho_", "ghp_", "ghr_", "ghs_", "ghu_"), r"gh(?<![A-Za-z0-9]..)[pousr]_[A-Za-z0-9]{30,}+"),
        (("github_pat_",), r"github_pat_(?<![A-Za-z0-9].{11})\w{22,}+"),
        (("glpat-",), r"glpat-(?<![A-Za-z0-9].{6})[\w\-]{20,}+"),
        (("xox",), r"xox(?<![A-Za-z0-9]...)[abeprs]-[A-Za-z0-9\-]{10,}+"),
        (("AKIA", "ASIA"), r"A(?<![A-Za-z0-9].)(?:KIA|SIA)[0-9A-Z]{16}"),
        (("AIza",), r"AIza(?<![A-Za-z0-9].{4})[0-9A-Za-z_\-]{35}"),
        (("hf_",), r"hf_(?<![A-Za-z0-9]...)[A-Za-z0-9]{30,}+"),
        # What only begins like one is passed over, not looked at again from its middle. The group is what makes it one.
        (("eyJ",), r"eyJ(?<![A-Za-z0-9]...)[\w\-]{10,}+(\.eyJ[\w\-]{10,}+\.[\w\-]*+)?"),
        (("earer ",), r"(?<=[Bb]earer )[\w\-.~+/]{16,}+=*+"),
        (
            (_PEM_BEGINS,),
            rf"{_PEM_BEGINS}[A-Z ]{{0,40}}PRIVATE KEY-----.*?(?:-----END [A-Z ]{{0,40}}PRIVATE KEY-----|\Z)",
        ),
    )
)

# E.164: at most 15 digits; and the North American form, which goes without a country.
_FEWEST_IN_PHONE: Final = 8
_MOST_IN_PHONE: Final = 15 + 2  # with the 00
_PHONE: Final = re.compile(rf"[+0](?<![\w+].)(?:(?<=\+)|(?<=0)0)[1-9](?:[ \-./()]{{0,3}}+[0-9]){{5,{_MOST_IN_PHONE}}}+")
_AMERICAN_PHONE: Final = re.compile(
    r"[(2-9](?<![\w\-.].)(?:(?<=\()[2-9][0-9]{2}\) ?|(?<!\()[0-9]{2}[\-. ])[2-9][0-9]{2}[\-. ][0-9]{4}(?![\w\-])"
)

_IPV4: Final = re.compile(r"[0-9](?<![\w.:].)[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![\w:]|\.[0-9])")
_COLON_OF_IPV6: Final = re.compile(r":[0-9A-Fa-f:]")
_BEFORE_COLON: Final = re.compile(r"[0-9A-Fa-f]{0,4}\Z")
_IPV6: Final = re.compile(r"(?<![\w.:])[0-9A-Fa-f:.]{2,45}(?![\w:]|\.[0-9])")

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


def _emails(text: str) -> Iterator[Span]:
    free = 0
    for domain in _AT_DOMAIN.finditer(text):
        at = domain.start()
        if local := _LOCAL.search(text, max(free, at - _MOST_IN_LOCAL), at):
            free = domain.end()
            yield local.start(), free


def _secrets(text: str) -> Iterator[Span]:
    patterns = [pattern for had, pattern in _SECRETS if any(each in text for each in had)]
    hits = (
        found for pattern in patterns for found in pattern.finditer(text) if (found.lastindex or 0) == pattern.groups
    )
    return _merged(found.span() for found in hits)


def _phones(text: str) -> Iterator[Span]:
    return _merged(span for pattern in (_PHONE, _AMERICAN_PHONE) for span in _phones_like(pattern, text))


def _phones_like(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    found = pattern.search(text)
    while found is not None:
        span = _phone_at(found)
        if span is not None:
            yield span
        found = pattern.search(text, found.start() + 1 if span is None else span[1])


def _phone_at(found: re.Match[str]) -> Span | None:
    """The longest that begins there; what follows it may be another number."""
    text, count, ended = found.string, 0, None
    for digits in _DIGITS.finditer(text, *found.span()):
        count += digits.end() - digits.start()
        if count > _MOST_IN_PHONE:
            break
        follows = text[digits.end() : digits.end() + 1]
        if count >= _FEWEST_IN_PHONE and not (follows.isalnum() or follows == "_"):
            ended = digits.end()
    return None if ended is None else (found.start(), ended)


def _ips(text: str) -> Iterator[Span]:
    return _merged(span for found in (*_IPV4.finditer(text), *_ipv6(text)) if (span := _ip_in(found)) is not None)


def _ipv6(text: str) -> Iterator[re.Match[str]]:
    free = 0
    for colon in _COLON_OF_IPV6.finditer(text):
        at = colon.start()
        if at < free:
            continue
        before = _BEFORE_COLON.search(text, max(at - 4, free), at)
        if before and (found := _IPV6.match(text, before.start())):
            free = found.end()
            yield found


def _ip_in(found: re.Match[str]) -> Span | None:
    said = found[0].rstrip(".")
    # An exception costs more than all else here.
    is_time_of_day = "::" not in said and said.count(":") in range(1, 6)
    if is_time_of_day or said.count("::") > 1 or not any(each.isalnum() for each in said):
        return None
    try:
        ip_address(said)
    except ValueError:
        return None
    return found.start(), found.start() + len(said)


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    """In order, and as one where they overlap."""
    whole: Span | None = None
    for start, end in sorted(spans):
        if whole is None or start >= whole[1]:
            if whole is not None:
                yield whole
            whole = start, end
        else:
            whole = whole[0], max(whole[1], end)
    if whole is not None:
        yield whole


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
    "email": _of_at_least(len("a@b.cc"), _emails),
    "iban": _of_at_least(_FEWEST_IN_IBAN, _ibans),
    "ip": _of_at_least(len("::1"), _ips),
    "phone": _of_at_least(_FEWEST_IN_PHONE, _phones),
    "secret": _of_at_least(len("xoxb-") + 10, _secrets),
}
"""The names of those that are always there."""

"""The built-in patterns of ``redaction``: where in a text a card number, an address or a secret stands.

Pure. Each takes time by the length of a text alone: none backs up over more than a bounded part of it. And each begins
with something rare that every hit has (an ``@``, a digit, ``sk-``) and looks from there to both sides: Python's
expressions skip fast only to a character that they begin with, and so do not begin with what stands before a hit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Final, TypeAlias

Span: TypeAlias = tuple[int, int]
Finder: TypeAlias = Callable[[str], Iterable[Span]]
"""Where in a text it is: in order, none over another."""

LONG: Final = 32 * 1024
"""So many characters are looked through in one go, where there are lines."""

_LOCAL: Final = re.compile(r"[\w.%+\-]{1,64}\Z")
_MOST_IN_LOCAL: Final = 64
_DOMAIN: Final = re.compile(r"(?:[\w\-]{1,63}\.){1,8}[^\W\d_]{2,24}")

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
        (("eyJ",), r"eyJ(?<![A-Za-z0-9]...)[\w\-]{10,}+\.eyJ[\w\-]{10,}+\.[\w\-]*+"),
        (("earer ",), r"(?<=[Bb]earer )[\w\-.~+/]{16,}+=*+"),
        (
            (_PEM_BEGINS,),
            rf"{_PEM_BEGINS}[A-Z ]{{0,40}}PRIVATE KEY-----.*?(?:-----END [A-Z ]{{0,40}}PRIVATE KEY-----|\Z)",
        ),
    )
)

# E.164: at most 15 digits; and the North American form, which goes without a country.
_PHONE: Final = re.compile(
    r"[+0](?<![\w+].)(?:(?<=\+)|(?<=0)0)[1-9][0-9]{0,2}(?:[ \-./()]{0,3}[0-9]{1,6}){2,7}(?![\w])"
)
_AMERICAN_PHONE: Final = re.compile(
    r"[(2-9](?<![\w\-.].)(?:(?<=\()[2-9][0-9]{2}\) ?|(?<!\()[0-9]{2}[\-. ])[2-9][0-9]{2}[\-. ][0-9]{4}(?![\w\-])"
)
_FEWEST_IN_PHONE: Final = 8
_MOST_IN_PHONE: Final = 15 + 2  # with the 00

_IPV4: Final = re.compile(r"[0-9](?<![\w.:].)[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![\w:]|\.[0-9])")
_COLON_OF_IPV6: Final = re.compile(r":[0-9A-Fa-f:]")
_BEFORE_COLON: Final = re.compile(r"[0-9A-Fa-f]{0,4}\Z")
_IPV6: Final = re.compile(r"(?<![\w.:])[0-9A-Fa-f:.]{2,45}(?![\w:]|\.[0-9])")

# Digits in groups of three and more, as people write cards; what of them is one is for the last digit to say
# (ISO/IEC 7812).
_GROUPS: Final = re.compile(r"[0-9](?<![0-9].)[0-9]{2,18}+(?![0-9])(?:[ \-][0-9]{3,19}+(?![0-9]))*+")
_DIGITS: Final = re.compile(r"[0-9]+")
_FEWEST_IN_CARD: Final = 13
_MOST_IN_CARD: Final = 19

# https://www.swift.com/standards/data-standards/iban-international-bank-account-number: 15 to 34 characters. The
# expression begins behind the two letters.
_IBAN: Final = re.compile(r"[0-9](?<=[A-Za-z]{2}.)(?<![A-Za-z0-9][A-Za-z]{2}.)[0-9](?: ?[A-Za-z0-9]){11,30}")
_LETTERS_OF_IBAN: Final = 2
_FEWEST_IN_IBAN: Final = 15


def _emails(text: str) -> Iterator[Span]:
    at, free = text.find("@"), 0
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        local = domain and _LOCAL.search(text, max(free, at - _MOST_IN_LOCAL), at)
        if domain and local:
            free = domain.end()
            yield local.start(), free
        at = text.find("@", max(at + 1, free))


def _secrets(text: str) -> Iterator[Span]:
    patterns = [pattern for had, pattern in _SECRETS if any(each in text for each in had)]
    return _merged(found.span() for pattern in patterns for found in pattern.finditer(text))


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
    text, start = found.string, found.start()
    for end in range(found.end(), start, -1):
        is_whole = text[end - 1].isdigit() and (end == len(text) or not text[end].isalnum())
        if is_whole and (digits := sum(each.isdigit() for each in text[start:end])) <= _MOST_IN_PHONE:
            return (start, end) if digits >= _FEWEST_IN_PHONE else None
    return None


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
    if said.count(":") == 1:  # a time of day; an exception costs more than all else here
        return None
    try:
        ip_address(said)
    except ValueError:
        return None
    return (found.start(), found.start() + len(said)) if any(each.isalnum() for each in said) else None


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
    for found in _GROUPS.finditer(text):
        if found.end() - found.start() >= _FEWEST_IN_CARD:
            yield from _cards_of([each.span() for each in _DIGITS.finditer(text, *found.span())], text)


def _cards_of(groups: Sequence[Span], text: str) -> Iterator[Span]:
    """Those that begin and end where groups do; of several that begin at one the longest."""
    at = 0
    while at < len(groups):
        digits, card, following = "", None, at + 1
        for last in range(at, len(groups)):
            digits += text[slice(*groups[last])]
            if len(digits) > _MOST_IN_CARD:
                break
            if len(digits) >= _FEWEST_IN_CARD and _is_card(digits):
                card, following = (groups[at][0], groups[last][1]), last + 1
        if card is not None:
            yield card
        at = following


def _is_card(digits: str) -> bool:
    """By the algorithm of Luhn; zeros alone are no number."""
    doubled = [int(each) * (1 + at % 2) for at, each in enumerate(reversed(digits))]
    return sum(each - 9 * (each > 9) for each in doubled) % 10 == 0 and digits.strip("0") != ""


def _ibans(text: str) -> Iterator[Span]:
    found = _IBAN.search(text)
    while found is not None:
        span = _iban_at(found)
        if span is not None:
            yield span
        found = _IBAN.search(text, found.start() + 2 if span is None else span[1])


def _iban_at(found: re.Match[str]) -> Span | None:
    """The longest that begins there; what follows it may be more words."""
    text, start = found.string, found.start() - _LETTERS_OF_IBAN
    for end in range(found.end(), start + _FEWEST_IN_IBAN - 1, -1):
        is_whole = text[end - 1] != " " and (end == len(text) or not text[end].isalnum())
        if is_whole and _is_iban(text[start:end].replace(" ", "").upper()):
            return start, end
    return None


def _is_iban(said: str) -> bool:
    """By the check digits (ISO 7064, MOD 97-10)."""
    if not (_FEWEST_IN_IBAN <= len(said) <= 34 and said.isascii()):
        return False
    return int("".join(str(int(each, 36)) for each in said[4:] + said[:4])) % 97 == 1


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

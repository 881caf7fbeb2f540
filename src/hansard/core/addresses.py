"""Where somebody can be reached: the finders of e-mail addresses, numbers of phones, and IP addresses.

Pure. What they have in common with the others is said in ``spans``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from hansard.core.spans import Span, merged

# Back from the @. An apostrophe is part of a name (RFC 5322) only behind a letter: else it is a quotation mark.
_LOCAL: Final = re.compile(r"[\w.%+\-]++(?:'(?=\w)[\w.%+\-]++)*+")
_MOST_IN_LOCAL: Final = 64
# https://data.iana.org/TLD/tlds-alpha-by-domain.txt: letters, or what stands for others (RFC 3492).
_DOMAIN: Final = r"(?:[\w\-]{1,63}\.){1,8}(?:(?i:xn--)[A-Za-z0-9\-]{1,59}(?<!-)|[^\W\d_]{2,24})"
_AT_DOMAIN: Final = re.compile(f"@{_DOMAIN}")
_SPELLED_AT: Final = "%40"  # in the query of a URL
_SPELLED_AT_DOMAIN: Final = re.compile(_SPELLED_AT + _DOMAIN)

# E.164: at most 15 digits; the North American form, which goes without a country; what is said to be one (RFC 3966).
_FEWEST_IN_PHONE: Final = 8
_FEWEST_IF_SAID: Final = 5
_MOST_IN_PHONE: Final = 15 + 2  # with the 00
_SEPARATED: Final = rf"(?:[ \-./()]{{0,3}}+[0-9]){{%d,{_MOST_IN_PHONE}}}+"
_PHONE: Final = re.compile(rf"[+0](?<![\w+].)(?:(?<=\+)\(?|(?<=0)0)[1-9]{_SEPARATED % (_FEWEST_IN_PHONE - 3)}")
_SAID_TO_BE_ONE: Final = re.compile(
    r":(?<=[LSXlsx.].)(?:(?<=(?i:tel|sms|fax):)(?<!\w....)|(?<=(?i:tel|fax)\.:)(?<!\w.....))"
    rf" ?([(+]{{0,2}}[0-9]{_SEPARATED % (_FEWEST_IF_SAID - 1)})"
)
_REST_OF_AMERICAN: Final = r"[2-9][0-9]{2}[\-. ][0-9]{4}(?: ?(?:x|ext\.?) ?[0-9]{1,6})?+(?!\w|-[0-9])"
_AMERICAN_PHONES: Final = tuple(
    re.compile(begins + _REST_OF_AMERICAN)
    for begins in (
        r"1[\-. ](?<!\w..)(?<![0-9][\-.]..)[2-9][0-9]{2}[\-. /]",
        r"1(?<!\w.)[\-. ]?\([2-9][0-9]{2}\)[\-. ]?",
        r"[2-9][0-9]{2}[\-. /](?<!\w....)(?<![0-9][\-.]....)",
        r"\([2-9][0-9]{2}\)[\-. ]?",
    )
)
_DIGITS: Final = re.compile(r"[0-9]+")
# After the digits of a number; what looks so is an extension of it.
_GOES_ON: Final = re.compile(r"(?!x[0-9]{1,6}\b)\w")
_EXTENSION: Final = re.compile(r"x[0-9]{1,6}\b")

_IPV4: Final = re.compile(r"[0-9](?<![^\W_].)(?<![0-9]\..)[0-9]{0,2}+(?:\.[0-9]{1,3}){3}(?![^\W_]|\.[0-9])")
_MOST_IN_IPV4: Final = 255
_COLON_OF_IPV6: Final = re.compile(r":[0-9A-Fa-f:]")
_BEFORE_COLON: Final = re.compile(r"[0-9A-Fa-f]{0,4}\Z")
_IPV6: Final = re.compile(r"[0-9A-Fa-f:.]{2,}+")
_FULL_STOP: Final = re.compile(r"\.(?![0-9])")
_MOST_IN_IPV6: Final = 45
_GROUPS: Final = 8
_MOST_IN_GROUP: Final = 4


def emails(text: str) -> Iterator[Span]:
    """Names and all their domain."""
    if _SPELLED_AT in text:
        return merged(span for at in (_AT_DOMAIN, _SPELLED_AT_DOMAIN) for span in _emails_at(at, text))
    return _emails_at(_AT_DOMAIN, text)


def _emails_at(domains: re.Pattern[str], text: str) -> Iterator[Span]:
    free = 0
    for domain in domains.finditer(text):
        at = domain.start()
        if local := _LOCAL.match(text[max(free, at - _MOST_IN_LOCAL) : at][::-1]):
            free = domain.end()
            yield at - local.end(), free


def phones(text: str) -> Iterator[Span]:
    """Numbers that begin so, or are written as in North America, or have ``tel:`` before them."""
    if _DIGITS.search(text) is None:  # as in most short texts
        return iter(())
    return merged(
        span
        for pattern, fewest in (
            (_PHONE, _FEWEST_IN_PHONE),
            *((pattern, _FEWEST_IN_PHONE) for pattern in _AMERICAN_PHONES),
            (_SAID_TO_BE_ONE, _FEWEST_IF_SAID),
        )
        for span in _phones_like(pattern, text, fewest=fewest)
    )


def _phones_like(pattern: re.Pattern[str], text: str, *, fewest: int) -> Iterator[Span]:
    found = pattern.search(text)
    while found is not None:
        span = _phone_at(found, fewest=fewest)
        if span is not None:
            yield span
        found = pattern.search(text, found.start() + 1 if span is None else span[1])


def _phone_at(found: re.Match[str], *, fewest: int) -> Span | None:
    """The longest that begins there; what follows it may be another number."""
    text, count = found.string, 0
    ended: int | None = None
    start, end = found.span(found.lastindex or 0)
    for digits in _DIGITS.finditer(text, start, end):
        if ended is not None and _PHONE.match(text, digits.start()):  # that is the next one
            break
        count += digits.end() - digits.start()
        if count > _MOST_IN_PHONE:
            break
        if count >= fewest and not _GOES_ON.match(text, digits.end()):
            ended = digits.end()
    if ended is None:
        return None
    extension = _EXTENSION.match(text, ended)
    return start, extension.end() if extension else ended


def ips(text: str) -> Iterator[Span]:
    """Both kinds, without ports, zones and the length of a prefix."""
    if "." not in text and ":" not in text:
        return iter(())
    return merged((*_ipv4s(text), *_ipv6s(text)))


def _ipv4s(text: str) -> Iterator[Span]:
    return (found.span() for found in _IPV4.finditer(text) if _is_ipv4(found[0]))


def _is_ipv4(said: str) -> bool:
    return all(int(number) <= _MOST_IN_IPV4 for number in said.split("."))


def _ipv6s(text: str) -> Iterator[Span]:
    free = 0
    for colon in _COLON_OF_IPV6.finditer(text):
        if colon.start() < free:
            continue
        start = _start_of_ipv6(text, colon.start(), free=free)
        if start is None or (run := _IPV6.match(text, start)) is None:
            continue
        free = run.end()
        if length := _length_of_ipv6(run):
            yield start, start + length


def _start_of_ipv6(text: str, colon: int, *, free: int) -> int | None:
    """Where the first group begins, or behind a word that has a colon, as in ``ip:2001:db8::1``."""
    before = _BEFORE_COLON.search(text, max(colon - _MOST_IN_GROUP, free), colon)
    start = colon if before is None else before.start()
    ends = text[start - 1] if start else " "
    if ends in ".:":
        return None
    return colon + 1 if ends.isalnum() else start


def _length_of_ipv6(run: re.Match[str]) -> int:
    """Of the address that begins where these digits, dots and colons do; 0 if none does."""
    said = run[0]
    if stop := _FULL_STOP.search(said):
        said = said[: stop.start()]
    elif run.string[run.end() : run.end() + 1].isalnum():  # the last group is a word
        said = said[: said.rfind(":")].rstrip(":")
    if said.endswith(":") and (said.endswith(":::") or not said.endswith("::")):
        said = said[:-1]
    if len(said) > _MOST_IN_IPV6 + len(":65535"):
        return 0
    if "::" not in said and said.count(":") == _GROUPS:  # the last is a port
        said, _, port = said.rpartition(":")
        if not port.isdecimal():
            return 0
    return len(said) if _is_ipv6(said) else 0


def _is_ipv6(said: str) -> bool:
    """RFC 4291, 2.2. That of no address, ``::``, is none here: it is in every program."""
    if len(said) > _MOST_IN_IPV6:
        return False
    head, gap, tail = said.partition("::")
    groups = [*(head.split(":") if head else ()), *(tail.split(":") if tail else ())]
    if not groups:
        return False
    count = len(groups)
    if "." in groups[-1]:
        numbers = groups.pop().split(".")
        count += 1
        if len(numbers) != 4 or not all(number.isdecimal() and _is_ipv4(number) for number in numbers):
            return False
    if gap and "." in head and not tail:
        return False
    if not all(each and len(each) <= _MOST_IN_GROUP and "." not in each for each in groups):
        return False
    return count < _GROUPS if gap else count == _GROUPS

"""What is blacked out of requests and replies before they are kept: named patterns, over every string of a JSON text.

Pure. All but the strings that a pattern is found in stays byte for byte as it was. What only says how a document is
made, and what is no text, is left alone: ids, roles, types, and images, sounds and files in base64.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

Span: TypeAlias = tuple[int, int]
_Finder: TypeAlias = Callable[[str], Iterator[Span]]

_STRING: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"(\s*:)?', re.DOTALL)

# Of the contract: what their values say has nothing of anybody's, and a hit in one would be a chance one.
_LEFT_ALONE: Final = frozenset(
    {"id", "tool_call_id", "object", "model", "role", "type", "finish_reason", "system_fingerprint", "service_tier"}
    # Base64, in which digits stand for nothing.
    | {"data", "file_data"}
)
_DATA_URL: Final = "data:"


class Unknown(ValueError):
    """No pattern has that name."""


class Redaction:
    """Blacks out what patterns of these names find. ``own`` are an operator's, beside the built-in ones."""

    def __init__(self, names: Iterable[str], *, own: Mapping[str, re.Pattern[str]] | None = None) -> None:
        self.names = tuple(dict.fromkeys(names))
        found = {name: _BUILT_IN.get(name) or _by_pattern((own or {}).get(name)) for name in self.names}
        for name, finder in found.items():
            if finder is None:
                raise Unknown(name)
        self._finders = [(f"[redacted:{name}]", finder) for name, finder in found.items() if finder is not None]

    def text(self, text: str) -> str:
        """The text without what is found in it."""
        for mark, finder in self._finders:
            pieces: list[str] = []
            at = 0
            for start, end in finder(text):
                pieces += (text[at:start], mark)
                at = end
            if at:
                text = "".join(pieces) + text[at:]
        return text

    def metadata(self, metadata: Mapping[str, str]) -> Mapping[str, str]:
        """Its values; keys as well, since clients choose them."""
        return {self.text(key): self.text(value) for key, value in metadata.items()}

    def json(self, content: bytes) -> bytes:
        """The JSON text without what is found in its strings."""
        text = content.decode("utf-8", "surrogatepass")
        pieces: list[str] = []
        at, key = 0, _Key("", -1)
        for found in _STRING.finditer(text):
            is_key = found[2] is not None
            spelled = found[1]
            if not is_key and (_is_value_of(key, text, found.start()) or spelled.startswith(_DATA_URL)):
                continue
            said = json.loads(f'"{spelled}"', strict=False) if "\\" in spelled else spelled
            if is_key:
                key = _Key(said, found.end())
            if (kept := self.text(said)) != said:
                pieces += (text[at : found.start()], _spelled(kept))
                at = found.end(1) + 1
        if not at:
            return content
        return ("".join(pieces) + text[at:]).encode("utf-8", "surrogatepass")

    def reply(self, content: bytes) -> bytes:
        """The same of a completion; of one in which something was found the tokens go as well, that spell it again."""
        kept = self.json(content)
        return kept if kept is content else _without_tokens(kept)


class _Key(NamedTuple):
    name: str
    end: int


def _is_value_of(key: _Key, text: str, start: int) -> bool:
    """Whether the string that begins there is the value of a key that is left alone."""
    return key.name in _LEFT_ALONE and key.end >= 0 and not text[key.end : start].strip()


def _spelled(text: str) -> str:
    spelled = json.dumps(text, ensure_ascii=False)
    try:
        spelled.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which a client has escaped
        return json.dumps(text)
    return spelled


def _without_tokens(content: bytes) -> bytes:
    reply: dict[str, Any] = msgspec.json.decode(content)
    choices = [choice for choice in reply.get("choices") or () if isinstance(choice, dict) and choice.get("logprobs")]
    if not choices:
        return content
    for choice in choices:
        choice["logprobs"] = None
    return msgspec.json.encode(reply)


# Patterns. None of them backs up over more than a bounded part of a text, so that the time is that of its length.


def _by_pattern(pattern: re.Pattern[str] | None) -> _Finder | None:
    if pattern is None:
        return None
    return lambda text: (found.span() for found in pattern.finditer(text) if found.end() > found.start())


_EMAIL: Final = re.compile(r"[\w.%+\-]{1,64}@(?:[\w\-]{1,63}\.){1,8}[^\W\d_]{2,24}")

# https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
# (gh?_), https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html (AKIA, ASIA),
# https://api.slack.com/concepts/token-types (xox?-), RFC 7519 (a JWT begins with the base64 of `{"`), RFC 7468 (PEM).
_SECRET: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"[spr]k[-_][A-Za-z0-9_\-]{16,}+|gh[pousr]_[A-Za-z0-9]{30,}+|github_pat_\w{22,}+|glpat-[\w\-]{20,}+|"
    r"xox[abeprs]-[A-Za-z0-9\-]{10,}+|A(?:KIA|SIA)[0-9A-Z]{16}|AIza[0-9A-Za-z_\-]{35}|hf_[A-Za-z0-9]{30,}+|"
    r"eyJ[\w\-]{10,}+\.eyJ[\w\-]{10,}+\.[\w\-]*+"
    r")"
    r"|(?<=[Bb]earer )[\w\-.~+/]{16,}+=*+"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
    re.DOTALL,
)

# E.164: at most 15 digits; and the North American form, which goes without a country.
_PHONE: Final = re.compile(
    r"(?<![\w+])(?:\+|00)[1-9][0-9]{0,2}(?:[ \-./()]{0,3}[0-9]{1,6}){2,7}(?![\w])"
    r"|(?<![\w\-.])(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[\-. ])[2-9][0-9]{2}[\-. ][0-9]{4}(?![\w\-])"
)
_FEWEST_IN_PHONE: Final = 8
_MOST_IN_PHONE: Final = 15 + 2  # with the 00

_IP: Final = re.compile(
    r"(?<![\w.:])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|(?=[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:])[0-9A-Fa-f:.]{2,45})(?![\w:]|\.[0-9])"
)

# Digits in groups of three and more, as people write cards; what of them is one is for the last digit to say
# (ISO/IEC 7812).
_GROUP: Final = r"[0-9]{3,19}+(?![0-9])"
_GROUPS: Final = re.compile(rf"(?<![0-9]){_GROUP}(?:[ \-]{_GROUP})*+")
_DIGITS: Final = re.compile(r"[0-9]+")
_FEWEST_IN_CARD: Final = 13
_MOST_IN_CARD: Final = 19

# https://www.swift.com/standards/data-standards/iban-international-bank-account-number: 15 to 34 characters.
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30}")
_FEWEST_IN_IBAN: Final = 15


def _emails(text: str) -> Iterator[Span]:
    return (found.span() for found in _EMAIL.finditer(text)) if "@" in text else iter(())


def _phones(text: str) -> Iterator[Span]:
    for found in _PHONE.finditer(text):
        digits = sum(each.isdigit() for each in found[0])
        if _FEWEST_IN_PHONE <= digits <= _MOST_IN_PHONE:
            yield found.span()


def _ips(text: str) -> Iterator[Span]:
    for found in _IP.finditer(text):
        said = found[0].rstrip(".")
        try:
            ip_address(said)
        except ValueError:
            continue
        if any(each.isalnum() for each in said):
            yield found.start(), found.start() + len(said)


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
        found = _IBAN.search(text, found.start() + 4 if span is None else span[1])


def _iban_at(found: re.Match[str]) -> Span | None:
    """The longest that begins there; what follows it may be more words."""
    text, start = found.string, found.start()
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


_BUILT_IN: Final[Mapping[str, _Finder]] = {
    "credit_card": _cards,
    "email": _emails,
    "iban": _ibans,
    "ip": _ips,
    "phone": _phones,
    "secret": lambda text: (found.span() for found in _SECRET.finditer(text)),
}

BUILT_IN: Final = tuple(_BUILT_IN)
"""The names of those that are always there."""


@lru_cache(maxsize=256)
def redaction(names: tuple[str, ...]) -> Redaction:
    """That of the built-in patterns of these names; raises ``Unknown``."""
    return Redaction(names)

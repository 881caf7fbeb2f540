"""What a value has to look like: one parser per kind, from what was given to what is meant.

Each takes a ``Given`` and raises ``SettingError`` with what is wrong and what to do instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from hansard import printable
from hansard.config.reader import Given, SettingError, absolute, each_named
from hansard.durations import WANTED, duration_s
from hansard.patterns import bounded

Word = TypeVar("Word", bound=str)


def text(given: Given) -> str:
    """Any text that is not empty."""
    if not isinstance(given.value, str) or not given.value.strip():
        raise SettingError(f"{given.value!r} is not a text.")
    return given.value.strip()


def whole(low: int, high: int | None = None) -> Callable[[Given], int]:
    """Whole numbers from ``low`` to ``high``, both included."""
    wanted = f"a whole number, {low} or more" if high is None else f"a whole number from {low} to {high}"

    def parse(given: Given) -> int:
        value = given.value
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value.strip()):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < low or (high is not None and value > high):
            raise SettingError(f"{given.value!r} is not {wanted}.")
        return value

    return parse


def seconds(given: Given) -> float:
    """A length of time, as a number of seconds."""
    value = given.value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value.strip()):
        value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e9:
        raise SettingError(f"{given.value!r} is not a number of seconds, 0 or more.")
    return float(value)


def duration(given: Given) -> int | None:
    """A length of time in whole seconds, None for one without an end."""
    if isinstance(given.value, str | int) and not isinstance(given.value, bool):
        with suppress(ValueError):
            return duration_s(str(given.value).strip())
    raise SettingError(f"{given.value!r} is not a length of time; write {WANTED}.")


def share(given: Given) -> float:
    """A number above 0 that is compared with others of its kind."""
    value = given.value
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e9:
        raise SettingError(f"{value!r} is not a number above 0.")
    return float(value)


def part(given: Given) -> float:
    """A part of a whole, from 0 to 1."""
    value = given.value
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise SettingError(f"{value!r} is not a number from 0 to 1.")
    return float(value)


def one_of(*allowed: Word) -> Callable[[Given], Word]:
    """One of these words."""

    def parse(given: Given) -> Word:
        for word in allowed:
            if given.value == word:
                return word
        raise SettingError(f"{given.value!r} is not one of {', '.join(allowed)}.")

    return parse


def existing_file(given: Given) -> Path:
    """A file that is there; whether it is any good is for its reader to say."""
    path = absolute(given)
    try:
        found = path.is_file()
    except OSError as error:
        raise SettingError(f"cannot reach {path}: {error.strerror}.") from error
    if not found:
        raise SettingError(f"there is no file {path}.")
    return path


def address(given: Given) -> str:
    """What ``http_url`` takes, or a Unix socket: ``unix:///FILE``, perhaps with a path behind it (``:/v1``)."""
    url = text(given)
    if not url.startswith("unix:"):
        return http_url(given)
    if not re.fullmatch(r"unix:///[^:?#]+(:/[^:?#]*)?", url):
        raise SettingError(
            f"{printable.address(url)} is not the address of a socket; write one like unix:///run/vllm.sock:/v1."
        )
    return url.rstrip("/")


def http_url(given: Given) -> str:
    """``http://`` or ``https://``, a host and perhaps a path; a slash at the end is dropped."""
    url = text(given)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise SettingError(f"{printable.address(url)} is not an address; write one like http://localhost:11434/v1.")
    if parts.username or parts.password:
        raise SettingError(
            "an address must not carry a key or password; name its key_env or key_file in the TOML file."
        )
    if parts.query or parts.fragment:
        raise SettingError(
            f"{re.split('[?#]', url)[0]!r} goes on after the path; leave out what follows: '?' or '#' and the rest."
        )
    return url.rstrip("/")


def origin(given: Given) -> str:
    """Of pages in a browser, as its ``Origin`` header says it; or ``*`` for all."""
    value = text(given).rstrip("/")
    if value != "*" and not re.fullmatch(r"https?://[^/\s?#@]+", value):
        raise SettingError(f"{printable.address(value)} is no origin; write https://HOST, or '*' for every page.")
    return value.lower()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    import ipaddress

    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def redactions(given: Given) -> dict[str, re.Pattern[str]]:
    """Patterns by their names, from a table or from ``NAME=REGEX``, one or several."""
    if isinstance(given.value, Mapping):
        return each_named(given, _redaction)
    said = [given.value] if isinstance(given.value, str) else given.value
    found: dict[str, re.Pattern[str]] = {}
    for one in said if isinstance(said, list | tuple) else ():
        name, _, pattern = str(one).partition("=")
        found[name.strip()] = _redaction(name.strip(), given._replace(value=pattern))
    if not found:
        raise SettingError(f"{given.value!r} is not NAME=REGEX.")
    return found


def _redaction(name: str, given: Given) -> re.Pattern[str]:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name):
        raise SettingError(f"{name!r} is no name for a pattern; use small letters, digits and _.")
    if not isinstance(given.value, str):
        raise SettingError(f"{given.value!r} is not a text.")
    try:
        return bounded(given.value)
    except ValueError as error:
        raise SettingError(f"the pattern {name!r} cannot be used: {error}") from error

"""Which database: a file, or a server's URL, and how it is shown without its password."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode

from hansard import printable
from hansard.config.reader import Given, Secret, SettingError, absolute
from hansard.config.values import text

SQLITE = "sqlite:///"

# Strict about what stands where, so that no part of a password is taken for something that may be shown.
_POSTGRESQL = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^:/?#@]*)(?::(?P<password>[^:/?#@]*))?@)?(?P<hosts>[^/?#@]*)"
    r"(?:/(?P<name>[^/?#@]*))?(?:\?(?P<query>[^#?]*))?"
)
_SECRET_OPTIONS = ("password", "sslpassword")


class DatabaseUrl(str):
    """A database's URL without its passwords, to be shown; ``full`` is all of it, to connect with."""

    full: Secret

    def __new__(cls, shown: str, full: str) -> DatabaseUrl:
        url = super().__new__(cls, shown)
        url.full = Secret(full)
        return url


def database_url(given: Given) -> DatabaseUrl:
    """``sqlite:///FILE``, given back with the absolute path, or ``postgresql://...`` as libpq reads it."""
    url = text(given)
    if url.startswith("postgres"):
        return _postgresql(url)
    file = url.removeprefix(SQLITE)
    if file == url or not file or file == ":memory:" or "?" in file:
        # Not what was given: it may be a password with something in front that was not meant.
        raise SettingError(_wrong(url))
    return sqlite_url(str(absolute(given._replace(value=file))))


def sqlite_url(file: str) -> DatabaseUrl:
    return DatabaseUrl(f"{SQLITE}{file}", f"{SQLITE}{file}")


def _wrong(url: str) -> str:
    return f"{printable.address(url)} is not a database that can be used; write sqlite:///FILE or postgresql://USER@HOST/NAME."


def _postgresql(url: str) -> DatabaseUrl:
    found = _POSTGRESQL.fullmatch(url)
    if found is None:
        raise SettingError(
            "this is not the URL of a PostgreSQL database; write postgresql://USER@HOST/NAME. "
            "In a password, write %40 for @, %3A for :, %2F for /, %3F for ? and %23 for #."
        )
    user, hosts, name = found["user"], found["hosts"], found["name"]
    options = [pair for pair in parse_qsl(found["query"] or "") if pair[0] not in _SECRET_OPTIONS]
    shown = f"postgresql://{f'{user}@' if user else ''}{hosts}{f'/{name}' if name else ''}"
    return DatabaseUrl(f"{shown}?{urlencode(options, safe='/:,')}" if options else shown, url)

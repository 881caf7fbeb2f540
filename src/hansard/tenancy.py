"""Who is asking, and for which project: the only place that decides what may be seen.

A key is compared in constant time and by its digest; neither Host nor any other header is looked at.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode

import msgspec

from hansard.core.policies import UNBOUND, Policy
from hansard.errors import AuthenticationFailed

DEFAULT_PROJECT = "default"

_MARK_LENGTH = 12

_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the "
    "API from your browser and are prompted for a username and password. You can obtain an API key from "
    "https://platform.openai.com/account/api-keys."
)
_WRONG_KEY = (
    "Incorrect API key provided: {key}. You can find your API key at https://platform.openai.com/account/api-keys."
)


class Principal(msgspec.Struct, frozen=True):
    """The one a request is made for; every row it touches is the project's.

    ``key`` tells keys apart in the record, and is none: the beginning of a digest. None where no key is asked for.
    """

    project: str
    key: str | None = None
    policy: Policy = UNBOUND
    """The key's own; each word of it goes before the project's, but for the limits, of which both hold."""
    project_policy: Policy = UNBOUND


class Gate:
    """Turns an Authorization header into a Principal. Without a key everyone is let in (loopback only)."""

    def __init__(self, *, key: str | None) -> None:
        self._digest = None if key is None else _digest(key)
        mark = None if self._digest is None else self._digest.hex()[:_MARK_LENGTH]
        self._principal = Principal(DEFAULT_PROJECT, mark)

    def admit(self, authorization: str | None) -> Principal:
        """The principal, or AuthenticationFailed with the API's own two texts."""
        if self._digest is None:
            return self._principal
        token = _token(authorization or "")
        if not token:
            raise AuthenticationFailed(_NO_KEY)
        if not hmac.compare_digest(_digest(token), self._digest):
            raise AuthenticationFailed(_WRONG_KEY.format(key=_masked(token)), code="invalid_api_key")
        return self._principal


def _token(authorization: str) -> str:
    """The key of either form that the API's own text names; empty if there is none."""
    scheme, _, token = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return token.strip()
        case "basic":
            return _password(token.strip())
    return ""


def _password(pair: str) -> str:
    """Of a user without a name, as browsers and ``curl -u :KEY`` send it."""
    try:
        user, _, password = b64decode(pair, validate=True).decode().partition(":")
    except ValueError:
        return ""
    return "" if user else password


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _masked(key: str) -> str:
    """The first 8 and the last 4 characters of a long key, as the live API shows it."""
    return key if len(key) <= 12 else f"{key[:8]}{'*' * (len(key) - 12)}{key[-4:]}"

"""How an upstream says no, as errors of ours: by status and field, never by its texts."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import msgspec

from hansard.engines.client import Reply
from hansard.errors import (
    HansardError,
    NotFound,
    RateLimited,
    Unavailable,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
)

_UNREADABLE = "The model server's reply could not be understood."
_OVERLOADED = (503, 529)


class _Failure(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    param: str | None = None
    code: str | int | None = None


class _Envelope(msgspec.Struct):
    error: _Failure | str


def unreadable() -> HansardError:
    """For what is no reply of a chat server."""
    return UpstreamFailed(_UNREADABLE, code="upstream_invalid_response")


def of_reply(reply: Reply, *, key_is_clients: bool) -> HansardError:
    """What a client is told of a reply that is no completion.

    What is wrong with the request is passed on as it was said. A key that is refused is the operator's
    trouble and no 401 for the client, unless the key was the client's own.
    """
    failure = _failure(reply.body)
    error = _error(reply, failure, key_is_clients=key_is_clients)
    if isinstance(error, UpstreamRefused | RateLimited) and failure.type is not None:
        error.type = failure.type
    return error


def _error(reply: Reply, failure: _Failure, *, key_is_clients: bool) -> HansardError:
    text = failure.message or f"The model server answered with status {reply.status}."
    retry_after_s = _retry_after_s(reply.headers)
    match reply.status:
        case 401 | 403 if not key_is_clients:
            return UpstreamFailed("The model server refused this server's key.", code="upstream_auth")
        case 404:
            return NotFound(text, param=failure.param, code=_code(failure))
        case 429:
            return RateLimited(text, code=_code(failure), retry_after_s=retry_after_s)
        case status if 400 <= status < 500:
            return UpstreamRefused(text, status=status, param=failure.param, code=_code(failure))
        case status if status in _OVERLOADED:
            return Unavailable(text, code="upstream_unavailable", retry_after_s=retry_after_s)
        case 504:
            return UpstreamTimeout(text, retry_after_s=retry_after_s)
        case _:
            return UpstreamFailed(text, code="upstream_error", retry_after_s=retry_after_s)


def of_frame(payload: bytes) -> HansardError:
    """What a client is told of an error in place of a chunk."""
    return UpstreamFailed(_failure(payload).message or "The model server failed midway.", code="upstream_error")


def _failure(body: bytes) -> _Failure:
    try:
        error = msgspec.json.decode(body, type=_Envelope).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Failure()
    return error if isinstance(error, _Failure) else _Failure(message=error)


def _code(failure: _Failure) -> str | None:
    return None if failure.code is None else str(failure.code)


def _retry_after_s(headers: Mapping[str, str]) -> int | None:
    """Seconds, or a date (RFC 9110, 10.2.3); None for anything else."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), 10**6)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0, math.ceil(at.timestamp() - time.time()))

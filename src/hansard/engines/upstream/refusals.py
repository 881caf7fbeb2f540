"""How an upstream says no, as errors of ours: by status and field, never by its texts."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from hansard.contract import Document
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
_HIDDEN: Final = "[hidden]"
# What is shorter may be a word of any text.
_SHORTEST_SECRET: Final = 8
_LONGEST_S = 10**6
_OVERLOADED = (503, 529)


class _Failure(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    param: str | None = None
    code: str | None = None


def secrets(headers: Mapping[str, str]) -> frozenset[str]:
    """What is sent in the operator's own headers, and nobody else's to know: a key without its ``Bearer``."""
    values = (value.split()[-1:] if name.lower() == "authorization" else [value] for name, value in headers.items())
    return frozenset(value for some in values for value in some if len(value) >= _SHORTEST_SECRET)


@contextmanager
def keeping(secrets: Collection[str]) -> Iterator[None]:
    """Errors that leave this block quote none of them, whatever the upstream says of what it was sent."""
    try:
        yield
    except HansardError as error:
        for name in ("message", "type", "param", "code"):
            if (text := getattr(error, name)) is not None and any(secret in text for secret in secrets):
                setattr(error, name, _without(text, secrets))
        error.args = (error.message,)
        raise


def _without(text: str, secrets: Collection[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return text


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
    error.is_quoted = isinstance(error, UpstreamRefused | RateLimited | NotFound)
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
            return NotFound(text, param=failure.param, code=failure.code)
        case 429:
            return RateLimited(text, code=failure.code, retry_after_s=retry_after_s)
        case status if 400 <= status < 500:
            return UpstreamRefused(text, status=status, param=failure.param, code=failure.code)
        case status if status < 400:  # nothing that a second try could change
            return UpstreamFailed(text, code="upstream_invalid_response")
        case status if status in _OVERLOADED:
            return Unavailable(text, code="upstream_unavailable", retry_after_s=retry_after_s)
        case 504:
            return UpstreamTimeout(text, retry_after_s=retry_after_s)
        case _:
            return UpstreamFailed(text, code="upstream_error", retry_after_s=retry_after_s)


def of_frame(payload: bytes) -> HansardError:
    """What a client is told of an error in place of a chunk."""
    return UpstreamFailed(_failure(payload).message or "The model server failed midway.", code="upstream_error")


def is_failure(document: Document) -> bool:
    """Whether it stands in place of a completion or a chunk: the API's envelope, or one of the flat forms."""
    if document.get("error"):
        return True
    # Beside choices an empty error is none.
    return document.get("choices") is None and (
        document.get("error") is not None or bool(_failure_of(document).message)
    )


def _failure(body: bytes) -> _Failure:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Failure()
    return _failure_of(document) if isinstance(document, dict) else _Failure()


def _failure_of(document: Document) -> _Failure:
    """What is said under ``error`` (OpenAI, Ollama), else under ``detail`` (FastAPI), else at the top (older vLLM)."""
    said: Any = document.get("error") or document.get("detail") or document
    if isinstance(said, list):
        return _Failure(message="; ".join(text for text in map(_problem, said) if text) or None)
    if isinstance(said, str):
        said = {**document, "message": said}
    if not isinstance(said, dict):
        return _Failure()
    code = said.get("code")
    return _Failure(
        message=_text(said.get("message")) or _text(said.get("error")),
        type=_text(said.get("type")),
        param=_text(said.get("param")),
        code=str(code) if isinstance(code, str | int) and code != "" else None,
    )


def _problem(problem: Any) -> str | None:
    """One of FastAPI's list: where, and what is wrong there."""
    if not isinstance(problem, dict):
        return _text(problem)
    text, where = _text(problem.get("msg")), problem.get("loc")
    if text is None or not isinstance(where, list) or not where:
        return text
    return f"{'.'.join(map(str, where))}: {text}"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _retry_after_s(headers: Mapping[str, str]) -> int | None:
    """Seconds, at most ``_LONGEST_S``, or a date (RFC 9110, 10.2.3); None for anything else."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), _LONGEST_S)
    try:
        wait_s = math.ceil(parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
    return min(max(0, wait_s), _LONGEST_S)

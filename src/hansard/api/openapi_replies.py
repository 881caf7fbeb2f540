"""What replies have beside their bodies, described for machines: statuses of errors, and headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from hansard.contract import Document

ERRORS: Final = {
    400: "The request breaks the contract; `param` names the field.",
    401: "No key, or one that is wrong, revoked or expired.",
    403: "The key has not the scope for it, or may not use the model.",
    404: "There is no such completion, model or address.",
    408: "The body did not come in time.",
    409: "An earlier request with the same Idempotency-Key was another; the name is taken; or the project is deleted.",
    413: "The body is larger than this server accepts.",
    429: "Too many requests or tokens, by a limit of the key's or its project's, or at the upstream.",
    431: "The headers are larger than this server accepts.",
    500: "A bug.",
    502: "The upstream could not be reached, or answered what nobody can use.",
    503: "Not now: the engine starts or is full, or the store cannot commit.",
    504: "The upstream did not answer in time.",
}
# On every reply to a create whose key or project has such a limit.
LIMITED: Final = tuple(
    f"x-ratelimit-{what}-{unit}" for unit in ("requests", "tokens") for what in ("limit", "remaining", "reset")
)
_TO_RETRY: Final[Mapping[int, tuple[str, ...]]] = {
    409: ("x-should-retry",),
    429: ("Retry-After", "retry-after-ms", "x-should-retry"),
    503: ("Retry-After",),
}
# They come before anybody has looked at limits.
_AT_THE_DOOR: Final = frozenset({401, 408, 413, 431})
_ADMITTED: Final = ("openai-version", "openai-processing-ms", "openai-project", "openai-organization")

_WHERE_LIMITED: Final = "Where the key or its project has such a limit."
HEADERS: Final[Document] = {
    "x-request-id": {"schema": {"type": "string", "pattern": "^req_[0-9a-f]{32}$"}, "required": True},
    "openai-version": {"schema": {"const": "2020-10-01"}, "required": True},
    "openai-processing-ms": {
        "schema": {"type": "integer"},
        "required": True,
        "description": "Until the reply began; of a stream, until its first event.",
    },
    "openai-project": {"schema": {"type": "string"}, "description": "The key's project, where a key was asked for."},
    "openai-organization": {"schema": {"type": "string"}, "description": "The server's, where it is set."},
    "idempotent-replayed": {"schema": {"const": "true"}, "description": "There if the reply was given before."},
    "Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds, where it is known."},
    "retry-after-ms": {"schema": {"type": "integer", "minimum": 1}, "description": "The same in milliseconds."},
    "x-should-retry": {"schema": {"const": "false"}, "description": "There if the same request will not succeed."},
    **{
        f"x-ratelimit-{what}-{unit}": {"schema": schema, "description": f"{said} {_WHERE_LIMITED}"}
        for unit in ("requests", "tokens")
        for what, schema, said in (
            ("limit", {"type": "integer", "minimum": 1}, f"How many {unit} a minute."),
            ("remaining", {"type": "integer", "minimum": 0}, f"How many {unit} are left of it."),
            ("reset", {"type": "string", "examples": ["644ms", "6m0s"]}, "In how long all of it is there again."),
        )
    },
}
REPLY_HEADERS: Final = ("x-request-id", *_ADMITTED)


def error_headers(status: int) -> Document:
    """Those of a reply with an error."""
    # Who is refused at the door is told neither the version nor whose the key is.
    refused = {
        name: {key: value for key, value in HEADERS[name].items() if key != "required"}
        for name in (*_ADMITTED, *_TO_RETRY.get(status, ()), *(() if status in _AT_THE_DOOR else LIMITED))
    }
    return references("headers", ("x-request-id",)) | refused


def references(kind: str, names: Iterable[str]) -> Document:
    """To components of these names."""
    return {name: {"$ref": f"#/components/{kind}/{name}"} for name in names}

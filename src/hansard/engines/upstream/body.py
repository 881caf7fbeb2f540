"""What goes to an upstream: the request as received, with our keys edited and nothing else, and what one cannot take.

``store`` and ``metadata`` stay with us, the model gets its name there, and a stream is asked for usage, which the
record needs. Every other value goes out in the client's own spelling, known to us or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

import msgspec

from hansard.core import documents
from hansard.engines.base import Call
from hansard.errors import InvalidRequest

_STAYS_HERE: Final = ("store", "metadata")

# Decision 36: these may be left out without a word; whoever sends them gets an answer all the same.
_HINTS: Final = frozenset(
    {
        "service_tier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prompt_cache_options",
        "safety_identifier",
        "user",
        "verbosity",
        "reasoning_effort",
        "prediction",
        "seed",
        "stream_options",
    }
)

# The values that ask for nothing (the API's own defaults); every other value changes what comes back.
_ASKS_FOR_NOTHING: Final[Mapping[str, object]] = {
    "n": 1,
    "logprobs": False,
    "temperature": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logit_bias": {},
    "modalities": ["text"],
    "parallel_tool_calls": True,
    "response_format": {"type": "text"},
}

_OLDER_NAMES: Final = {"max_completion_tokens": "max_tokens"}


def encode(call: Call, *, stream: bool, unsupported: Set[str] = frozenset()) -> bytes:
    """The body for an upstream that does not understand the fields in ``unsupported``.

    Raises ``InvalidRequest`` by name for one of them that would change the reply.
    """
    document: dict[str, object] = {key: value for key, value in call.document.items() if key not in _STAYS_HERE}
    document["model"] = call.model
    if stream:
        document["stream_options"] = {**_options(call.document.get("stream_options")), "include_usage": True}
    for field in [name for name in document if name in unsupported]:  # of several the client's first is named
        _leave_out(document, field, unsupported)
    return msgspec.json.encode(document)


def _options(raw: msgspec.Raw | None) -> dict[str, object]:
    options = None if raw is None else documents.read(bytes(raw))
    return options if isinstance(options, dict) else {}


def _leave_out(document: dict[str, object], field: str, unsupported: Set[str]) -> None:
    value = document.pop(field)
    if field in _HINTS:
        return
    wish = documents.read(bytes(value)) if isinstance(value, msgspec.Raw) else value
    if wish is None or (field in _ASKS_FOR_NOTHING and wish == _ASKS_FOR_NOTHING[field]):
        return
    older = _OLDER_NAMES.get(field)
    if older is None or older in unsupported:
        raise InvalidRequest(
            f"Unsupported parameter: '{field}' is not supported with this model.",
            param=field,
            code="unsupported_parameter",
        )
    document[older] = value

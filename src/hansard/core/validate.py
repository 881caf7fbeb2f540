"""From the bytes of a body to a request that keeps the contract, or to the API's own words on why it does not.

Nothing here raises anything but ``InvalidRequest``, whatever the bytes are. What the rules are is
said by the contract's structs (one field) and by ``core.rules`` (several).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hansard.contract import Document
from hansard.contract.request import ChatRequest, Metadata
from hansard.core import normalize, rules, shapes
from hansard.core.limits import depth
from hansard.errors import InvalidRequest

MAX_NESTING: Final = 128
"""Levels in a whole body: a schema at its own limit fits, and everyone's recursion limit is far."""

METADATA_HEADER: Final = "X-Hansard-Metadata"

_NOT_JSON: Final = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble "
    "figuring out how to fix this, please contact us through our help center at help.openai.com.)"
)
_TEXT_ONLY: Final = frozenset({"developer", "system", "tool"})
_values = msgspec.json.Decoder()
_raw_values = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Received(msgspec.Struct, frozen=True):
    """A checked create request, beside what the client really sent.

    ``document`` holds the top-level values in the client's own spelling, unknown keys included;
    ``body`` is all of it, verbatim.
    """

    request: ChatRequest
    document: dict[str, msgspec.Raw]
    body: bytes


def parse_create(body: bytes) -> Received:
    """The body of ``POST /chat/completions``; raises ``InvalidRequest``."""
    document = _decode(body)
    if document.get("model") in (None, ""):
        raise InvalidRequest("you must provide a model parameter")
    request = _typed(document)
    rules.check(request)
    return Received(request, _raw_values.decode(body), body)


def reject_unknown(received: Received) -> None:
    """Raise for the first key, at any depth, that the contract does not name; for engines that know no others."""
    shape, document = shapes.shape(ChatRequest), _values.decode(received.body)
    if not shape.knows(document):
        shape.find_unknown(document, "")


def parse_update(body: bytes) -> dict[str, str]:
    """The metadata of ``POST /chat/completions/{id}``; null clears it (decision 15)."""
    document = _decode(body)
    if "metadata" not in document:
        raise shapes.missing("metadata")
    for key in document:
        if key != "metadata":
            raise shapes.unknown(shapes.quoted(key))
    metadata: dict[str, str] | None = document["metadata"]
    if metadata is None:
        return {}
    shapes.shape(Metadata).check(metadata, "metadata")
    return metadata


def beside_body(header: str | None, request: ChatRequest) -> dict[str, str]:
    """The metadata that came in the header of that name, a JSON object; the body's own wins over it, key by key."""
    if header is None:
        return {}
    try:
        metadata = msgspec.json.decode(header.encode("latin-1"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"Invalid '{METADATA_HEADER}': not valid JSON.", param=METADATA_HEADER) from error
    shape = shapes.shape(Metadata)
    shape.check(metadata, METADATA_HEADER)
    shape.check({**metadata, **normalize.metadata(request)}, "metadata")
    pairs: dict[str, str] = metadata
    return pairs


def _decode(body: bytes) -> Document:
    try:
        document: Any = _values.decode(body)
    except RecursionError as error:
        raise _too_deep() from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidRequest(_NOT_JSON) from error
    if not isinstance(document, dict):
        raise InvalidRequest(_NOT_JSON)
    if depth(document) > MAX_NESTING:
        raise _too_deep()
    return document


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"The request body is nested too deeply. Expected at most {MAX_NESTING} levels.")


def _typed(document: Document) -> ChatRequest:
    """One fast pass that says yes or no; only on a no a slow one that says why."""
    try:
        request = msgspec.convert(document, ChatRequest)
    except msgspec.ValidationError as error:
        shapes.shape(ChatRequest).check(document, "")
        raise _generic(error) from error
    if _lacks_type(document):
        shapes.shape(ChatRequest).check(document, "")
    return request


def _lacks_type(document: Document) -> bool:
    """Whether a part that can only be text does not say so: msgspec asks for a tag only where there is a choice."""
    contents = [
        content
        for message in document["messages"]
        if type(content := message.get("content")) is list and message["role"] in _TEXT_ONLY
    ]
    if (prediction := document.get("prediction")) and isinstance(prediction["content"], list):
        contents.append(prediction["content"])
    return any("type" not in part for parts in contents for part in parts)


def _generic(error: msgspec.ValidationError) -> InvalidRequest:
    """What msgspec refuses and our own walk accepts: no such case is known, and it must not become a 500."""
    problem, _, path = str(error).partition(" - at `$")
    return InvalidRequest(f"Invalid request: {problem}.", param=path.strip(".`") or None, code="invalid_value")

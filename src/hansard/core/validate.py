"""From the bytes of a body to a request that keeps the contract, or to the API's own words on why it does not.

Nothing here raises anything but ``HansardError``, whatever the bytes are. What the rules are is
said by the contract's structs (one field) and by ``core.rules`` (several).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from hansard.contract import Document
from hansard.contract.request import NOT_NULLABLE, ChatRequest, Metadata
from hansard.core import documents, normalize, rules, shapes
from hansard.core.limits import MAX_MESSAGES, MAX_PARTS, depth, parts
from hansard.errors import HansardError, InvalidRequest

MAX_NESTING: Final = 128
"""Levels in a whole body: a schema at its own limit fits, and everyone's recursion limit is far."""

METADATA_HEADER: Final = "X-Hansard-Metadata"

_NOT_JSON: Final = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble "
    "figuring out how to fix this, please contact us through our help center at help.openai.com.)"
)
_TEXT_ONLY: Final = frozenset({"developer", "system", "tool"})
_raw_values = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Received(msgspec.Struct, frozen=True):
    """A checked create request, beside what the client really sent.

    ``document`` holds the top-level values in the client's own spelling, unknown keys included;
    ``body`` is all of it, verbatim.
    """

    request: ChatRequest
    document: dict[str, msgspec.Raw]
    body: bytes

    @property
    def models(self) -> Sequence[str]:
        """The model asked for, and those that an upstream may take in its place.

        That is ``models`` of https://openrouter.ai/docs/guides/routing/model-fallbacks, and no field of the API's.
        """
        said = msgspec.json.decode(self.document["models"]) if "models" in self.document else ()
        others = said if isinstance(said, list | tuple) else (said,)
        return [self.request.model, *(each for each in others if isinstance(each, str))]


def parse_create(
    body: bytes,
    *,
    takes_unknown: Callable[[str], bool] = lambda _: True,
    refuses_nulls: bool = False,
    also: Sequence[rules.Rule] = (),
    refusals: Callable[[ChatRequest], Iterable[HansardError]] = lambda _: (),
) -> Received:
    """The body of ``POST /chat/completions``; raises for the first mistake in it, in the document's order.

    ``takes_unknown`` is asked with the model's name, and tells whether what the contract does not name, be it keys,
    roles or types of parts and tools, is for its engine to judge. ``refuses_nulls`` keeps nulls out of fields that
    the official document gives none (decision 30). ``also`` are rules beside those of ``core.rules``. ``refusals``
    tells what whoever would answer has against the request; asked only once it has a mistake, which may come later.
    """
    document, holds_numbers = _decode(body)
    model = document.get("model")
    if model in (None, ""):
        raise InvalidRequest("you must provide a model parameter")
    closed = isinstance(model, str) and not takes_unknown(model)
    request, unread = _typed(document)
    mistakes = _nulls(document) if refuses_nulls else []
    # One fast pass says yes or no; only on a no a slow one says why.
    if unread or not holds_numbers or _goes_beyond(document, request, closed=closed):
        mistakes += _mistakes(document, closed=closed)
    if not unread or mistakes:
        mistakes += rules.broken(request, also)
    if mistakes:
        raise rules.first_of([*mistakes, *refusals(request)], document)
    if unread and (closed or not isinstance(model, str)):
        raise _generic(unread) from unread
    return Received(request, _raw_values.decode(body), body)


def parse_update(body: bytes) -> dict[str, str]:
    """The metadata of ``POST /chat/completions/{id}``; null clears it (decision 15)."""
    document, _ = _decode(body)
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
        metadata = documents.read(header.encode("latin-1"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"Invalid '{METADATA_HEADER}': not valid JSON.", param=METADATA_HEADER) from error
    shape = shapes.shape(Metadata)
    shape.check(metadata, METADATA_HEADER)
    shape.check({**metadata, **normalize.metadata(request)}, "metadata")
    pairs: dict[str, str] = metadata
    return pairs


def _decode(body: bytes) -> tuple[Document, bool]:
    """The document, and whether all of its numbers are held."""
    try:
        document, holds_numbers = documents.noted(body)
    except RecursionError as error:
        raise _too_deep() from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidRequest(_NOT_JSON) from error
    if not isinstance(document, dict):
        raise InvalidRequest(_NOT_JSON)
    # Fewer brackets than levels settle it, and most bodies are so.
    brackets = body.count(b"{") + body.count(b"[")
    if brackets > MAX_NESTING and depth(document) > MAX_NESTING:
        raise _too_deep()
    if brackets > MAX_PARTS and type(messages := document.get("messages")) is list:
        _count(messages)
    return document, holds_numbers


def _count(messages: list[Any]) -> None:
    """Raise for more than can be walked over while others wait."""
    for items, most, count in (
        ("messages", MAX_MESSAGES, len(messages)),
        ("content parts and tool calls", MAX_PARTS, parts(messages)),
    ):
        if count > most:
            raise InvalidRequest(
                f"Invalid 'messages': array too long. Expected at most {most} {items}, but got {count} instead.",
                param="messages",
                code="array_above_max_length",
            )


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"The request body is nested too deeply. Expected at most {MAX_NESTING} levels.")


def _typed(document: Document) -> tuple[ChatRequest, msgspec.ValidationError | None]:
    """The request, and what kept it from being read whole: a mistake, or for an open engine what is its to judge.

    Of such a request only the fields that the contract can read are typed.
    """
    try:
        return msgspec.convert(document, ChatRequest), None
    except msgspec.ValidationError as error:
        # Here and below without a traceback: it leads to whoever keeps the error, and so would keep all of them.
        return _readable(document), error.with_traceback(None)


def _mistakes(document: Document, *, closed: bool) -> list[HansardError]:
    """The first field that leaves the contract, if any."""
    try:
        shapes.shape(ChatRequest).check(document, "", closed=closed)
    except InvalidRequest as mistake:
        return [mistake.with_traceback(None)]
    return []


def _readable(document: Document) -> ChatRequest:
    """The request of the fields that keep the contract, each by itself."""
    readable: Document = {"model": "", "messages": [{"role": "user", "content": ""}]}
    for name, value in document.items():
        with suppress(msgspec.ValidationError):
            msgspec.convert({**readable, name: value}, ChatRequest)
            readable[name] = value
    return msgspec.convert(readable, ChatRequest)


def _nulls(document: Document) -> list[HansardError]:
    return [
        shapes.field(ChatRequest, name).wrong_type(None, name)
        for name, value in document.items()
        if value is None and name in NOT_NULLABLE
    ]


def _goes_beyond(document: Document, request: ChatRequest, *, closed: bool) -> bool:
    """Whether a document that msgspec could read as ``request`` says less or more than the contract lets it."""
    # What is the same as what was read of it says all that and nothing else, and most documents are so.
    if closed and msgspec.to_builtins(request) == document:
        return False
    return _lacks_type(document) or (closed and not shapes.shape(ChatRequest).knows(document))


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

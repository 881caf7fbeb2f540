"""An engine elsewhere: any OpenAI-compatible server, spoken to in the client's own words.

The request goes out as received, with only our keys edited: the model's name there, no ``store`` and
no ``metadata`` (both stay with us), and for a stream the wish for usage, which the record needs.
The reply comes back as sent; whoever stamps it edits its id and time and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing

import msgspec

from hansard.contract import Document
from hansard.engines.base import Call, Chunks, ServedModel
from hansard.engines.client import ChatClient, NotAStream, Reply
from hansard.errors import HansardError, InvalidRequest, NotFound, RateLimited, Unavailable, UpstreamFailed
from hansard.observe import EngineChanged, Observer

_CHAT = "/chat/completions"
_MODELS = "/models"
_STAYS_HERE = ("store", "metadata")
_LISTING_PERIOD_S = 30.0

_UNREADABLE = "The model server's reply could not be understood."


class _Model(msgspec.Struct):
    id: str
    created: int = 0
    owned_by: str = "upstream"


class _Listing(msgspec.Struct):
    data: list[_Model]


class _Failure(msgspec.Struct):
    message: str = ""
    param: str | None = None
    code: str | int | None = None


class _Envelope(msgspec.Struct):
    error: _Failure | str


class UpstreamEngine:
    """Relays to one upstream. It lists what the upstream listed last, and never waits to do so."""

    takes_unknown_parameters = True

    def __init__(self, *, name: str, base_url: str, key: str | None, takes_any_model: bool, observer: Observer) -> None:
        self.name = name
        self.takes_any_model = takes_any_model
        self._client = ChatClient(base_url=base_url, headers={"authorization": f"Bearer {key}"} if key else {})
        self._observer = observer
        self._served: tuple[ServedModel, ...] = ()
        self._reachable = True
        self._listing: asyncio.Task[None] | None = None

    def models(self) -> Sequence[ServedModel]:
        return self._served

    def ready(self) -> bool:
        return self._reachable

    async def start(self) -> None:
        """Ask for the models once; an upstream that is down now may come up later."""
        await self._list_models()
        self._listing = asyncio.get_running_loop().create_task(self._keep_listing())

    async def stop(self) -> None:
        if self._listing is not None:
            self._listing.cancel()
        await self._client.close()

    async def complete(self, call: Call) -> Document:
        reply = await self._client.post(_CHAT, _body(call, stream=False))
        if reply.status != 200:
            raise refusal(reply)
        return _document(reply.body)

    async def stream(self, call: Call) -> AsyncGenerator[Chunks, None]:
        async with aclosing(self._client.stream(_CHAT, _body(call, stream=True))) as reads:
            try:
                async for payloads in reads:
                    chunks, failure = _chunks(payloads)
                    if chunks:
                        yield chunks
                    if failure is not None:
                        raise failure
            except NotAStream as other:
                raise refusal(other.reply) from None

    async def _keep_listing(self) -> None:
        while True:
            await asyncio.sleep(_LISTING_PERIOD_S)
            await self._list_models()

    async def _list_models(self) -> None:
        reason = ""
        try:
            reply = await self._client.get(_MODELS)
            listing = msgspec.json.decode(reply.body, type=_Listing)
            self._served = tuple(
                ServedModel(id=model.id, created=model.created, owned_by=model.owned_by) for model in listing.data
            )
        except HansardError as error:
            reason = error.message
        except msgspec.MsgspecError:
            reason = f"{_MODELS} answered with status {reply.status} and no list of models"
        if self._reachable is not (not reason):
            self._reachable = not reason
            self._observer(EngineChanged(engine=self.name, state="lost" if reason else "back", reason=reason))


def _body(call: Call, *, stream: bool) -> bytes:
    """The request as received, with our keys edited and every other value in the client's own spelling."""
    document: dict[str, object] = {key: value for key, value in call.document.items() if key not in _STAYS_HERE}
    document["model"] = call.model
    if stream:
        document["stream_options"] = _options(call.document.get("stream_options")) | {"include_usage": True}
    return msgspec.json.encode(document)


def _options(raw: msgspec.Raw | None) -> dict[str, object]:
    options = None if raw is None else msgspec.json.decode(raw)
    return options if isinstance(options, dict) else {}


def _chunks(payloads: Iterable[bytes]) -> tuple[list[Document], HansardError | None]:
    """The chunks up to the first payload that is none, and what that one means."""
    chunks: list[Document] = []
    for payload in payloads:
        try:
            chunk = _document(payload)
        except HansardError as unreadable:
            return chunks, unreadable
        if "error" in chunk:
            return chunks, _failed_midway(payload)
        chunks.append(chunk)
    return chunks, None


def _document(payload: bytes) -> Document:
    try:
        document = msgspec.json.decode(payload)
    except msgspec.MsgspecError as error:
        raise UpstreamFailed(_UNREADABLE, code="upstream_invalid_response") from error
    if not isinstance(document, dict):
        raise UpstreamFailed(_UNREADABLE, code="upstream_invalid_response")
    return document


def refusal(reply: Reply) -> HansardError:
    """What a client is told when the upstream refused.

    400s are the client's own doing and passed on; a refused key is the operator's, never the client's.
    """
    failure = _failure(reply.body)
    text = failure.message or f"The model server answered with status {reply.status}."
    match reply.status:
        case 401 | 403:
            return UpstreamFailed("The model server refused this server's key.", code="upstream_auth")
        case 404:
            return NotFound(text, param=failure.param, code=_code(failure))
        case 429:
            return RateLimited(text, retry_after_s=_retry_after_s(reply.headers))
        case 503:
            return Unavailable(text, retry_after_s=_retry_after_s(reply.headers))
        case status if 400 <= status < 500:
            return InvalidRequest(text, param=failure.param, code=_code(failure))
        case _:
            return UpstreamFailed(text, code="upstream_error")


def _failed_midway(payload: bytes) -> HansardError:
    return UpstreamFailed(_failure(payload).message or "The model server failed midway.", code="upstream_error")


def _failure(body: bytes) -> _Failure:
    try:
        error = msgspec.json.decode(body, type=_Envelope).error
    except msgspec.MsgspecError:
        return _Failure()
    return error if isinstance(error, _Failure) else _Failure(message=error)


def _code(failure: _Failure) -> str | None:
    return None if failure.code is None else str(failure.code)


def _retry_after_s(headers: Mapping[str, str]) -> int:
    text = headers.get("retry-after", "")
    return int(text) if text.isdigit() else 1

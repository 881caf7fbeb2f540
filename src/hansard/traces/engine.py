"""An engine with a span for each call: ``chat MODEL``, with the attributes of the conventions for generative AI.

https://github.com/open-telemetry/semantic-conventions-genai, as of November 2026 (status: development).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Iterable, Sequence
from contextlib import aclosing
from urllib.parse import urlsplit

import msgspec
from opentelemetry.propagate import inject
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from hansard.contract import Document
from hansard.contract.request import ChatRequest
from hansard.core import normalize
from hansard.core.accumulate import Accumulator
from hansard.core.ending import Ending
from hansard.core.spelled import Spelled
from hansard.engines.base import Call, Chunks, Engine, Health, ServedModel
from hansard.errors import HansardError, InvalidRequest
from hansard.traces import attributes, content

# What is held of a stream for its span; of a longer one nothing said is told.
_CONTENT_LIMIT_BYTES = 1024 * 1024


class TracedEngine:
    """Asks ``engine``, and tells the tracer. One with an ``address`` is elsewhere, and is told of the trace itself."""

    def __init__(self, engine: Engine, *, tracer: Tracer, address: str | None, with_content: bool) -> None:
        self.name = engine.name
        self.takes_any_model = engine.takes_any_model
        self.takes_unknown_parameters = engine.takes_unknown_parameters
        self.takes_client_key = engine.takes_client_key
        self._engine = engine
        self._tracer = tracer
        self._is_elsewhere = address is not None
        self._place = {} if address is None else _server(address)
        self._with_content = with_content

    def models(self) -> Sequence[ServedModel]:
        return self._engine.models()

    async def listed(self) -> Collection[str] | None:
        return await self._engine.listed()

    async def start(self) -> None:
        await self._engine.start()

    async def stop(self) -> None:
        await self._engine.stop()

    def health(self) -> Health:
        return self._engine.health()

    def refusals(self, request: ChatRequest) -> Iterable[InvalidRequest]:
        return self._engine.refusals(request)

    async def complete(self, call: Call) -> Document:
        span, call = self._begin(call, streams=False)
        try:
            made = await self._engine.complete(call)
            self._tell(span, msgspec.json.decode(msgspec.json.encode(made)))
            return made
        except BaseException as error:
            _fail(span, error)
            raise
        finally:
            span.end()

    async def stream(self, call: Call) -> AsyncGenerator[Chunks, None]:
        started = time.monotonic()
        span, call = self._begin(call, streams=True)
        choices = normalize.n(call.request)
        seen = Accumulator(choices=choices, limit_bytes=_CONTENT_LIMIT_BYTES) if self._with_content else None
        ending = Ending(choices=choices)
        first = True
        try:
            # All chunks are to be seen here.
            async with aclosing(self._engine.stream(msgspec.structs.replace(call, taker=None))) as stream:
                async for chunks in stream:
                    if first and chunks:
                        first = False
                        span.set_attribute(attributes.TIME_TO_FIRST_CHUNK, time.monotonic() - started)
                        _tell_who(span, chunks[0])
                    seen = _fed(seen, ending, chunks)
                    yield chunks
            self._tell(span, _whole(seen, ending))
        except BaseException as error:
            _fail(span, error)
            raise
        finally:
            span.end()

    def _begin(self, call: Call, *, streams: bool) -> tuple[Span, Call]:
        kind = SpanKind.CLIENT if self._is_elsewhere else SpanKind.INTERNAL
        asked = attributes.of_call(call, streams=streams, is_elsewhere=self._is_elsewhere)
        span = self._tracer.start_span(f"chat {call.model}", kind=kind, attributes={**asked, **self._place})
        if self._with_content:
            span.set_attributes(content.of_call(call))
        if self._is_elsewhere:
            headers: dict[str, str] = {}
            inject(headers, context=set_span_in_context(span))
            call = msgspec.structs.replace(call, headers=headers)
        return span, call

    def _tell(self, span: Span, made: Document) -> None:
        span.set_attributes(attributes.of_reply(made))
        if self._with_content:
            span.set_attributes(content.of_reply(made))


def _server(address: str) -> dict[str, str | int]:
    if address.startswith("unix:"):
        return {attributes.SERVER_ADDRESS: address.removeprefix("unix://").partition(":")[0]}
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {attributes.SERVER_ADDRESS: parts.hostname or "", attributes.SERVER_PORT: port}


def _tell_who(span: Span, chunk: Document | Spelled) -> None:
    """The id and the name of the model that somebody else gave are in every chunk."""
    document = chunk.document if isinstance(chunk, Spelled) else chunk
    span.set_attributes(attributes.of_head(document))


def _fed(seen: Accumulator | None, ending: Ending, chunks: Chunks) -> Accumulator | None:
    """What is seen of the stream with these chunks; None from where it is too much, or makes no sense."""
    try:
        for chunk in chunks:
            ending.feed(chunk)
            if seen is not None:
                seen.feed(chunk)
    except HansardError:  # for the one who asked it is judged elsewhere
        return None
    return seen


def _whole(seen: Accumulator | None, ending: Ending) -> Document:
    try:
        if seen is not None:
            return seen.finish()
        return {**ending.finish(), "choices": [{"finish_reason": ending.finish_reason}]}
    except HansardError:
        return {}


def _fail(span: Span, error: BaseException) -> None:
    """The error's word and nothing of its text, which may quote what was said."""
    if isinstance(error, GeneratorExit | asyncio.CancelledError):
        word = "client_left"
    else:
        word = error.word if isinstance(error, HansardError) else type(error).__name__
    span.set_attribute(attributes.ERROR_TYPE, word)
    span.set_status(Status(StatusCode.ERROR))

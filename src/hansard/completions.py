"""The use cases: create, stream, get, list, messages, update, delete. Ids, time and chance are born here.

It knows engines, the recorder and the store by their seams, and nothing of HTTP or SQL.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Literal, TypeAlias

import msgspec

from hansard.contract import Document
from hansard.core import ids, normalize, paging, views
from hansard.core.accumulate import Accumulator
from hansard.core.ending import Ending
from hansard.core.stamp import Stamp
from hansard.core.validate import Received
from hansard.engines.base import Call, Health, ServedModel
from hansard.engines.router import Route, Router, Target
from hansard.errors import CompletionNotFound, InvalidRequest, ModelNotFound
from hansard.recorder import Recorder
from hansard.store.base import Record, Store
from hansard.tenancy import Principal

# A seed we draw is kept small enough for every engine (32 bits, signed) and for JavaScript's numbers.
_SEEDS = 2**31
_SEED_BYTES = 4


Shown: TypeAlias = Sequence[Document | bytes]
"""Chunks as the client may see them, each a document or its JSON text; those that came together leave together."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One create request: for whom, what, and under which request id.

    ``metadata`` came beside the body, which wins over it. ``authorization`` is the client's own header, for
    engines that pass it on.
    """

    principal: Principal
    received: Received
    request_id: str
    metadata: Mapping[str, str] = msgspec.field(default_factory=dict)
    authorization: str | None = None


class Progress(msgspec.Struct):
    """What is known so far of one completion; whoever asked may look at it at any time."""

    completion_id: str | None = None
    model: str | None = None
    usage: Mapping[str, int] | None = None
    stored: bool = False


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Which parts would take work now: the store, the engines by name, and who answers for which model."""

    store: bool
    engines: Mapping[str, Health]
    targets: Mapping[str, Sequence[Target]]

    @property
    def ready(self) -> bool:
        """The store, every engine of ours, and at least one upstream: one that is away does not stop the others."""
        ours = [health.ready for health in self.engines.values() if not health.elsewhere]
        upstreams = [health.ready for health in self.engines.values() if health.elsewhere]
        return self.store and all(ours) and (any(upstreams) or not upstreams)


class Completions:
    """Everything a client can do with completions, for one project at a time."""

    def __init__(
        self,
        *,
        router: Router,
        store: Store,
        recorder: Recorder,
        on_disconnect: Literal["cancel", "finish"] = "cancel",
    ) -> None:
        self._router = router
        self._store = store
        self._recorder = recorder
        self._on_disconnect = on_disconnect

    def models(self) -> list[ServedModel]:
        """What can be asked for now."""
        return self._router.models()

    def model(self, name: str) -> ServedModel:
        """One of them, or NotFound in the words of the models endpoint."""
        for model in self._router.models():
            if model.id == name:
                return model
        raise ModelNotFound.in_listing(name)

    def takes_unknown_parameters(self, model: str) -> bool:
        """Whether keys that the contract does not name are for that model's engine to judge.

        Yes for a name that nobody serves: that is what is wrong with such a request.
        """
        try:
            return self._router.pick(model).takes_unknown_parameters
        except ModelNotFound:
            return True

    async def readiness(self) -> Readiness:
        """What would take work now."""
        return Readiness(
            store=await self._store.ready(),
            engines={engine.name: engine.health() for engine in self._router.engines},
            targets=self._router.targets(),
        )

    async def create(self, asked: Asked, progress: Progress) -> bytes:
        """The completion as JSON, committed if it was to be stored."""
        run = await self._begin(asked, progress)
        work = self._complete(run)
        return await (self._recorder.outlive(work) if self._outlives(run) else work)

    async def stream(self, asked: Asked, progress: Progress) -> AsyncGenerator[Shown, None]:
        """The completion in chunks, as they come; when the last has been taken it is committed if it was to be."""
        run = await self._begin(asked, progress)
        chunks = self._chunks(run)
        async with aclosing(self._recorder.outlive_stream(chunks) if self._outlives(run) else chunks) as shown:
            async for together in shown:
                yield together

    async def get(self, principal: Principal, completion_id: str) -> Document:
        """The stored object."""
        return _view(await self._record(principal, completion_id))

    async def page(self, principal: Principal, query: paging.ListQuery) -> Document:
        """One page of stored objects."""
        after = None
        if query.after is not None:
            after = await self._store.locate(principal.project, query.after)
            if after is None:
                raise _unknown_cursor(query.after)
        # One more than asked for: it says whether there is a next page (decision 13).
        records = await self._store.page(principal.project, query, after=after, limit=query.limit + 1)
        return paging.page([_view(record) for record in records], query.limit)

    async def messages(self, principal: Principal, completion_id: str, query: paging.MessagesQuery) -> Document:
        """One page of the input messages of a stored completion."""
        record = await self._record(principal, completion_id)
        messages = views.stored_messages(completion_id, msgspec.json.decode(record.request))
        if query.order == "desc":
            messages.reverse()
        if query.after is not None:
            messages = _past(messages, query.after)
        return paging.page(messages[: query.limit + 1], query.limit)

    async def update(self, principal: Principal, completion_id: str, metadata: Mapping[str, str]) -> Document:
        """Replace the metadata; the stored object as it then is."""
        record = await self._store.set_metadata(principal.project, completion_id, metadata)
        if record is None:
            raise CompletionNotFound(completion_id)
        return _view(record)

    async def delete(self, principal: Principal, completion_id: str) -> None:
        """Forget the completion; from then on its id is unknown."""
        if not await self._store.delete(principal.project, completion_id):
            raise CompletionNotFound(completion_id)

    async def _begin(self, asked: Asked, progress: Progress) -> _Run:
        stored = self._recorder.wants(asked.received.request)
        route = self._router.pick(asked.received.request.model)
        run = _Run(asked=asked, route=route, progress=progress, stored=stored)
        if stored:
            await self._recorder.check()
        return run

    def _outlives(self, run: _Run) -> bool:
        return run.stored and self._on_disconnect == "finish"

    async def _complete(self, run: _Run) -> bytes:
        return await self._conclude(run, await run.route.complete(run.call))

    async def _chunks(self, run: _Run) -> AsyncGenerator[Shown, None]:
        choices = normalize.n(run.call.request)
        seen = Accumulator(choices=choices) if run.stored else Ending(choices=choices)
        try:
            async with aclosing(run.route.stream(run.call)) as stream:
                async for chunks in stream:
                    run.began()
                    for chunk in chunks:
                        seen.feed(chunk)
                    if shown := run.stamp.chunks(chunks):
                        yield shown
        except (GeneratorExit, asyncio.CancelledError):
            # The client left: what is finished is stored, what is not never is (decision 18).
            if run.stored and seen.finished:
                await self._conclude(run, seen.finish())
            raise
        if run.stored:
            await self._conclude(run, seen.finish())
        else:
            run.told(seen.finish())

    async def _conclude(self, run: _Run, made: Document) -> bytes:
        reply = run.stamp.completion(made)
        body = msgspec.json.encode(reply)
        if run.stored:
            await self._recorder.record(run.record(reply, theirs=made.get("id"), body=body))
        run.told(reply)
        return body

    async def _record(self, principal: Principal, completion_id: str) -> Record:
        record = await self._store.get(principal.project, completion_id)
        if record is None:
            raise CompletionNotFound(completion_id)
        return record


class _Run:
    """One completion from its first moment to its record."""

    def __init__(self, *, asked: Asked, route: Route, progress: Progress, stored: bool) -> None:
        now_ns = time.time_ns()
        request, model = asked.received.request, route.answered.model
        self.asked = asked
        self.route = route
        self.stored = stored
        entropy = os.urandom(ids.ENTROPY_BYTES + _SEED_BYTES)
        self.id = ids.completion_id(now_ns // 1_000_000, entropy[_SEED_BYTES:])
        self.created = now_ns // 1_000_000_000
        seed = normalize.seed(request)
        self.call = Call(
            request=request,
            document=asked.received.document,
            model=model,
            seed=int.from_bytes(entropy[:_SEED_BYTES]) % _SEEDS if seed is None else seed,
            authorization=asked.authorization,
        )
        self.stamp = Stamp(
            completion_id=self.id,
            created=self.created,
            model=model,
            include_usage=normalize.wants_usage(request),
        )
        self._progress = progress
        self._progress.completion_id = self.id
        self._progress.model = model
        self._started = time.monotonic()
        self._first_token_ms: int | None = None

    def began(self) -> None:
        """The first chunk is here."""
        if self._first_token_ms is None:
            self._first_token_ms = self._elapsed_ms()

    def told(self, reply: Document) -> None:
        """The completion is whole, and committed if it was to be."""
        self._progress.usage = _usage(reply)
        self._progress.model = self.route.answered.model
        self._progress.stored = self.stored

    def record(self, reply: Document, *, theirs: object, body: bytes) -> Record:
        """What is kept of it; ``theirs`` is the id that somebody else gave it."""
        request = self.asked.received.request
        return Record(
            project=self.asked.principal.project,
            id=self.id,
            created=self.created,
            model=reply["model"],
            requested_model=request.model,
            request_id=self.asked.request_id,
            metadata={**self.asked.metadata, **normalize.metadata(request)},
            seed=self.call.seed,
            request=self.asked.received.body,
            reply=body,
            engine=self.route.answered.engine.name,
            upstream_id=theirs if isinstance(theirs, str) else None,
            first_token_ms=self._first_token_ms,
            total_ms=self._elapsed_ms(),
        )

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self._started) * 1000)


def _usage(reply: Document) -> Mapping[str, int] | None:
    usage = reply.get("usage")
    if isinstance(usage, msgspec.Raw):
        usage = msgspec.json.decode(usage)
    return usage if isinstance(usage, dict) else None


def _view(record: Record) -> Document:
    return views.stored_completion(
        request=msgspec.json.decode(record.request),
        reply=msgspec.json.decode(record.reply),
        metadata=record.metadata,
        request_id=record.request_id,
        seed=record.seed,
    )


def _past(messages: Sequence[Document], after: str) -> list[Document]:
    for index, message in enumerate(messages):
        if message["id"] == after:
            return list(messages[index + 1 :])
    raise _unknown_cursor(after)


def _unknown_cursor(after: str) -> InvalidRequest:
    """Decision 6."""
    return InvalidRequest(
        f"Invalid value for 'after': no object with id '{after}' exists here.", param="after", code="invalid_value"
    )

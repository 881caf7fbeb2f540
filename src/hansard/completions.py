"""The use cases: create, stream, get, list, messages, update, delete.

It knows engines, the recorder and the store by their seams, and nothing of HTTP or SQL.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import ExitStack, aclosing
from functools import partial
from typing import Literal

import msgspec

from hansard.contract import Document
from hansard.contract.request import ChatRequest
from hansard.core import documents, normalize, paging, policies, views
from hansard.core.accumulate import Accumulator
from hansard.core.ending import Ending
from hansard.core.idempotency import IdempotencyKey
from hansard.core.lifetimes import KEPT, Lifetimes
from hansard.core.quota import demand
from hansard.engines import check
from hansard.engines.base import Health, ServedModel
from hansard.engines.check import Finding
from hansard.engines.router import Router, Target
from hansard.errors import (
    BrokenOff,
    CompletionNotFound,
    Conflict,
    HansardError,
    InvalidRequest,
    ModelNotFound,
    UpstreamTimeout,
)
from hansard.limits import Limiter, Reservation
from hansard.observe.load import Load
from hansard.recorder import Recorder, Texts
from hansard.repeats import Claim, Repeats
from hansard.runs import Asked, Outlet, Passage, Progress, Run, Shown, replayed
from hansard.store.base import PAGE_BYTES, Cursor, Outcome, Record, Store, size_bytes
from hansard.store.tenants import Entry
from hansard.tenancy import Principal

# Its chunks are with the client already, so all that can be said is that they do not count.
_SECOND = (
    "A request with the same Idempotency-Key was answered first, by another server on this database. "
    "Send this one again to get its completion."
)


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Which parts would take work now: the store, the engines by name, and who answers for which model.

    ``shuts_down``: what runs is finished, and nothing else is to be begun.
    """

    store: bool
    engines: Mapping[str, Health]
    targets: Mapping[str, Sequence[Target]]
    shuts_down: bool = False

    @property
    def ready(self) -> bool:
        """The store, every engine of ours, and at least one upstream: one that is away does not stop the others."""
        if self.shuts_down:
            return False
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
        idempotency_ttl_s: int = 24 * 60 * 60,
        max_completion_bytes: int | None = None,
        lifetimes: Lifetimes = KEPT,
        limiter: Limiter | None = None,
    ) -> None:
        self._router = router
        self._limiter = limiter or Limiter()
        self._store = store
        self._recorder = recorder
        self._on_disconnect = on_disconnect
        self._max_completion_bytes = max_completion_bytes
        self._lifetimes = lifetimes
        self._repeats = Repeats(recorder=recorder, ttl_s=idempotency_ttl_s)
        self._shuts_down = False
        self.load = Load()

    def shut_down(self) -> None:
        """From now on nobody is to send more; whoever asks is told so, and what comes all the same is served."""
        self._shuts_down = True

    @property
    def writes_waiting(self) -> int:
        """How many writes are not committed yet."""
        return self._store.waiting

    def models(self, principal: Principal) -> list[ServedModel]:
        """What can be asked for now."""
        return [model for model in self._router.models() if principal.may_use(model.id)]

    def model(self, principal: Principal, name: str) -> ServedModel:
        """One of them, or NotFound in the words of the models endpoint."""
        for model in self.models(principal):
            if model.id == name:
                return model
        raise ModelNotFound.in_listing(name)

    def may_be_stored(self, request: ChatRequest, principal: Principal) -> None:
        """Raise InvalidRequest for what the policy of storing does not allow."""
        self._recorder.wants(request, principal)

    def takes_unknown_parameters(self, model: str) -> bool:
        """Whether what the contract does not name is for that model's engine to judge.

        Yes for a name that nobody serves: that is what is wrong with such a request.
        """
        try:
            return self._router.pick(model).takes_unknown_parameters
        except ModelNotFound:
            return True

    def refusals(self, request: ChatRequest) -> Iterable[HansardError]:
        """What whoever would answer has against a request, as far as it can be said at once."""
        try:
            return self._router.pick(request.model).refusals(request)
        except ModelNotFound as unknown:
            return [unknown]

    async def readiness(self) -> Readiness:
        """What would take work now."""
        return Readiness(
            store=await self._store.ready(),
            engines={engine.name: engine.health() for engine in self._router.engines},
            shuts_down=self._shuts_down,
            targets=self._router.targets(),
        )

    async def check(
        self,
        names: Sequence[str],
        *,
        principal: Principal,
        for_reply: bool,
        authorization: str | None,
        progress: Progress,
    ) -> list[tuple[str, Target, Finding]]:
        """Whether the targets of these models answer, or of all it may use; ModelForbidden or ModelNotFound.

        Their engines are asked anew for what they list; ``for_reply`` has each target begin a completion instead,
        which counts for its limits as any other does.
        """
        for name in names:
            principal.must_be_allowed(name)
        listed = await check.lists(self._router.engines)
        serving = {name: self._router.targets_of(name) for name in names} or self._router.targets()
        pairs = [(name, target) for name, targets in serving.items() if principal.may_use(name) for target in targets]
        targets = [target for _, target in pairs]
        if for_reply:
            findings = await self._begun(targets, principal, authorization=authorization, progress=progress)
        else:
            findings = [check.by_list(target, listed[target.engine]) for target in targets]
        return [(name, target, finding) for (name, target), finding in zip(pairs, findings, strict=True)]

    async def _begun(
        self, targets: Sequence[Target], principal: Principal, *, authorization: str | None, progress: Progress
    ) -> Sequence[Finding]:
        with ExitStack() as places:
            for target in targets:
                places.enter_context(self._limiter.reserve(principal, partial(check.demand_of, target), progress))
            progress.pieces = 1  # at most that much is heard of each
            return await check.by_reply(targets, authorization=authorization)

    async def create(self, asked: Asked, progress: Progress) -> bytes:
        """The completion as JSON, committed if it was to be stored."""
        if asked.idempotency_key is not None:
            claim = await self._claim(asked, asked.idempotency_key)
            if isinstance(claim, Outcome):
                progress.replay(msgspec.json.decode(claim.reply))
                return claim.reply
            return await self._recorder.outlive(self._claimed(claim, asked, progress))
        work = self._complete(asked, progress)
        return await (self._recorder.outlive(work) if self._outlives(asked) else work)

    def stream(self, asked: Asked, progress: Progress, *, outlet: Outlet | None = None) -> AsyncGenerator[Shown, None]:
        """The completion in chunks, as they come; when the last has been taken it is committed if it was to be.

        Chunks that come while one is waited for may go through the ``outlet`` instead.
        """
        if asked.idempotency_key is not None:
            return self._once(asked.idempotency_key, asked, progress)
        if self._outlives(asked):
            return self._recorder.outlive_stream(self._chunks(asked, progress))
        return self._chunks(asked, progress, outlet=outlet)

    async def get(self, principal: Principal, completion_id: str) -> Document:
        """The stored object."""
        return _view(await self._record(principal, completion_id))

    async def page(self, principal: Principal, query: paging.ListQuery) -> Document:
        """One page of stored objects."""
        after = None if query.after is None else await self._place(principal, query.after)
        # One more than asked for: it says whether there is a next page (decision 13).
        records = await self._store.page(principal.project, query, after=after, limit=query.limit + 1)
        page = paging.page([_view(record) for record in records], query.limit)
        if len(records) <= query.limit and size_bytes(records) >= PAGE_BYTES:
            last = await self._place(principal, records[-1].id)
            page["has_more"] = bool(await self._store.page(principal.project, query, after=last, limit=1))
        return page

    async def messages(self, principal: Principal, completion_id: str, query: paging.MessagesQuery) -> Document:
        """One page of the input messages of a stored completion."""
        record = await self._record(principal, completion_id)
        messages = views.stored_messages(completion_id, documents.read(record.request))
        if query.order == "desc":
            messages.reverse()
        if query.after is not None:
            messages = _past(messages, query.after)
        return paging.page(messages[: query.limit + 1], query.limit)

    async def search(self, principal: Principal, query: paging.SearchQuery) -> Document:
        """One page of what was found in stored completions."""
        after = None if query.after is None else await self._place(principal, query.after)
        found = await self._store.search(principal.project, query, after=after)
        page = paging.page([views.search_result(msgspec.structs.asdict(hit)) for hit in found.hits], query.limit)
        return {**page, "has_more": found.has_more, "complete": found.is_complete, "next_after": found.next_after}

    async def facets(self, principal: Principal, query: paging.FacetsQuery) -> Document:
        """How many stored completions have which keys, or values of one key."""
        counts = await self._store.facets(principal.project, query.key, limit=query.limit + 1)
        return views.facets(counts[: query.limit], key=query.key, has_more=len(counts) > query.limit)

    async def update(self, principal: Principal, completion_id: str, metadata: Mapping[str, str]) -> Document:
        """Replace the metadata; the stored object as it then is."""
        redaction = self._recorder.redaction(principal)
        kept = metadata if redaction is None else redaction.metadata(metadata)
        record = await self._store.set_metadata(principal.project, completion_id, kept)
        if record is None:
            raise CompletionNotFound(completion_id)
        return _view(record)

    async def delete(self, principal: Principal, completion_id: str, entry: Entry | None = None) -> None:
        """Forget the completion; from then on its id is unknown. ``entry`` is what the audit log is to say of it."""
        if not await self._store.delete(principal.project, completion_id, entry):
            raise CompletionNotFound(completion_id)

    async def _claim(self, asked: Asked, key: IdempotencyKey) -> Claim | Outcome:
        """The right to run under the key, or what became of it."""
        return await self._repeats.claim(asked.principal, key, now=int(time.time()))

    async def _claimed(self, claim: Claim, asked: Asked, progress: Progress) -> bytes:
        with claim:
            return await self._complete(asked, progress, claim)

    async def _once(self, key: IdempotencyKey, asked: Asked, progress: Progress) -> AsyncGenerator[Shown, None]:
        claim = await self._claim(asked, key)
        if isinstance(claim, Outcome):
            yield replayed(claim, asked, progress)
            return
        chunks = self._recorder.outlive_stream(self._claimed_chunks(claim, asked, progress), ahead=None)
        async with aclosing(chunks) as shown:
            async for together in shown:
                yield together

    async def _claimed_chunks(self, claim: Claim, asked: Asked, progress: Progress) -> AsyncGenerator[Shown, None]:
        with claim:
            async with aclosing(self._chunks(asked, progress, claim)) as chunks:
                async for together in chunks:
                    yield together

    async def _begin(self, asked: Asked, progress: Progress, claim: Claim | None = None) -> Run:
        principal = asked.principal
        for model in asked.received.models:
            principal.must_be_allowed(model)
        stored = self._recorder.wants(asked.received.request, principal)
        route = self._router.pick(asked.received.request.model)
        policy = policies.retention(principal.policy, principal.project_policy)
        run = Run(
            asked=asked,
            route=route,
            progress=progress,
            stored=stored,
            claim=claim,
            load=self.load,
            lifetimes=policy.over(self._lifetimes),
            redaction=self._recorder.redaction(principal),
        )
        if run.kept:
            await self._recorder.check(principal)
        return run

    def _outlives(self, asked: Asked) -> bool:
        return self._on_disconnect == "finish" and self._recorder.wants(asked.received.request, asked.principal)

    def _reserved(self, asked: Asked, progress: Progress) -> Reservation:
        """The block that keeps it within its client's limits. A repeat that is answered again does not count."""
        received = asked.received
        return self._limiter.reserve(
            asked.principal, lambda: demand(received.request, body_bytes=len(received.body)), progress
        )

    async def _complete(self, asked: Asked, progress: Progress, claim: Claim | None = None) -> bytes:
        with self._reserved(asked, progress), await self._begin(asked, progress, claim) as run:
            return await self._conclude(run, await run.route.complete(run.call))

    async def _chunks(
        self, asked: Asked, progress: Progress, claim: Claim | None = None, outlet: Outlet | None = None
    ) -> AsyncGenerator[Shown, None]:
        # Left in the end however the stream ends, so that what it came to is settled.
        with self._reserved(asked, progress), await self._begin(asked, progress, claim) as run:
            choices = normalize.n(run.call.request)
            seen: Accumulator | Ending = Ending(choices=choices)
            if run.kept:
                seen = Accumulator(choices=choices, limit_bytes=self._max_completion_bytes)
            passage = Passage(run, seen=seen, progress=progress, outlet=outlet)
            call = run.call if outlet is None else msgspec.structs.replace(run.call, taker=passage.take)
            has_begun = False
            try:
                async with aclosing(run.route.stream(call)) as stream:
                    async for chunks in stream:
                        if not has_begun:
                            run.began()
                            has_begun = True
                        if shown := passage.shown(chunks):
                            yield shown
            except (GeneratorExit, asyncio.CancelledError):
                # The client left: what is finished is stored, what is not never is (decision 18).
                if run.kept and seen.finished:
                    await self._conclude(run, seen.finish())
                raise
            except (BrokenOff, UpstreamTimeout):
                if not seen.finished:
                    raise
            run.all_came()
            if isinstance(seen, Accumulator):
                await self._conclude(run, seen.finish())
                if run.was_second:
                    raise Conflict(_SECOND, code="idempotency_key_in_use")
            else:
                run.told(seen.finish(), finish_reason=seen.finish_reason)

    async def _conclude(self, run: Run, made: Document) -> bytes:
        reply = run.stamp.completion(made)
        texts = Texts(request=run.asked.received.body, reply=msgspec.json.encode(reply))
        if not run.kept:
            run.told(reply)
            return texts.reply
        run.to_be_committed()
        work = self._keep(run, reply, made=made, texts=texts)
        # It is finished, so it is stored, although its client may leave before it can be handed to the store.
        return await (self._recorder.outlive(work) if self._recorder.redacts_aside(run.redaction, texts) else work)

    async def _keep(self, run: Run, reply: Document, *, made: Document, texts: Texts) -> bytes:
        """Commit what is to be kept; what its client is to get."""
        kept = await self._recorder.redacted(run.redaction, texts)
        record = run.record(reply, made=made, texts=kept) if run.stored else None
        if run.claim is not None:
            in_force = await run.claim.remember(kept.reply, record, now=int(time.time()))
            if in_force != kept.reply:
                run.came_second(msgspec.json.decode(in_force))
                return in_force
        elif record is not None:
            await self._recorder.record(record)
        run.told(reply)
        return texts.reply

    async def _place(self, principal: Principal, completion_id: str) -> Cursor:
        place = await self._store.locate(principal.project, completion_id)
        if place is None:
            raise _unknown_cursor(completion_id)
        return place

    async def _record(self, principal: Principal, completion_id: str) -> Record:
        record = await self._store.get(principal.project, completion_id)
        if record is None:
            raise CompletionNotFound(completion_id)
        return record


def _view(record: Record) -> Document:
    return views.stored_completion(
        request=documents.read(record.request),
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

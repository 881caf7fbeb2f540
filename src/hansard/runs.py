"""One create request on its way: what was asked, what is known so far, what is recorded. Ids and chance are born here.

How it goes its way, and in which order, is in ``completions``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, TypeAlias

import msgspec

from hansard.contract import Document
from hansard.core import ids, normalize
from hansard.core.accumulate import Accumulator
from hansard.core.ending import Ending
from hansard.core.explode import explode
from hansard.core.idempotency import IdempotencyKey
from hansard.core.lifetimes import KEPT, Lifetimes
from hansard.core.quota import Allowance
from hansard.core.redaction import Redaction
from hansard.core.stamp import Stamp
from hansard.core.validate import Received
from hansard.engines.base import Call, Chunks
from hansard.engines.router import Route
from hansard.observe import Work
from hansard.observe.load import Load
from hansard.recorder import Texts
from hansard.repeats import Claim
from hansard.store.base import Outcome, Record
from hansard.tenancy import Principal

# A seed we draw is kept small enough for every engine (32 bits, signed) and for JavaScript's numbers.
_SEEDS = 2**31
_SEED_BYTES = 4

Shown: TypeAlias = list[Document | bytes]
"""Chunks as the client may see them, each a document or its JSON text; those that came together leave together.
Whoever sends them empties the list, so that what a slow client makes wait is held once."""


class Outlet(Protocol):
    """The way to a client that takes chunks where they come, and needs nobody to wait for it."""

    @property
    def is_free(self) -> bool:
        """Whether it would take some now: its reply has begun, and it reads as fast as they come."""

    def send(self, shown: Shown) -> None:
        """Send them, if it is free."""


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
    idempotency_key: IdempotencyKey | None = None
    lifetimes: Lifetimes = KEPT
    """How long it is to be kept, as far as its client says."""


class Progress(msgspec.Struct):
    """What is known so far of one completion; whoever asked may look at it at any time."""

    completion_id: str | None = None
    model: str | None = None
    usage: Mapping[str, int] | None = None
    stored: bool = False
    uncommitted: bool = False
    """Whether it is whole and to be kept, and no commit says yet that it is."""
    pieces: int = 0
    """The chunks that came of a stream."""
    allowance: Allowance | None = None
    """Where its client stands with its limits, if it has some."""
    replayed: bool = False
    """Whether it was made for an earlier request; then the tokens and the storing were that one's."""
    work: Work | None = None

    def replay(self, reply: Document) -> None:
        """It is this completion, of an earlier request."""
        self.completion_id = reply["id"]
        self.model = reply["model"]
        self.replayed = True


class Line:
    """Where a request waits for its engine, and since when.

    Apart from the run, which holds the call that holds this: a run that its call leads back to would be let go only
    when the garbage collector comes, after thousands of others, each with the whole body of its request.
    """

    __slots__ = ("_load", "_started", "_work")

    def __init__(self, load: Load, work: Work) -> None:
        self._started = time.monotonic()
        self._load = load
        self._work = work

    @property
    def elapsed_s(self) -> float:
        """Since the request came."""
        return time.monotonic() - self._started

    def enter(self) -> None:
        self._load.waits(self._work.model_name)

    def leave(self) -> None:
        self._load.ends(self._work.model_name, had_begun=self._work.queue_s is not None)

    def taken_up(self) -> None:
        """An engine has taken it up; until now it waited in line. Later tries do not count."""
        if self._work.queue_s is None:
            self._work.queue_s = self.elapsed_s
            self._load.begins(self._work.model_name)


class Run:
    """One completion from its first moment to its record. While it is entered, ``load`` counts it."""

    def __init__(
        self,
        *,
        asked: Asked,
        route: Route,
        progress: Progress,
        stored: bool,
        claim: Claim | None,
        load: Load,
        lifetimes: Lifetimes = KEPT,
        redaction: Redaction | None = None,
    ) -> None:
        now_ns = time.time_ns()
        request, model = asked.received.request, route.answered.model
        self.asked = asked
        self._work = Work(model_name=route.model_name, engine=route.answered.engine.name)
        self._line = Line(load, self._work)
        self.route = route
        self.stored = stored
        self.claim = claim
        self._lifetimes = asked.lifetimes.over(lifetimes)
        self.redaction = redaction
        self.kept = stored or claim is not None
        """Whether the whole of it is needed at the end."""
        self.was_second = False
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
            taken_up=self._line.taken_up,
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
        self._progress.work = self._work

    def __enter__(self) -> Run:
        self._line.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.leave()

    def began(self) -> None:
        """The first chunk is here."""
        self._work.first_chunk_s = self._line.elapsed_s

    def all_came(self) -> None:
        """The last chunk is here."""
        self._work.last_chunk_s = self._line.elapsed_s

    def to_be_committed(self) -> None:
        """It is whole, and counts only once it is kept."""
        self._progress.uncommitted = True

    def told(self, reply: Document, *, finish_reason: str | None = None) -> None:
        """The completion is whole, and committed if it was to be. Its choices say why it ended, where it has them."""
        self._work.engine = self.route.answered.engine.name
        self._work.finish_reason = finish_reason or self._reason(reply)
        self._progress.usage = _usage(reply)
        self._progress.model = self.route.answered.model
        self._progress.stored = self.stored
        self._progress.uncommitted = False

    def came_second(self, reply: Document) -> None:
        """Another process, on the same database, has meanwhile answered a request with the same key."""
        self.was_second = True
        self._progress.replay(reply)

    def record(self, reply: Document, *, made: Document, texts: Texts) -> Record:
        """What is kept of it; ``made`` is what the engine made, with the id and the name that somebody else gave.

        ``texts`` are as they may be kept.
        """
        request, redaction = self.asked.received.request, self.redaction
        metadata = self.asked.principal.metadata({**self.asked.metadata, **normalize.metadata(request)})
        # From its end on: of a long stream with a short time to live there is something to see.
        ends = self._lifetimes.ends(int(time.time()))
        return Record(
            project=self.asked.principal.project,
            id=self.id,
            created=self.created,
            model=reply["model"],
            requested_model=request.model,
            request_id=self.asked.request_id,
            metadata=metadata if redaction is None else redaction.metadata(metadata),
            seed=self.call.seed,
            request=texts.request,
            reply=texts.reply,
            engine=self.route.answered.engine.name,
            upstream_id=_text(made.get("id")),
            upstream_model=_text(made.get("model")) or self.route.answered.model,
            key=self.asked.principal.key,
            finish_reason=self._reason(reply),
            queue_ms=_ms(self._work.queue_s),
            first_token_ms=_ms(self._work.first_chunk_s),
            total_ms=_ms(self._line.elapsed_s),
            expires=ends.expires,
            body_expires=ends.body_expires,
        )

    def _reason(self, reply: Document) -> str | None:
        if self._work.finish_reason is None:
            self._work.finish_reason = _finish_reason(reply.get("choices") or [])
        return self._work.finish_reason


class Passage:
    """A stream's chunks on their way from the engine to the client: counted, stamped, and looked at by ``seen``."""

    __slots__ = ("_feed", "_outlet", "_progress", "_stamped")

    def __init__(
        self, run: Run, *, seen: Accumulator | Ending, progress: Progress, outlet: Outlet | None = None
    ) -> None:
        self._stamped = run.stamp.chunks
        self._feed = seen.feed
        self._progress = progress
        self._outlet = outlet

    def shown(self, chunks: Chunks) -> Shown:
        """What the client may see of them."""
        self._progress.pieces += len(chunks)
        shown = self._stamped(chunks)
        while chunks:  # a slow reader keeps whoever called for long, and they need not wait there
            self._feed(chunks.pop(0))
        return shown

    def take(self, chunks: Chunks) -> bool:
        """As an engine's ``Taker``: they go out at once, if the outlet is free."""
        outlet = self._outlet
        if outlet is None or not outlet.is_free:
            return False
        if shown := self.shown(chunks):
            outlet.send(shown)
        return True


def replayed(outcome: Outcome, asked: Asked, progress: Progress) -> Shown:
    """The stream of a completion that was made before."""
    reply = msgspec.json.decode(outcome.reply)
    progress.replay(reply)
    stamp = Stamp(
        completion_id=reply["id"],
        created=reply["created"],
        model=reply["model"],
        include_usage=normalize.wants_usage(asked.received.request),
    )
    return stamp.chunks(explode(reply))


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


def _finish_reason(choices: object) -> str | None:
    """That of the first choice."""
    if isinstance(choices, msgspec.Raw):  # as it came from an upstream
        ended = msgspec.json.decode(choices, type=list[_Choice])
        return ended[0].finish_reason if ended else None
    assert isinstance(choices, list)
    return _text(choices[0].get("finish_reason")) if choices else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _usage(reply: Document) -> Mapping[str, int] | None:
    usage = reply.get("usage")
    if isinstance(usage, msgspec.Raw):
        usage = msgspec.json.decode(usage)
    return usage if isinstance(usage, dict) else None

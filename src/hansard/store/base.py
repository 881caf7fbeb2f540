"""The seam between Hansard and its memory: what is kept of a completion, and how it is asked for.

The store knows SQL and nothing of HTTP, engines or keys. ``project`` is the first argument of
every method: a row of another project does not exist.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from hansard.core.paging import ListQuery, SearchQuery
from hansard.store.tenants import Entry

PAGE_BYTES: Final = 16 * 1024 * 1024
"""A page ends behind the record with which requests and replies, as they are read, come to so many bytes."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One stored completion, verbatim: the API's stored objects are views of it.

    ``request`` and ``reply`` are the JSON bytes as received and as sent (a stream's reply is its
    accumulated completion); ``created`` is unix seconds; ``model`` is the name in the reply,
    ``requested_model`` the client's own, ``upstream_model`` and ``upstream_id`` are those of whoever answered;
    ``key`` tells which key it was made with, and is none; ``finish_reason`` is that of the first choice. Times are
    milliseconds, ``None`` where not known. The completion may be forgotten from ``expires`` on, and what was said in
    it from ``body_expires`` on (unix seconds), ``None`` for never.
    """

    project: str
    id: str
    created: int
    model: str
    requested_model: str
    request_id: str
    metadata: Mapping[str, str]
    seed: int
    request: bytes
    reply: bytes
    engine: str
    upstream_id: str | None = None
    upstream_model: str | None = None
    key: str | None = None
    finish_reason: str | None = None
    queue_ms: int | None = None
    first_token_ms: int | None = None
    total_ms: int | None = None
    expires: int | None = None
    body_expires: int | None = None


def line(record: Record) -> bytes:
    """A record as one line of JSON: its request and reply as they were received and sent, but for line breaks."""
    fields: dict[str, Any] = msgspec.structs.asdict(record)
    for name in ("request", "reply"):
        # Between values: in a JSON string they are spelled out.
        fields[name] = msgspec.Raw(fields[name].replace(b"\n", b" ").replace(b"\r", b" "))
    return msgspec.json.encode(fields) + b"\n"


class Cursor(msgspec.Struct, frozen=True):
    """A place in the order of a project's completions: created, then insertion number."""

    created: int
    number: int


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A completion in which something was found, and some of the text around the first of it."""

    id: str
    created: int
    model: str
    finish_reason: str | None
    metadata: Mapping[str, str]
    snippet: str


def size_bytes(records: Sequence[Record]) -> int:
    """What counts of them on a page."""
    return sum(len(each.request) + len(each.reply) for each in records)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A page of hits. Not ``is_complete``: older completions were not looked at, or are not in the index yet.

    ``next_after`` is the id of the completion to go on after, if there may be more.
    """

    hits: Sequence[Hit]
    has_more: bool
    is_complete: bool
    next_after: str | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request that was sent with an idempotency key, remembered so that a repeat gets the same.

    ``fingerprint`` is what a repeat must equal; ``reply`` is the whole completion as JSON bytes; times are unix
    seconds, and at ``expires`` the key is free again.
    """

    project: str
    key: str
    fingerprint: bytes
    created: int
    expires: int
    reply: bytes


class Expired(msgspec.Struct, frozen=True, kw_only=True):
    """How many completions were forgotten, in how many what was said, and for how long the writer was at it."""

    records: int = 0
    bodies: int = 0
    outcomes: int = 0
    took_s: float = 0.0


class Tally(NamedTuple):
    """What a key, or with none its project, has used of one kind, or by how much that changes.

    ``what`` is ``requests`` or ``tokens`` of a minute, which run out by ``per_s``, or the tokens of a month:
    ``2026-11``.
    """

    project: str
    key: str
    what: str
    change: float
    per_s: float = 0.0


class Tallies(Protocol):
    """A place where servers add up what is used of limits. Raises ``StoreUnavailable``."""

    @property
    def is_shared(self) -> bool:
        """Whether other servers may count there too."""

    async def tally(self, changes: Sequence[Tally]) -> Sequence[float]:
        """Add each to what all have used, and return that. Committed, and perhaps twice if the database went away."""

    async def tallied(self, what: str, *, within_s: float | None = None) -> Sequence[Tally]:
        """All that was used of a month, but by keys that count no more; only what was added to in these seconds."""


class Outcomes(Protocol):
    """A place that remembers outcomes, one for each project and key."""

    async def recall(self, project: str, key: str, *, now: int) -> Outcome | None:
        """What is remembered for the key, if it has not expired by ``now``."""

    async def remember(self, outcome: Outcome, record: Record | None = None) -> Outcome:
        """Keep the outcome and, in the same transaction, the record it belongs to; returns once both are committed.

        If the key has an outcome by now, neither is kept, and that one is returned: whoever was first is right.
        """


class Expiring(Protocol):
    """A place that forgets in time, some at a time. Raises ``StoreUnavailable``."""

    async def due(self, *, now: int) -> Sequence[str]:
        """The projects in which something has expired by ``now``."""

    async def expire(self, project: str, *, now: int, most: int) -> Expired:
        """Forget at most ``most`` completions, or what was said in them, or outcomes: what has expired by ``now``.

        Of a whole completion no more remains than after ``delete``; of another all but messages and answers, and not
        what a repeat of its request would get.
        """

    async def give_back(self) -> int:
        """Give some of the room of what was deleted back to the disk: bytes, 0 if there is no more."""

    def tend(self) -> AsyncGenerator[float, None]:
        """See to what makes reads quick, and take deleted words out of the index, now and then, in small steps.

        After each, the seconds it took of everybody's time.
        """


class Left(NamedTuple):
    """What a closed project still has: so many completions, or anything at all."""

    completions: int
    anything: bool


class Departing(Protocol):
    """A place that a project can leave, whole. Raises ``StoreUnavailable``."""

    async def page(
        self, project: str, query: ListQuery, *, after: Cursor | None, limit: int, whole: bool = False
    ) -> Sequence[Record]:
        """As ``Store.page``."""

    async def locate(self, project: str, completion_id: str) -> Cursor | None:
        """As ``Store.locate``."""

    async def close_project(self, project: str, entry: Entry) -> bool:
        """Take its keys and its row away and log that, so that nothing more is kept for it; False if there is none."""

    async def closed_projects(self) -> Sequence[str]:
        """Those that are closed and have something left."""

    async def left_of(self, project: str) -> Left | None:
        """What a closed project has left; None if there is one of that id, or never was one that was closed."""

    async def clear_some(self, project: str) -> int:
        """Delete some of what is left of a closed project: how many rows. 0: there is no more."""

    async def scrub(self) -> None:
        """Return once what is deleted by now is in no file of the database's any more, neither in an index of words nor
        in a log. Of PostgreSQL's files that is its server's to see to.
        """


class Store(Outcomes, Protocol):
    """A place that keeps records. Every write is committed when it returns.

    Database trouble of any kind is ``StoreUnavailable``, never an empty answer.
    """

    async def start(self) -> None:
        """Open, migrate and check; raise ``StartupError`` with what to do about it."""

    async def stop(self) -> None:
        """Commit what waits, then close."""

    @property
    def healthy(self) -> bool:
        """What is known without asking: False after a write that failed, and while no more may wait."""

    @property
    def waiting(self) -> int:
        """How many writes are not committed yet."""

    async def ready(self) -> bool:
        """Ask: whether a write would be taken now."""

    async def insert(self, record: Record) -> None:
        """Keep the record; returns once it is committed."""

    async def get(self, project: str, completion_id: str) -> Record | None:
        """The record, or None if unknown or deleted."""

    async def locate(self, project: str, completion_id: str) -> Cursor | None:
        """Where the completion stands in the order, deleted ones included; None if never seen."""

    async def page(
        self, project: str, query: ListQuery, *, after: Cursor | None, limit: int, whole: bool = False
    ) -> Sequence[Record]:
        """At most ``limit`` records past ``after`` that match the query, in its order, and of ``PAGE_BYTES``.

        If not ``whole``, their requests may have an empty list in the place of their messages.
        """

    async def facets(self, project: str, key: str | None, *, limit: int) -> Sequence[tuple[str, int]]:
        """The values of a key, the most frequent first, or the keys by name, each with its count of completions."""

    async def search(self, project: str, query: SearchQuery, *, after: Cursor | None) -> Found:
        """At most ``query.limit`` completions inserted before ``after``, newest first; what the time allows of it.

        ``SearchIsOff`` where no index is kept.
        """

    async def set_metadata(self, project: str, completion_id: str, metadata: Mapping[str, str]) -> Record | None:
        """Replace the metadata; the record as it then is, as in a page, or None if unknown or deleted."""

    async def delete(self, project: str, completion_id: str, entry: Entry | None = None) -> bool:
        """Forget the content, and its outcome, but keep its place in the order; False if unknown or already deleted.

        ``entry`` is in the audit log if it is done.
        """

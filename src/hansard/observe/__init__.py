"""What happens, as events; a sink decides what becomes of them.

One union, one call. Events carry names, numbers and ids, never message contents and never keys.
The sinks are ``observe.console`` and ``observe.lines`` (a line per event, for people and for machines) and
``observe.metrics`` (numbers for Prometheus).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec


class Work(msgspec.Struct, kw_only=True):
    """What a create request was to its engine, filled in as it goes. Seconds count from when it was understood.

    ``model_name`` is the served name that it meant, ``other`` where an engine takes any name: never a client's own
    words. What is None has not happened, or cannot be known: a plain reply has no first chunk.
    """

    model_name: str
    engine: str
    queue_s: float | None = None
    first_chunk_s: float | None = None
    last_chunk_s: float | None = None
    finish_reason: str | None = None


class RequestServed(msgspec.Struct, frozen=True, kw_only=True):
    """A request was answered, or its client left (``status`` 499). ``duration_ms`` is to the last byte.

    ``replayed``: with the completion of an earlier request, whose event has the tokens. ``client_request_id`` is the
    client's own word for it, whatever that is.
    """

    method: str
    path: str
    status: int
    duration_ms: float
    request_id: str
    model: str | None = None
    completion_id: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    stored: bool = False
    replayed: bool = False
    error: str | None = None
    client_request_id: str | None = None
    work: Work | None = None


class Crashed(msgspec.Struct, frozen=True, kw_only=True):
    """A bug: an exception nobody translated, seen at the outermost edge."""

    request_id: str
    exception: BaseException


class EngineChanged(msgspec.Struct, frozen=True, kw_only=True):
    """An engine came or went. ``state`` is one word, ``reason`` one line."""

    engine: str
    state: str
    reason: str = ""


class UpstreamTried(msgspec.Struct, frozen=True, kw_only=True):
    """One try of a call to an upstream: ``ok`` or an error's ``word``, and the time to the first byte."""

    upstream: str
    outcome: str
    duration_s: float


class TargetFailed(msgspec.Struct, frozen=True, kw_only=True):
    """One target of a model could not answer, so the next one is asked. ``reason`` is an error's ``word``."""

    engine: str
    model: str
    reason: str


class RecordLost(msgspec.Struct, frozen=True, kw_only=True):
    """A completion could not be committed, so its client was told that it is not stored."""

    completion_id: str
    reason: str


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction of ``writes`` is on the disk. It took ``duration_s``; the first write waited ``queue_s`` for it."""

    writes: int
    queue_s: float
    duration_s: float


class StoreUpgraded(msgspec.Struct, frozen=True, kw_only=True):
    """The tables of an older version were taken to the newest; ``before`` and ``now`` are versions."""

    before: str
    now: str


class RecordsExpired(msgspec.Struct, frozen=True, kw_only=True):
    """Completions were forgotten whole, and what was said in others; so much went back to the disk.

    ``duration_s`` has the pauses in it, which are most of it.
    """

    records: int
    bodies: int
    freed_bytes: int
    duration_s: float


class SearchIndexed(msgspec.Struct, frozen=True, kw_only=True):
    """So many completions that were stored without an index of words are in it now, or all of them."""

    completions: int
    is_complete: bool


Event: TypeAlias = (
    RequestServed
    | Crashed
    | EngineChanged
    | UpstreamTried
    | TargetFailed
    | RecordLost
    | Committed
    | StoreUpgraded
    | RecordsExpired
    | SearchIndexed
)
Observer: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The sink of those who do not look."""


def both(first: Observer, second: Observer) -> Observer:
    """A sink that passes every event on to two."""

    def tell(event: Event) -> None:
        first(event)
        second(event)

    return tell

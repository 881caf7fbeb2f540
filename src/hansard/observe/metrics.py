"""The sink that counts: what the numbers for Prometheus are called and where each comes from.

Names and labels are vLLM's where it has them, under our prefix, so that its dashboards can be read here. Labels come
from closed sets and from the operator's own names, never from what a client may choose. Nothing is counted for each
chunk of a stream.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Final, TypeGuard

import msgspec

from hansard.observe import (
    Committed,
    Crashed,
    EngineChanged,
    Event,
    RecordLost,
    RecordsExpired,
    RequestServed,
    TargetFailed,
    UpstreamTried,
    Work,
)
from hansard.observe.instruments import Counter, Gauge, Histogram, Labels, Samples, rendered

# Seconds. A relay's own time is below the first; a long answer of a large model beyond the last.
_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
# Between two tokens: from what the smallest models take to what nobody wants to wait.
_TOKEN_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5)
# A transaction: from memory that calls itself a disk to a standby across the world, or an outage ridden out.
_COMMIT_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 30.0)
_METHODS: Final = frozenset({"GET", "POST", "DELETE"})
_PREFIX: Final = re.compile(r"^(?:/openai/deployments/.+(?=/chat/completions)|/openai/v1|/openai|/v1)(?=/)")
_ID: Final = re.compile(r"/(chat/completions|hansard/v1/keys|hansard/v1/projects)/[^/]+")
_KNOWN: Final = frozenset(
    {"/chat/completions", "/chat/completions/{id}", "/chat/completions/{id}/messages", "/models", "/metrics"}
    | {"/health", "/livez", "/readyz", "/hansard/v1/search", "/hansard/v1/facets", "/check", "/openapi.json"}
    | {"/hansard/v1/projects", "/hansard/v1/projects/{id}", "/hansard/v1/audit"}
    | {"/hansard/v1/projects/{id}/deletion", "/hansard/v1/projects/{id}/export"}
    | {"/hansard/v1/keys", "/hansard/v1/keys/{id}", "/hansard/v1/keys/{id}/rotate"}
)
_REASONS: Final = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
# What the breaker of an upstream makes of it (engines.upstream.attempts).
_BREAKER: Final = ("left alone", "back")
# The one set of labels of what has none.
_ALL: Final[Sequence[Labels]] = [()]
_STATES: Final = ("up", "failing", "half-open", "open")


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """What goes up and down, as it is when Prometheus asks.

    ``ready`` by part, ``upstreams`` with the word for the state of each, requests by the served name of their model.
    """

    ready: Mapping[str, bool] = {}
    upstreams: Mapping[str, str] = {}
    waiting: Mapping[str, int] = {}
    running: Mapping[str, int] = {}
    writes_waiting: int = 0
    tasks: int = 0


class Metrics:
    """Counts events. ``upstreams`` names the engines that are elsewhere, ``since`` is the start in unix seconds."""

    def __init__(self, *, version: str = "", upstreams: Collection[str] = (), since: float = 0.0) -> None:
        self._version = version
        self._upstreams = frozenset(upstreams)
        self._since = since
        self._requests = Counter("hansard_requests_total", "Requests answered; status 499 is a client that left.")
        self._seconds = _seconds("hansard_request_duration_seconds", "From a request to the last byte of its reply.")
        self._whole = _seconds("hansard_e2e_request_latency_seconds", "The same, of completions that were made.")
        self._queued = _seconds("hansard_request_queue_time_seconds", "What create requests waited for their engine.")
        self._first = _seconds("hansard_time_to_first_token_seconds", "From a streamed request to its first chunk.")
        self._between = Histogram(
            "hansard_inter_token_latency_seconds",
            "Between two tokens of a stream: the mean of each whole stream.",
            bounds=_TOKEN_BOUNDS,
        )
        self._prompt = Counter("hansard_prompt_tokens_total", "Tokens of prompts, as the engines counted them.")
        self._generated = Counter("hansard_generation_tokens_total", "Tokens of answers, as the engines counted them.")
        self._success = Counter("hansard_request_success_total", "Completions made, by why their first choice ended.")
        self._stored = _of_all("hansard_stored_completions_total", "Completions committed.")
        self._lost = _of_all("hansard_lost_completions_total", "Completions whose commit failed; their clients know.")
        self._commits = Histogram(
            "hansard_store_commit_seconds",
            "Transactions of the writer, COMMIT included.",
            bounds=_COMMIT_BOUNDS,
            known=_ALL,
        )
        self._writes_waited = Histogram(
            "hansard_store_queue_seconds",
            "What the first write of each transaction waited for it.",
            bounds=_COMMIT_BOUNDS,
            known=_ALL,
        )
        self._writes = _of_all("hansard_store_writes_total", "Writes in those transactions.")
        self._expired = _of_all("hansard_expired_records_total", "Completions forgotten at the end of their time.")
        self._bared = _of_all("hansard_expired_bodies_total", "Completions whose messages and answers were forgotten.")
        self._freed = _of_all("hansard_expired_freed_bytes_total", "What went back from there to the disk (SQLite).")
        self._crashes = _of_all("hansard_crashes_total", "Bugs: exceptions that nobody translated.")
        self._tries = Counter(
            "hansard_upstream_tries_total",
            "Tries of calls to upstreams, retries included.",
            known=[(("upstream", name), ("outcome", "ok")) for name in upstreams],
        )
        self._first_byte = _seconds("hansard_upstream_first_byte_seconds", "From a try to its first byte or failure.")
        self._passed_over = Counter("hansard_targets_failed_total", "Targets that failed, so that the next was asked.")
        self._changes = Counter(
            "hansard_engine_changes_total",
            "Engines that went, came back or were left alone.",
            known=[(("engine", name), ("state", state)) for name in upstreams for state in _BREAKER],
        )
        self._all: Sequence[Counter | Histogram] = (
            *(self._requests, self._seconds),
            *(self._whole, self._queued, self._first, self._between, self._prompt, self._generated, self._success),
            *(self._stored, self._lost, self._commits, self._writes_waited, self._writes),
            *(self._expired, self._bared, self._freed),
            *(self._tries, self._first_byte, self._passed_over, self._changes, self._crashes),
        )

    def __call__(self, event: Event) -> None:
        """Take one event in."""
        match event:
            case RequestServed():
                self._served(event)
            case UpstreamTried(upstream=upstream, outcome=outcome, duration_s=duration_s):
                self._tries.add(1, (("upstream", upstream), ("outcome", outcome)))
                self._first_byte.add(duration_s, (("upstream", upstream),))
            case TargetFailed(engine=engine, reason=reason):
                self._passed_over.add(1, (("engine", engine), ("reason", reason)))
            case EngineChanged(engine=engine, state=state):
                self._changes.add(1, (("engine", engine), ("state", state)))
            case RecordsExpired(records=records, bodies=bodies, freed_bytes=freed_bytes):
                for counter, amount in ((self._expired, records), (self._bared, bodies), (self._freed, freed_bytes)):
                    if amount:
                        counter.add(amount, ())
            case Committed(writes=writes, queue_s=queue_s, duration_s=duration_s):
                self._commits.add(duration_s, ())
                self._writes_waited.add(queue_s, ())
                self._writes.add(writes, ())
            case RecordLost():
                self._lost.add(1, ())
            case Crashed():
                self._crashes.add(1, ())

    def render(self, now: Now) -> bytes:
        """Everything so far, and what is now."""
        from hansard.observe import process  # few servers are ever asked

        return rendered([*self._gauges(now), *self._all, *process.gauges(since=self._since)])

    def _gauges(self, now: Now) -> Sequence[Gauge]:
        build: Labels = (("version", self._version), ("python_version", platform.python_version()))
        states: Samples = {
            (("upstream", name), ("state", state)): int(state == held)
            for name, held in now.upstreams.items()
            for state in _STATES
        }
        return (
            Gauge("hansard_build_info", "What runs here; always 1.", {build: 1}),
            Gauge("hansard_ready", "Whether this part would take work now.", _by("part", now.ready)),
            Gauge("hansard_requests_running", "Create requests that are worked on.", _by("model_name", now.running)),
            Gauge("hansard_requests_waiting", "Create requests that wait for that.", _by("model_name", now.waiting)),
            Gauge("hansard_store_queue_depth", "Writes that are not committed yet.", {(): now.writes_waiting}),
            Gauge("hansard_event_loop_tasks", "Tasks of the event loop that have not ended.", {(): now.tasks}),
            Gauge("hansard_upstream_state", "1 for the state that an upstream is in.", states),
        )

    def _served(self, event: RequestServed) -> None:
        where = _where(event.method, event.path)
        self._requests.add(1, (*where, ("status", str(event.status))))
        self._seconds.add(event.duration_ms / 1000, where)
        if event.work is not None:
            self._worked(event, event.work)
        if event.stored:
            self._stored.add(1, ())

    def _worked(self, event: RequestServed, work: Work) -> None:
        labels = (("model_name", work.model_name), ("upstream", work.engine if work.engine in self._upstreams else ""))
        if work.queue_s is not None:
            self._queued.add(work.queue_s, labels)
        if work.first_chunk_s is not None:
            self._first.add(work.first_chunk_s, labels)
        for counter, tokens in ((self._prompt, event.prompt_tokens), (self._generated, event.completion_tokens)):
            if _makes_sense(tokens):
                counter.add(tokens, labels)
        if work.finish_reason is None:
            return
        reason = work.finish_reason if work.finish_reason in _REASONS else "other"
        self._success.add(1, (*labels, ("finished_reason", reason)))
        self._whole.add(event.duration_ms / 1000, labels)
        if work.first_chunk_s is not None and work.last_chunk_s is not None and _makes_sense(event.completion_tokens):
            gaps = event.completion_tokens - 1
            if gaps:
                self._between.add((work.last_chunk_s - work.first_chunk_s) / gaps, labels)


def _of_all(name: str, text: str) -> Counter:
    return Counter(name, text, known=_ALL)


def _seconds(name: str, text: str) -> Histogram:
    return Histogram(name, text, bounds=_BOUNDS)


def _makes_sense(tokens: int | None) -> TypeGuard[int]:
    """As an upstream counted them: nothing keeps it to numbers that do."""
    return isinstance(tokens, int) and 0 < tokens < 2**53


def _by(label: str, samples: Mapping[str, float]) -> Samples:
    return {((label, name),): value for name, value in samples.items()}


@lru_cache(maxsize=64)
def _where(method: str, path: str) -> Labels:
    return (("method", method if method in _METHODS else "other"), ("path", place(path)))


def place(path: str) -> str:
    """The address without ids, one of a few."""
    bare = _PREFIX.sub("", path)
    if bare in _KNOWN:
        return bare
    if bare.startswith("/models/"):
        return "/models/{id}"
    known = _ID.sub(r"/\1/{id}", bare)
    return known if known in _KNOWN else "other"

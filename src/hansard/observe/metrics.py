"""The sink that counts: numbers for Prometheus, rendered as its text exposition format (version 0.0.4).

Labels come from closed sets and from the operator's own names, never from what a client may choose.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

from hansard.observe import (
    Crashed,
    EngineChanged,
    Event,
    RecordLost,
    RecordsExpired,
    RequestServed,
    TargetFailed,
    UpstreamTried,
)

Labels: TypeAlias = tuple[tuple[str, str], ...]

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"

# Seconds. A relay's own time is below the first; a long answer of a large model beyond the last.
_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_METHODS: Final = frozenset({"GET", "POST", "DELETE"})
_ID: Final = re.compile(r"/chat/completions/[^/]+")
_KNOWN: Final = frozenset(
    {"/chat/completions", "/chat/completions/{id}", "/chat/completions/{id}/messages", "/models", "/metrics"}
    | {"/health", "/readyz", "/hansard/v1/search", "/hansard/v1/facets"}
)


class Counter:
    """A number per set of labels that only grows."""

    kind = "counter"

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._values: dict[Labels, float] = defaultdict(float)

    def add(self, amount: float, labels: Labels) -> None:
        self._values[labels] += amount

    def lines(self) -> Iterable[str]:
        """One sample per set of labels."""
        return (_sample(self.name, labels, value) for labels, value in self._values.items())


class Histogram:
    """How many values lie at or below each bound, per set of labels."""

    kind = "histogram"

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._counts: dict[Labels, list[int]] = defaultdict(lambda: [0] * (len(_BOUNDS) + 1))
        self._sums: dict[Labels, float] = defaultdict(float)

    def add(self, value: float, labels: Labels) -> None:
        self._counts[labels][bisect_left(_BOUNDS, value)] += 1
        self._sums[labels] += value

    def lines(self) -> Iterable[str]:
        """Buckets, sum and count per set of labels."""
        for labels, counts in self._counts.items():
            below = 0
            for bound, count in zip((*map(_number, _BOUNDS), "+Inf"), counts, strict=True):
                below += count
                yield _sample(f"{self.name}_bucket", (*labels, ("le", bound)), below)
            yield _sample(f"{self.name}_sum", labels, self._sums[labels])
            yield _sample(f"{self.name}_count", labels, below)


class Metrics:
    """Counts events."""

    def __init__(self) -> None:
        self._requests = Counter("hansard_requests_total", "Requests answered; status 499 is a client that left.")
        self._seconds = Histogram("hansard_request_duration_seconds", "From a request to the last byte of its reply.")
        self._tokens = Counter("hansard_tokens_total", "Tokens of completions, as the engines counted them.")
        self._stored = Counter("hansard_completions_stored_total", "Completions committed.")
        self._lost = Counter("hansard_completions_lost_total", "Completions whose commit failed; their clients know.")
        self._expired = Counter("hansard_expired_records_total", "Completions forgotten at the end of their time.")
        self._bared = Counter("hansard_expired_bodies_total", "Completions whose messages and answers were forgotten.")
        self._freed = Counter("hansard_expired_freed_bytes_total", "What went back from there to the disk (SQLite).")
        self._crashes = Counter("hansard_crashes_total", "Bugs: exceptions that nobody translated.")
        self._tries = Counter("hansard_upstream_tries_total", "Tries of calls to upstreams, retries included.")
        self._first_byte = Histogram("hansard_upstream_first_byte_seconds", "From a try to its first byte or failure.")
        self._passed_over = Counter("hansard_targets_failed_total", "Targets that failed, so that the next was asked.")
        self._changes = Counter("hansard_engine_changes_total", "Engines that went, came back or were left alone.")
        self._all: Sequence[Counter | Histogram] = (
            *(self._requests, self._seconds, self._tokens, self._stored, self._lost, self._crashes),
            *(self._expired, self._bared, self._freed),
            *(self._tries, self._first_byte, self._passed_over, self._changes),
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
            case RecordLost():
                self._lost.add(1, ())
            case Crashed():
                self._crashes.add(1, ())

    def render(self, ready: Mapping[str, bool]) -> bytes:
        """Everything so far, and which part would take work now."""
        lines = ["# HELP hansard_ready Whether this part would take work now.", "# TYPE hansard_ready gauge"]
        lines += [_sample("hansard_ready", (("part", part),), works) for part, works in ready.items()]
        for metric in self._all:
            lines += [f"# HELP {metric.name} {metric.text}", f"# TYPE {metric.name} {metric.kind}", *metric.lines()]
        return ("\n".join(lines) + "\n").encode()

    def _served(self, event: RequestServed) -> None:
        where = _where(event.method, event.path)
        self._requests.add(1, (*where, ("status", str(event.status))))
        self._seconds.add(event.duration_ms / 1000, where)
        for kind, tokens in (("prompt", event.prompt_tokens), ("completion", event.completion_tokens)):
            # As an upstream counted them: nothing keeps it to numbers that make sense.
            if isinstance(tokens, int) and 0 < tokens < 2**53:
                self._tokens.add(tokens, (("kind", kind),))
        if event.stored:
            self._stored.add(1, ())


@lru_cache(maxsize=64)
def _where(method: str, path: str) -> Labels:
    return (("method", method if method in _METHODS else "other"), ("path", _place(path)))


def _place(path: str) -> str:
    """The address without ids, one of a few."""
    bare = path.removeprefix("/v1")
    if bare in _KNOWN:
        return bare
    if bare.startswith("/models/"):
        return "/models/{id}"
    place = _ID.sub("/chat/completions/{id}", bare)
    return place if place in _KNOWN else "other"


def _sample(name: str, labels: Labels, value: float) -> str:
    spelled = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    return f"{name}{{{spelled}}} {_number(value)}" if labels else f"{name} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)

"""Counters, gauges and histograms, and how Prometheus reads them: its text exposition format, version 0.0.4."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]
Samples: TypeAlias = Mapping[Labels, float]

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


class Counter:
    """A number per set of labels that only grows. ``known`` sets are told as 0 before anything is counted, so that
    what comes first is an increase too."""

    kind = "counter"

    def __init__(self, name: str, text: str, *, known: Iterable[Labels] = ()) -> None:
        self.name = name
        self.text = text
        self._values: dict[Labels, float] = defaultdict(float, dict.fromkeys(known, 0.0))

    def add(self, amount: float, labels: Labels) -> None:
        self._values[labels] += amount

    def lines(self) -> Iterable[str]:
        """One sample per set of labels."""
        return (_sample(self.name, labels, value) for labels, value in self._values.items())


class Histogram:
    """How many values lie at or below each of ``bounds``, per set of labels; ``known`` as of a counter."""

    kind = "histogram"

    def __init__(self, name: str, text: str, *, bounds: Sequence[float], known: Iterable[Labels] = ()) -> None:
        self.name = name
        self.text = text
        self._bounds = bounds
        self._counts: dict[Labels, list[int]] = defaultdict(lambda: [0] * (len(bounds) + 1))
        self._sums: dict[Labels, float] = defaultdict(float)
        for labels in known:
            self._counts[labels] = [0] * (len(bounds) + 1)

    def add(self, value: float, labels: Labels) -> None:
        self._counts[labels][bisect_left(self._bounds, value)] += 1
        self._sums[labels] += value

    def lines(self) -> Iterable[str]:
        """Buckets, sum and count per set of labels."""
        for labels, counts in self._counts.items():
            below = 0
            for bound, count in zip((*map(_number, self._bounds), "+Inf"), counts, strict=True):
                below += count
                yield _sample(f"{self.name}_bucket", (*labels, ("le", bound)), below)
            yield _sample(f"{self.name}_sum", labels, self._sums[labels])
            yield _sample(f"{self.name}_count", labels, below)


class Gauge:
    """What some numbers are at one moment, per set of labels."""

    def __init__(self, name: str, text: str, samples: Samples) -> None:
        # What somebody else counts is a counter all the same, by its name.
        self.kind = "counter" if name.endswith("_total") else "gauge"
        self.name = name
        self.text = text
        self._samples = samples

    def lines(self) -> Iterable[str]:
        """One sample per set of labels."""
        return (_sample(self.name, labels, value) for labels, value in self._samples.items())


def rendered(metrics: Iterable[Counter | Histogram | Gauge]) -> bytes:
    """All of them, each with its text and kind before its samples."""
    lines: list[str] = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {metric.text}", f"# TYPE {metric.name} {metric.kind}", *metric.lines()]
    return ("\n".join(lines) + "\n").encode()


def _sample(name: str, labels: Labels, value: float) -> str:
    spelled = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    return f"{name}{{{spelled}}} {_number(value)}" if labels else f"{name} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)

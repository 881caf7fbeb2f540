"""The arithmetic of the benches: what a handful of measurements is summed up as. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def quantile(numbers: Sequence[float], share: float) -> float:
    """The number below which ``share`` of them lie: one of them, never a mean of two; 0 of none."""
    if not numbers:
        return 0.0
    return sorted(numbers)[min(len(numbers) - 1, int(share * len(numbers)))]


def median(numbers: Sequence[float]) -> float:
    """The middle one; of an even count the mean of the middle two; 0 of none."""
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    if not ordered:
        return 0.0
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def ratio(ours: float, theirs: float) -> float | None:
    """``ours`` in multiples of ``theirs``; None where there is nothing to compare with."""
    return ours / theirs if theirs > 0 else None


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns also line up in a terminal; the first column reads from the left."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    aligned = ["| " + " | ".join(_aligned(line, widths)) + " |" for line in lines]
    rule = (
        "|" + "|".join("-" * (width + 1) + ("-" if column == 0 else ":") for column, width in enumerate(widths)) + "|"
    )
    return "\n".join([aligned[0], rule, *aligned[1:]])


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
    return [first.strip().ljust(widths[0]), *others]

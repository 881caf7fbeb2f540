"""What a run has to keep: memory that stays where it was, and nothing left over once nobody asks any more. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

MOST_GROWTH = 0.02
"""The bar of a run of half an hour."""


class Held(NamedTuple):
    """What a process holds at one moment. Sockets are among the files; tasks are those of its event loop."""

    files: int
    sockets: int
    threads: int
    tasks: int

    def least(self, other: Held) -> Held:
        """The lesser of each."""
        return Held(*map(min, self, other))


def growth(levels: Sequence[float]) -> float:
    """By which part of itself a level grew over the whole time, by a straight line through it; below 0 it shrank.

    ``levels`` are taken at even distances. The line is Tukey's resistant one (*Exploratory Data Analysis*, 1977): it
    goes through the median of the first third and that of the last, each at the middle of its third. These lie two
    thirds of the time apart, so over all of it the line rises by 3/2 of their difference; that, divided by the first
    median, is the growth. A level that swings, or jumps for less than a sixth of the time, changes neither median by
    much. One that rises steadily by ``x`` of its beginning gives about ``x``.
    """
    first, last = ends(levels)
    return 1.5 * (last - first) / first


def ends(levels: Sequence[float]) -> tuple[float, float]:
    """The medians of the first third and of the last."""
    third = len(levels) // 3
    if not third:
        raise ValueError("a line needs three levels at least")
    return median(levels[:third]), median(levels[-third:])


def complaints(
    levels: Mapping[str, Sequence[float]], *, before: Held, after: Held, at_most: float = MOST_GROWTH
) -> list[str]:
    """What was missed, of ``levels`` by name and of what was held at rest ``before`` and ``after`` their time."""
    missed = [
        f"{now - then} more {name} than before: {now}, and it was {then}"
        for name, then, now in zip(Held._fields, before, after, strict=True)
        if now > then
    ]
    grown = {name: growth(each) for name, each in levels.items()}
    return missed + [
        f"{name} grew by {by:.1%}, and {at_most:.1%} is the most" for name, by in grown.items() if by > at_most
    ]

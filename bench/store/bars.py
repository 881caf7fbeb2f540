"""What is asked of the store, and whether it was met. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.numbers import table


def at_most(asked: str, measured: float, bar: float) -> dict[str, Any]:
    """``measured`` is to be no more than ``bar``."""
    return {"asked": asked, "measured": round(measured, 4), "bar": bar, "sense": "at most", "met": measured <= bar}


def at_least(asked: str, measured: float, bar: float) -> dict[str, Any]:
    """``measured`` is to be no less than ``bar``."""
    return {"asked": asked, "measured": round(measured, 4), "bar": bar, "sense": "at least", "met": measured >= bar}


def missed(measured: Mapping[str, Any]) -> list[str]:
    """What was asked and not met."""
    return [
        f"{bar['asked']}: {bar['measured']:,.2f}, {bar['sense']} {bar['bar']:.3g} is asked"
        for bar in measured["bars"]
        if not bar["met"]
    ]


def report(bars: Iterable[Mapping[str, Any]]) -> str:
    """The table of them."""
    rows = [
        (
            bar["asked"],
            f"{bar['sense']} {bar['bar']:.3g}",
            f"{bar['measured']:,.2f}",
            "met" if bar["met"] else "**missed**",
        )
        for bar in bars
    ]
    return table(("asked of the store", "bar", "measured", ""), rows)

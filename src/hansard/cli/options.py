"""What the commands' help and options share: how examples are shown, and the options of every client command."""

from __future__ import annotations


def examples(*commands: str) -> str:
    """The end of a help page; ``\\b`` keeps the lines as they are."""
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])

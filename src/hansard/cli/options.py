"""What the commands' help and options share: how examples are shown, and what every client command takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import typer

BASE_URL = "http://127.0.0.1:8000/v1"

BaseUrl = Annotated[
    str,
    typer.Option("--base-url", metavar="URL", envvar="OPENAI_BASE_URL", help="Server to talk to.", show_default=True),
]
KeyFile = Annotated[
    str | None, typer.Option("--api-key-file", metavar="FILE", help="File with the key; or OPENAI_API_KEY.")
]
Model = Annotated[str | None, typer.Option("--model", "-m", metavar="MODEL", help="Model name.")]
Order = Annotated[Literal["asc", "desc"], typer.Option(help="By time: asc, oldest first, or desc.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
AsJsonl = Annotated[bool, typer.Option("--jsonl", help="Print one JSON object a line.")]
OnlyIds = Annotated[bool, typer.Option("--quiet", "-q", help="Print ids only.")]


def examples(*commands: str) -> str:
    """The end of a help page; ``\\b`` keeps the lines as they are."""
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])


def pairs(words: Iterable[str] | None, *, option: str = "--meta") -> dict[str, str]:
    """``k=v`` words as a map; the value may be empty and may contain ``=``."""
    found: dict[str, str] = {}
    for word in words or ():
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{word!r} is not KEY=VALUE.", param_hint=option)
        found[key] = value
    return found

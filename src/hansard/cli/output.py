"""How commands print: a table for people, tab-separated lines for pipes and agents, or JSON.

stdout carries what was asked for; hints and progress go to stderr. What a model wrote is data:
it cannot move the cursor or change the terminal.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import typer

from hansard.printable import one_line

# Variables that coding agents set; they read tab-separated text better than a table.
AGENTS = ("CLAUDECODE", "CODEX_SANDBOX", "AI_AGENT")

GAP = "  "

Form = Literal["json", "jsonl", "ids", "rows"]
Found = dict[str, Any]
Row = Callable[[Found], Sequence[str]]
Document = Callable[[list[Found]], Found]


class Column(NamedTuple):
    """``limit``: how many cells wide a table lets it be; the last column takes the room that is left."""

    title: str
    limit: int | None = None


def say(text: str) -> None:
    """Data, to stdout."""
    print(text)  # noqa: T201


def hint(text: str) -> None:
    """Anything beside the data, to stderr."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def for_people() -> bool:
    """Whether a person looks at stdout."""
    return sys.stdout.isatty() and not any(os.environ.get(name) for name in AGENTS)


def can_ask() -> bool:
    """Whether a person can be asked something."""
    return sys.stdin.isatty() and not any(os.environ.get(name) for name in AGENTS)


def chosen_form(*, as_json: bool, as_jsonl: bool, only_ids: bool) -> Form:
    """The one form these options ask for."""
    wanted: dict[Form, bool] = {"json": as_json, "jsonl": as_jsonl, "ids": only_ids}
    asked = [form for form, chosen in wanted.items() if chosen]
    if len(asked) > 1:
        raise typer.BadParameter("choose one of --json, --jsonl and --quiet.", param_hint="--json")
    return asked[0] if asked else "rows"


def say_list(found: Iterable[Found], form: Form, *, columns: Sequence[Column], row: Row, document: Document) -> None:
    """A list in the form asked for; ``document`` is what ``--json`` makes of the whole."""
    match form:
        case "json":
            say_json(document(list(found)))
        case "jsonl":
            for one in found:
                say_json_line(one)
        case "ids":
            for one in found:
                say(one["id"])
        case "rows":
            say_rows(columns, (row(one) for one in found))


def say_json(document: object) -> None:
    """One document, indented."""
    say(json.dumps(document, ensure_ascii=False, indent=2))


def say_json_line(document: object) -> None:
    """One document on one line."""
    say(json.dumps(document, ensure_ascii=False, separators=(",", ":")))


def say_rows(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """A table where a person looks, else a heading and lines with a tab between the cells."""
    if for_people():
        _say_table(columns, rows)
        return
    say("\t".join(column.title.lower() for column in columns))
    for row in rows:
        say("\t".join(one_line(cell) for cell in row))


def local_time(created: object) -> str:
    """Unix seconds as local time, ``2026-11-20 10:15:31``; nothing for no time, and for 0, which means none."""
    if not isinstance(created, int | float) or not created:
        return ""
    return datetime.fromtimestamp(created).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def spell_pairs(metadata: Mapping[str, Any] | None) -> str:
    """``k=v k2=v2``."""
    return " ".join(f"{key}={value}" for key, value in (metadata or {}).items())


def _say_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """No frame, so that an id can be copied; too narrow for the last column, the table goes without."""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    cells = [[column.title for column in columns], *([one_line(cell) for cell in row] for row in rows)]
    widths = [
        min(max(cell_len(row[at]) for row in cells), column.limit or console.width) for at, column in enumerate(columns)
    ]
    widths[-1] = min(widths[-1], console.width - sum(width + len(GAP) for width in widths[:-1]))
    shown = [at for at, width in enumerate(widths) if width >= len(columns[at].title)]
    for number, row in enumerate(cells):
        line = GAP.join(_fitted(row[at], widths[at]) for at in shown)
        console.print(Text(line.rstrip(), style="bold" if number == 0 else ""))


def _fitted(text: str, width: int) -> str:
    from rich.cells import cell_len, set_cell_size

    return set_cell_size(text, width - 1) + "…" if cell_len(text) > width else set_cell_size(text, width)

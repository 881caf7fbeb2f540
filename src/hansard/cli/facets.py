"""``hansard facets``: how many stored completions there are of what, over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hansard.cli.options import BASE_URL, AsJson, BaseUrl, KeyFile, examples
from hansard.cli.output import Column, hint, say_json, say_rows

PATH = "/hansard/v1/facets"

COLUMNS = (Column("COUNT"), Column("KEY", 40), Column("VALUE"))

EXAMPLES = examples(
    "hansard facets",
    "hansard facets model",
    "hansard facets 'metadata[team]' --limit 5",
    "hansard facets finish_reason --json",
)


def add_to(app: typer.Typer) -> None:
    app.command("facets", epilog=EXAMPLES)(facets)


def facets(
    key: Annotated[
        str | None, typer.Argument(metavar="KEY", help="model, finish_reason or metadata[NAME]; none: every key.")
    ] = None,
    *,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="How many at most.")] = 20,
    as_json: AsJson = False,
    base_url: BaseUrl = BASE_URL,
    api_key_file: KeyFile = None,
) -> None:
    """Count stored completions by model, finish reason and metadata."""
    from hansard.cli.client import connect

    query = [("limit", str(limit))] if key is None else [("key", key), ("limit", str(limit))]
    page = connect(base_url, api_key_file).get(PATH, query)
    if as_json:
        say_json(page)
        return
    found: list[dict[str, Any]] = page.get("data") or []
    columns = COLUMNS[:2] if key is None else COLUMNS
    say_rows(columns, ([str(one.get(column.title.lower())) for column in columns] for one in found))
    if not found:
        hint("None found.")
    elif page.get("has_more"):
        hint(f"There are more: --limit {min(limit * 5, 100)}" if limit < 100 else "There are more.")
    elif key is None:
        hint(f"To see the values of one: hansard facets '{found[0].get('key')}'")

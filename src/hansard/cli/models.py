"""``hansard models``: which models the server answers with."""

from __future__ import annotations

from typing import Any

import typer

from hansard.cli.options import BASE_URL, AsJson, AsJsonl, BaseUrl, KeyFile, OnlyIds, examples
from hansard.cli.output import Column, chosen_form, local_time, say_list

COLUMNS = (Column("ID"), Column("OWNED BY", 20), Column("CREATED"), Column("DESCRIPTION"))

LIST_EXAMPLES = examples(
    "hansard models list",
    "hansard models list -q",
    "hansard models list --base-url https://api.openai.com/v1 --api-key-file key.txt --json",
)


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="The models a server answers with.", epilog=LIST_EXAMPLES)
    group.command("list", epilog=LIST_EXAMPLES)(list_models)
    app.add_typer(group, name="models")


def list_models(
    *,
    base_url: BaseUrl = BASE_URL,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
    as_jsonl: AsJsonl = False,
    only_ids: OnlyIds = False,
) -> None:
    """List the models."""
    from hansard.cli.client import connect

    form = chosen_form(as_json=as_json, as_jsonl=as_jsonl, only_ids=only_ids)
    page = connect(base_url, api_key_file).get("/models")
    say_list(page.get("data") or [], form, columns=COLUMNS, row=_row, document=lambda _: page)


def _row(model: dict[str, Any]) -> list[str]:
    return [
        str(model.get("id")),
        str(model.get("owned_by") or ""),
        local_time(model.get("created")),
        str(model.get("description") or ""),
    ]

"""``hansard models``: which models the server answers with, and whether each target does now."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hansard.cli.exits import FAILED, CommandError
from hansard.cli.options import BASE_URL, AsJson, AsJsonl, BaseUrl, KeyFile, OnlyIds, examples
from hansard.cli.output import Column, chosen_form, local_time, say_list

COLUMNS = (Column("ID"), Column("OWNED BY", 20), Column("CREATED"), Column("DESCRIPTION"))

LIST_EXAMPLES = examples(
    "hansard models list",
    "hansard models list -q",
    "hansard models list --base-url https://api.openai.com/v1 --api-key-file key.txt --json",
)

CHECK_COLUMNS = (
    *(Column("MODEL"), Column("ENGINE", 24), Column("NAME THERE")),
    *(Column("ASKED FOR"), Column("ANSWERS"), Column("WHY NOT")),
)
CHECK_EXAMPLES = examples(
    "hansard models check",
    "hansard models check --ask gpt-5-mini",
    "hansard models check --json",
    "hansard models check --base-url http://gpu-box:8000/v1",
)


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="The models a server answers with.", epilog=LIST_EXAMPLES)
    group.command("list", epilog=LIST_EXAMPLES)(list_models)
    group.command("check", epilog=CHECK_EXAMPLES)(check_models)
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


def check_models(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="Only these; all of them else.")
    ] = None,
    *,
    ask: Annotated[
        bool, typer.Option("--ask", help="Ask each target for a completion; upstreams may charge it.")
    ] = False,
    base_url: BaseUrl = BASE_URL,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
    as_jsonl: AsJsonl = False,
) -> None:
    """Ask who answers for each model, target by target; exit code 1 if one of them does not.

    The server asks every upstream anew which models it lists, and looks for the target's name there: nothing is
    generated. Only --ask is a proof: it has each target begin a short completion, which is not stored.
    """
    from hansard.cli.client import connect

    form = chosen_form(as_json=as_json, as_jsonl=as_jsonl, only_ids=False)
    query = [("model", model) for model in models or ()] + ([("ask", "completion")] if ask else [])
    checks = connect(base_url, api_key_file).post("/check", {}, query)
    targets = checks.get("data")
    if not isinstance(targets, list):
        raise CommandError("This server does not tell who answers for its models; is it a Hansard server?")
    say_list(targets, form, columns=CHECK_COLUMNS, row=_target_row, document=lambda _: checks)
    if any(target["answers"] == "no" for target in targets):
        raise typer.Exit(FAILED)


def _target_row(target: dict[str, Any]) -> list[str]:
    return [target[key] for key in ("id", "engine", "model", "asked", "answers", "reason")]


def _row(model: dict[str, Any]) -> list[str]:
    return [
        str(model.get("id")),
        str(model.get("owned_by") or ""),
        local_time(model.get("created")),
        str(model.get("description") or ""),
    ]

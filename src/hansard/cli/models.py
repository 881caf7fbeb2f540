"""``hansard models``: which models the server answers with, and whether it would now."""

from __future__ import annotations

from typing import Any

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

CHECK_COLUMNS = (Column("MODEL"), Column("ENGINE", 24), Column("NAME THERE"), Column("ANSWERS"), Column("WHY NOT"))
CHECK_EXAMPLES = examples(
    "hansard models check",
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
    *,
    base_url: BaseUrl = BASE_URL,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
    as_jsonl: AsJsonl = False,
) -> None:
    """Say of each model who answers for it, and whether they would now; exit code 1 if one of them would not.

    The server knows it from its last calls and from asking for the models every 30 seconds: nothing is generated.
    """
    from hansard.cli.client import connect

    form = chosen_form(as_json=as_json, as_jsonl=as_jsonl, only_ids=False)
    targets = _targets(connect(base_url, api_key_file).readiness())
    say_list(targets, form, columns=CHECK_COLUMNS, row=_target_row, document=lambda found: {"data": found})
    if not all(target["ready"] for target in targets):
        raise typer.Exit(FAILED)


def _targets(readiness: dict[str, Any]) -> list[dict[str, Any]]:
    """One per model and target, with the reason where there is one."""
    if "models" not in readiness:
        raise CommandError("This server does not tell who answers for its models; is it a Hansard server?")
    reasons = readiness.get("reasons") or {}
    return [
        {"id": name, **target, "reason": "" if target["ready"] else reasons.get(target["engine"], "")}
        for name, targets in readiness["models"].items()
        for target in targets
    ]


def _target_row(target: dict[str, Any]) -> list[str]:
    answers = "yes" if target["ready"] else "no"
    return [target["id"], target["engine"], target["model"], answers, target["reason"]]


def _row(model: dict[str, Any]) -> list[str]:
    return [
        str(model.get("id")),
        str(model.get("owned_by") or ""),
        local_time(model.get("created")),
        str(model.get("description") or ""),
    ]

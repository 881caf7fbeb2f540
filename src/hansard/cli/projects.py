"""``hansard projects``: who completions and keys belong to."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hansard.cli import leaving
from hansard.cli.desk import Meta, Models, PolicyText, Where, desk, located, policy, quoted
from hansard.cli.options import AsJson, examples
from hansard.cli.output import Column, local_time, say, say_json, say_rows

EXAMPLES = examples(
    "hansard projects create shop",
    "hansard projects list",
    "hansard projects update shop --model hansard-tiny --meta team=shop",
    "hansard projects update shop --archive",
)
LIST_EXAMPLES = examples(
    "hansard projects list",
    "hansard projects list --json",
    "hansard projects list --data /var/lib/hansard",
)
CREATE_EXAMPLES = examples(
    "hansard projects create shop",
    "hansard projects create shop --model hansard-tiny --meta team=shop",
    'hansard projects create shop --policy \'{"retention_s": 2592000, "retention_bodies_s": 86400}\'',
)
UPDATE_EXAMPLES = examples(
    "hansard projects update shop --name store",
    "hansard projects update shop --model hansard-tiny --meta team=shop",
    "hansard projects update shop --archive",
)
COLUMNS = (Column("ID"), Column("NAME", 40), Column("STATE"), Column("CREATED"))


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Projects: list, create, update, export, delete.", epilog=EXAMPLES)
    group.command("list", epilog=LIST_EXAMPLES)(list_)
    group.command("create", epilog=CREATE_EXAMPLES)(create)
    group.command("update", epilog=UPDATE_EXAMPLES)(update)
    leaving.add_to(group)
    app.add_typer(group, name="projects")


@located
def list_(
    where: Where,
    *,
    as_json: AsJson = False,
) -> None:
    """List the projects. `default` is always there: the operator's own key belongs to it."""
    with desk(where) as at:
        found = at.get("projects")
    if as_json:
        say_json(found)
        return
    say_rows(COLUMNS, (_row(project) for project in found["data"]))


@located
def create(
    where: Where,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name; it can be changed.")],
    *,
    models: Models = None,
    meta: Meta = None,
    policy_text: PolicyText = None,
    as_json: AsJson = False,
) -> None:
    """Make a project, and print its id. A key of it is made by `hansard keys create --project NAME`."""
    wanted: dict[str, Any] = {"name": name}
    if (said := policy(policy_text, models, meta)) is not None:
        wanted["policy"] = said
    with desk(where) as at:
        project = at.post("projects", wanted)
    if as_json:
        say_json(project)
    else:
        say(project["id"])


@located
def update(
    where: Where,
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="Its id or name.")],
    *,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Call it this from now on.")] = None,
    archive: Annotated[
        bool | None, typer.Option("--archive/--restore", help="Let its keys in no more, or again.")
    ] = None,
    models: Models = None,
    meta: Meta = None,
    policy_text: PolicyText = None,
    as_json: AsJson = False,
) -> None:
    """Change a project. What is said of its policy takes the place of the whole policy that was there."""
    said = {"name": name, "archived": archive, "policy": policy(policy_text, models, meta)}
    change = {key: value for key, value in said.items() if value is not None}
    with desk(where) as at:
        changed = at.post(f"projects/{quoted(project)}", change)
    if as_json:
        say_json(changed)
    else:
        say_rows(COLUMNS, [_row(changed)])


def _row(project: dict[str, Any]) -> list[str]:
    state = "open" if project["archived_at"] is None else "archived"
    return [project["id"], project["name"], state, local_time(project["created_at"])]

"""``hansard audit``: the log of what was done with projects and keys, and of who read what."""

from __future__ import annotations

from typing import Annotated

import typer

from hansard.cli.desk import Where, desk, located
from hansard.cli.options import examples
from hansard.cli.output import say_json_line

EXAMPLES = examples(
    "hansard audit export > audit.jsonl",
    "hansard audit export --project shop",
    "hansard audit export --base-url http://127.0.0.1:8000/v1 --api-key-file admin.txt",
)
PAGE = 1000


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="The audit log.", epilog=EXAMPLES)
    group.command("export", epilog=EXAMPLES)(export)
    app.add_typer(group, name="audit")


@located
def export(
    where: Where,
    *,
    project: Annotated[str | None, typer.Option(metavar="PROJECT", help="Only what concerns this project.")] = None,
) -> None:
    """Print the log, one JSON object a line, the oldest first."""
    after: str | None = None
    with desk(where) as at:
        while True:
            page = at.get("audit", project=project, after=after, limit=str(PAGE))
            for entry in page["data"]:
                say_json_line(entry)
            if not page["has_more"]:
                return
            after = page["next_after"]

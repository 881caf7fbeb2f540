"""The ``hansard`` command: one module per group of commands; what they have in common ends here.

Importing a command must stay cheap, so each imports what it runs on when it runs: `--help` knows
neither the server, nor the database, nor an engine. Client commands speak HTTP and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from hansard import __version__
from hansard.cli import (
    audit,
    chat,
    completions,
    config,
    conformance,
    db,
    facets,
    keys,
    models,
    projects,
    search,
    serve,
)
from hansard.cli.exits import CommandError
from hansard.cli.options import examples
from hansard.cli.output import hint, say

__all__ = ["main"]

EXAMPLES = examples("hansard serve", "hansard chat 'What is the capital of France?'", "hansard completions list")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; without ``arguments``, this process's own."""
    try:
        build()(args=list(arguments) if arguments is not None else None, prog_name="hansard")
    except CommandError as error:
        hint(str(error))
        sys.exit(error.exit_code)


def build() -> typer.Typer:
    """The tree of commands."""
    app = typer.Typer(
        help="Stored chat completions, self-hosted: a server for the Chat Completions API, and a client for it.",
        epilog=EXAMPLES,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_top)
    for group in (serve, chat, completions, search, facets, models, projects, keys, audit, db, config, conformance):
        group.add_to(app)
    return app


def _version(wanted: bool) -> None:  # noqa: FBT001 (Typer's callback takes the option's value)
    if wanted:
        say(f"hansard {__version__}")
        raise typer.Exit


def _top(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass

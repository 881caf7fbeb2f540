"""The tree of commands: every help page ends with examples that parse, and asking for help loads nothing heavy."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from hansard import __version__
from hansard.cli import build
from tests.cli.run import Run

HEAVY = (
    "aiohttp",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "xllamacpp",
    "rich",
    "msgspec",
    "asyncio",
    "http.client",
    "hansard.app",
)


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    command = command or typer.main.get_command(build())
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


PAGES = list(commands())
EXAMPLES = [
    line.strip() for _, command in PAGES for line in (command.epilog or "").splitlines() if line.startswith("  ")
]


def test_the_tree() -> None:
    assert [" ".join(path) for path, _ in PAGES] == [
        "",
        "serve",
        "chat",
        "search",
        "facets",
        "conformance",
        "completions",
        "completions list",
        "completions get",
        "completions messages",
        "completions update",
        "completions delete",
        "models",
        "models list",
        "models check",
        "projects",
        "projects list",
        "projects create",
        "projects update",
        "projects export",
        "projects delete",
        "keys",
        "keys create",
        "keys list",
        "keys revoke",
        "keys rotate",
        "audit",
        "audit export",
        "db",
        "db upgrade",
        "db check",
        "db backup",
        "db vacuum",
        "db copy",
        "config",
        "config show",
    ]


@pytest.mark.parametrize(("path", "command"), PAGES, ids=[" ".join(path) for path, _ in PAGES])
def test_every_help_page_ends_with_examples(run: Run, path: tuple[str, ...], command: Any) -> None:
    outcome = run(*path, "--help")

    examples = outcome.out.split("\n  Examples:\n")[1].splitlines()
    assert outcome.code == 0
    assert len(examples) >= 3
    assert all(example.startswith(f"    hansard {' '.join(path)}".rstrip()) for example in examples)
    assert command.help


@pytest.mark.parametrize("example", sorted(set(EXAMPLES)))
def test_every_example_parses(example: str) -> None:
    for part in re.split(r" [|] (?:xargs )?", re.sub(r" [<>] \S+", "", example)):
        words = shlex.split(part)
        assert words.pop(0) == "hansard"
        # what xargs would add
        parse([*words, "chatcmpl-abc123"] if part.startswith("hansard completions delete --yes") else words)


def parse(words: list[str]) -> None:
    """Parse a command line as far as its last option, without running the command."""
    command: Any = typer.main.get_command(build())
    context = command.make_context("hansard", list(words))
    while hasattr(command, "resolve_command"):
        name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, words, parent=context)


def test_a_wrong_example_would_be_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(["completions", "list", "--no-such-option"])


def test_help_loads_neither_server_nor_database_nor_engine() -> None:
    script = (
        "import sys\nfrom hansard.cli import main\n"
        "try: main(['completions', 'list', '--help'])\nexcept SystemExit: pass\n"
        f"print('loaded:', *[name for name in {HEAVY!r} if name in sys.modules])"
    )

    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert printed.splitlines()[-1] == "loaded:"


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"hansard {__version__}\n", "")


def test_python_dash_m_is_the_same() -> None:
    done = subprocess.run([sys.executable, "-m", "hansard", "--version"], capture_output=True, text=True, check=True)

    assert done.stdout == f"hansard {__version__}\n"


def test_an_unknown_command_is_a_usage_error(run: Run) -> None:
    outcome = run("completion", "list")

    assert outcome.code == 2
    assert "completions" in outcome.err


def test_importing_a_command_reads_no_variable_and_starts_nothing() -> None:
    assert build() is not build()

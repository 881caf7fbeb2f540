"""``hansard projects export`` and ``delete``: a project leaves. Both work on the database, servers or not."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from hansard.cli.desk import Config, DataDirectory, Url
from hansard.cli.exits import FAILED, NOT_FOUND, USAGE, CommandError
from hansard.cli.options import examples
from hansard.cli.output import hint, say

if TYPE_CHECKING:
    from hansard.store.base import Record
    from hansard.store.leaving import Leaver
    from hansard.store.tenants import Entry

EXPORT_EXAMPLES = examples(
    "hansard projects export shop > shop.jsonl",
    "hansard projects export shop --output shop.jsonl",
    "hansard projects export shop --output shop.jsonl --resume",
)
DELETE_EXAMPLES = examples(
    "hansard projects delete shop",
    "hansard projects delete shop --yes",
    "hansard projects delete proj_2vKmTa8ZQw1xYbNc4RdEfGhJ --yes",
)

Wanted = Annotated[str, typer.Argument(metavar="PROJECT", help="Its id or name.")]


def add_to(group: typer.Typer) -> None:
    group.command("export", epilog=EXPORT_EXAMPLES)(export)
    group.command("delete", epilog=DELETE_EXAMPLES)(delete)


def export(
    project: Wanted,
    *,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write there.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on behind the last whole line of FILE.")] = False,
    data: DataDirectory = None,
    db: Url = None,
    config: Config = None,
) -> None:
    """Write all completions of a project, the oldest first: a JSON object a line, with request and reply whole.

    The default project, and one whose row is gone, can be exported by id as well.
    """
    if resume and output is None:
        raise CommandError("--resume goes on with a file: name it with --output.", exit_code=USAGE)
    with _leaver(data, db, config) as leaver:
        wanted = _id(leaver, project)
        after = _trimmed(Path(output)) if resume and output is not None else None
        try:
            with _written(output, resume=resume) as file, _progress(leaver.count(wanted)) as tell:
                count = _write(leaver.records(wanted, after=after), file, tell)
        except LookupError as error:
            raise CommandError(f"{output}: its last line is of no completion of this project.") from error
    hint(f"{count} completions{'' if after is None else f' behind {after}'}.")


def delete(
    project: Wanted,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: DataDirectory = None,
    db: Url = None,
    config: Config = None,
) -> None:
    """Delete a project and everything of it: keys, completions, what they share, counts, and what searches look at.

    Its keys stop first, on every server, so that nothing is stored behind. What a server has under its hands then is
    refused. If it is interrupted, the same command goes on: by the id, since the name is gone. Only the audit log
    still names it. The default project stays: delete its completions, or the database.
    """
    from hansard.store.tenants import DEFAULT_PROJECT

    with _leaver(data, db, config) as leaver:
        wanted = _id(leaver, project)
        if wanted == DEFAULT_PROJECT:
            raise CommandError("The default project cannot be deleted.")
        total = leaver.count(wanted)
        if not yes and not typer.confirm(f"Delete {wanted} with {total} completions, for good?", err=True):
            raise typer.Exit(FAILED)
        leaver.close(wanted, _entry(wanted, name=project))
        hint(f"{wanted} is closed. If this is interrupted: hansard projects delete {wanted} --yes")
        with _progress(total) as tell:
            done = leaver.clear(wanted, tell)
        left = leaver.left(wanted)
    if left:
        rows = ", ".join(f"{count} of {table}" for table, count in left.items())
        raise CommandError(f"{wanted}: something is left: {rows}. Run `hansard db check`, then this command again.")
    say(f"{wanted}: {done.get('completions', 0)} completions deleted, nothing is left.")


def _id(leaver: Leaver, wanted: str) -> str:
    """That of the project; one whose row is gone is named by it."""
    from hansard.store.tenants import DEFAULT_PROJECT

    found = leaver.find(wanted)
    if found is not None:
        return found.id
    if wanted != DEFAULT_PROJECT and not leaver.left(wanted):
        raise CommandError(f"Project {wanted} not found.", exit_code=NOT_FOUND)
    return wanted


def _entry(project: str, *, name: str) -> Entry:
    """For the audit log."""
    from hansard.core import ids
    from hansard.store.tenants import Entry

    return Entry(
        id=ids.audit_id(os.urandom(ids.ENTROPY_BYTES)),
        project=project,
        at=time.time_ns() // 1000,
        actor="cli",
        act="project.deleted",
        target=project,
        details={"name": name},
    )


def _write(records: Iterable[Record], file: BinaryIO, tell: Callable[[int], None]) -> int:
    from hansard.store.base import line

    count = 0
    for record in records:
        file.write(line(record))
        count += 1
        tell(count)
    return count


def _trimmed(path: Path) -> str | None:
    """The id of the file's last whole line; what an interruption has left of another goes."""
    try:
        with path.open("r+b") as file:
            whole, last = 0, b""
            for said in file:
                if not said.endswith(b"\n"):
                    break
                whole, last = whole + len(said), said
            file.truncate(whole)
    except FileNotFoundError:
        return None
    try:
        return str(json.loads(last)["id"]) if last else None
    except (ValueError, TypeError, KeyError) as error:
        raise CommandError(f"{path}: its last line is no completion.") from error


@contextmanager
def _written(output: str | None, *, resume: bool) -> Iterator[BinaryIO]:
    """Readable by its owner only, as everything that holds what was said."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if resume else os.O_EXCL)
    try:
        number = os.open(output, flags, 0o600)
    except OSError as error:
        raise CommandError(f"{output}: {error.strerror}.") from error
    with os.fdopen(number, "wb") as file:
        yield file


@contextmanager
def _leaver(data: str | None, db: str | None, config: str | None) -> Iterator[Leaver]:
    from hansard.config import resolve
    from hansard.errors import StartupError
    from hansard.store.database import database
    from hansard.store.leaving import opened

    try:
        settings = resolve({"data": data, "db": db, "config": config}, os.environ)
        if settings.db_file is not None and not settings.db_file.exists():
            raise StartupError(f"{settings.db_file}: there is no database.")
        with opened(database(settings.db.full)) as leaver:
            yield leaver
    except StartupError as error:
        raise CommandError(str(error)) from error


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where a person looks."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total or None)
        yield lambda done: bar.update(task, completed=done)

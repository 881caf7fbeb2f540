"""``hansard projects export`` and ``delete``: a project leaves. On the database, servers or not, or by a server."""

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

from hansard.cli.desk import Where, located, quoted
from hansard.cli.exits import FAILED, NOT_FOUND, USAGE, CommandError
from hansard.cli.options import examples
from hansard.cli.output import hint, say

if TYPE_CHECKING:
    from hansard.cli.client import Server
    from hansard.store.leaving import Leaver
    from hansard.store.tenants import Entry

EXPORT_EXAMPLES = examples(
    "hansard projects export shop > shop.jsonl",
    "hansard projects export shop --output shop.jsonl",
    "hansard projects export shop --output shop.jsonl --resume",
    "hansard projects export shop --base-url http://127.0.0.1:8000/v1 --api-key-file admin.txt",
)
DELETE_EXAMPLES = examples(
    "hansard projects delete shop",
    "hansard projects delete shop --yes",
    "hansard projects delete proj_2vKmTa8ZQw1xYbNc4RdEfGhJ --yes",
    "hansard projects delete shop --base-url http://127.0.0.1:8000/v1 --api-key-file admin.txt",
)

_ASKS_EVERY_S = 0.3

Wanted = Annotated[str, typer.Argument(metavar="PROJECT", help="Its id or name.")]


def add_to(group: typer.Typer) -> None:
    group.command("export", epilog=EXPORT_EXAMPLES)(export)
    group.command("delete", epilog=DELETE_EXAMPLES)(delete)


@located
def export(
    where: Where,
    project: Wanted,
    *,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write there.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on behind the last whole line of FILE.")] = False,
) -> None:
    """Write all completions of a project, the oldest first: a JSON object a line, with request and reply whole.

    The default project, and one whose row is gone, can be exported by id as well.
    """
    if resume and output is None:
        raise CommandError("--resume goes on with a file: name it with --output.", exit_code=USAGE)
    with _place(where) as place:
        wanted = place.find(project)
        after = _trimmed(Path(output)) if resume and output is not None else None
        try:
            with _written(output, resume=resume) as file, _progress(place.count(wanted)) as tell:
                count = _write(place.lines(wanted, after=after), file, tell)
        except LookupError as error:
            raise CommandError(f"{output}: its last line is of no completion of this project.") from error
    hint(f"{count} completions{'' if after is None else f' behind {after}'}.")


@located
def delete(
    where: Where,
    project: Wanted,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a project and everything of it: keys, completions, what they share, counts, and what searches look at.

    Its keys stop first, on every server, so that nothing is stored behind. What a server has under its hands then is
    refused. If it is interrupted, the same command goes on: by the id, since the name is gone. Only the audit log
    still names it. The default project stays: delete its completions, or the database.
    """
    with _place(where) as place:
        wanted = place.find(project)
        if wanted == "default":
            raise CommandError("The default project cannot be deleted.")
        total = place.count(wanted)
        what = wanted if total is None else f"{wanted} with {total} completions"
        if not yes and not typer.confirm(f"Delete {what}, for good?", err=True):
            raise typer.Exit(FAILED)
        place.close(wanted, name=project)
        hint(f"{wanted} is closed. {place.goes_on(wanted)}")
        with _progress(total) as tell:
            count = place.clear(wanted, tell)
    say(f"{wanted}: {'' if count is None else f'{count} completions deleted, '}nothing is left.")


class Here:
    """The database itself."""

    def __init__(self, leaver: Leaver) -> None:
        self._leaver = leaver

    def find(self, wanted: str) -> str:
        """Its id; one whose row is gone is named by it."""
        found = self._leaver.find(wanted)
        if found is not None:
            return found.id
        if wanted != "default" and not self._leaver.left(wanted):
            raise CommandError(f"Project {wanted} not found.", exit_code=NOT_FOUND)
        return wanted

    def count(self, project: str) -> int | None:
        return self._leaver.count(project)

    def lines(self, project: str, *, after: str | None) -> Iterator[bytes]:
        """Its completions behind that one; LookupError if it has none of that id."""
        from hansard.store.base import line

        return (line(record) for record in self._leaver.records(project, after=after))

    def close(self, project: str, *, name: str) -> None:
        self._leaver.close(project, _entry(project, name=name))

    def goes_on(self, project: str) -> str:
        """What to do after an interruption."""
        return f"If this is interrupted: hansard projects delete {project} --yes"

    def clear(self, project: str, tell: Callable[[int], None]) -> int | None:
        """How many completions went; CommandError if something is left."""
        done = self._leaver.clear(project, tell)
        if left := self._leaver.left(project):
            rows = ", ".join(f"{count} of {table}" for table, count in left.items())
            raise CommandError(
                f"{project}: something is left: {rows}. Run `hansard db check`, then this command again."
            )
        return done.get("completions", 0)


class There:
    """A server's admin API, and the server does it."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def find(self, wanted: str) -> str:
        """Its id; one that is closed is named by it."""
        try:
            return str(self._server.get(_address(wanted))["id"])
        except CommandError as error:
            if error.exit_code != NOT_FOUND:
                raise
            return str(self._server.get(f"{_address(wanted)}/deletion")["id"])

    def count(self, project: str) -> int | None:
        return None

    def lines(self, project: str, *, after: str | None) -> Iterator[bytes]:
        from hansard.cli.client import error_in

        query = [] if after is None else [("after", after)]
        for line in self._server.lines(f"{_address(project)}/export", query):
            if (message := error_in(line)) is not None:
                raise CommandError(f"The export broke off: {message}")
            yield line

    def close(self, project: str, *, name: str) -> None:
        self._server.delete(_address(project))

    def goes_on(self, project: str) -> str:
        return f"The server clears it, watched or not: GET {_address(project)}/deletion says how far it is."

    def clear(self, project: str, tell: Callable[[int], None]) -> int | None:
        first: int | None = None
        while not (state := self._server.get(f"{_address(project)}/deletion"))["done"]:
            left = state["completions_left"]
            first = left if first is None else first
            tell(first - left)
            time.sleep(_ASKS_EVERY_S)
        return None


def _address(project: str) -> str:
    return f"/hansard/v1/projects/{quoted(project)}"


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


def _write(lines: Iterable[bytes], file: BinaryIO, tell: Callable[[int], None]) -> int:
    count = 0
    for line in lines:
        file.write(line)
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
def _place(where: Where) -> Iterator[Here | There]:
    """Where the project is."""
    from hansard.errors import StartupError
    from hansard.store.database import database
    from hansard.store.leaving import opened

    if where.base_url is not None:
        from hansard.cli.client import connect

        yield There(connect(where.base_url, where.api_key_file))
        return
    try:
        settings = where.settings
        if settings.db_file is not None and not settings.db_file.exists():
            raise StartupError(f"{settings.db_file}: there is no database.")
        with opened(database(settings.db.full)) as leaver:
            yield Here(leaver)
    except StartupError as error:
        raise CommandError(str(error)) from error


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where a person looks."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total or None)
        yield lambda done: bar.update(task, completed=done)

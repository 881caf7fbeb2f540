"""``hansard db``: what an operator does to the database itself. Of all client commands these alone open it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hansard.cli.exits import FAILED, CommandError
from hansard.cli.options import AsJson, examples
from hansard.cli.output import Column, hint, say, say_json, say_rows
from hansard.printable import one_line, printable

if TYPE_CHECKING:
    from hansard.config import Settings
    from hansard.config.database import DatabaseUrl
    from hansard.store.check import Report, Tell
    from hansard.store.copy import Copied
    from hansard.store.database import Database

EXAMPLES = examples(
    "hansard db check",
    "hansard db backup hansard-backup.sqlite3",
    "hansard db vacuum --data /var/lib/hansard",
    "hansard db copy postgresql://hansard@db.example/hansard",
)
UPGRADE_EXAMPLES = examples(
    "hansard db upgrade",
    "hansard db upgrade --data /var/lib/hansard",
    "hansard db upgrade --config hansard.toml",
)
CHECK_EXAMPLES = examples(
    "hansard db check",
    "hansard db check --json > report.json",
    "hansard db check --db sqlite:///hansard-backup.sqlite3",
)
BACKUP_EXAMPLES = examples(
    "hansard db backup hansard-backup.sqlite3",
    "hansard db backup --force /mnt/backup/hansard.sqlite3",
    "hansard db backup --data /var/lib/hansard hansard-backup.sqlite3",
)
VACUUM_EXAMPLES = examples(
    "hansard db vacuum",
    "hansard db vacuum --data /var/lib/hansard",
    "hansard db vacuum --config hansard.toml",
)
COPY_EXAMPLES = examples(
    "hansard db copy postgresql://hansard@db.example/hansard",
    "hansard db copy --data /var/lib/hansard postgresql://hansard@db.example/hansard",
    "hansard db copy --db postgresql://hansard@db.example/hansard sqlite:///hansard-copy.sqlite3",
)

LOOKED_AT = (Column("LOOKED AT"), Column("ROWS"))
COPIED = (Column("TABLE"), Column("ROWS"), Column("COPIED NOW"), Column("BYTES OF CONTENT"))
DIFFERENT = (Column("DIFFERENCE"), Column("TABLE"), Column("WHERE"))
FOUND = (Column("FINDING"), Column("WHERE", 60), Column("MEANING"))

# Of those that SQLite needs us for, what PostgreSQL has instead.
INSTEAD = {
    "backup": "pg_dump for this database, or pg_basebackup for its server",
    "vacuum": "its autovacuum gives room back by itself, and VACUUM FULL returns it to the disk",
}

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")

DataDirectory = Annotated[str | None, typer.Option("--data", metavar="DIR", help="Where completions are kept.")]
Url = Annotated[
    str | None,
    typer.Option("--db", metavar="URL", help="Database, if not in there: sqlite:///FILE or postgresql://..."),
]
Config = Annotated[str | None, typer.Option("--config", metavar="FILE", help="TOML file with the server's settings.")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True,
        help="The database behind a server: upgrade, check, backup, vacuum, copy.",
        epilog=EXAMPLES,
    )
    group.command("upgrade", epilog=UPGRADE_EXAMPLES)(upgrade)
    group.command("check", epilog=CHECK_EXAMPLES)(check)
    group.command("backup", epilog=BACKUP_EXAMPLES)(backup)
    group.command("vacuum", epilog=VACUUM_EXAMPLES)(vacuum)
    group.command("copy", epilog=COPY_EXAMPLES)(copy)
    app.add_typer(group, name="db")


def upgrade(*, data: DataDirectory = None, db: Url = None, config: Config = None) -> None:
    """Bring the tables to this version of Hansard.

    The server does so by itself when it starts; this does it without. Older versions cannot open
    the database any more, and a running server has to be stopped first.
    """
    from hansard.store import maintenance, migrate, server

    settings = _settings(data, db, config)
    place = settings.db_file or settings.db
    with _told():
        if settings.db_file is None:
            before = server.upgrade(_opened(settings.db))
        else:
            before = maintenance.upgrade(settings.db_file)
    if before == migrate.HEAD:
        say(f"{place} is at {before}, the newest version: nothing to do.")
    else:
        say(f"{place}: upgraded from {before or 'nothing'} to {migrate.HEAD}.")


def check(*, data: DataDirectory = None, db: Url = None, config: Config = None, as_json: AsJson = False) -> None:
    """Look at everything in the database, and say what is wrong with it; exit code 1 if something is.

    It only reads, all of one moment, and a server may go on beside it.
    """
    from hansard.store import maintenance, server

    settings = _settings(data, db, config)
    with _told(), _progress() as tell:
        if settings.db_file is None:
            report = server.examine(_opened(settings.db), tell=tell)
        else:
            report = maintenance.examine(settings.db_file, tell=tell)
    place = str(settings.db_file or settings.db)
    if as_json:
        say_json(_document(report, place))
    else:
        _say_report(report, place)
    if not report.is_sound:
        raise typer.Exit(FAILED)


def backup(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to put the copy.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE if it is there.")] = False,
    data: DataDirectory = None,
    db: Url = None,
    config: Config = None,
) -> None:
    """Copy the database of this moment to FILE, and check the copy. A server may go on beside it.

    FILE is a database like the one it was made from: to restore it, stop the server, put it in
    the place of that one, and start. It is readable by its owner only.
    """
    from hansard.store import maintenance

    path = _file("backup", _settings(data, db, config))
    with _told(), _progress() as tell:
        size_bytes = maintenance.back_up(path, Path(file).absolute(), force=force, tell=tell)
    say(f"{file}: {_size(size_bytes)}, checked.")


def vacuum(*, data: DataDirectory = None, db: Url = None, config: Config = None) -> None:
    """Give the room of deleted completions back to the disk. A server may go on beside it."""
    from hansard.store import maintenance

    path = _file("vacuum", _settings(data, db, config))
    with _told(), _progress() as tell:
        freed = maintenance.vacuum(path, tell=tell)
    say(f"{path}: {_size(freed.before_bytes)} before, {_size(freed.after_bytes)} after.")
    if freed.is_waiting:
        hint("Somebody reads: what their reading holds is given back a little later, by the server itself.")


def copy(
    target: Annotated[str, typer.Argument(metavar="TARGET_URL", help="Where to: sqlite:///FILE or postgresql://...")],
    *,
    data: DataDirectory = None,
    db: Url = None,
    config: Config = None,
) -> None:
    """Copy everything to another database, SQLite or PostgreSQL, and compare the two row by row.

    Stop the servers on both first: of a SQLite file that is made sure, of a PostgreSQL database it
    cannot be, and what is written to it meanwhile is named as a difference. TARGET_URL must be
    empty, or what is there must come from this same copy, interrupted: then it is gone on with.
    Exit code 1 if the two are not the same.
    """
    from hansard.store.copy import copy as copy_all

    source, to = _settings(data, db, config).db, _target(target)
    began = time.monotonic()
    with _told(), _progress() as tell:
        copied = copy_all(_opened(source), _opened(to), tell=tell)
    _say_copied(copied, to.removeprefix("sqlite:///"), took_s=time.monotonic() - began)
    if copied.differ:
        raise typer.Exit(FAILED)


def _settings(data: str | None, db: str | None, config: str | None) -> Settings:
    """As a server's."""
    from hansard.config import resolve

    with _told():
        return resolve({"data": data, "db": db, "config": config}, os.environ)


def _target(url: str) -> DatabaseUrl:
    from hansard.config.database import database_url
    from hansard.config.reader import Given, SettingError

    try:
        return database_url(Given(url, "TARGET_URL", Path.cwd()))
    except SettingError as error:
        raise CommandError(f"TARGET_URL: {error}") from error


def _opened(url: DatabaseUrl) -> Database:
    from hansard.store.database import database

    return database(url.full)


def _file(command: str, settings: Settings) -> Path:
    """The database, for a command that is SQLite's alone."""
    if settings.db_file is None:
        raise CommandError(f"{settings.db}: {command} is for SQLite. PostgreSQL has its own: {INSTEAD[command]}.")
    return settings.db_file


@contextmanager
def _told() -> Iterator[None]:
    """What stops a server's start stops a command too."""
    from hansard.errors import StartupError

    try:
        yield
    except StartupError as error:
        raise CommandError(str(error)) from error


@contextmanager
def _progress() -> Iterator[Tell]:
    """A bar on stderr where a person looks; what is to be called as the work goes on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def _say_report(report: Report, place: str) -> None:
    say_rows(LOOKED_AT, ([name.replace("_", " "), str(rows)] for name, rows in report.looked_at.items()))
    if report.is_sound:
        hint(f"{place} is sound, at {report.version}.")
        return
    say("")
    say_rows(
        FOUND,
        ([finding.kind, printable(where), finding.meaning] for finding in report.findings for where in finding.ids),
    )
    for finding in report.findings:
        if finding.count > len(finding.ids):
            hint(f"{finding.kind}: {finding.count} in all.")
    hint(f"{place} is not sound: {', '.join(finding.kind for finding in report.findings)}.")


def _say_copied(copied: Copied, place: str, *, took_s: float) -> None:
    rows = ([table.name, str(table.rows), str(table.copied), str(table.content_bytes)] for table in copied.tables)
    say_rows(COPIED, rows)
    total = sum(table.rows for table in copied.tables)
    size = _size(sum(table.content_bytes for table in copied.tables))
    if not copied.differ:
        hint(f"{place} has all {total} rows, {size} of content, each compared: {took_s:.1f} s.")
        return
    say("")
    say_rows(DIFFERENT, ([each.kind, each.table, printable(each.where)] for each in copied.differences))
    hint(
        f"{place} is not the same (rows that differ: {copied.differ}). Stop what writes to either one, "
        "and copy to an empty database."
    )


def _document(report: Report, place: str) -> dict[str, object]:
    return {
        "database": place,
        "version": report.version,
        "sound": report.is_sound,
        "looked_at": dict(report.looked_at),
        "findings": [
            {
                "kind": finding.kind,
                "meaning": finding.meaning,
                "count": finding.count,
                "ids": [one_line(where) for where in finding.ids],
            }
            for finding in report.findings
        ],
    }


def _size(size_bytes: int) -> str:
    """``4096 bytes (4.0 KiB)``."""
    number, unit = float(size_bytes), 0
    while number >= 1024 and unit < len(UNITS) - 1:
        number, unit = number / 1024, unit + 1
    return f"{size_bytes} bytes" + (f" ({number:.1f} {UNITS[unit]})" if unit else "")

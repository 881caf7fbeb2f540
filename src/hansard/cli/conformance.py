"""``hansard conformance``: how well a server keeps the contract; any server."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hansard.cli.exits import FAILED, NOT_AUTHORISED, NOT_FOUND, USAGE, CommandError
from hansard.cli.options import BASE_URL, BaseUrl, KeyFile, Model, examples
from hansard.cli.output import Column, hint, say, say_rows
from hansard.printable import printable

if TYPE_CHECKING:
    from hansard.conformance.outcome import Result
    from hansard.conformance.probe import Session
    from hansard.conformance.wire import Address, Reply

EXAMPLES = examples(
    "hansard conformance --base-url http://127.0.0.1:8000/v1 --model hansard-tiny",
    "hansard conformance --only 'list.*' --only delete",
    "hansard conformance --json run.json --junit run.xml",
    "hansard conformance --list",
)

COLUMNS = (Column("OPERATION"), Column("PASSED"), Column("FAILED"), Column("NOT APPLICABLE"), Column("NO VERDICT"))
LIST_COLUMNS = (Column("CHECK"), Column("EVIDENCE", 40), Column("RULE"))


def add_to(app: typer.Typer) -> None:
    app.command("conformance", epilog=EXAMPLES)(conformance)


def conformance(
    *,
    base_url: BaseUrl = BASE_URL,
    model: Model = None,
    api_key: Annotated[
        str | None,
        typer.Option("--api-key", metavar="KEY", help="Key to send; others here may see it, so rather OPENAI_API_KEY."),
    ] = None,
    api_key_file: KeyFile = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="PATTERN", help="Checks whose name fits. Repeatable.")
    ] = None,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, max=64, help="Checks at once.")] = 4,
    as_list: Annotated[bool, typer.Option("--list", help="Say which checks there are, and run none.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the whole run there, as JSON.")
    ] = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the whole run there, as JUnit XML.")
    ] = None,
) -> None:
    """Try every rule of the Chat Completions API on a running server, Hansard or another.

    It creates completions with the model, stores some, and deletes what it stored. Exit code 1
    if a check fails.
    """
    from hansard.conformance.report import as_document, as_junit, is_sound
    from hansard.conformance.runner import run
    from hansard.conformance.suite import all_checks, chosen

    checks = chosen(all_checks(), only or ())
    if not checks:
        raise CommandError(f"No check is called {' or '.join(only or ())}; see --list.", exit_code=USAGE)
    if as_list:
        say_rows(LIST_COLUMNS, ((one.name, ", ".join(one.evidence), one.title) for one in checks))
        return
    session = _session(base_url, model, _key(api_key, api_key_file))
    begun = datetime.now(UTC).isoformat(timespec="seconds")
    with _progress(len(checks)) as tell:
        results = run(session, checks, jobs=jobs, on_result=tell)
    about = {"base_url": base_url, "model": session.model, "begun": begun}
    if json_file:
        _write(json_file, json.dumps(as_document(results, about=about), ensure_ascii=False, indent=2) + "\n")
    if junit_file:
        _write(junit_file, as_junit(results))
    _say_results(results)
    if not is_sound(results):
        raise typer.Exit(FAILED)


def _session(base_url: str, model: str | None, key: str | None) -> Session:
    """A session with a server that answers; a CommandError that says what is in the way of one."""
    from hansard.conformance.outcome import Mismatch
    from hansard.conformance.probe import NoReply, Session
    from hansard.conformance.wire import Address

    try:
        address = Address(base_url=base_url, key=key)
    except ValueError as error:
        raise CommandError(str(error), exit_code=USAGE) from error
    try:
        session = Session(address, model=model or _first_model(address))
        _demand_an_answer(session.probe().create(), base_url, session.model)
    except NoReply as error:
        raise CommandError(f"Nothing answers at {base_url}: {error}. Is the server running?") from error
    except Mismatch as error:
        raise CommandError(f"{base_url} answers, but not as this API does: {printable(str(error))}") from error
    return session


def _first_model(address: Address) -> str:
    from hansard.conformance.probe import Session

    reply = Session(address, model="").probe().send("GET", "/models")
    _demand_an_answer(reply, address.base_url, "")
    models = reply.document.get("data") or []
    if not models:
        raise CommandError(f"{address.base_url} lists no model; name one with --model.", exit_code=USAGE)
    return str(models[0]["id"])


def _demand_an_answer(reply: Reply, base_url: str, model: str) -> None:
    if reply.status in (401, 403):
        raise CommandError(
            f"{base_url} wants a key: give one with --api-key-file, --api-key or OPENAI_API_KEY.",
            exit_code=NOT_AUTHORISED,
        )
    if reply.status == 200:
        return
    text = printable(reply.body[:500].decode(errors="replace"))
    if reply.status == 404:
        raise CommandError(f"{base_url} has no model {model}, or is not its address: {text}", exit_code=NOT_FOUND)
    raise CommandError(f"{base_url} does not answer a plain question to {model}: {reply.status} {text}")


def _key(key: str | None, file: str | None) -> str | None:
    if key is not None or file is None:
        return key or os.environ.get("OPENAI_API_KEY")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise CommandError(f"--api-key-file: cannot read {file}: {error.strerror}.") from error


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Result], None]]:
    """A bar on stderr where a person looks; what is called for every result."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda result: bar.update(task, advance=1, description=result.check.name)


def _say_results(results: Sequence[Result]) -> None:
    from hansard.conformance.outcome import Outcome
    from hansard.conformance.report import by_operation, failure_lines, totals

    for result in results:
        if result.outcome in (Outcome.FAIL, Outcome.ERROR):
            for line in failure_lines(result):
                say(printable(line))
            say("")
        elif result.outcome is Outcome.NOT_APPLICABLE:
            say(printable(f"NOT APPLICABLE {result.check.name}: {result.reason}"))
    outcomes = (Outcome.PASS, Outcome.FAIL, Outcome.NOT_APPLICABLE, Outcome.ERROR)
    groups = {**by_operation(results), "all": list(results)}
    say_rows(
        COLUMNS,
        ([operation, *(str(totals(group)[outcome]) for outcome in outcomes)] for operation, group in groups.items()),
    )


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"Cannot write {file}: {error.strerror}.") from error
    hint(f"Wrote {file}.")

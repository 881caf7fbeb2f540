"""Where the commands on projects, keys and the audit log go: to the database itself, or to a server's admin API."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol, get_type_hints

import typer

from hansard.cli.exits import FAILED, NOT_FOUND, CommandError
from hansard.cli.options import KeyFile, pairs

if TYPE_CHECKING:
    from hansard.administration import Administration
    from hansard.cli.client import Server
    from hansard.config import Settings

Document = dict[str, Any]

BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="Ask a running server, with an admin key, and not the database."),
]
DataDirectory = Annotated[str | None, typer.Option("--data", metavar="DIR", help="Where completions are kept.")]
Url = Annotated[str | None, typer.Option("--db", metavar="URL", help="Database: sqlite:///FILE or postgresql://...")]
Config = Annotated[str | None, typer.Option("--config", metavar="FILE", help="TOML file with the server's settings.")]
Models = Annotated[
    list[str] | None, typer.Option("--model", metavar="NAME", help="Only this model may be asked for. Repeatable.")
]
Meta = Annotated[
    list[str] | None, typer.Option("--meta", metavar="KEY=VALUE", help="Put on each stored completion. Repeatable.")
]
PolicyText = Annotated[
    str | None, typer.Option("--policy", metavar="JSON", help="The whole policy (limits, retention_s, ...) as JSON.")
]


class Where(NamedTuple):
    """The options that say where projects and keys are."""

    base_url: BaseUrl = None
    api_key_file: KeyFile = None
    data: DataDirectory = None
    db: Url = None
    config: Config = None

    @property
    def settings(self) -> Settings:
        """Of the database that they speak of; raises StartupError."""
        from hansard.config import resolve

        return resolve({"data": self.data, "db": self.db, "config": self.config}, os.environ)


def located(command: Callable[..., None]) -> Callable[..., None]:
    """A command with these options beside its own; it is given them as its first argument."""
    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    hints = get_type_hints(Where, include_extras=True)
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hints[name])
        for name in Where._fields
    ]

    @wraps(command)
    def run(*arguments: object, **named: Any) -> None:
        where = Where(**{name: named.pop(name) for name in Where._fields})
        command(where, *arguments, **named)

    # What Typer reads.
    run.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in (*own, *options)}
    return run


class Desk(Protocol):
    """What can be asked for; every answer is a document of the admin API."""

    def get(self, what: str, **query: str | None) -> Document: ...

    def post(self, what: str, document: Mapping[str, Any]) -> Document: ...

    def delete(self, what: str) -> Document: ...


class Remote:
    """A server's admin API."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def get(self, what: str, **query: str | None) -> Document:
        asked = [(name, value) for name, value in query.items() if value is not None]
        return self._server.get(f"/hansard/v1/{what}", asked)

    def post(self, what: str, document: Mapping[str, Any]) -> Document:
        return self._server.post(f"/hansard/v1/{what}", document)

    def delete(self, what: str) -> Document:
        return self._server.delete(f"/hansard/v1/{what}")


class Local:
    """The same of the database itself, by the addresses of the admin API."""

    def __init__(self, administration: Administration) -> None:
        from hansard.administration import Actor

        self._administration = administration
        self._actor = Actor(name="cli")

    def get(self, what: str, **query: str | None) -> Document:
        at_desk = self._administration
        match what.split("/"):
            case ["projects"]:
                return _answer(at_desk.projects)
            case ["keys"]:
                return _answer(lambda: at_desk.keys(query.get("project")))
            case ["audit"]:
                limit = int(query.get("limit") or 1000)
                return _answer(
                    lambda: at_desk.audit(project=query.get("project"), after=query.get("after"), limit=limit)
                )
        raise AssertionError(what)

    def post(self, what: str, document: Mapping[str, Any]) -> Document:
        from hansard.core import admin

        at_desk, actor = self._administration, self._actor
        match what.split("/"):
            case ["projects"]:
                project = _wanted(document, admin.ProjectWanted)
                return _answer(lambda: at_desk.create_project(actor, project))
            case ["projects", name]:
                change = _wanted(document, admin.ProjectChange)
                return _answer(lambda: at_desk.update_project(actor, _plain(name), change))
            case ["keys"]:
                key = _wanted(document, admin.KeyWanted)
                return _answer(lambda: at_desk.create_key(actor, key))
            case ["keys", key_id, "rotate"]:
                rotation = _wanted(document, admin.Rotation)
                return _answer(lambda: at_desk.rotate_key(actor, _plain(key_id), rotation))
        raise AssertionError(what)

    def delete(self, what: str) -> Document:
        return _answer(lambda: self._administration.revoke_key(self._actor, _plain(what.removeprefix("keys/"))))


@contextmanager
def desk(where: Where) -> Iterator[Desk]:
    """The one that these options speak of."""
    from hansard.errors import StartupError

    if where.base_url is not None:
        from hansard.cli.client import connect

        yield Remote(connect(where.base_url, where.api_key_file))
        return
    from hansard.administration import Administration
    from hansard.store.database import database
    from hansard.store.offline import tenants_in

    try:
        settings = where.settings
        with tenants_in(database(settings.db.full)) as tenants:
            yield Local(Administration(tenants=tenants, patterns=settings.redactions))
    except StartupError as error:
        raise CommandError(str(error)) from error


def policy(text: str | None, models: list[str] | None, meta: list[str] | None) -> Document | None:
    """The policy that these options make; None if none of them was given."""
    if text is None and not models and not meta:
        return None
    try:
        said = json.loads(text or "{}")
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint="--policy") from error
    if not isinstance(said, dict):
        raise typer.BadParameter("it is no JSON object.", param_hint="--policy")
    if models:
        said["models"] = list(models)
    if meta:
        said["metadata"] = pairs(meta)
    return said


def quoted(name: str) -> str:
    """One segment of an address, whatever it looks like."""
    from urllib.parse import quote

    return quote(name, safe="")


def _answer(ask: Callable[[], Awaitable[object]]) -> Document:
    import asyncio

    import msgspec

    from hansard.errors import HansardError

    async def asked() -> object:
        return await ask()

    try:
        shown: Document = msgspec.to_builtins(asyncio.run(asked()))
    except HansardError as error:
        raise CommandError(error.message, exit_code=NOT_FOUND if error.status == 404 else FAILED) from error
    return shown


def _wanted(document: Mapping[str, Any], kind: type[Any]) -> Any:
    import msgspec

    try:
        return msgspec.convert(dict(document), type=kind)
    except msgspec.ValidationError as error:
        raise CommandError(f"Invalid: {error}.") from error


def _plain(segment: str) -> str:
    from urllib.parse import unquote

    return unquote(segment)

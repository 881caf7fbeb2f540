"""Projects, keys and the audit log in SQL. The functions run inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import msgspec
from sqlalchemy import Connection, Row, bindparam, exists, insert, literal, select, tuple_, update

from hansard.core.keys import scopes_of
from hansard.core.policies import Policy
from hansard.store import closing
from hansard.store.rows import filled
from hansard.store.schema import audit, keys, projects, revisions
from hansard.store.tenants import DEFAULT_PROJECT, Changed, Entry, Key, Place, Project, State

T = TypeVar("T")

_REVISION: Final = "tenants"
# Apart from the keys themselves, so that the door stays shut when the last of them goes with its project.
_KEYS: Final = "keys"
_RAISE: Final = update(revisions).where(revisions.c.name == bindparam("of_name")).values(number=revisions.c.number + 1)
_STATE: Final = select(
    select(revisions.c.number).where(revisions.c.name == _REVISION).scalar_subquery(),
    exists(select(literal(1)).where(revisions.c.name == _KEYS)),
)
_HOLDERS: Final = (
    select(keys, projects)
    .join_from(keys, projects, keys.c.project == projects.c.project)
    .where(keys.c.digest.in_(bindparam("of_digests", expanding=True)))
)
_KEY: Final = select(keys).where(keys.c.id == bindparam("of_id"))
# Who changes one waits for whoever else does, on another server as well, and then sees what that has made of it. Who
# only stores something for a project is not held up by who changes it.
_PROJECT_TO_CHANGE: Final = (
    select(projects).where(projects.c.project == bindparam("of_project")).with_for_update(key_share=True)
)
_KEY_TO_CHANGE: Final = _KEY.with_for_update()
_NAME_IS_TAKEN: Final = select(projects.c.project).where(
    projects.c.name == bindparam("of_name"), projects.c.project != bindparam("of_project")
)


def prepare(connection: Connection, *, now: int) -> None:
    """The project that was always there. Fails where one of the tables is not what it should be.

    The first programs with keys did not note apart that there were some: without that the door would stand open.
    """
    has_keys = state(connection).has_keys
    holders(connection, [b""])
    log(connection, None, None, 1)
    if not connection.scalar(select(literal(1)).where(projects.c.project == DEFAULT_PROJECT)):
        connection.execute(insert(projects), _row(Project(id=DEFAULT_PROJECT, name=DEFAULT_PROJECT, created=now)))
    if not has_keys and connection.scalar(select(literal(1)).select_from(keys).limit(1)):
        _raise(connection, _KEYS)


def state(connection: Connection) -> State:
    number, has_keys = connection.execute(_STATE).one()
    return State(number or 0, bool(has_keys))


def holders(connection: Connection, digests: Sequence[bytes]) -> Mapping[bytes, tuple[Key, Project]]:
    found = [(_key(row), _project(row)) for row in connection.execute(_HOLDERS, {"of_digests": filled(digests)})]
    return {key.digest: (key, project) for key, project in found}


def all_projects(connection: Connection) -> Sequence[Project]:
    return [_project(row) for row in connection.execute(select(projects).order_by(projects.c.name))]


def all_keys(connection: Connection) -> Sequence[Key]:
    return [_key(row) for row in connection.execute(select(keys).order_by(keys.c.created, keys.c.id))]


def one_key(connection: Connection, key_id: str) -> Key | None:
    row = connection.execute(_KEY, {"of_id": key_id}).one_or_none()
    return None if row is None else _key(row)


def keep(connection: Connection, made: Sequence[Project | Key], entries: Sequence[Entry]) -> bool:
    # Its commit was perhaps not answered, and had taken place: then whoever came since is not to be undone.
    if not entries or not all(is_noted(connection, entry) for entry in entries):
        if not _may_be_kept(connection, made):
            return False
        for each in made:
            table, row = (projects, _row(each)) if isinstance(each, Project) else (keys, _key_row(each))
            connection.execute(insert(table), row)
        for entry in entries:
            note(connection, entry)
    # Also of what was found there: that a standby has it as well is known by a commit that has written something.
    _raise(connection, _REVISION)
    if any(isinstance(each, Key) for each in made):
        _raise(connection, _KEYS)
    return True


def change_project(
    connection: Connection, project: str, change: Callable[[Project], Project], entry: Entry
) -> Changed[Project] | None:
    row = connection.execute(_PROJECT_TO_CHANGE, {"of_project": project}).one_or_none()
    if row is None:
        return None
    now = _project(row)
    if not is_noted(connection, entry):
        changed = change(now)
        if _is_taken(connection, changed):
            return Changed(now, is_done=False)
        now = changed
        connection.execute(update(projects).where(projects.c.project == project).values(_row(now)))
        note(connection, entry)
    _raise(connection, _REVISION)
    return Changed(now)


def change_key(
    connection: Connection, key_id: str, change: Callable[[Key], Sequence[Key]], entry: Entry
) -> Changed[Key] | None:
    closing.there(connection, [entry.project])  # locked before its key, as who deletes it does
    row = connection.execute(_KEY_TO_CHANGE, {"of_id": key_id}).one_or_none()
    if row is None:
        return None
    now = _key(row)
    if not is_noted(connection, entry):
        changed = change(now)
        if not changed:
            return Changed(now, is_done=False)
        now, *new = changed
        connection.execute(update(keys).where(keys.c.id == key_id).values(_key_row(now)))
        for each in new:
            connection.execute(insert(keys), _key_row(each))
        note(connection, entry)
    _raise(connection, _REVISION)
    return Changed(now)


def _may_be_kept(connection: Connection, made: Sequence[Project | Key]) -> bool:
    """Whether no name is taken, and every key's project is there, and stays until this transaction ends."""
    new = [each for each in made if isinstance(each, Project)]
    of_keys = {each.project for each in made if isinstance(each, Key)}.difference(each.id for each in new)
    return not any(_is_taken(connection, each) for each in new) and closing.there(connection, of_keys) == of_keys


def _is_taken(connection: Connection, project: Project) -> bool:
    named = {"of_name": project.name, "of_project": project.id}
    return connection.scalar(_NAME_IS_TAKEN, named) is not None


def _raise(connection: Connection, name: str) -> None:
    if not connection.execute(_RAISE, {"of_name": name}).rowcount:
        connection.execute(insert(revisions), {"name": name, "number": 1})


def is_noted(connection: Connection, entry: Entry) -> bool:
    at = [audit.c[name] == value for name, value in _place(entry).items()]
    return connection.scalar(select(literal(1)).select_from(audit).where(*at)) is not None


def note_once(connection: Connection, entry: Entry) -> None:
    """The same, also if its commit was not answered, and had taken place."""
    if is_noted(connection, entry):
        _raise(connection, _REVISION)  # as in ``keep``
    else:
        note(connection, entry)


def note(connection: Connection, entry: Entry) -> None:
    fields = {name: getattr(entry, name) for name in ("actor", "act", "target", "request_id")}
    connection.execute(insert(audit), {**_place(entry), **fields, "details": _json(dict(entry.details))})


def log(connection: Connection, project: str | None, after: Place | None, limit: int) -> Sequence[Entry]:
    rows = select(audit).order_by(audit.c.at, audit.c.id).limit(limit)
    if project is not None:
        rows = rows.where(audit.c.project == project)
    if after is not None:
        rows = rows.where(tuple_(audit.c.at, audit.c.id) > tuple_(literal(after[0]), literal(after[1])))
    return [_entry(row) for row in connection.execute(rows)]


class Runs(Protocol):
    """Does work in a transaction, and returns once it is committed."""

    async def __call__(self, work: Callable[[Connection], T], /) -> T: ...


class SqlTenants:
    """``Tenants`` in one SQL database; ``read`` and ``write`` run what they are given in a transaction."""

    def __init__(self, *, read: Runs, write: Runs) -> None:
        self._read = read
        self._write = write

    async def state(self) -> State:
        return await self._read(state)

    async def holders(self, digests: Sequence[bytes]) -> Mapping[bytes, tuple[Key, Project]]:
        return await self._read(partial(holders, digests=digests))

    async def projects(self) -> Sequence[Project]:
        return await self._read(all_projects)

    async def keys(self) -> Sequence[Key]:
        return await self._read(all_keys)

    async def key(self, key_id: str) -> Key | None:
        return await self._read(partial(one_key, key_id=key_id))

    async def keep(self, made: Sequence[Project | Key], entries: Sequence[Entry]) -> bool:
        return await self._write(partial(keep, made=made, entries=entries))

    async def change_project(
        self, project: str, change: Callable[[Project], Project], entry: Entry
    ) -> Changed[Project] | None:
        return await self._write(partial(change_project, project=project, change=change, entry=entry))

    async def change_key(
        self, key_id: str, change: Callable[[Key], Sequence[Key]], entry: Entry
    ) -> Changed[Key] | None:
        return await self._write(partial(change_key, key_id=key_id, change=change, entry=entry))

    async def note(self, entry: Entry) -> None:
        await self._write(partial(note_once, entry=entry))

    async def audit(self, *, project: str | None, after: Place | None, limit: int) -> Sequence[Entry]:
        return await self._read(partial(log, project=project, after=after, limit=limit))


def _place(entry: Entry) -> Mapping[str, Any]:
    return {"project": entry.project, "at": entry.at, "id": entry.id}


def _row(project: Project) -> dict[str, Any]:
    fields = {name: getattr(project, name) for name in ("name", "created", "archived")}
    return {"project": project.id, **fields, "policy": _json(project.policy)}


def _key_row(key: Key) -> dict[str, Any]:
    fields = msgspec.structs.asdict(key)
    return {**fields, "scopes": " ".join(sorted(key.scopes)), "policy": _json(key.policy)}


def _project(row: Row[Any]) -> Project:
    found = {name: row._mapping[projects.c[name]] for name in ("name", "created", "archived")}
    return Project(id=row._mapping[projects.c.project], **found, policy=_policy(row._mapping[projects.c.policy]))


def _key(row: Row[Any]) -> Key:
    names = ("id", "project", "name", "shown", "created", "expires", "revoked")
    found = {name: row._mapping[keys.c[name]] for name in names}
    return Key(
        **found,
        digest=bytes(row._mapping[keys.c.digest]),
        scopes=scopes_of(row._mapping[keys.c.scopes].split()),
        policy=_policy(row._mapping[keys.c.policy]),
    )


def _entry(row: Row[Any]) -> Entry:
    fields = row._asdict()
    return Entry(**{**fields, "details": msgspec.json.decode(fields["details"], type=dict[str, str])})


def _policy(text: str) -> Policy:
    return msgspec.json.decode(text, type=Policy)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()

"""Projects, keys and the audit log in SQL. The functions run inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import msgspec
from sqlalchemy import Connection, Row, Table, bindparam, exists, func, insert, literal, select, tuple_, update

from hansard.core.keys import scopes_of
from hansard.core.policies import Policy
from hansard.store.rows import filled
from hansard.store.schema import audit, keys, projects, revisions
from hansard.store.tenants import DEFAULT_PROJECT, Entry, Key, Place, Project, State

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


def keep(connection: Connection, changed: Sequence[Project | Key], entries: Sequence[Entry]) -> bool:
    for each in changed:
        if isinstance(each, Project):
            if connection.scalar(_NAME_IS_TAKEN, {"of_name": each.name, "of_project": each.id}) is not None:
                return False
            _put(connection, projects, _row(each))
        else:
            _put(connection, keys, _key_row(each))
    for entry in entries:
        note(connection, entry)
    _raise(connection, _REVISION)
    if any(isinstance(each, Key) for each in changed):
        _raise(connection, _KEYS)
    return True


def _raise(connection: Connection, name: str) -> None:
    if not connection.execute(_RAISE, {"of_name": name}).rowcount:
        connection.execute(insert(revisions), {"name": name, "number": 1})


def is_noted(connection: Connection, entry: Entry) -> bool:
    return _is_there(connection, audit, _place(entry))


def note(connection: Connection, entry: Entry) -> None:
    if is_noted(connection, entry):  # its commit was not answered, and had taken place
        return
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

    async def keep(self, changed: Sequence[Project | Key], entries: Sequence[Entry]) -> bool:
        return await self._write(partial(keep, changed=changed, entries=entries))

    async def note(self, entry: Entry) -> None:
        await self._write(partial(note, entry=entry))

    async def audit(self, *, project: str | None, after: Place | None, limit: int) -> Sequence[Entry]:
        return await self._read(partial(log, project=project, after=after, limit=limit))


def _put(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert the row, or change the one with its key; no key is taken back out of those that are revoked."""
    place = {column.name: row[column.name] for column in table.primary_key}
    if not _is_there(connection, table, place):
        connection.execute(insert(table), row)
        return
    values: dict[str, Any] = {name: value for name, value in row.items() if name not in place}
    if table is keys:
        values["revoked"] = func.coalesce(keys.c.revoked, values["revoked"])
    connection.execute(update(table).where(*_at(table, place)).values(values))


def _is_there(connection: Connection, table: Table, place: Mapping[str, Any]) -> bool:
    return connection.scalar(select(literal(1)).select_from(table).where(*_at(table, place))) is not None


def _place(entry: Entry) -> Mapping[str, Any]:
    return {"project": entry.project, "at": entry.at, "id": entry.id}


def _at(table: Table, place: Mapping[str, Any]) -> list[Any]:
    return [table.c[name] == value for name, value in place.items()]


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

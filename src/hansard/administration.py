"""The use cases of whoever runs the server: projects, keys, and the log of what was done with them and who read what.

Whatever is changed is in the log by the same transaction. A key is shown once, to whoever made it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from hansard.core import ids, keys
from hansard.core.admin import (
    EntryList,
    EntryShown,
    KeyList,
    KeyShown,
    KeyWanted,
    ProjectChange,
    ProjectList,
    ProjectShown,
    ProjectWanted,
    Rotation,
)
from hansard.core.policies import SAID_BY_FIELD, UNBOUND, Policy
from hansard.core.redaction import BUILT_IN
from hansard.errors import Conflict, InvalidRequest, NotFound
from hansard.store.tenants import DEFAULT_PROJECT, Changed, Entry, Key, Project, Tenants

NOBODY: Final = "anyone"
"""Who acts where no key is asked for."""


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who does something, as the log names it: a key's id or a word, and by which request."""

    name: str
    request_id: str | None = None


async def _nothing() -> None:
    pass


class Administration:
    """``changed`` is awaited after each change, so that it holds at once here.

    ``patterns`` are the names of the operator's own that a policy may redact, beside the built-in ones.
    """

    def __init__(
        self,
        *,
        tenants: Tenants,
        patterns: Collection[str] = (),
        changed: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        self._tenants = tenants
        self._patterns = {*BUILT_IN, *patterns}
        self._changed = changed

    async def projects(self) -> ProjectList:
        """All of them."""
        return ProjectList(data=[_project(each) for each in await self._tenants.projects()])

    async def project(self, wanted: str) -> ProjectShown:
        """The one of that id or name."""
        return _project(await self._project(wanted))

    async def create_project(self, actor: Actor, wanted: ProjectWanted) -> ProjectShown:
        """A new one; Conflict if there is one of that name."""
        self._check(wanted.policy)
        project = Project(
            id=ids.project_id(os.urandom(ids.ENTROPY_BYTES)),
            name=wanted.name,
            created=int(time.time()),
            policy=wanted.policy,
        )
        details = _details(name=project.name, policy=project.policy)
        entry = logged(actor, "project.created", project=project.id, target=project.id, details=details)
        if not await self._tenants.keep([project], [entry]):
            raise _name_taken()
        await self._changed()
        return _project(project)

    async def update_project(self, actor: Actor, wanted: str, change: ProjectChange) -> ProjectShown:
        """Of that id or name, as it then is."""
        self._check(change.policy)
        project = await self._project(wanted)
        if project.id == DEFAULT_PROJECT and change.archived is True:
            raise InvalidRequest("The default project cannot be archived.", param="archived", code="invalid_value")
        named = {
            name: _told(value) for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET
        }
        entry = logged(actor, "project.updated", project=project.id, target=project.id, details=named)
        changed = await self._tenants.change_project(
            project.id, partial(_with_change, change=change, now=int(time.time())), entry
        )
        if changed is None:
            raise _no_project(wanted)
        if not changed.is_done:
            raise _name_taken()
        await self._changed()
        return _project(changed.now)

    async def keys(self, project: str | None = None) -> KeyList:
        """All of them, or those of the project of that id or name."""
        of = None if project is None else (await self._project(project)).id
        return KeyList(data=[_key(each) for each in await self._tenants.keys() if of in (None, each.project)])

    async def key(self, key_id: str) -> KeyShown:
        """The one of that id."""
        return _key(await self._key(key_id))

    async def create_key(self, actor: Actor, wanted: KeyWanted) -> KeyShown:
        """A new one, with the key itself."""
        self._check(wanted.policy)
        project = await self._project(wanted.project)
        now = int(time.time())
        if not wanted.scopes:
            raise InvalidRequest("A key needs a scope.", param="scopes", code="invalid_value")
        if wanted.expires_at is not None and wanted.expires_at <= now:
            raise InvalidRequest("expires_at is in the past.", param="expires_at", code="invalid_value")
        key, secret = _minted(
            Key(
                id="",
                project=project.id,
                digest=b"",
                name=wanted.name,
                shown="",
                created=now,
                scopes=wanted.scopes,
                expires=wanted.expires_at,
                policy=wanted.policy,
            )
        )
        scopes = " ".join(sorted(key.scopes))
        details = _details(name=key.name, scopes=scopes, expires_at=key.expires, policy=key.policy)
        entry = logged(actor, "key.created", project=key.project, target=key.id, details=details)
        if not await self._tenants.keep([key], [entry]):
            raise _no_project(wanted.project)
        await self._changed()
        return _key(key, secret=secret)

    async def revoke_key(self, actor: Actor, key_id: str) -> KeyShown:
        """It counts no more, on no server. One that was revoked before stays as it is."""
        key = await self._key(key_id)
        change = partial(_revoked, now=int(time.time()))
        return _key((await self._change(actor, "key.revoked", key, change, details={"name": key.name})).now)

    async def rotate_key(self, actor: Actor, key_id: str, rotation: Rotation) -> KeyShown:
        """A new key in the place of this one, which ends now or soon; Conflict if it counts no more."""
        old = await self._key(key_id)
        new, secret = _minted(old)
        change = partial(_replaced, by=new, now=int(time.time()), grace_s=rotation.grace_s)
        details = {"name": new.name, "new": new.id, "grace_s": str(rotation.grace_s)}
        changed = await self._change(actor, "key.rotated", old, change, details=details)
        if not changed.is_done:
            raise _ended(changed.now)
        return _key(await self._key(new.id), secret=secret)

    async def audit(self, *, project: str | None, after: str | None, limit: int) -> EntryList:
        """A page of the log; ``after`` is the ``next_after`` of the page before.

        Of a project that was deleted it has the rows still, by its id.
        """
        place = None if after is None else _place(after)
        of = None if project is None else await self._logged_project(project)
        found = await self._tenants.audit(project=of, after=place, limit=limit + 1)
        page = found[:limit]
        return EntryList(
            data=[_entry(each) for each in page],
            has_more=len(found) > limit,
            next_after=f"{page[-1].at}.{page[-1].id}" if page else None,
        )

    async def note_read(self, actor: Actor, act: str, *, project: str, target: str) -> None:
        """Somebody is about to read what is stored; returns once that is committed."""
        await self._tenants.note(logged(actor, act, project=project, target=target, details={}))

    async def _change(
        self, actor: Actor, act: str, key: Key, change: Callable[[Key], Sequence[Key]], *, details: Mapping[str, str]
    ) -> Changed[Key]:
        entry = logged(actor, act, project=key.project, target=key.id, details=details)
        changed = await self._tenants.change_key(key.id, change, entry)
        if changed is None:
            raise _no_key(key.id)
        if changed.is_done:
            await self._changed()
        return changed

    def _check(self, policy: Policy | UnsetType) -> None:
        """InvalidRequest for what would not count, or would let nothing be kept and so nothing be answered."""
        if policy is UNSET:
            return
        for key, field in SAID_BY_FIELD.items():
            if key in policy.metadata:
                raise InvalidRequest(
                    f"'{key}' counts among the metadata of a request only: the policy's '{field}' says it, in seconds.",
                    param=f"policy.metadata.{key}",
                    code="invalid_value",
                )
        for name in policy.redact:
            if name not in self._patterns:
                known = ", ".join(sorted(self._patterns))
                raise InvalidRequest(
                    f"Unknown pattern to redact: '{name}'. There are {known}; --redaction NAME=REGEX adds one.",
                    param="policy.redact",
                    code="invalid_value",
                )

    async def _project(self, wanted: str) -> Project:
        known = await self._tenants.projects()
        found = [each for each in known if each.id == wanted] or [each for each in known if each.name == wanted]
        if not found:
            raise _no_project(wanted)
        return found[0]

    async def _logged_project(self, wanted: str) -> str:
        try:
            return (await self._project(wanted)).id
        except NotFound:
            if wanted.startswith(ids.PROJECT_PREFIX):
                return wanted
            raise

    async def _key(self, key_id: str) -> Key:
        key = await self._tenants.key(key_id)
        if key is None:
            raise _no_key(key_id)
        return key


def _with_change(project: Project, *, change: ProjectChange, now: int) -> Project:
    """One that is archived already stays so from the moment it was."""
    archived = project.archived
    if change.archived is not UNSET:
        archived = (archived or now) if change.archived else None
    return msgspec.structs.replace(
        project,
        name=project.name if change.name is UNSET else change.name,
        policy=project.policy if change.policy is UNSET else change.policy,
        archived=archived,
    )


def _revoked(key: Key, *, now: int) -> Sequence[Key]:
    return [msgspec.structs.replace(key, revoked=now)] if key.revoked is None else []


def _replaced(key: Key, *, by: Key, now: int, grace_s: int) -> Sequence[Key]:
    """The key, which ends now or after the grace, and the new one, with all that is said of it; or nothing."""
    if key.revoked is not None or (key.expires is not None and key.expires <= now):
        return []
    new = msgspec.structs.replace(by, created=now, expires=key.expires)
    if not grace_s:
        return [msgspec.structs.replace(key, revoked=now), new]
    ends = now + grace_s
    return [msgspec.structs.replace(key, expires=ends if key.expires is None else min(ends, key.expires)), new]


def _ended(key: Key) -> Conflict:
    how, code = ("has expired", "key_expired") if key.revoked is None else ("is revoked", "key_revoked")
    return Conflict(f"The key {key.id} {how}. Make a new one.", code=code)


def _no_project(wanted: str) -> NotFound:
    return NotFound(f"Project {wanted[:200]} not found", code="not_found")


def _no_key(key_id: str) -> NotFound:
    return NotFound(f"Key {key_id[:200]} not found", code="not_found")


def _name_taken() -> Conflict:
    return Conflict("There is a project of that name.", param="name", code="name_taken")


def _minted(key: Key) -> tuple[Key, str]:
    secret = keys.mint(os.urandom(keys.ENTROPY_BYTES))
    key_id = ids.key_id(os.urandom(ids.ENTROPY_BYTES))
    return msgspec.structs.replace(key, id=key_id, digest=keys.digest(secret), shown=keys.shown(secret)), secret


def logged(actor: Actor, act: str, *, project: str, target: str, details: Mapping[str, str]) -> Entry:
    """A row for the audit log, of this moment."""
    return Entry(
        id=ids.audit_id(os.urandom(ids.ENTROPY_BYTES)),
        project=project,
        at=time.time_ns() // 1000,
        actor=actor.name,
        act=act,
        target=target,
        request_id=actor.request_id,
        details=details,
    )


def _details(**said: object) -> Mapping[str, str]:
    return {name: _told(value) for name, value in said.items() if value not in (None, UNBOUND)}


def _told(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _place(after: str) -> tuple[int, str]:
    at, _, entry_id = after.partition(".")
    if not at.isascii() or not at.isdigit() or len(at) > 18 or not entry_id:
        raise InvalidRequest("Invalid value for 'after'.", param="after", code="invalid_value")
    return int(at), entry_id


def _project(project: Project) -> ProjectShown:
    return ProjectShown(
        id=project.id,
        name=project.name,
        created_at=project.created,
        archived_at=project.archived,
        policy=project.policy,
    )


def _key(key: Key, *, secret: str | None = None) -> KeyShown:
    return KeyShown(
        id=key.id,
        project=key.project,
        name=key.name,
        redacted_value=key.shown,
        created_at=key.created,
        expires_at=key.expires,
        revoked_at=key.revoked,
        scopes=[scope for scope in keys.SCOPES if scope in key.scopes],
        policy=key.policy,
        key=UNSET if secret is None else secret,
    )


def _entry(entry: Entry) -> EntryShown:
    fields = {name: getattr(entry, name) for name in ("id", "project", "actor", "act", "target", "request_id")}
    return EntryShown(**fields, created_at=entry.at / 1_000_000, details=entry.details)

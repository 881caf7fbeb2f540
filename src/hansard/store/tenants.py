"""The seam between Hansard and what it knows of projects and keys, and of what was done with them.

No key is kept: only its digest, and what a list shows of it. Whatever is changed here is in the audit log, or is not
changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

import msgspec

from hansard.core.keys import Scope
from hansard.core.policies import UNBOUND, Policy

T = TypeVar("T")

DEFAULT_PROJECT: Final = "default"
"""The project that is always there: the operator's own key's, and everybody's where no key is asked for."""


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """Who completions belong to. Times are unix seconds; from ``archived`` on its keys are let in no more."""

    id: str
    name: str
    created: int
    archived: int | None = None
    policy: Policy = UNBOUND


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a key. It counts until ``expires`` or ``revoked`` (unix seconds), for ever if both are None."""

    id: str
    project: str
    digest: bytes
    name: str
    shown: str
    created: int
    scopes: frozenset[Scope]
    expires: int | None = None
    revoked: int | None = None
    policy: Policy = UNBOUND


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the audit log: when (unix microseconds), who (a mark or a word), what was done, and to what.

    ``details`` never hold content, nor a key.
    """

    id: str
    project: str
    at: int
    actor: str
    act: str
    target: str
    request_id: str | None = None
    details: Mapping[str, str] = msgspec.field(default_factory=dict)


class Changed(msgspec.Struct, Generic[T], frozen=True):
    """What was to be changed, as it now is; not ``is_done``: as it was before, and nothing was changed."""

    now: T
    is_done: bool = True


class State(msgspec.Struct, frozen=True):
    """``revision`` rises with every change to projects and keys. ``has_keys``: there was ever a key, if only once."""

    revision: int
    has_keys: bool


Place: TypeAlias = tuple[int, str]
"""Where a row of the audit log stands: ``at`` and ``id``."""


class Tenants(Protocol):
    """A place that knows projects and keys. Database trouble of any kind is ``StoreUnavailable``, never "unknown"."""

    async def state(self) -> State:
        """What tells whether something has changed."""

    async def holders(self, digests: Sequence[bytes]) -> Mapping[bytes, tuple[Key, Project]]:
        """The keys of these digests and their projects, whether or not they still count."""

    async def projects(self) -> Sequence[Project]:
        """All of them, by name."""

    async def keys(self) -> Sequence[Key]:
        """All of them, revoked ones included, the oldest first."""

    async def key(self, key_id: str) -> Key | None:
        """The one of that id, revoked or not."""

    async def keep(self, made: Sequence[Project | Key], entries: Sequence[Entry]) -> bool:
        """Keep these, which are new, and what the log says of it, all or nothing.

        False, and nothing is kept, if another project has the name of one, or a key's project is not there. It is the
        same to do it twice.
        """

    async def change_project(
        self, project: str, change: Callable[[Project], Project], entry: Entry
    ) -> Changed[Project] | None:
        """Make of the one of that id what ``change`` makes of it, and what the log says of it; None: it is not there.

        Nobody changes it meanwhile, whoever uses the same database. ``change`` may be called again, and must give the
        same for the same. Not done if another project has the name it is to have.
        """

    async def change_key(
        self, key_id: str, change: Callable[[Key], Sequence[Key]], entry: Entry
    ) -> Changed[Key] | None:
        """The same of a key of the entry's project. ``change`` gives the key, and new ones that come with it; where it
        gives nothing, nothing is done."""

    async def note(self, entry: Entry) -> None:
        """Add to the log what changes neither a project nor a key; returns once it is committed."""

    async def audit(self, *, project: str | None, after: Place | None, limit: int) -> Sequence[Entry]:
        """At most ``limit`` rows of the log behind ``after``, in the order of their times."""

"""What goes over the admin API: what can be asked for, and what is shown. No rule of its own, and no key but a new one.

Names follow those of OpenAI's administration API, where it has the same: https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hansard.core.keys import USUAL, Scope
from hansard.core.policies import UNBOUND, Policy

# PostgreSQL holds no NUL, and the terminal of whoever lists names is not theirs to command.
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]+\Z")]
Moment = Annotated[int, Meta(ge=0, le=2**53, description="Unix seconds.")]
MAX_GRACE_S = 90 * 24 * 60 * 60


class ProjectWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A project to be made."""

    name: Name
    policy: Policy = UNBOUND


class ProjectChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to become of a project; what is not named stays. ``archived`` shuts its keys out, or lets them in."""

    name: Name | UnsetType = UNSET
    policy: Policy | UnsetType = UNSET
    archived: bool | UnsetType = UNSET


class KeyWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be made, for the project of that id or name."""

    project: str
    name: Name
    scopes: frozenset[Scope] = USUAL
    expires_at: Moment | None = None
    policy: Policy = UNBOUND


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key is to be replaced; the old one counts for so many seconds more."""

    grace_s: Annotated[int, Meta(ge=0, le=MAX_GRACE_S)] = 0


class ProjectShown(msgspec.Struct, frozen=True, kw_only=True):
    """A project."""

    id: str
    name: str
    created_at: Moment
    archived_at: Moment | None
    policy: Policy
    object: Literal["hansard.project"] = "hansard.project"


class ProjectDeletion(msgspec.Struct, frozen=True, kw_only=True):
    """How far a project's deletion is: its keys stopped with the first word of it. ``done``: nothing is left,
    in no file either."""

    id: str
    completions_left: int
    done: bool
    object: Literal["hansard.project.deletion"] = "hansard.project.deletion"


class KeyShown(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to see of a key. ``key`` is there once, when it is made."""

    id: str
    project: str
    name: str
    redacted_value: str
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None
    scopes: Sequence[Scope]
    policy: Policy
    key: str | UnsetType = UNSET
    object: Literal["hansard.key"] = "hansard.key"


class EntryShown(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the audit log. ``created_at`` is seconds with their fraction; ``actor`` is a key's id, or a word."""

    id: str
    project: str
    created_at: float
    actor: str
    act: str
    target: str
    request_id: str | None
    details: Mapping[str, str]
    object: Literal["hansard.audit_entry"] = "hansard.audit_entry"


class ProjectList(msgspec.Struct, frozen=True, kw_only=True):
    """All projects, by name."""

    data: Sequence[ProjectShown]
    object: Literal["list"] = "list"


class KeyList(msgspec.Struct, frozen=True, kw_only=True):
    """All keys, the oldest first."""

    data: Sequence[KeyShown]
    object: Literal["list"] = "list"


class EntryList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the audit log, the oldest first; ``next_after`` is where the next one begins, if there is one."""

    data: Sequence[EntryShown]
    has_more: bool
    next_after: str | None
    object: Literal["list"] = "list"

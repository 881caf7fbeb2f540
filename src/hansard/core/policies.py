"""What a project or a key allows: which models, how much, what is kept; a key's word goes before its project's.

Pure. Who a request is made for is ``tenancy``'s to say, and counting is ``limits``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta

from hansard.contract.request import MAX_KEY, MAX_VALUE
from hansard.core.lifetimes import BODY_TTL_KEY, TTL_KEY, Length, Lifetimes

Storage: TypeAlias = Literal["asked", "always", "never"]
# Nothing at all is what scopes and revoking are for.
Count: TypeAlias = Annotated[int, Meta(ge=1, le=2**53)]
# The limits of a request's own (official document).
MAX_PAIRS: Final = 16
Metadata: TypeAlias = Annotated[
    Mapping[Annotated[str, Meta(max_length=MAX_KEY)], Annotated[str, Meta(max_length=MAX_VALUE)]],
    Meta(max_length=MAX_PAIRS),
]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much of each in its time; None is no limit. Tokens are those of the prompt and of the answer."""

    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrent_streams: Count | None = None
    concurrent_requests: Count | None = None
    tokens_per_month: Count | None = None


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The settings of one project or of one key, as they lie in the store and go over the admin API.

    Limits are not merged: those of a key and those of its project hold each for itself.
    """

    store: Storage | None = None
    """Which completions are kept; None leaves it to the next above: the project, then the server."""
    models: tuple[str, ...] | None = None
    """The names that may be asked for; None is every one."""
    metadata: Metadata = msgspec.field(default_factory=dict)
    """Put on every stored completion, unless the request says otherwise of a key."""
    redact: tuple[str, ...] = ()
    """Names of patterns whose matches are blacked out before the commit."""
    retention_s: (
        Annotated[Count, Meta(description="Seconds that a completion is kept, where it does not say.")] | None
    ) = None
    retention_bodies_s: (
        Annotated[Count, Meta(description="Seconds that what was said in it is kept, where it does not say.")] | None
    ) = None
    limits: Limits = Limits()


UNBOUND: Final = Policy()
"""Nothing said."""

SAID_BY_FIELD: Final = {TTL_KEY: "retention_s", BODY_TTL_KEY: "retention_bodies_s"}
"""Keys of metadata that count in a request only, and the fields that say the same in a policy."""


def storage(own: Policy, of_project: Policy, *, of_server: Storage) -> Storage:
    """Which completions of a key are kept: the first word counts, of the key, of its project, of the server."""
    return own.store or of_project.store or of_server


def retention(own: Policy, of_project: Policy) -> Lifetimes:
    """For how long, unless a request says otherwise; nothing where neither says."""
    return _lifetimes(own).over(_lifetimes(of_project))


def redacted(own: Policy, of_project: Policy) -> tuple[str, ...]:
    """What is blacked out: what either of them names, so that a key cannot take back what its project wants."""
    return (*of_project.redact, *own.redact) if own.redact or of_project.redact else ()


def metadata(asked: Mapping[str, str], own: Policy, of_project: Policy) -> dict[str, str]:
    """What a stored completion has: what its request says, then its key, then its project, until it is full.

    More than a request may say could not be sent back in an update.
    """
    together: dict[str, str] = {}
    for said in (asked, own.metadata, of_project.metadata):
        for key, value in said.items():
            if len(together) < MAX_PAIRS:
                together.setdefault(key, value)
    return together


def _lifetimes(policy: Policy) -> Lifetimes:
    return Lifetimes(whole_s=_length(policy.retention_s), body_s=_length(policy.retention_bodies_s))


def _length(said: Count | None) -> Length:
    return UNSET if said is None else said

"""administration.py: what a policy may say is judged when it is made, and one key costs no look at the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest

from hansard.administration import Actor, Administration
from hansard.core.admin import KeyWanted, ProjectChange, ProjectWanted, Rotation
from hansard.core.policies import Policy
from hansard.errors import InvalidRequest, NotFound
from hansard.store.tenants import DEFAULT_PROJECT, Key, Project
from tests.memory_tenants import MemoryTenants

pytestmark = pytest.mark.anyio

ACTOR = Actor(name="test")
TYPO = Policy(redact=("email", "emial"))


def administration() -> Administration:
    default = Project(id=DEFAULT_PROJECT, name=DEFAULT_PROJECT, created=0, policy=Policy())
    return Administration(tenants=MemoryTenants(default), patterns=["ticket"])


ACTS: dict[str, Callable[[Administration, Policy], Awaitable[Any]]] = {
    "a new project": lambda desk, policy: desk.create_project(ACTOR, ProjectWanted(name="shop", policy=policy)),
    "a changed project": lambda desk, policy: desk.update_project(ACTOR, DEFAULT_PROJECT, ProjectChange(policy=policy)),
    "a new key": lambda desk, policy: desk.create_key(
        ACTOR, KeyWanted(project=DEFAULT_PROJECT, name="till", policy=policy)
    ),
}


@pytest.mark.parametrize("act", ACTS)
async def test_a_pattern_that_is_not_known_is_refused_by_name(act: str) -> None:
    with pytest.raises(InvalidRequest, match="Unknown pattern to redact: 'emial'") as refused:
        await ACTS[act](administration(), TYPO)
    assert refused.value.param == "policy.redact"


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(("key", "field"), [("hansard_ttl", "retention_s"), ("hansard_body_ttl", "retention_bodies_s")])
async def test_a_time_to_live_among_the_metadata_is_refused_with_the_field_that_says_it(
    act: str, key: str, field: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"the policy's '{field}' says it, in seconds") as refused:
        await ACTS[act](administration(), Policy(metadata={"team": "shop", key: "2s"}))
    assert refused.value.param == f"policy.metadata.{key}"


@pytest.mark.parametrize("act", ACTS)
async def test_built_in_patterns_and_the_operators_own_are_known(act: str) -> None:
    shown = await ACTS[act](administration(), Policy(redact=("email", "ticket")))
    assert shown.policy.redact == ("email", "ticket")


@pytest.mark.parametrize(
    "said",
    [
        {"limits": {"requests_per_minute": 0}},
        {"limits": {"tokens_per_month": -1}},
        {"retention_s": 0},
        {"retention_bodies_s": 0},
        {"metadata": {f"k{n}": "v" for n in range(17)}},
        {"metadata": {"k" * 65: "v"}},
        {"metadata": {"k": "v" * 513}},
        {"limit": {}},
    ],
)
def test_a_policy_that_no_request_could_meet_is_none(said: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(said, Policy)


class Telling(MemoryTenants):
    """Does not read all keys, of which there may be thousands."""

    async def keys(self) -> Sequence[Key]:
        raise AssertionError("all keys were read")

    async def key(self, key_id: str) -> Key | None:
        return self.of_key.get(key_id)


async def test_who_shows_rotates_or_revokes_a_key_reads_no_other() -> None:
    desk = Administration(tenants=Telling(Project(id=DEFAULT_PROJECT, name=DEFAULT_PROJECT, created=0)))
    first = await desk.create_key(ACTOR, KeyWanted(project=DEFAULT_PROJECT, name="till"))

    second = await desk.rotate_key(ACTOR, first.id, Rotation())
    await desk.revoke_key(ACTOR, second.id)

    assert (await desk.key(first.id)).revoked_at is not None
    assert (await desk.key(second.id)).revoked_at is not None
    with pytest.raises(NotFound):
        await desk.key("key_unknown")


async def test_the_log_says_what_a_new_project_and_a_new_key_may_do() -> None:
    tenants = MemoryTenants()
    desk = Administration(tenants=tenants)
    shop = await desk.create_project(ACTOR, ProjectWanted(name="shop", policy=Policy(store="never")))
    await desk.create_project(ACTOR, ProjectWanted(name="plain"))
    wanted = KeyWanted(project=shop.id, name="till", expires_at=4_000_000_000, policy=Policy(models=("tiny",)))
    await desk.create_key(ACTOR, wanted)
    await desk.create_key(ACTOR, KeyWanted(project=shop.id, name="door", scopes=frozenset({"read", "write"})))

    assert [entry.details for entry in tenants.entries] == [
        {"name": "shop", "policy": '{"store":"never"}'},
        {"name": "plain"},
        {
            "name": "till",
            "scopes": "create read write",
            "expires_at": "4000000000",
            "policy": '{"models":["tiny"]}',
        },
        {"name": "door", "scopes": "read write"},
    ]

"""tenants_sql.py, when several change the same at once: two servers on one database, on both databases."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from hansard.administration import Actor, Administration
from hansard.core.admin import KeyWanted, ProjectChange, ProjectWanted, Rotation
from hansard.core.policies import Policy
from hansard.departure import Departure
from hansard.errors import Conflict, NotFound
from hansard.store.sql import SqlStore
from tests.store.conftest import Start

pytestmark = pytest.mark.anyio

ROUNDS = 20
ME = Actor(name="key_0")


class Replica:
    """A server on the database, as far as whoever runs it can ask for something."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.desk = Administration(tenants=store.tenants)
        self.departure = Departure(store=store, administration=self.desk, changed=self.changed)

    async def changed(self) -> None:
        pass

    async def acts(self, project: str) -> Counter[str]:
        return Counter(each.act for each in (await self.desk.audit(project=project, after=None, limit=100)).data)


@pytest.fixture
async def replicas(start: Start) -> tuple[Replica, Replica]:
    return Replica(await start()), Replica(await start())


async def test_what_two_change_of_a_project_at_once_is_changed_twice(replicas: tuple[Replica, Replica]) -> None:
    """Or who archives a project is told so, and its keys go on."""
    one, other = replicas
    policy = Policy(store="never")
    for number in range(ROUNDS):
        project = await one.desk.create_project(ME, ProjectWanted(name=f"shop {number}"))

        await asyncio.gather(
            one.desk.update_project(ME, project.id, ProjectChange(archived=True)),
            other.desk.update_project(ME, project.id, ProjectChange(policy=policy)),
            one.desk.update_project(ME, project.id, ProjectChange(name=f"store {number}")),
        )

        now = await one.desk.project(project.id)
        assert (now.name, now.policy, now.archived_at is None) == (f"store {number}", policy, False)


async def test_a_project_that_leaves_is_not_brought_back_by_a_change(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    for number in range(ROUNDS):
        project = await one.desk.create_project(ME, ProjectWanted(name=f"shop {number}"))

        deleted, changed = await asyncio.gather(
            one.departure.delete(ME, project.id),
            other.desk.update_project(ME, project.id, ProjectChange(archived=True)),
            return_exceptions=True,
        )

        assert not isinstance(deleted, BaseException)
        assert deleted.completions_left == 0
        assert isinstance(changed, NotFound) or not isinstance(changed, BaseException)
        with pytest.raises(NotFound):
            await other.desk.project(project.id)
        noted = Counter({"project.created": 1, "project.deleted": 1})
        noted["project.updated"] = int(not isinstance(changed, NotFound))
        assert await one.acts(project.id) == noted


async def test_a_key_is_made_for_a_project_that_is_there_or_not_at_all(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    for number in range(ROUNDS):
        project = await one.desk.create_project(ME, ProjectWanted(name=f"shop {number}"))

        deleted, made = await asyncio.gather(
            one.departure.delete(ME, project.id),
            other.desk.create_key(ME, KeyWanted(project=project.id, name="till")),
            return_exceptions=True,
        )

        assert not isinstance(deleted, BaseException)
        assert isinstance(made, NotFound) or not isinstance(made, BaseException)
        assert (await other.desk.keys()).data == []
        assert (await one.acts(project.id))["key.created"] == int(not isinstance(made, NotFound))


@pytest.mark.parametrize("grace_s", [0, 600])
async def test_a_key_that_is_revoked_and_replaced_at_once_is_revoked_in_the_end(
    replicas: tuple[Replica, Replica], grace_s: int
) -> None:
    one, other = replicas
    for number in range(ROUNDS):
        project = await one.desk.create_project(ME, ProjectWanted(name=f"shop {number}"))
        key = await one.desk.create_key(ME, KeyWanted(project=project.id, name="till"))

        revoked, rotated = await asyncio.gather(
            one.desk.revoke_key(ME, key.id),
            other.desk.rotate_key(ME, key.id, Rotation(grace_s=grace_s)),
            return_exceptions=True,
        )

        assert not isinstance(revoked, BaseException)
        assert (await one.desk.key(key.id)).revoked_at is not None
        # Who was refused has done nothing, and who was not is in the log.
        was_refused = isinstance(rotated, Conflict)
        assert was_refused or not isinstance(rotated, BaseException)
        assert len((await one.desk.keys(project.id)).data) == 2 - was_refused
        acts = await one.acts(project.id)
        assert acts["key.rotated"] == 1 - was_refused
        assert acts["key.revoked"] == int(was_refused or grace_s > 0)


async def test_of_two_who_replace_a_key_at_once_one_does(replicas: tuple[Replica, Replica]) -> None:
    one, _ = replicas
    for number in range(ROUNDS):
        project = await one.desk.create_project(ME, ProjectWanted(name=f"shop {number}"))
        key = await one.desk.create_key(ME, KeyWanted(project=project.id, name="till"))

        await asyncio.gather(
            *(each.desk.rotate_key(ME, key.id, Rotation()) for each in replicas), return_exceptions=True
        )

        assert len((await one.desk.keys(project.id)).data) == 2
        assert (await one.acts(project.id))["key.rotated"] == 1


async def test_a_key_that_leaves_with_its_project_is_not_brought_back(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    for number in range(ROUNDS):
        project = await one.desk.create_project(ME, ProjectWanted(name=f"shop {number}"))
        key = await one.desk.create_key(ME, KeyWanted(project=project.id, name="till"))

        deleted, rotated, revoked = await asyncio.gather(
            one.departure.delete(ME, project.id),
            other.desk.rotate_key(ME, key.id, Rotation()),
            other.desk.revoke_key(ME, key.id),
            return_exceptions=True,
        )

        assert not isinstance(deleted, BaseException)
        for each in (rotated, revoked):
            assert isinstance(each, NotFound | Conflict) or not isinstance(each, BaseException)
        assert (await other.desk.keys()).data == []

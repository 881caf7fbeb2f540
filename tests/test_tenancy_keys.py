"""tenancy.py: keys that lie in the database, what is remembered of them, and a database that cannot be asked."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from hansard.core.keys import digest
from hansard.errors import AuthenticationFailed, StoreUnavailable
from hansard.store.tenants import Key, Project
from hansard.tenancy import Gate
from tests.memory_tenants import MemoryTenants

pytestmark = pytest.mark.anyio

SECRET = "sk-hansard-of-the-till"
ASKED = f"Bearer {SECRET}"
SHOP = Project(id="proj_1", name="shop", created=1)
KEY = Key(
    id="key_1", project="proj_1", digest=digest(SECRET), name="till", shown="", created=1, scopes=frozenset({"read"})
)


async def looked(tenants: MemoryTenants, **settings: float) -> Gate:
    gate = Gate(key=None, tenants=tenants, clock=lambda: 1000.0, **settings)  # type: ignore[arg-type]
    await gate.look()
    return gate


async def test_a_key_is_looked_up_once() -> None:
    tenants = MemoryTenants(SHOP, KEY)
    gate = await looked(tenants)
    found = [await gate.admit(ASKED) for _ in range(9)]
    assert [(each.project, each.key, each.project_name, each.scopes) for each in found] == [
        ("proj_1", "key_1", "shop", frozenset({"read"}))
    ] * 9
    assert tenants.asked == 1


async def test_a_wrong_key_is_looked_up_once_for_a_while() -> None:
    tenants = MemoryTenants(SHOP, KEY)
    gate = await looked(tenants)
    for _ in range(9):
        with pytest.raises(AuthenticationFailed):
            await gate.admit("Bearer sk-wrong")
    assert tenants.asked == 1


async def test_everyone_is_let_in_until_there_is_a_key_and_never_again() -> None:
    tenants = MemoryTenants(SHOP)
    gate = await looked(tenants)
    assert (await gate.admit(None)).project == "default"
    await tenants.keep([msgspec.structs.replace(KEY, revoked=5)], [])
    await gate.look()
    with pytest.raises(AuthenticationFailed):
        await gate.admit(None)


@pytest.mark.parametrize(
    ("key", "project"),
    [
        (msgspec.structs.replace(KEY, revoked=999), SHOP),
        (msgspec.structs.replace(KEY, expires=1000), SHOP),
        (KEY, msgspec.structs.replace(SHOP, archived=999)),
    ],
)
async def test_a_key_that_counts_no_more_is_wrong_as_soon_as_that_is_heard(key: Key, project: Project) -> None:
    tenants = MemoryTenants(SHOP, KEY)
    gate = await looked(tenants)
    assert (await gate.admit(ASKED)).key == "key_1"
    await tenants.keep([key, project], [])
    await gate.look()
    with pytest.raises(AuthenticationFailed) as refused:
        await gate.admit(ASKED)
    assert refused.value.code == "invalid_api_key"


async def test_a_key_expires_while_it_is_remembered() -> None:
    now = [1000.0]
    tenants = MemoryTenants(SHOP, msgspec.structs.replace(KEY, expires=1001))
    gate = Gate(key=None, tenants=tenants, clock=lambda: now[0])
    await gate.look()
    await gate.admit(ASKED)
    now[0] = 1001.0
    with pytest.raises(AuthenticationFailed):
        await gate.admit(ASKED)
    assert tenants.asked == 1


async def test_what_changed_while_a_key_was_looked_up_is_not_missed() -> None:
    tenants = MemoryTenants(SHOP, KEY)
    gate = await looked(tenants)
    tenants.held = asyncio.Event()
    lookup = asyncio.create_task(gate.admit(ASKED))
    await asyncio.sleep(0)
    await tenants.keep([msgspec.structs.replace(KEY, revoked=999)], [])
    await gate.look()
    tenants.held.set()
    await lookup  # it had been let in before
    with pytest.raises(AuthenticationFailed):
        await gate.admit(ASKED)


async def test_a_database_that_is_away_makes_an_unknown_key_503_and_never_401() -> None:
    tenants = MemoryTenants(SHOP, KEY)
    gate = await looked(tenants)
    tenants.down = True
    for key in (SECRET, "sk-wrong"):
        with pytest.raises(StoreUnavailable):
            await gate.admit(f"Bearer {key}")
    tenants.down = False
    assert (await gate.admit(ASKED)).key == "key_1"


@pytest.mark.parametrize(("trusted_s", "counts"), [(60.0, True), (-1.0, False)])
async def test_a_known_key_counts_for_a_while_without_the_database(trusted_s: float, *, counts: bool) -> None:
    tenants = MemoryTenants(SHOP, KEY)
    gate = await looked(tenants, trusted_s=trusted_s)
    await gate.admit(ASKED)
    tenants.down = True
    if counts:
        assert (await gate.admit(ASKED)).key == "key_1"
    else:
        with pytest.raises(StoreUnavailable):
            await gate.admit(ASKED)


async def test_the_operators_own_key_needs_no_database() -> None:
    tenants = MemoryTenants(SHOP, KEY)
    gate = Gate(key="sk-operator", tenants=tenants)
    await gate.look()
    tenants.down = True
    assert (await gate.admit("Bearer sk-operator")).project == "default"


async def test_a_change_is_heard_of_without_being_told() -> None:
    tenants = MemoryTenants(SHOP, KEY)
    gate = Gate(key=None, tenants=tenants, looks_every_s=0.01)
    async with gate.at_work():
        await gate.admit(ASKED)
        tenants.down = True
        await asyncio.sleep(0.05)  # it goes on looking when it could not
        tenants.down = False
        await tenants.keep([msgspec.structs.replace(KEY, revoked=1)], [])
        with pytest.raises(AuthenticationFailed):
            while True:
                await gate.admit(ASKED)
                await asyncio.sleep(0.005)


async def test_who_tries_keys_keeps_a_new_key_no_longer_than_two_lookups() -> None:
    tenants = MemoryTenants(SHOP, KEY)
    gate = await looked(tenants)
    tenants.held = asyncio.Event()
    tries = [asyncio.create_task(gate.admit(f"Bearer sk-{number}")) for number in range(200)]
    await asyncio.sleep(0)
    mine = [asyncio.create_task(gate.admit(ASKED)) for _ in range(300)]
    await asyncio.sleep(0)
    tenants.held.set()

    assert {principal.key for principal in await asyncio.gather(*mine)} == {"key_1"}
    ends = await asyncio.gather(*tries, return_exceptions=True)
    assert {type(end) for end in ends} == {AuthenticationFailed}
    assert tenants.asked == 2


async def test_who_tries_keys_keeps_no_more_than_so_many_waiting() -> None:
    tenants = MemoryTenants(SHOP, KEY)
    gate = await looked(tenants)
    tenants.held = asyncio.Event()
    tries = [asyncio.create_task(gate.admit(f"Bearer sk-{number}")) for number in range(4500)]
    await asyncio.sleep(0)
    tenants.held.set()
    ends = await asyncio.gather(*tries, return_exceptions=True)
    kinds = [type(end) for end in ends]
    # One is looked up at once, and 4096 wait meanwhile.
    assert (kinds.count(AuthenticationFailed), kinds.count(StoreUnavailable)) == (4097, 403)


async def test_who_tries_keys_keeps_nobody_waiting_whose_key_was_good_before_a_change() -> None:
    tenants = MemoryTenants(SHOP, KEY)
    gate = await looked(tenants)
    await gate.admit(ASKED)
    await tenants.keep([msgspec.structs.replace(SHOP, name="shops")], [])
    await gate.look()
    tenants.held = asyncio.Event()
    tries = [asyncio.create_task(gate.admit(f"Bearer sk-{number}")) for number in range(4500)]
    await asyncio.sleep(0)
    tenants.held, held = None, tenants.held

    assert (await gate.admit(ASKED)).project_name == "shops"

    assert sum(each.done() for each in tries) <= 4500 - 4096
    held.set()
    await asyncio.gather(*tries, return_exceptions=True)


async def test_a_request_that_ends_while_it_looks_keys_up_leaves_that_to_the_next() -> None:
    tenants = MemoryTenants(SHOP, KEY)
    gate = await looked(tenants)
    tenants.held = asyncio.Event()
    first, second = (asyncio.create_task(gate.admit(ASKED)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    tenants.held.set()

    assert (await second).key == "key_1"
    assert (await asyncio.gather(first, return_exceptions=True))[0].__class__ is asyncio.CancelledError


async def test_a_database_that_hangs_makes_unknown_keys_503_in_time_and_is_asked_again() -> None:
    tenants = MemoryTenants(SHOP, KEY)
    gate = await looked(tenants, waits_s=0.05)
    tenants.held = asyncio.Event()
    tries = [asyncio.create_task(gate.admit(f"Bearer sk-{number}")) for number in range(4500)]
    ends = await asyncio.gather(*tries, return_exceptions=True)
    assert {type(end) for end in ends} == {StoreUnavailable}
    tenants.held = None

    assert (await gate.admit(ASKED)).key == "key_1"


async def test_a_key_that_was_good_and_is_revoked_waits_in_line_with_the_others() -> None:
    tenants = MemoryTenants(SHOP, KEY)
    gate = await looked(tenants)
    await gate.admit(ASKED)
    await tenants.keep([msgspec.structs.replace(KEY, revoked=999)], [])
    await gate.look()
    for _ in range(2):
        with pytest.raises(AuthenticationFailed):
            await gate.admit(ASKED)
    assert tenants.asked == 2

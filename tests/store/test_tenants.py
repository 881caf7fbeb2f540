"""tenants_sql.py: projects, keys and the audit log, on both databases."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import exc, text

from hansard.core.keys import digest
from hansard.core.policies import Limits, Policy
from hansard.errors import StartupError
from hansard.store.database import Database
from hansard.store.sql import SqlStore
from hansard.store.tenants import DEFAULT_PROJECT, Changed, Entry, Key, Project, State
from tests.store.conftest import Start
from tests.store.older import written_by
from tests.store.records import record
from tests.store.test_migrate import once, schema

pytestmark = pytest.mark.anyio

POLICY = Policy(store="always", models=("tiny",), metadata={"team": "ä\x00"}, limits=Limits(requests_per_minute=3))
SHOP = Project(id="proj_1", name="shop", created=1_700_000_000, policy=POLICY)
KEY = Key(
    id="key_1",
    project="proj_1",
    digest=digest("sk-hansard-1"),
    name="till",
    shown="sk-hansard-1...hard",
    created=1_700_000_001,
    scopes=frozenset({"create", "read"}),
    expires=1_800_000_000,
    policy=Policy(redact=("email",)),
)


def entry(number: int, *, project: str = "proj_1", at: int = 1_700_000_000_000_000) -> Entry:
    return Entry(
        id=f"audit_{number}",
        project=project,
        at=at,
        actor="key_0",
        act="key.created",
        target="key_1",
        request_id="req_1",
        details={"name": "till"},
    )


async def test_a_key_is_found_by_its_digest_with_its_project(store: SqlStore) -> None:
    assert await store.tenants.keep([SHOP, KEY], [entry(1)])

    unknown = digest("sk-hansard-2")
    assert await store.tenants.holders([unknown, KEY.digest, digest("sk-3")]) == {KEY.digest: (KEY, SHOP)}
    assert await store.tenants.holders([unknown]) == {}
    assert await store.tenants.keys() == [KEY]
    assert await store.tenants.key(KEY.id) == KEY
    assert await store.tenants.key("key_unknown") is None


async def test_the_default_project_is_always_there(store: SqlStore) -> None:
    [project] = await store.tenants.projects()
    assert (project.id, project.name, project.policy) == (DEFAULT_PROJECT, DEFAULT_PROJECT, Policy())


async def test_a_second_start_leaves_what_was_said_of_the_default_project(start: Start) -> None:
    store = await start()
    changed = await store.tenants.change_project(
        DEFAULT_PROJECT, lambda project: msgspec.structs.replace(project, name="house", policy=POLICY), entry(1)
    )
    await store.stop()

    again = await start()

    assert changed is not None
    assert (changed.now.name, changed.now.policy) == ("house", POLICY)
    assert await again.tenants.projects() == [changed.now]


async def test_every_change_raises_the_revision_and_a_note_does_not(store: SqlStore) -> None:
    assert await store.tenants.state() == State(0, has_keys=False)
    await store.tenants.keep([SHOP], [entry(1)])
    assert await store.tenants.state() == State(1, has_keys=False)
    await store.tenants.keep([KEY], [entry(2)])
    assert await store.tenants.state() == State(2, has_keys=True)
    await store.tenants.note(entry(3))
    assert await store.tenants.state() == State(2, has_keys=True)


async def test_who_changes_a_key_sees_what_it_is(store: SqlStore) -> None:
    await store.tenants.keep([SHOP, KEY], [])
    seen: list[Key] = []

    def revoked(key: Key) -> list[Key]:
        seen.append(key)
        return [msgspec.structs.replace(key, revoked=1_700_000_009)] if key.revoked is None else []

    first = await store.tenants.change_key(KEY.id, revoked, entry(1))
    again = await store.tenants.change_key(KEY.id, revoked, entry(2))

    now = msgspec.structs.replace(KEY, revoked=1_700_000_009)
    assert (first, again, seen) == (Changed(now), Changed(now, is_done=False), [KEY, now])
    assert await store.tenants.keys() == [now]
    assert await store.tenants.audit(project=None, after=None, limit=9) == [entry(1)]
    assert await store.tenants.change_key("key_unknown", revoked, entry(3)) is None


async def test_two_projects_never_have_one_name_and_then_nothing_is_kept(store: SqlStore) -> None:
    await store.tenants.keep([SHOP], [entry(1)])
    twin = msgspec.structs.replace(SHOP, id="proj_2")

    assert not await store.tenants.keep([twin], [entry(2)])

    assert [project.id for project in await store.tenants.projects()] == [DEFAULT_PROJECT, "proj_1"]
    assert await store.tenants.audit(project=None, after=None, limit=9) == [entry(1)]
    assert (await store.tenants.state()).revision == 1


async def test_nor_does_a_project_get_a_name_that_another_has(store: SqlStore) -> None:
    other = msgspec.structs.replace(SHOP, id="proj_2", name="other")
    await store.tenants.keep([SHOP, other], [])

    changed = await store.tenants.change_project(
        other.id, lambda project: msgspec.structs.replace(project, name="shop", archived=3), entry(1)
    )

    assert changed == Changed(other, is_done=False)
    assert [project.name for project in await store.tenants.projects()] == [DEFAULT_PROJECT, "other", "shop"]
    assert await store.tenants.audit(project=None, after=None, limit=9) == []


async def test_the_log_is_paged_in_order_of_time(store: SqlStore) -> None:
    entries = [entry(3, at=5), entry(1, at=7), entry(2, at=7, project="proj_2")]
    for each in reversed(entries):
        await store.tenants.note(each)

    assert await store.tenants.audit(project=None, after=None, limit=2) == entries[:2]
    assert await store.tenants.audit(project=None, after=(7, "audit_1"), limit=2) == entries[2:]
    assert await store.tenants.audit(project="proj_1", after=(5, "audit_3"), limit=9) == entries[1:2]


async def test_what_is_done_twice_is_done_once(store: SqlStore) -> None:
    """A commit whose answer was lost is tried again; what came between is not undone by it."""
    archived = msgspec.structs.replace(SHOP, archived=1)
    renamed = msgspec.structs.replace(archived, name="store")
    ended = msgspec.structs.replace(KEY, expires=5)
    new = msgspec.structs.replace(KEY, id="key_2", digest=b"2")

    for _ in range(2):
        assert await store.tenants.keep([SHOP, KEY], [entry(1)])
        await store.tenants.note(entry(2))
    await store.tenants.change_project(SHOP.id, lambda _: archived, entry(3))
    await store.tenants.change_project(SHOP.id, lambda _: renamed, entry(4))
    again = await store.tenants.change_project(SHOP.id, lambda _: archived, entry(3))
    replaced = [await store.tenants.change_key(KEY.id, lambda _: [ended, new], entry(5)) for _ in range(2)]

    assert await store.tenants.keep([SHOP, KEY], [entry(1)])
    assert again == Changed(renamed)
    assert replaced == [Changed(ended)] * 2
    assert await store.tenants.keys() == [ended, new]
    assert await store.tenants.audit(project=None, after=None, limit=9) == [entry(number) for number in range(1, 6)]


async def test_what_is_found_done_is_acknowledged_by_a_commit_that_writes(store: SqlStore) -> None:
    """PostgreSQL shows what its standby may not have yet, and waits for it only with what has written something."""
    made, read = entry(1), entry(2)
    await store.tenants.keep([SHOP], [made])
    await store.tenants.note(read)
    before = await store.tenants.state()

    await store.tenants.keep([SHOP], [made])
    await store.tenants.note(read)

    assert (await store.tenants.state()).revision == before.revision + 2


async def test_a_deletion_is_in_the_log_where_it_took_place(store: SqlStore) -> None:
    await store.insert(record("a", project=DEFAULT_PROJECT))

    done = [await store.delete(DEFAULT_PROJECT, "chatcmpl-a", entry(number)) for number in (1, 2)]

    assert done == [True, False]
    assert await store.tenants.audit(project=None, after=None, limit=9) == [entry(1)]


ONLY_ONE_HAS = {"TRUNCATE": "postgresql", "REPLACE": "sqlite"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "REPLACE INTO audit SELECT project, at, id, 'nobody', act, target, request_id, details FROM audit",
    ],
)
async def test_the_database_itself_refuses_to_change_the_log(
    store: SqlStore, database: Database, statement: str
) -> None:
    await store.tenants.note(entry(1))
    engine = database.engine_for_writing()
    if ONLY_ONE_HAS.get(statement.split()[0], engine.dialect.name) != engine.dialect.name:
        pytest.skip("not a statement of this database")
    with pytest.raises(exc.DBAPIError, match="never changed"), engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()

    assert await store.tenants.audit(project=None, after=None, limit=9) == [entry(1)]


async def test_what_the_fourth_version_wrote_belongs_to_the_default_project(database: Database) -> None:
    written_by("0004", database)
    assert "keys" not in " ".join(schema(database))

    await once(database)

    store = SqlStore(database)
    await store.start()
    assert await store.get("default", "chatcmpl-a") is not None
    assert [project.id for project in await store.tenants.projects()] == ["default"]
    await store.tenants.note(entry(1))
    await store.stop()


async def test_that_there_was_a_key_is_known_after_it_has_gone(store: SqlStore, database: Database) -> None:
    """Or the door would stand open again when a project is deleted with the last keys there are."""
    await store.tenants.keep([SHOP, KEY], [])
    engine = database.engine_for_writing()
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM keys")
    engine.dispose()

    assert await store.tenants.keys() == []
    assert (await store.tenants.state()).has_keys


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE keys",
        "DROP TABLE revisions",
        "ALTER TABLE keys DROP COLUMN expires",
        "ALTER TABLE audit RENAME COLUMN details TO detail",
    ],
)
async def test_tables_that_are_not_what_they_should_be_are_said_in_a_line(
    start: Start, database: Database, damage: str
) -> None:
    await (await start()).stop()
    engine = database.engine_for_writing()
    with engine.begin() as connection:
        connection.execute(text(damage))
    engine.dispose()

    with pytest.raises(StartupError) as caught:
        await start()

    [problem] = caught.value.problems
    assert problem.startswith(f"{database.place}: the database failed (")
    assert damage.split()[-1] in problem or damage.split()[2] in problem
    assert "\n" not in problem

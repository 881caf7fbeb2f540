"""sql.py as a whole: whatever is done to it, it answers like the store in plain dicts."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule, run_state_machine_as_test

from hansard.core.paging import ListQuery
from hansard.errors import HansardError
from hansard.store.base import Record
from hansard.store.check import Findings, check
from hansard.store.database import Database
from hansard.store.postgresql import Postgresql
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite
from hansard.store.windows import Sizes
from tests.durability.counts import EXAMPLES
from tests.memory_store import MemoryStore
from tests.postgres import PostgresServer
from tests.store.records import outcome
from tests.store.sound import reply, sound_record
from tests.store.tended import tended

PROJECTS = st.sampled_from(["p", "q"])
MODELS = st.sampled_from(["tiny", "tiny-2026", "gold"])
KEYS = st.sampled_from(["tier", "model", "k[x]", ""])
VALUES = st.sampled_from(["", "gold", "Gold", "ü"])
METADATA = st.dictionaries(KEYS, VALUES, max_size=3)
QUERIES = st.builds(
    ListQuery,
    model=st.none() | MODELS,
    metadata=st.lists(st.tuples(KEYS, VALUES), max_size=2).map(tuple),
    order=st.sampled_from(["asc", "desc"]),
)

# Few texts, so that they come again in other requests and projects; short ones, and one of several pages.
TEXTS = st.sampled_from(["", "Well?", "Order, order! " * 50, "".join(map(str, range(9000))), "\x00ü🏔"])
ROLES = st.sampled_from(["system", "user", "assistant"])
MESSAGES = st.lists(st.fixed_dictionaries({"role": ROLES, "content": TEXTS}), min_size=1, max_size=4)
REQUESTS = st.builds(lambda messages: json.dumps({"model": "tiny", "messages": messages}).encode(), MESSAGES)

IDEMPOTENCY_KEYS = st.sampled_from(["k", "l", "m"])
# So late that no start, which clears away what has expired, sees any of them expire; time only goes on.
BEGIN = 2**40
LATER = st.integers(0, 2)


@st.composite
def records(draw: st.DrawFn) -> Record:
    """A record without a name, which is given it later."""
    changes = {"created": draw(st.integers(1, 3)), "model": draw(MODELS), "requested_model": draw(MODELS)}
    return sound_record("", project=draw(PROJECTS), metadata=draw(METADATA), request=draw(REQUESTS), **changes)


class SqlStoreLikeMemoryStore(RuleBasedStateMachine):
    """Every rule does the same to both stores, and compares what they say."""

    ids = Bundle("ids")

    empty: ClassVar[Callable[[], Database]]

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.database = type(self).empty()
        self.real = self.opened()
        self.model = MemoryStore()
        self.made: dict[str, Record] = {}
        self.now = BEGIN
        self.runner.run(self.real.start())

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            try:
                for project in ("p", "q"):
                    self.page(project, ListQuery(), after=None, limit=10_000)
                self.check()
            finally:
                self.runner.run(self.real.stop())
                self.runner.close()

    def both(self, method: str, *arguments: object, **named: object) -> object:
        said = [self.said(store, method, *arguments, **named) for store in (self.real, self.model)]
        assert said[0] == said[1]
        return said[0]

    def said(self, store: object, method: str, *arguments: object, **named: object) -> object:
        """What it returns, or the kind of error that it raises."""
        try:
            return self.runner.run(getattr(store, method)(*arguments, **named))
        except HansardError as error:
            return type(error)

    def named(self, some: Record) -> Record:
        name = f"chatcmpl-{len(self.made)}"
        changed = msgspec.structs.replace(some, id=name)
        self.made[name] = msgspec.structs.replace(changed, reply=reply(changed))
        return self.made[name]

    @rule(target=ids, some=st.lists(records(), min_size=1, max_size=5))
    def insert(self, some: list[Record]) -> object:
        new = [self.named(each) for each in some]
        for each in new:
            self.both("insert", each)
        return multiple(*(each.id for each in new))

    @rule(name=ids)
    def insert_again(self, name: str) -> None:
        """A conflict, unless it was deleted, or never kept."""
        self.both("insert", self.made[name])

    @rule(project=PROJECTS, name=ids)
    def get(self, project: str, name: str) -> None:
        self.both("get", project, name)

    @rule(project=PROJECTS, name=ids, metadata=METADATA)
    def set_metadata(self, project: str, name: str, metadata: dict[str, str]) -> None:
        self.both("set_metadata", project, name, metadata)

    @rule(name=ids, other=ids, tended=st.booleans())
    def set_metadata_like_another(self, name: str, other: str, tended: bool) -> None:
        """So that it comes to labels that others of its window may have, with bitmaps if that is done."""
        if tended:
            self.tend()
        project, metadata = self.made[name].project, self.made[other].metadata
        self.both("set_metadata", project, name, metadata)
        for order in ("asc", "desc"):
            self.page(project, ListQuery(metadata=tuple(metadata.items()), order=order), after=None, limit=4)

    @rule(project=PROJECTS, name=ids)
    def delete(self, project: str, name: str) -> None:
        self.both("delete", project, name)

    @rule(target=ids, some=records(), key=IDEMPOTENCY_KEYS, later=LATER, for_s=st.integers(1, 3), stored=st.booleans())
    def remember(self, some: Record, key: str, later: int, for_s: int, stored: bool) -> object:
        new = self.named(some)
        self.now += later
        times = {"created": self.now, "expires": self.now + for_s}
        told = outcome(key, project=new.project, fingerprint=new.id.encode(), **times)
        told = msgspec.structs.replace(told, reply=new.reply)
        self.both("remember", told, new if stored else None)
        return new.id

    @rule(project=PROJECTS, key=IDEMPOTENCY_KEYS, later=LATER)
    def recall(self, project: str, key: str, later: int) -> None:
        self.now += later
        self.both("recall", project, key, now=self.now)

    @rule(project=PROJECTS, query=QUERIES, after=st.none() | ids, limit=st.integers(1, 4))
    def page(self, project: str, query: ListQuery, after: str | None, limit: int) -> None:
        pages = []
        for store in (self.real, self.model):
            cursor = None if after is None else self.runner.run(store.locate(project, after))
            pages.append(list(self.runner.run(store.page(project, query, after=cursor, limit=limit, whole=True))))
        assert pages[0] == pages[1]

    @rule()
    def restart(self) -> None:
        self.runner.run(self.real.stop())
        self.real = self.opened()
        self.runner.run(self.real.start())

    @rule()
    def tend(self) -> None:
        """Close windows and make their bitmaps, as a janitor does."""
        for _ in range(2):  # what is closed by the first round is due in the second one
            self.runner.run(tended(self.real))

    def opened(self) -> SqlStore:
        """With windows so short that a few completions close them."""
        return SqlStore(self.database, readers=1, windows=Sizes(numbers=4, listed=1, few=0, worth_it_from=0))

    @rule()
    def check(self) -> None:
        """Nothing lies in the tables that should not, and nothing is missing there."""
        engine, findings = self.database.engine_for_reading(connections=1), Findings()
        with engine.begin() as connection:
            check(connection, findings, lambda *_: None)
        engine.dispose()
        assert findings.all() == ()


@pytest.mark.timeout(60 + 12 * EXAMPLES)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_it_answers_like_the_store_in_plain_dicts(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    def empty() -> Database:
        if kind == "sqlite":
            return Sqlite(Path(tempfile.mkdtemp(dir=tmp_path)) / "hansard.db")
        server: PostgresServer = request.getfixturevalue("postgres")
        lent.close()  # the machine before this one has stopped
        return Postgresql(lent.enter_context(server.lent_database()))

    machine = type("Machine", (SqlStoreLikeMemoryStore,), {"empty": staticmethod(empty)})
    health = list(HealthCheck)
    some = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None, suppress_health_check=health)
    with ExitStack() as lent:
        run_state_machine_as_test(machine, settings=some)

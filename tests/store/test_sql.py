"""sql.py as a whole: whatever is done to it, it answers like the store in plain dicts."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule, run_state_machine_as_test

from hansard.core.paging import ListQuery
from hansard.store.database import Database
from hansard.store.postgresql import Postgresql
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite
from tests.memory_store import MemoryStore
from tests.postgres import PostgresServer
from tests.store.records import record

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


class SqlStoreLikeMemoryStore(RuleBasedStateMachine):
    ids = Bundle("ids")

    empty: ClassVar[Callable[[], Database]]

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.real = SqlStore(type(self).empty(), readers=1)
        self.model = MemoryStore()
        self.seen = 0
        self.runner.run(self.real.start())

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.real.stop())
            self.runner.close()

    def both(self, method: str, *arguments: object) -> None:
        assert self.runner.run(getattr(self.real, method)(*arguments)) == self.runner.run(
            getattr(self.model, method)(*arguments)
        )

    @rule(
        target=ids,
        many=st.lists(st.tuples(PROJECTS, st.integers(1, 3), MODELS, MODELS, METADATA), min_size=1, max_size=5),
    )
    def insert(self, many: list[tuple[str, int, str, str, dict[str, str]]]) -> object:
        names = []
        for project, created, model, requested, metadata in many:
            name = str(self.seen)
            self.seen += 1
            changes = {"project": project, "created": created, "model": model, "requested_model": requested}
            self.both("insert", record(name, metadata=metadata, **changes))
            names.append(f"chatcmpl-{name}")
        return multiple(*names)

    @rule(project=PROJECTS, name=ids)
    def get(self, project: str, name: str) -> None:
        self.both("get", project, name)

    @rule(project=PROJECTS, name=ids, metadata=METADATA)
    def set_metadata(self, project: str, name: str, metadata: dict[str, str]) -> None:
        self.both("set_metadata", project, name, metadata)

    @rule(project=PROJECTS, name=ids)
    def delete(self, project: str, name: str) -> None:
        self.both("delete", project, name)

    @rule(project=PROJECTS, query=QUERIES, after=st.none() | ids, limit=st.integers(1, 4))
    def page(self, project: str, query: ListQuery, after: str | None, limit: int) -> None:
        pages = []
        for store in (self.real, self.model):
            cursor = None if after is None else self.runner.run(store.locate(project, after))
            pages.append(list(self.runner.run(store.page(project, query, after=cursor, limit=limit))))
        assert pages[0] == pages[1]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_it_answers_like_the_store_in_plain_dicts(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    def empty() -> Database:
        if kind == "sqlite":
            return Sqlite(Path(tempfile.mkdtemp(dir=tmp_path)) / "hansard.db")
        server: PostgresServer = request.getfixturevalue("postgres")
        return Postgresql(server.new_database())

    machine = type("Machine", (SqlStoreLikeMemoryStore,), {"empty": staticmethod(empty)})
    long = settings(max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=long)

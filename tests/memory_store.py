"""A store that forgets when it goes: the Store seam in plain dicts, for the tests of the rooms above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

import msgspec

from hansard.core.paging import ListQuery
from hansard.errors import Conflict, StoreUnavailable
from hansard.store.base import Cursor, Outcome, Record


class MemoryStore:
    """Keeps records in order of insertion. ``down`` makes it fail, as a database does that is away."""

    def __init__(self) -> None:
        self.records: dict[str, Record | None] = {}
        self.outcomes: dict[tuple[str, str], tuple[Outcome, str | None]] = {}
        self._cursors: dict[str, tuple[str, Cursor]] = {}
        self._numbers = count()
        self.down = False

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    @property
    def healthy(self) -> bool:
        return not self.down

    async def ready(self) -> bool:
        return not self.down

    async def insert(self, record: Record) -> None:
        self._check()
        if self.records.get(record.id) is not None:
            raise Conflict("This completion is already stored.")
        self._cursors[record.id] = (record.project, Cursor(record.created, next(self._numbers)))
        self.records[record.id] = record

    async def get(self, project: str, completion_id: str) -> Record | None:
        self._check()
        record = self.records.get(completion_id)
        return record if record is not None and record.project == project else None

    async def locate(self, project: str, completion_id: str) -> Cursor | None:
        owner, cursor = self._cursors.get(completion_id, (None, None))
        return cursor if owner == project else None

    async def page(
        self, project: str, query: ListQuery, *, after: Cursor | None, limit: int, whole: bool = False
    ) -> Sequence[Record]:
        self._check()
        records = [
            record for record in self.records.values() if record is not None and _matches(record, project, query)
        ]
        records.sort(key=self._place, reverse=query.order == "desc")
        if after is not None:
            place = (after.created, after.number)
            records = [
                r for r in records if (self._place(r) < place if query.order == "desc" else self._place(r) > place)
            ]
        return records[:limit]

    async def set_metadata(self, project: str, completion_id: str, metadata: Mapping[str, str]) -> Record | None:
        record = await self.get(project, completion_id)
        if record is not None:
            record = self.records[completion_id] = msgspec.structs.replace(record, metadata=metadata)
        return record

    async def delete(self, project: str, completion_id: str) -> bool:
        if await self.get(project, completion_id) is None:
            return False
        self.records[completion_id] = None
        self.outcomes = {place: kept for place, kept in self.outcomes.items() if kept[1] != completion_id}
        return True

    async def recall(self, project: str, key: str, *, now: int) -> Outcome | None:
        self._check()
        outcome, _ = self.outcomes.get((project, key), (None, None))
        return outcome if outcome is not None and outcome.expires > now else None

    async def remember(self, outcome: Outcome, record: Record | None = None) -> Outcome:
        first = await self.recall(outcome.project, outcome.key, now=outcome.created)
        if first is not None:
            return first
        if record is not None:
            await self.insert(record)
        self.outcomes[outcome.project, outcome.key] = outcome, None if record is None else record.id
        return outcome

    def _place(self, record: Record) -> tuple[int, int]:
        cursor = self._cursors[record.id][1]
        return cursor.created, cursor.number

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("The store is down.")


def _matches(record: Record, project: str, query: ListQuery) -> bool:
    return (
        record.project == project
        and query.model in (None, record.model, record.requested_model)
        and all(record.metadata.get(key) == value for key, value in query.metadata)
    )

"""A store that forgets when it goes: the Store seam in plain dicts, for the tests of the rooms above it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate, count

import msgspec

from hansard.core.paging import ListQuery, SearchQuery
from hansard.core.pieces import cut, without_messages
from hansard.core.words import Term, snippet, texts, words_of
from hansard.errors import Conflict, StoreUnavailable
from hansard.store.base import PAGE_BYTES, Cursor, Found, Hit, Left, Outcome, Record
from hansard.store.tenants import Entry


class MemoryStore:
    """Keeps records in order of insertion. ``down`` makes it fail, as a database does that is away."""

    def __init__(self) -> None:
        self.records: dict[str, Record | None] = {}
        self.outcomes: dict[tuple[str, str], tuple[Outcome, str | None]] = {}
        self._cursors: dict[str, tuple[str, Cursor]] = {}
        self._numbers = count()
        self.closed: set[str] = set()
        self.down = False

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    @property
    def healthy(self) -> bool:
        return not self.down

    @property
    def waiting(self) -> int:
        return 0

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
        records = records[:limit] if whole else [_bare(record) for record in records[:limit]]
        sizes = list(accumulate(len(record.request) + len(record.reply) for record in records))
        return records[: 1 + bisect_left(sizes, PAGE_BYTES)]

    async def search(self, project: str, query: SearchQuery, *, after: Cursor | None) -> Found:
        self._check()
        before = len(self._cursors) if after is None else after.number
        found = [
            record
            for record in reversed(self.records.values())
            if record is not None
            and _matches(record, project, query)
            and self._cursors[record.id][1].number < before
            and query.finish_reason in (None, record.finish_reason)
            and all(_has(words_of(record.request, record.reply), term) for term in query.terms)
        ]
        shown, has_more = found[: query.limit], len(found) > query.limit
        next_after = shown[-1].id if has_more else None
        return Found(
            hits=[_hit(record, query) for record in shown], has_more=has_more, is_complete=True, next_after=next_after
        )

    async def facets(self, project: str, key: str | None, *, limit: int) -> Sequence[tuple[str, int]]:
        self._check()
        records = [record for record in self.records.values() if record is not None and record.project == project]
        named = [pair for record in records for pair in _named(record)]
        counts = Counter(name for name, _ in named) if key is None else Counter(v for name, v in named if name == key)
        ordered = sorted(counts.items(), key=(lambda pair: pair[0]) if key is None else _most_frequent_first)
        return ordered[:limit]

    async def set_metadata(self, project: str, completion_id: str, metadata: Mapping[str, str]) -> Record | None:
        record = await self.get(project, completion_id)
        if record is None:
            return None
        self.records[completion_id] = changed = msgspec.structs.replace(record, metadata=metadata)
        return _bare(changed)

    async def delete(self, project: str, completion_id: str, entry: Entry | None = None) -> bool:
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

    async def close_project(self, project: str, entry: Entry) -> bool:
        self._check()
        self.closed.add(project)
        return True

    async def closed_projects(self) -> Sequence[str]:
        return sorted(self.closed)

    async def left_of(self, project: str) -> Left | None:
        if project not in self.closed:
            return None
        count = sum(record is not None and record.project == project for record in self.records.values())
        return Left(completions=count, anything=count > 0)

    async def clear_some(self, project: str) -> int:
        gone = [record.id for record in self.records.values() if record is not None and record.project == project]
        for completion_id in gone:
            del self.records[completion_id]
        return len(gone)

    async def scrub(self) -> None:
        return None

    def _place(self, record: Record) -> tuple[int, int]:
        cursor = self._cursors[record.id][1]
        return cursor.created, cursor.number

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("The store is down.")


def _named(record: Record) -> set[tuple[str, str]]:
    """What it is counted under."""
    models = {("model", name) for name in (record.model, record.requested_model)}
    reasons = set() if record.finish_reason is None else {("finish_reason", record.finish_reason)}
    return models | reasons | {(f"metadata[{key}]", value) for key, value in record.metadata.items()}


def _most_frequent_first(counted: tuple[str, int]) -> tuple[int, str]:
    return -counted[1], counted[0]


def _has(words: Sequence[str], term: Term) -> bool:
    """Whether the words follow each other there, the last perhaps longer."""
    *firsts, last = term.words
    return any(
        list(words[at : at + len(firsts)]) == firsts
        and any(word.startswith(last) if term.is_prefix else word == last for word in words[at + len(firsts) :][:1])
        for at in range(len(words))
    )


def _hit(record: Record, query: SearchQuery) -> Hit:
    fields = {name: getattr(record, name) for name in Hit.__struct_fields__ if name != "snippet"}
    return Hit(**fields, snippet=snippet(texts(record.request, record.reply), query.terms))


def _matches(record: Record, project: str, query: ListQuery | SearchQuery) -> bool:
    return (
        record.project == project
        and query.model in (None, record.model, record.requested_model)
        and all(record.metadata.get(key) == value for key, value in query.metadata)
    )


def _bare(record: Record) -> Record:
    """As a page has it: without its messages."""
    return msgspec.structs.replace(record, request=without_messages(cut(record.request)))

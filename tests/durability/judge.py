"""What is found after a round, held against what the clients were told: lost, doubled, half."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import msgspec

from hansard.core.paging import ListQuery
from hansard.store import check
from hansard.store.base import Record
from hansard.store.database import Database
from hansard.store.sql import SqlStore
from tests.acceptance.server import Server
from tests.acceptance.test_crash import everything
from tests.durability.load import Load, Request, Seen, ask

# Asking for messages is a request each, so not for all.
MESSAGES_OF: Final = 10

# Whose completions are those of a server without keys.
PROJECT: Final = "default"

Stored = dict[str, Any]


class Verdict:
    """Counts over all rounds of a kind, and the first things that were wrong."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.rounds = self.acknowledged = self.refused = self.unanswered = self.found = self.again = 0
        self.lost: list[str] = []
        self.doubled: list[str] = []
        self.half: list[str] = []
        self.refused_and_found: list[tuple[str, str]] = []

    def __str__(self) -> str:
        return (
            f"{self.kind}: rounds={self.rounds} acknowledged={self.acknowledged} refused={self.refused} "
            f"unanswered={self.unanswered} asked_again={self.again} found={self.found} lost={len(self.lost)} "
            f"doubled={len(self.doubled)} half={len(self.half)} refused_and_found={len(self.refused_and_found)}"
        )

    def assert_good(self) -> None:
        """Raise AssertionError, with the first of them, if anything was lost, doubled or half."""
        wrong = {"lost": self.lost, "doubled": self.doubled, "half": self.half}
        assert not any(wrong.values()), "\n".join([str(self), *(f"{name}: {some[:9]}" for name, some in wrong.items())])


async def judge_records(verdict: Verdict, load: Load, database: Database) -> None:
    """Open the database as a server would, and look at all records of the round."""
    store = SqlStore(database)
    await store.start()
    try:
        records = [record async for record in _records(store, load.name)]
    finally:
        await store.stop()
    numbers = [record.metadata.get("number", "") for record in records]
    by_number = dict(zip(numbers, records, strict=True))
    verdict.rounds += 1
    verdict.acknowledged += len(load.acknowledged)
    verdict.refused += len(load.refused)
    verdict.unanswered += len(load.asked) - len(load.acknowledged) - len(load.refused)
    verdict.found += len(by_number)
    verdict.doubled += [f"{load.name} {number}" for number in by_number if numbers.count(number) > 1]
    verdict.lost += [f"{load.name} {number}" for number in load.acknowledged if number not in by_number]
    verdict.half += [f"{load.name} {number}" for number in by_number if number not in load.asked]
    verdict.refused_and_found += [(load.name, number) for number in load.refused if number in by_number]
    for number, record in by_number.items():
        if not _is_whole(record, load.asked[number], load.acknowledged.get(number)):
            verdict.half.append(f"{load.name} {number}: {record}")


def judge_tables(verdict: Verdict, database: Database) -> None:
    """Every row of every table, as ``hansard db check`` does; on PostgreSQL too."""
    engine = database.engine_for_reading(connections=1)
    findings = check.Findings()
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            (said,) = connection.exec_driver_sql("PRAGMA integrity_check").scalars()
            assert said == "ok", said
        check.check(connection, findings, lambda *_: None)
    engine.dispose()
    verdict.half += [str(finding) for finding in findings.all()]


def judge_replies(verdict: Verdict, load: Load, server: Server, chance: random.Random) -> None:
    """Ask the server: the list, some completions and their messages; and again what had a key and no answer."""
    listed = {stored["metadata"]["number"]: stored for stored in everything(server, round=load.name)}
    verdict.lost += [f"{load.name} {number}: not listed" for number in load.acknowledged if number not in listed]
    for number, stored in listed.items():
        seen = load.acknowledged.get(number)
        if not all(_parts(stored, load.asked[number], seen)):
            verdict.half.append(f"{load.name} {number}: {stored}")
    for number in chance.sample(sorted(listed), min(MESSAGES_OF, len(listed))):
        path = f"/chat/completions/{listed[number]['id']}"
        assert server.get(path).json() == listed[number]
        (message,) = server.get(f"{path}/messages").json()["data"]
        if message["content"] != load.asked[number].prompt:
            verdict.half.append(f"{load.name} {number}: {message}")
    for request in _worth_asking_again(load):
        verdict.again += 1
        seen = ask(f"{server.base_url}/chat/completions", request)
        assert seen is not None
        again = everything(server, **request.metadata)
        if [stored["id"] for stored in again] != [seen.id]:
            verdict.doubled.append(f"{load.name} {request.number}: asked again")
        known = load.acknowledged.get(request.number)
        if known is not None and known.id != seen.id:
            verdict.lost.append(f"{load.name} {request.number}: its key")


async def _records(store: SqlStore, name: str) -> AsyncIterator[Record]:
    cursor, query = None, ListQuery(metadata=(("round", name),))
    while page := await store.page(PROJECT, query, after=cursor, limit=100, whole=True):
        for each in page:
            yield each
        cursor = await store.locate(PROJECT, page[-1].id)


def _worth_asking_again(load: Load) -> Iterator[Request]:
    """With a key of their own: those without an answer, those refused (some), and some that were acknowledged."""
    keyed = [request for request in load.asked.values() if request.headers]
    unanswered = [r for r in keyed if r.number not in load.acknowledged and r.number not in load.refused]
    yield from unanswered
    yield from [r for r in keyed if r.number in load.refused][-3:]
    yield from [r for r in keyed if r.number in load.acknowledged][-3:]


def _is_whole(record: Record, request: Request, seen: Seen | None) -> bool:
    """The bytes of the request, and of a plain reply; of a stream what its chunks add up to."""
    reply: Stored = msgspec.json.decode(record.reply)
    same_bytes = record.request == request.body and (seen is None or seen.body in (None, record.reply))
    return (same_bytes and record.metadata == request.metadata and record.id == reply["id"]) and all(
        _parts({**reply, "metadata": record.metadata}, request, seen)
    )


def _parts(stored: Stored, request: Request, seen: Seen | None) -> Iterator[bool]:
    """What must hold of a completion that somebody asked for, and what of one that somebody has in full."""
    document = json.loads(request.body)
    choices: list[Stored] = stored["choices"]
    yield stored["object"] == "chat.completion"
    yield stored["metadata"] == request.metadata
    yield [choice["index"] for choice in choices] == list(range(document["n"]))
    yield all(choice["finish_reason"] in ("stop", "length") for choice in choices)
    words = request.prompt.split()[: document["max_tokens"]]
    yield all(choice["message"]["content"].split() == words for choice in choices)
    if seen is not None:
        yield (stored["id"], stored["created"], stored["model"]) == (seen.id, seen.created, seen.model)
        yield {choice["index"]: choice["message"]["content"] for choice in choices} == seen.texts
        yield {choice["index"]: choice["finish_reason"] for choice in choices} == seen.ends
    if seen is not None and seen.body is not None:
        whole = json.loads(seen.body)
        yield all(stored[key] == whole[key] for key in ("usage", "system_fingerprint", "service_tier"))

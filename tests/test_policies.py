"""Policies of keys and projects, all the way: what is kept, for how long, and what is blacked out of it."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from hansard.completions import Completions
from hansard.core.idempotency import idempotency_key
from hansard.core.lifetimes import Lifetimes, asked_for
from hansard.core.policies import Policy, redacted, retention, storage
from hansard.core.validate import parse_create, parse_update
from hansard.engines.router import Router
from hansard.errors import InvalidRequest, StoreUnavailable
from hansard.observe import ignore
from hansard.recorder import Recorder
from hansard.runs import Asked, Progress
from hansard.store.base import Record
from hansard.tenancy import Principal
from tests.engines.scripted import ScriptedEngine, finish, opener, said, usage
from tests.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

ADA = "ada@example.com"
REDACTED = "[redacted:email]"


class House:
    """The use cases over an engine that answers with an address, and a store in memory."""

    def __init__(self, *, server: str = "asked", own: dict[str, re.Pattern[str]] | None = None) -> None:
        self.store = MemoryStore()
        self.engine = ScriptedEngine(opener(), said(f"Write to {ADA}"), finish(), usage(3, 2))
        self.recorder = Recorder(store=self.store, observer=ignore, policy=server, patterns=own)  # type: ignore[arg-type]
        self.completions = Completions(
            router=Router(engines=[self.engine], aliases={}),
            store=self.store,
            recorder=self.recorder,
            lifetimes=Lifetimes(whole_s=1000),
        )

    async def create(
        self,
        *,
        key: Policy | None = None,
        project: Policy | None = None,
        idempotency: str | None = None,
        streamed: bool = False,
        ttl: str | None = None,
        **fields: object,
    ) -> str:
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": f"I am {ADA}"}], **fields}).encode()
        received = parse_create(body)
        asked = Asked(
            principal=Principal("mine", "k", policy=key or Policy(), project_policy=project or Policy()),
            received=received,
            request_id="req_1",
            idempotency_key=idempotency and idempotency_key(idempotency, by="k", body=body, metadata=None),  # type: ignore[arg-type]
            lifetimes=asked_for(header=ttl, body_header=None, metadata={}),
        )
        if not streamed:
            return (await self.completions.create(asked, Progress())).decode()
        stream = self.completions.stream(asked, Progress())
        return str([chunk async for together in stream for chunk in together])

    @property
    def kept(self) -> list[Record]:
        return [record for record in self.store.records.values() if record is not None]


@pytest.mark.parametrize(
    ("key", "project", "server", "counts"),
    [
        (None, None, "asked", "asked"),
        (None, None, "never", "never"),
        (None, "always", "never", "always"),
        ("never", "always", "asked", "never"),
        ("asked", "always", "never", "asked"),
    ],
)
def test_the_first_word_on_storing_counts(key: str | None, project: str | None, server: str, counts: str) -> None:
    own, above = Policy(store=key), Policy(store=project)  # type: ignore[arg-type]

    assert storage(own, above, of_server=server) == counts  # type: ignore[arg-type]


def test_a_key_adds_to_what_its_project_redacts_and_takes_nothing_back() -> None:
    assert redacted(Policy(redact=("ip",)), Policy(redact=("email",))) == ("email", "ip")


def test_a_keys_retention_goes_before_its_projects_each_time_by_itself() -> None:
    assert retention(Policy(retention_s=5), Policy(retention_s=9, retention_bodies_s=3)) == Lifetimes(
        whole_s=5, body_s=3
    )
    assert retention(Policy(retention_bodies_s=2), Policy(retention_bodies_s=3)) == Lifetimes(body_s=2)
    assert retention(Policy(), Policy(retention_s=9)) == Lifetimes(whole_s=9)
    assert retention(Policy(), Policy()) == Lifetimes()


async def test_a_key_that_always_stores_stores_what_did_not_ask() -> None:
    house = House()
    await house.create(key=Policy(store="always"))

    assert len(house.kept) == 1


async def test_a_key_that_never_stores_refuses_to_and_says_where() -> None:
    house = House()
    with pytest.raises(InvalidRequest, match="does not support true with this key") as refusal:
        await house.create(key=Policy(store="never"), store=True)

    assert (refusal.value.param, refusal.value.code) == ("store", "unsupported_value")
    await house.create(key=Policy(store="never"))
    assert house.kept == []


async def test_of_a_key_that_never_stores_no_outcome_is_written_down_either() -> None:
    house = House()
    first = await house.create(key=Policy(store="never"), idempotency="same")
    again = await house.create(key=Policy(store="never"), idempotency="same")

    assert again == first
    assert house.store.outcomes == {}


@pytest.mark.parametrize(
    ("key", "project", "ttl", "left_s"),
    [(None, None, None, 1000), (None, 500, None, 500), (50, 500, None, 50), (50, 500, "10", 10)],
)
async def test_how_long_it_is_kept(key: int | None, project: int | None, ttl: str | None, left_s: int) -> None:
    house = House()
    now = int(time.time())
    await house.create(key=Policy(retention_s=key), project=Policy(retention_s=project), store=True, ttl=ttl)

    [record] = house.kept
    assert record.expires is not None
    assert now + left_s <= record.expires <= now + left_s + 5


async def test_how_long_what_was_said_is_kept() -> None:
    house = House()
    now = int(time.time())
    await house.create(project=Policy(retention_bodies_s=60), store=True)

    [record] = house.kept
    assert record.expires is not None
    assert record.body_expires is not None
    assert now + 1000 <= record.expires <= now + 1005  # as the server says
    assert now + 60 <= record.body_expires <= now + 65


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_is_redacted_is_in_the_reply_and_not_in_the_record(streamed: bool) -> None:
    house = House()

    shown = await house.create(
        project=Policy(redact=("email",)), store=True, metadata={"who": ADA}, streamed=streamed, stream=streamed
    )

    assert ADA in shown
    [record] = house.kept
    assert ADA.encode() not in record.request + record.reply
    assert record.request.count(REDACTED.encode()) == 2
    assert REDACTED.encode() in record.reply
    assert record.metadata == {"who": REDACTED}
    assert ADA in str(house.engine.calls[0].request.messages)


async def test_a_new_label_is_redacted_as_well() -> None:
    house = House()
    await house.create(store=True)
    [record] = house.kept
    principal = Principal("mine", "k", policy=Policy(redact=("email",)))

    await house.completions.update(principal, record.id, {"who": ADA})

    [changed] = house.kept
    assert changed.metadata == {"who": REDACTED}


async def test_labels_stay_as_many_and_short_enough_to_be_sent_back() -> None:
    house = House()
    labels = {"ada@example.com": "a@b.cc " * 73, "bob@example.com": "b"}
    await house.create(project=Policy(redact=("email",)), store=True, metadata=labels)
    [record] = house.kept

    sent = parse_update(json.dumps({"metadata": record.metadata}).encode())

    assert sent == {REDACTED: "* " * 73, f"{REDACTED}#2": "b"}


async def test_what_only_a_reply_has_is_redacted_in_a_request() -> None:
    house = House()
    await house.create(project=Policy(redact=("email",)), store=True, id=ADA, object=ADA, system_fingerprint=ADA)

    [record] = house.kept
    assert ADA.encode() not in record.request


@pytest.mark.parametrize("stored", [False, True])
async def test_a_repeat_is_given_what_was_kept(stored: bool) -> None:
    house = House()
    policy = Policy(redact=("email",))
    first = await house.create(key=policy, idempotency=f"order of {ADA}", store=stored)
    again = await house.create(key=policy, idempotency=f"order of {ADA}", store=stored)

    assert ADA in first
    assert again == first.replace(ADA, REDACTED)
    assert ADA not in str(house.store.outcomes)
    assert len(house.engine.calls) == 1


async def test_a_pattern_of_the_operators_own() -> None:
    house = House(own={"names": re.compile("Write")})
    await house.create(project=Policy(redact=("names",)), store=True)

    [record] = house.kept
    assert b"[redacted:names] to ada" in record.reply


class Slow:
    """A pattern that looks for as long as it is told to, and says where."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.began = asyncio.Event()
        self.may_end = threading.Event()
        self.threads: set[str] = set()

    def finditer(self, text: str, start: int, end: int) -> Iterator[re.Match[str]]:
        self.threads.add(threading.current_thread().name)
        self.loop.call_soon_threadsafe(self.began.set)
        assert self.may_end.wait(30)
        return re.compile(re.escape(ADA)).finditer(text, start, end)


@pytest.mark.parametrize("streamed", [False, True])
async def test_who_is_long_redacted_holds_up_nobody_and_is_answered_once_stored(streamed: bool) -> None:
    slow = Slow()
    house = House(own={"slow": slow})  # type: ignore[dict-item]
    policy, much = Policy(redact=("slow",)), "a" * 70_000
    long = asyncio.create_task(house.create(key=policy, store=True, user=much, streamed=streamed, stream=streamed))
    await slow.began.wait()

    await house.create(store=True, user="short")

    assert [json.loads(record.request)["user"] for record in house.kept] == ["short"]
    assert not long.done()
    slow.may_end.set()
    assert ADA in await long
    assert [ADA.encode() in record.request + record.reply for record in house.kept] == [True, False]
    assert slow.threads == {"hansard-redaction_0"}


async def test_who_is_longer_redacted_than_others_does_not_hold_these_up_either() -> None:
    slow = Slow()
    house = House(own={"slow": slow})  # type: ignore[dict-item]
    policy = Policy(redact=("slow",))
    longest = [asyncio.create_task(house.create(key=policy, store=True, user="a" * 1_100_000)) for _ in range(2)]
    await slow.began.wait()

    await house.create(key=Policy(redact=("email",)), store=True, user="b" * 70_000)

    assert [json.loads(record.request)["user"][0] for record in house.kept] == ["b"]
    slow.may_end.set()
    await asyncio.gather(*longest)


async def test_what_is_finished_is_stored_though_its_client_leaves_while_it_is_redacted() -> None:
    slow = Slow()
    house = House(own={"slow": slow})  # type: ignore[dict-item]
    long = asyncio.create_task(house.create(key=Policy(redact=("slow",)), store=True, user="a" * 70_000))
    await slow.began.wait()

    long.cancel()
    with suppress(asyncio.CancelledError):
        await long
    slow.may_end.set()
    await house.recorder.drain()

    [record] = house.kept
    assert ADA.encode() not in record.request


async def test_who_is_soon_redacted_needs_no_thread() -> None:
    quick = Slow()
    quick.may_end.set()
    house = House(own={"quick": quick})  # type: ignore[dict-item]

    await house.create(key=Policy(redact=("quick",)), store=True)

    assert quick.threads == {threading.main_thread().name}


async def test_where_a_pattern_is_not_known_nothing_is_generated() -> None:
    house = House()
    with pytest.raises(StoreUnavailable, match="'names', a pattern that this server does not know"):
        await house.create(project=Policy(redact=("names",)), store=True)

    assert house.engine.calls == []

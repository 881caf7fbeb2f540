"""tallies.py, and limits.py over it: what servers on one database know of each other, and how far that may be off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import msgspec
import pytest
from sqlalchemy import Connection, text

from hansard.core.keys import EVERY
from hansard.core.policies import Limits, Policy
from hansard.core.quota import Allowance, Demand, Standing, month_of
from hansard.errors import RateLimited, StoreUnavailable
from hansard.limits import HEARD_EVERY_S, LET_GO, Limiter
from hansard.runs import Progress
from hansard.store import tallies
from hansard.store.base import Tally
from hansard.store.sql import SqlStore
from hansard.store.tenants import Entry, Key, Project
from hansard.tenancy import Principal
from tests.store.conftest import Start

pytestmark = pytest.mark.anyio

MONTH = "2026-11"


def test_what_is_added_adds_up_for_each_of_them(connection: Connection) -> None:
    assert tallies.add(connection, [Tally("p", "", MONTH, 5.0), Tally("p", "k", MONTH, 3.0)]) == [5.0, 3.0]
    assert tallies.add(connection, [Tally("p", "k", MONTH, 4.0), Tally("p", "", MONTH, 0.0)]) == [7.0, 5.0]
    assert sorted(tallies.of(connection, MONTH)) == [Tally("p", "", MONTH, 5.0), Tally("p", "k", MONTH, 7.0)]
    assert tallies.of(connection, "2026-12") == []


def test_of_a_month_only_what_has_changed_lately_can_be_asked_for(connection: Connection) -> None:
    tallies.add(connection, [Tally("p", "k", MONTH, 5.0)])
    connection.execute(text("UPDATE tallies SET at = at - 100"))
    tallies.add(connection, [Tally("p", "", MONTH, 3.0)])

    assert tallies.of(connection, MONTH, within_s=50.0) == [Tally("p", "", MONTH, 3.0)]
    assert len(tallies.of(connection, MONTH, within_s=150.0)) == 2


def test_more_than_fit_into_a_statement_add_up_as_well(connection: Connection) -> None:
    many = [Tally("p", f"k{number}", MONTH, float(number)) for number in range(150)]
    tallies.add(connection, many)

    assert tallies.add(connection, many) == [2.0 * number for number in range(150)]


def test_a_minute_runs_out_and_is_never_less_than_nothing(connection: Connection) -> None:
    tallies.add(connection, [Tally("p", "k", "tokens", 10.0, 1e9)])

    [used] = tallies.add(connection, [Tally("p", "k", "tokens", 3.0, 1e9)])

    assert used == pytest.approx(3.0)
    assert tallies.add(connection, [Tally("p", "k", "tokens", -50.0, 0.0)]) == [0.0]
    assert tallies.add(connection, [Tally("p", "k", "tokens", 1.0, 0.0)]) == [1.0]


def test_what_is_given_back_of_an_unknown_tally_is_nothing(connection: Connection) -> None:
    assert tallies.add(connection, [Tally("p", "k", "tokens", -50.0, 0.0)]) == [0.0]
    assert tallies.add(connection, [Tally("p", "k", "tokens", 1.0, 0.0)]) == [1.0]


class Server:
    """One of several on a database, whose time stands still unless it is told to pass."""

    def __init__(self, store: SqlStore, limits: Limits, *, let_go: int = LET_GO) -> None:
        self.now = 1000.0
        self.store = store
        self.limiter = Limiter(
            store=store,
            clock=lambda: self.now,
            calendar=lambda: time.time() + self.now - 1000.0,
            let_go=let_go,
        )
        self.principal = Principal("acme", "k", policy=Policy(limits=limits))

    def admits(self, *, tokens: int = 0, spends: int | None = None) -> bool:
        progress = Progress(usage=None if spends is None else {"total_tokens": spends})
        try:
            with self.limiter.reserve(self.principal, lambda: Demand("m", False, 0, tokens), progress):
                return True
        except RateLimited:
            return False

    def admitted(self, most: int, **request: int) -> int:
        return sum(self.admits(**request) for _ in range(most))

    async def exchange(self) -> None:
        await self.limiter.exchange(self.store)


async def test_a_month_outlives_its_server(start: Start) -> None:
    limits = Limits(tokens_per_month=100)
    first = Server(await start(), limits)
    async with first.limiter.at_work():
        assert first.admits(tokens=100, spends=99)

    second = Server(await start(), limits)
    async with second.limiter.at_work():
        assert not second.admits(tokens=2)
        assert second.admits(tokens=1)


async def test_another_months_tokens_are_not_this_ones(start: Start) -> None:
    store = await start()
    await store.tally([Tally("acme", "k", "2001-01", 1000.0)])
    server = Server(store, Limits(tokens_per_month=100))
    async with server.limiter.at_work():
        assert server.admits(tokens=100)


@pytest.fixture
def shared(start: Start, request: pytest.FixtureRequest) -> Callable[[], object]:
    if request.node.callspec.params["database"] == "sqlite":
        pytest.skip("one server has the file to itself")
    return start


async def test_after_an_exchange_each_server_knows_what_the_others_counted(shared: Start) -> None:
    limits = Limits(requests_per_minute=10, tokens_per_minute=1000, tokens_per_month=10_000)
    one, two = Server(await shared(), limits), Server(await shared(), limits)
    assert one.admitted(6, tokens=10, spends=10) == 6
    await one.exchange()
    assert two.admits(tokens=10, spends=10)  # it has not heard yet
    await two.exchange()

    assert two.admitted(10, tokens=10) == 3


async def test_a_server_that_nobody_asked_knows_what_others_spent_of_a_month(shared: Start) -> None:
    limits = Limits(tokens_per_month=100)
    one, two, three = [Server(await shared(), limits) for _ in range(3)]
    async with two.limiter.at_work(), three.limiter.at_work():
        assert one.admits(tokens=90, spends=90)
        await one.exchange()
        for server in (two, three):
            server.now += HEARD_EVERY_S
            await server.exchange()

        assert not two.admits(tokens=11)
        assert two.admits(tokens=10, spends=5)
        await two.exchange()
        three.now += HEARD_EVERY_S
        await three.exchange()
        assert not three.admits(tokens=6)
        assert three.admits(tokens=5)


async def test_what_is_counted_while_a_server_hears_of_others_stays_counted(shared: Start) -> None:
    limits = Limits(tokens_per_month=100)
    one, two = Server(await shared(), limits), Server(await shared(), limits)
    async with two.limiter.at_work():
        assert one.admits(spends=50)
        await one.exchange()
        two.now += HEARD_EVERY_S
        exchange = asyncio.create_task(two.exchange())
        await asyncio.sleep(0)
        assert two.admits(spends=20)
        await exchange
        await two.exchange()
        assert not two.admits(tokens=31)
        assert two.admits(tokens=30)


async def test_the_error_is_what_others_admit_between_two_exchanges_and_it_is_paid_back(shared: Start) -> None:
    limits = Limits(requests_per_minute=10)
    servers = [Server(await shared(), limits) for _ in range(3)]

    admitted = [server.admitted(20) for server in servers]
    for _ in range(2):
        for server in servers:
            await server.exchange()

    # The bound of docs/limits.md, reached: every server admits all there is before it has heard of the others.
    assert admitted == [10, 10, 10]
    # None of it is forgotten: 30 in a bucket of 10 run out in three minutes, less what the exchanges took.
    standing = servers[0].limiter.standing("acme", "k")
    assert standing.requests is not None
    assert 150 < standing.requests.reset_s <= 180
    assert [server.admitted(1) for server in servers] == [0, 0, 0]


async def test_what_one_gives_back_the_others_can_use(shared: Start) -> None:
    limits = Limits(tokens_per_minute=1000)
    one, two = Server(await shared(), limits), Server(await shared(), limits)
    assert one.admits(tokens=1000, spends=400)
    await one.exchange()
    await two.exchange()
    assert two.admits(tokens=0)
    await two.exchange()

    assert two.admits(tokens=600)
    assert not two.admits(tokens=600)


class Away:
    """A database that is not there."""

    is_shared = True

    async def tally(self, changes: Sequence[Tally]) -> Sequence[float]:
        raise StoreUnavailable("away")

    async def tallied(self, what: str, *, within_s: float | None = None) -> Sequence[Tally]:
        raise StoreUnavailable("away")


async def test_while_the_database_is_away_limits_hold_and_nothing_is_forgotten(start: Start) -> None:
    server = Server(await start(), Limits(requests_per_minute=10, tokens_per_month=1000))
    assert server.admitted(4, spends=10) == 4
    with pytest.raises(StoreUnavailable):
        await server.limiter.exchange(Away())
    assert server.admitted(10, spends=10) == 6

    await server.exchange()

    month = month_of(time.time())
    assert await server.store.tallied(month) == [Tally("acme", "k", month, 100.0)]


async def test_a_server_starts_and_counts_without_the_database() -> None:
    limiter = Limiter(store=Away())
    async with limiter.at_work():
        with limiter.reserve(
            Principal("acme", "k", policy=Policy(limits=Limits(requests_per_minute=1))),
            lambda: Demand("m", False, 0, 0),
            Progress(),
        ):
            await asyncio.sleep(0)
        assert limiter.standing("acme", "k").requests == Standing(1, 0, pytest.approx(60.0, abs=1.0))


async def test_of_a_key_that_asks_no_more_nothing_is_held_but_its_month(start: Start) -> None:
    """Keys come and go; whoever keeps an account for each that ever was runs out of memory."""
    server = Server(await start(), Limits(requests_per_minute=60, tokens_per_minute=100, tokens_per_month=1000))
    assert server.admits(spends=200)  # so that the minute's tokens have run out after two
    await server.exchange()

    server.now += 100
    await server.exchange()
    assert server.limiter.standing("acme", "k") != Allowance(), "its tokens were forgotten before they ran out"
    server.now += 100
    await server.exchange()

    assert server.limiter.standing("acme", "k") == Allowance()
    assert not server.admits(tokens=801)
    assert server.admits(tokens=100, spends=800)
    assert not server.admits(tokens=1)


async def test_what_runs_is_held_however_long_it_takes(start: Start) -> None:
    server = Server(await start(), Limits(concurrent_requests=1))
    with server.limiter.reserve(server.principal, lambda: Demand("m", False, 0, 0), Progress()):
        server.now += 3600
        await server.exchange()
        await server.exchange()
        assert not server.admits()
    assert server.admits()


@pytest.mark.parametrize(
    ("end", "is_forgotten"), [({}, False), ({"revoked": 1_700_000_001}, True), ({"expires": 1_700_000_001}, True)]
)
async def test_the_month_of_a_key_that_counts_no_more_is_not_held(
    start: Start, end: dict[str, int], is_forgotten: bool
) -> None:
    """Keys come and go; whoever keeps a number for each that ever was fills memory until the month is over."""
    server = Server(await start(), Limits(tokens_per_month=1000), let_go=1)
    key = Key(id="k", project="acme", digest=b"d", name="till", shown="sk...", created=1_700_000_000, scopes=EVERY)
    await server.store.tenants.keep([Project(id="acme", name="acme", created=1_700_000_000), key], [])
    entry = Entry(id="audit_1", project="acme", at=1, actor="test", act="key.changed", target="k")
    async with server.limiter.at_work():
        assert server.admits(spends=200)
        await server.exchange()
        await server.store.tenants.change_key(key.id, lambda key: [msgspec.structs.replace(key, **end)], entry)

        server.now += 100
        await server.exchange()

        assert server.admits(tokens=801) is is_forgotten

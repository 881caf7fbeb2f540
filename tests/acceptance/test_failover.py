"""examples/replicas: three servers behind HAProxy, on a primary with a synchronous standby, under load all the time.

The primary dies and the standby is promoted; then a server dies. Nothing that was acknowledged is lost, and all of it
is there once. ``make test-failover`` does more rounds, each with the roles of the last one changed.
"""

from __future__ import annotations

import collections
import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.postgres import PostgresServer, primary_and_standby

from . import balancer
from .conftest import Workshop
from .load import Load
from .server import ECHO, MODEL, Server
from .test_crash import everything, verify

ROUNDS = int(os.environ.get("HANSARD_FAILOVER_ROUNDS", "1"))
MODELS = (*ECHO, "--alias", f"{MODEL}=echo")

# As docs/durability.md has it.
RIDDEN_OUT_S = 15.0


@contextlib.contextmanager
def front(servers: Sequence[Server], directory: Path) -> Iterator[list[str]]:
    """Where clients ask: the balancer, or where there is none all the servers."""
    if balancer.PROGRAM is None:
        print("HAProxy is not installed: the clients know all servers and choose by themselves")
        yield [server.base_url for server in servers]
    else:
        with balancer.balanced(servers, directory / "haproxy.log") as url:
            yield [url]


@pytest.mark.timeout(60 + 60 * ROUNDS)
def test_a_dead_primary_and_then_a_dead_server_lose_nothing(make_server: Workshop, tmp_path: Path) -> None:
    with primary_and_standby() as (primary, standby):
        url = f"{primary.new_database()},{standby.directory}&target_session_attrs=read-write"
        servers = [make_server("--db", url, model=MODELS, name=name).start() for name in ("one", "two", "three")]
        with front(servers, tmp_path) as urls:
            for number in range(ROUNDS):
                fail_over(primary, standby, servers, urls, name=f"failover-{number}")
                primary, standby = standby, primary
                standby.follow(primary)
            lose_a_server(servers, urls)


def fail_over(
    primary: PostgresServer, standby: PostgresServer, servers: Sequence[Server], urls: Sequence[str], *, name: str
) -> None:
    with Load(urls, name=name).running() as load:
        load.wait_for(40)
        primary.crash()
        standby.promote()
        load.wait_for(40)
    print(f"{name}: {load.counts}")
    assert load.complaints == []
    assert load.unknown == [], "what a replica waits for is not refused"
    assert load.counts.longest_gap_s < RIDDEN_OUT_S
    assert_kept(load, servers)


def lose_a_server(servers: Sequence[Server], urls: Sequence[str]) -> None:
    with Load(urls, name="kill").running() as load:
        load.wait_for(40)
        servers[1].kill()
        load.wait_for(80)
    print(f"kill: {load.counts}")
    assert load.complaints == []
    # What it was at when it died, of those who had no key to ask again with: one at most of each.
    assert len({each.split(":")[0].split("-")[1] for each in load.unknown}) == len(load.unknown), load.unknown
    assert_kept(load, [servers[0], servers[2]])


def assert_kept(load: Load, servers: Sequence[Server]) -> None:
    """All of them show the same: what is acknowledged, whole and once, and of what is not nothing twice."""
    lists = [everything(server, crash=load.name) for server in servers]
    for server in servers:
        verify(server, load.name, load.acknowledged)
    assert all(each == lists[0] for each in lists)
    asked = collections.Counter((each["metadata"]["client"], each["metadata"]["number"]) for each in lists[0])
    assert [place for place, times in asked.items() if times > 1] == []
    assert len(lists[0]) <= len(load.acknowledged) + len(load.unknown)

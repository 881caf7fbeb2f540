"""Servers on one database: who upgrades it, what each of them shows at once, and what the balancer makes of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from hansard.store.migrate import HEAD
from hansard.store.postgresql import Postgresql
from tests.postgres import postgres_server
from tests.store.test_migrate import set_version, written_by

from . import balancer
from .conftest import Workshop
from .server import ECHO, MODEL, Server, eventually, question
from .upstream import Upstream
from .wire import DONE, Reply, send, stream

MODELS = (*ECHO, "--alias", f"{MODEL}=echo")
NONE_READY = re.compile(r"backend '?replicas'? has no server available")
NAMES = ("one", "two", "three")


@pytest.fixture
def servers(make_server: Workshop, url: str) -> list[Server]:
    """Three, not started."""
    return [make_server("--db", url, model=MODELS, name=name) for name in NAMES]


def at_once(servers: list[Server]) -> list[Server]:
    with ThreadPoolExecutor(len(servers)) as pool:
        return list(pool.map(Server.start, servers))


def test_of_three_that_start_at_once_one_upgrades(servers: list[Server], url: str) -> None:
    written_by("0001", Postgresql(url))
    at_once(servers)
    assert "".join(server.stderr for server in servers).count(f"database upgraded from 0001 to {HEAD}") == 1
    made = [server.ask("Hello!", store=True).json()["id"] for server in servers]
    for server in servers:
        assert server.stored_ids == made[::-1]


def test_each_refuses_a_newer_database(servers: list[Server], url: str) -> None:
    servers[0].start().stop()
    set_version(Postgresql(url), "9999")
    for server in servers:
        assert "a newer Hansard wrote this database (its schema is 9999" in server.refuses_to_start()


def test_what_one_acknowledged_the_others_show_at_once(servers: list[Server]) -> None:
    at_once(servers)
    for number in range(9):
        maker, *others = servers[number % 3 :] + servers[: number % 3]
        prompt = f"Order {number}!"
        if number % 2:
            with stream(f"{maker.base_url}/chat/completions", question(prompt, store=True, stream=True)) as reply:
                *payloads, done = list(reply)
            assert done == DONE
            name = json.loads(payloads[0])["id"]
        else:
            name = maker.ask(prompt, store=True).json()["id"]
        for other in others:
            assert other.get(f"/chat/completions/{name}").text == prompt
            assert other.stored_ids[0] == name
            (message,) = other.get(f"/chat/completions/{name}/messages").json()["data"]
            assert message["content"] == prompt
        one, two = others
        assert one.post(f"/chat/completions/{name}", {"metadata": {"by": one.mark}}).status == 200
        for server in servers:
            assert server.get(f"/chat/completions/{name}").json()["metadata"] == {"by": one.mark}
        assert two.delete(f"/chat/completions/{name}").status == 200
        assert [server.get(f"/chat/completions/{name}").status for server in servers] == [404] * 3


# Through HAProxy, with the configuration of the example


@pytest.fixture
def haproxy() -> None:
    if balancer.PROGRAM is None:
        pytest.skip("haproxy is not installed")


@pytest.mark.usefixtures("haproxy")
def test_a_database_that_is_away_is_waited_for_behind_the_balancer(make_server: Workshop, tmp_path: Path) -> None:
    """None of the replicas is ready then. The balancer must not turn that into a refusal of its own."""
    with postgres_server() as postgres:
        database = postgres.new_database()
        servers = at_once([make_server("--db", database, model=MODELS, name=name) for name in NAMES])
        log = tmp_path / "haproxy.log"
        with balancer.balanced(servers, log) as url, ThreadPoolExecutor(4) as pool:
            postgres.stop()
            early = pool.submit(send, "POST", f"{url}/chat/completions", body=question("Early!", store=True))
            eventually(lambda: NONE_READY.search(log.read_text()), "none to be ready")
            body = question("Late!", store=True)
            late = pool.submit(send, "POST", f"{url}/chat/completions", body=body)
            keyed = pool.submit(send, "POST", f"{url}/chat/completions", body=body, headers={"Idempotency-Key": "late"})
            postgres.start()
            made = {reply.result(60).json()["id"] for reply in (early, late, keyed)}
            assert set(servers[1].stored_ids) == made
            assert len(made) == 3


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream().running() as upstream:
        yield upstream


@pytest.fixture
def relays(make_server: Workshop, url: str, upstream: Upstream) -> list[Server]:
    """Three in front of it."""
    arguments = ("--db", url, "--upstream", upstream.base_url)
    return at_once([make_server(*arguments, model=(), name=name) for name in NAMES])


@pytest.fixture
def address(haproxy: None, relays: list[Server], tmp_path: Path) -> Iterator[str]:
    """Of the balancer in front of those three."""
    with balancer.balanced(relays, tmp_path / "haproxy.log") as address:
        yield address


def at_work(relays: list[Server], upstream: Upstream) -> Server:
    """The one that asks the upstream."""
    (port,) = eventually(lambda: upstream.askers, "the upstream to be asked")
    return next(each for each in relays if port in {c.laddr.port for c in psutil.Process(each.pid).net_connections()})


def test_what_no_replica_says_the_balancer_says_in_the_apis_words(
    address: str, relays: list[Server], upstream: Upstream
) -> None:
    with ThreadPoolExecutor(1) as pool:
        body = question("Speak.", model="silent", store=True)
        asked = pool.submit(send, "POST", f"{address}/chat/completions", body=body)
        at_work(relays, upstream).kill()  # and nobody can say whether it was stored
        lost = asked.result(30)
    assert (lost.status, lost.json()["error"]["code"]) == (502, "bad_gateway")
    assert len(upstream.received) == 1, "a create without a key was sent twice"

    for server in relays:
        server.kill()
    refused = send("GET", f"{address}/models")
    assert (refused.status, refused.json()["error"]["code"]) == (503, "unavailable")
    assert refused.headers["retry-after"] == "1"


def test_a_create_with_a_key_goes_on_elsewhere_and_its_repeats_with_it(
    address: str, relays: list[Server], upstream: Upstream
) -> None:
    url, body, key = f"{address}/chat/completions", question("Go on.", model="waits", store=True), "again"
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(until_answered, url, body, key) for _ in range(4)]
        dead = at_work(relays, upstream)
        dead.kill()
        eventually(lambda: len(upstream.received) > 1, "another one to ask")
        upstream.release.set()
        replies = [each.result(60) for each in asked]
    assert [reply.status for reply in replies] == [200] * 4
    (name,) = {reply.json()["id"] for reply in replies}
    assert [each.stored_ids for each in relays if each is not dead] == [[name]] * 2
    # One for the dead replica, one for the next; and perhaps one while the balancer still thought the first alive.
    assert len(upstream.received) < len(asked), "repeats were not sent where the first one runs"


def until_answered(url: str, body: object, key: str) -> Reply:
    """As the official clients do: HAProxy passes on as 502 what a dying replica had not read yet."""
    while (reply := send("POST", url, body=body, headers={"Idempotency-Key": key})).status == 502:
        pass
    return reply


def test_a_client_that_leaves_the_balancer_stops_the_engine(address: str, upstream: Upstream) -> None:
    with stream(f"{address}/chat/completions", question("Go on.", model="pauses", stream=True)) as reply:
        next(iter(reply))  # it is here, though the one behind it is not written yet
        assert not upstream.left.is_set()
    assert upstream.left.wait(10)

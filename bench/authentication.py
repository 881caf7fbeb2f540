"""What looking at a request's key costs, once the key has been seen.

In this process, in processor time, from the headers as they came to the principal with its scope checked; over a real
store, which is asked for each key once.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.numbers import median, table
from hansard.api.bodies import Bodies
from hansard.api.exchange import Exchange
from hansard.api.front import Front
from hansard.api.routes import CREATE
from hansard.core.keys import USUAL, digest, mint
from hansard.errors import AuthenticationFailed
from hansard.observe import ignore
from hansard.store.database import database
from hansard.store.sql import SqlStore
from hansard.store.tenants import DEFAULT_PROJECT, Key
from hansard.tenancy import Gate

BAR_US: Final = 25.0
REPEATS: Final = 2_000

KEY: Final = mint(bytes(range(32)))
OPERATOR: Final = mint(bytes(range(1, 33)))
WRONG: Final = mint(bytes(range(2, 34)))
ROWS: Final = (
    ("a key in the database, seen before", KEY),
    ("the operator's own key", OPERATOR),
    ("a wrong key", WRONG),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this bench can be told."""
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each kind (default 9)")


def run(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure, print, and return what was measured. Takes about two seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as place:
        taken = asyncio.run(_measured(Path(place), asked.rounds))
    rows = [
        {
            "row": name,
            "cpu_us": round(median(taken[name]), 1),
            "at_most_us": BAR_US,
            "met": median(taken[name]) <= BAR_US,
        }
        for name, _ in ROWS
    ]
    bars = [
        {"what": f"CPU us to look at {row['row']}", "at_most": BAR_US, "measured": row["cpu_us"], "met": row["met"]}
        for row in rows
    ]
    measured = {"rows": rows, "bars": bars}
    print(report(measured))
    return measured


async def _measured(place: Path, rounds: int) -> dict[str, list[float]]:
    store = SqlStore(database(f"sqlite:///{place.absolute()}/keys.db"))
    await store.start()
    key = Key(id="key_1", project=DEFAULT_PROJECT, digest=digest(KEY), name="bench", shown="", created=1, scopes=USUAL)
    await store.tenants.keep([key], [])
    gate = Gate(key=OPERATOR, tenants=store.tenants)
    front = Front(gate=gate, observer=ignore, max_body_bytes=1)
    taken: dict[str, list[float]] = {name: [] for name, _ in ROWS}
    async with gate.at_work():
        for _ in range(rounds):
            for name, secret in ROWS:
                taken[name].append(await _round_us(front, secret))
    await store.stop()
    return taken


async def _round_us(front: Front, secret: str) -> float:
    exchanges = [_exchange(secret) for _ in range(REPEATS + 1)]
    await _admitted(front, exchanges.pop())
    began = time.process_time()
    for exchange in exchanges:
        await _admitted(front, exchange)
    return (time.process_time() - began) * 1e6 / REPEATS


async def _admitted(front: Front, exchange: Exchange) -> None:
    with suppress(AuthenticationFailed):
        await front.admit(exchange, CREATE)


def _exchange(secret: str) -> Exchange:
    """A request with the headers that the official client sends, as far as they matter here."""
    headers = [(b"host", b"127.0.0.1:8000"), (b"authorization", f"Bearer {secret}".encode()), (b"accept", b"*/*")]

    async def nothing(*_: object) -> Any:
        raise AssertionError("nothing is sent or received")

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers, "query_string": b""}
    return Exchange(scope, nothing, nothing, request_id="req_" + "0" * 32, bodies=Bodies(most_bytes=1, in_all_bytes=1))


def report(measured: dict[str, Any]) -> str:
    """The table."""
    rows = [
        (each["row"], f"{each['cpu_us']:,.1f}", f"{each['at_most_us']:,.0f}", "met" if each["met"] else "**missed**")
        for each in measured["rows"]
    ]
    return "\n" + table(("what is sent", "CPU us", "at most", ""), rows)

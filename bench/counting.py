"""What limits cost a create, and the audit log a read.

In this process, in processor time of all its threads. Of limits: from the principal to the headers of the reply, the
settling of the request included. Of reads: a stored completion by its id, from the ASGI call to its reply, over a
SQLite file; with the log each is committed there before its reply.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from bench.numbers import median, table
from hansard.api.exchange import standing_headers
from hansard.app import House
from hansard.config import resolve
from hansard.core.keys import mint
from hansard.core.policies import Limits, Policy
from hansard.core.quota import Demand
from hansard.limits import Limiter
from hansard.observe import ignore
from hansard.runs import Progress
from hansard.tenancy import Principal

BAR_US: Final = 20.0
REPEATS: Final = 2_000
READS: Final = 640
OPERATOR: Final = mint(bytes(range(32)))

_ALL: Final = Policy(
    limits=Limits(
        requests_per_minute=10**9,
        tokens_per_minute=10**12,
        concurrent_requests=1000,
        concurrent_streams=1000,
        tokens_per_month=10**15,
    )
)
PRINCIPALS: Final = (
    ("every limit, of the key", Principal("shop", "key_1", policy=_ALL)),
    ("every limit, of the key and of its project", Principal("shop", "key_1", policy=_ALL, project_policy=_ALL)),
)
READ_ROWS: Final = (
    ("a read that is not logged", "acts", 1),
    ("a read that is logged", "all", 1),
    ("a read that is not logged, 32 at once", "acts", 32),
    ("a read that is logged, 32 at once", "all", 32),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this bench can be told."""
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each kind (default 5)")


def run(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure, print, and return what was measured. Takes about twenty seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    limits: list[dict[str, Any]] = [
        {"row": name, "cpu_us": round(median([_limits_us(who) for _ in range(asked.rounds)]), 1), "at_most_us": BAR_US}
        for name, who in PRINCIPALS
    ]
    reads = [
        {
            "row": name,
            "cpu_us": round(median(asyncio.run(_reads_us(folder, audit, at_once, asked.rounds)))),
            "at_most_us": None,
        }
        for name, audit, at_once in READ_ROWS
    ]
    bars = [
        {
            "what": f"CPU us for {row['row']}",
            "at_most": BAR_US,
            "measured": row["cpu_us"],
            "met": row["cpu_us"] <= BAR_US,
        }
        for row in limits
    ]
    measured = {"rows": [*limits, *reads], "bars": bars}
    print(report(measured))
    return measured


def _limits_us(principal: Principal) -> float:
    limiter = Limiter()
    wanted = Demand("m", streamed=False, prompt=100, answer=100)

    def one() -> None:
        progress = Progress()
        with limiter.reserve(principal, lambda: wanted, progress):
            progress.usage = {"total_tokens": 150}
        assert progress.allowance is not None
        standing_headers(progress.allowance)

    one()
    began = time.process_time()
    for _ in range(REPEATS):
        one()
    return (time.process_time() - began) * 1e6 / REPEATS


async def _reads_us(folder: Path, audit: str, at_once: int, rounds: int) -> list[float]:
    with TemporaryDirectory(dir=folder) as place:
        settings = resolve(
            {"data": place, "models": ["echo"], "audit": audit, "log": "off"}, {"HANSARD_API_KEY": OPERATOR}
        )
        house = House(settings, observer=ignore)
        app = house.application(own_lifespan=False)
        async with house.opened():
            body = msgspec.json.encode(
                {"model": "echo", "store": True, "messages": [{"role": "user", "content": "Hi"}]}
            )
            made = await _asked(app, "POST", "/v1/chat/completions", body)
            address = f"/v1/chat/completions/{msgspec.json.decode(made)['id']}"

            async def reader(count: int) -> None:
                for _ in range(count):
                    await _asked(app, "GET", address)

            await reader(50)
            return [await _round_us(reader, at_once) for _ in range(rounds)]


async def _round_us(reader: Callable[[int], Awaitable[None]], at_once: int) -> float:
    began = time.process_time()
    await asyncio.gather(*(reader(READS // at_once) for _ in range(at_once)))
    return (time.process_time() - began) * 1e6 / READS


async def _asked(app: Any, method: str, path: str, body: bytes = b"") -> bytes:
    """The body of a reply, which must be 200."""
    pieces: list[bytes] = []

    coming = [{"type": "http.request", "body": body}]

    async def receive() -> dict[str, Any]:
        if not coming:
            await asyncio.Event().wait()  # it stays
        return coming.pop()

    async def send(message: Any) -> None:
        assert message.get("status", 200) == 200, message
        pieces.append(message.get("body", b""))

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {OPERATOR}".encode())],
    }
    await app(scope, receive, send)
    return b"".join(pieces)


def report(measured: dict[str, Any]) -> str:
    """The table."""
    rows = []
    for each in measured["rows"]:
        bar = each["at_most_us"]
        verdict = "" if bar is None else "met" if each["cpu_us"] <= bar else "**missed**"
        rows.append((each["row"], f"{each['cpu_us']:,}", "" if bar is None else f"{bar:,.0f}", verdict))
    return "\n" + table(("what a request has beside it", "CPU us", "at most", ""), rows)

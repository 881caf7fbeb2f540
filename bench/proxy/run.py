"""Hansard beside nginx and others, all in front of one mock upstream, turn and turn about in one run.

What counts is the processor time of a server's processes per request: noise on the machine hurts it least. nginx is the
floor, since it only passes bytes on.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from bench.numbers import median, quantile, ratio, table
from bench.processes import CannotRun, cpu_s, peak_mb
from bench.proxy.load import Outcome, play
from bench.proxy.peers import PEERS, CannotInstall
from bench.proxy.servers import LOG, Cores, Front, front, place_for, prepared, upstream

WARM_UP_S = 0.4
FLOOR, OURS = "nginx", "Hansard"
# Who stores: Hansard before it answers, OGX behind the answer and whatever ``store`` says.
STORING = (OURS, "OGX")


@dataclass(frozen=True)
class Row:
    """One kind of request."""

    name: str
    stream: bool
    store: bool


ROWS = (
    Row("plain", stream=False, store=False),
    Row("plain, stored", stream=False, store=True),
    Row("stream of 64", stream=True, store=False),
    Row("stream, stored", stream=True, store=True),
)
CONNECTIONS = (1, 32)

# At most so many times the peer's processor time per request, by row, connections and peer. nginx is asked
# for the same thing without storing it.
BARS = (
    ("plain", 1, FLOOR, 8.0),
    ("plain", 32, FLOOR, 14.0),
    ("plain", 32, "Portkey", 1 / 4),
    ("plain", 32, "LiteLLM", 1 / 40),
    ("plain, stored", 32, FLOOR, 20.0),
    ("plain, stored", 32, "OGX", 1 / 15),
    ("stream of 64", 1, FLOOR, 2.5),
    ("stream of 64", 32, FLOOR, 3.5),
    ("stream of 64", 32, "LiteLLM", 1 / 60),
    ("stream, stored", 32, FLOOR, 5.0),
    ("stream, stored", 32, "OGX", 1 / 20),
)
SERVER_COLUMNS = ("server", "version", "first answer s", "peak MB", "tracebacks", "replies to store: true", "rows")
COLD_START_BAR_S, HELP_BAR_S = 1.5, 0.2


@dataclass
class Cell:
    """All rounds of one row at one number of connections for one server."""

    latencies_s: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    failures: list[str] = field(default_factory=list)
    acknowledged: int = 0
    """Replies to requests with ``store``, the warm-up's too."""

    def add(self, outcome: Outcome, used_s: float) -> None:
        self.latencies_s += outcome.latencies_s
        self.per_s.append(len(outcome.latencies_s) / outcome.seconds)
        self.cpu_s += used_s
        self.failures += outcome.failures

    def summary(self) -> dict[str, Any]:
        """The columns of the table."""
        requests = len(self.latencies_s)
        return {
            "requests": requests,
            "failures": len(self.failures),
            "requests_per_s": round(median(self.per_s), 1),
            "p50_ms": round(quantile(self.latencies_s, 0.5) * 1000, 3),
            "p99_ms": round(quantile(self.latencies_s, 0.99) * 1000, 3),
            "cpu_us": round(self.cpu_s * 1e6 / requests, 1) if requests else None,
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this bench can be told."""
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each cell (default 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds of one round (default 2)")
    parser.add_argument("--peers", default="", help="only these, by name and with commas between (default all)")


def run(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure, print, and return what was measured."""
    cores = Cores.of_this_machine()
    missing: dict[str, str] = {}
    wanted = [peer for peer in PEERS if not asked.peers or peer.name.lower() in asked.peers.lower().split(",")]
    with prepared(cores), tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        mock = stack.enter_context(upstream(cores, Path(scratch), usual="mock,fresh_ids=1"))
        fronts: list[Front] = []
        versions: dict[str, str] = {}
        for peer in wanted:
            try:
                versions[peer.name] = peer.install(folder)
                place = place_for(peer, mock.port, folder=Path(scratch), environments=folder)
                fronts.append(stack.enter_context(front(peer, place, cores)))
                print(
                    f"{peer.name} {versions[peer.name]}: first answer after {fronts[-1].cold_start_s:.2f} s", flush=True
                )
            except CannotInstall as failure:
                missing[peer.name] = str(failure)
                print(f"{peer.name} is missing: {failure}", flush=True)
        if not any(each.peer.name == OURS for each in fronts):
            raise CannotRun(missing.get(OURS, "without Hansard there is nothing to compare"))
        cells = _measure(fronts, asked)
        measured = {
            "versions": versions,
            "missing": missing,
            "pinned": bool(cores.server),
            "rounds": asked.rounds,
            "seconds": asked.seconds,
            "rows": [
                {"row": row.name, "connections": connections, "server": name, **cell.summary()}
                for (row, connections, name), cell in cells.items()
            ],
            "servers": [_weighed(each, _acknowledged(cells, each.peer.name)) for each in fronts],
            "help_s": round(_help_s(), 3),
        }
    measured["bars"] = bars(measured["rows"], measured["servers"], measured["help_s"])
    print(report(measured))
    return measured


def _measure(fronts: Sequence[Front], asked: argparse.Namespace) -> dict[tuple[Row, int, str], Cell]:
    cells: dict[tuple[Row, int, str], Cell] = {}
    for row in ROWS:
        for connections in CONNECTIONS:
            able = [each for each in fronts if not row.store or each.peer.name in STORING]
            for number in range(asked.rounds):
                for each in able if number % 2 == 0 else reversed(able):
                    cell = cells.setdefault((row, connections, each.peer.name), Cell())
                    _round(each, row, connections, asked.seconds, cell)
            print(f"{row.name} at {connections}: done", flush=True)
    return cells


def _round(each: Front, row: Row, connections: int, seconds: float, cell: Cell) -> None:
    target = each.target(stream=row.stream, store=row.store)
    warm_up = uvloop.run(play(target, connections=connections, seconds=WARM_UP_S))
    before_s = cpu_s(each.server.pid)
    outcome = uvloop.run(play(target, connections=connections, seconds=seconds))
    cell.add(outcome, cpu_s(each.server.pid) - before_s)
    if row.store:
        cell.acknowledged += len(warm_up.latencies_s) + len(outcome.latencies_s)


def _weighed(each: Front, acknowledged: int) -> dict[str, Any]:
    weighed: dict[str, Any] = {
        "server": each.peer.name,
        "cold_start_s": round(each.cold_start_s, 2),
        "peak_mb": round(peak_mb(each.server.pid), 1),
        "tracebacks": (each.place.folder / LOG).read_bytes().count(b"Traceback (most recent call last)"),
    }
    if each.peer.kept is not None:
        weighed["kept"] = each.peer.kept(each.place)
        weighed["acknowledged"] = acknowledged
    return weighed


def _acknowledged(cells: Mapping[tuple[Row, int, str], Cell], server: str) -> int:
    return sum(cell.acknowledged for (_, _, name), cell in cells.items() if name == server)


def _help_s() -> float:
    """Seconds that ``hansard --help`` takes."""
    command = [sys.executable, "-m", "hansard", "--help"]
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def bars(rows: Sequence[dict[str, Any]], servers: Sequence[dict[str, Any]], help_s: float) -> list[dict[str, Any]]:
    """What was asked for beside what was measured; ``measured`` is None where the peer is missing."""
    cpu = {(each["row"], each["connections"], each["server"]): each["cpu_us"] for each in rows}
    held = []
    for row, connections, peer, bar in BARS:
        against = row.replace(", stored", " of 64" if row.startswith("stream") else "") if peer == FLOOR else row
        ours, theirs = cpu.get((row, connections, OURS)), cpu.get((against, connections, peer))
        found = ratio(ours, theirs) if ours is not None and theirs is not None else None
        what = f"{row}, {connections} connection{'s' if connections > 1 else ''}: CPU against {peer}"
        held.append(_bar(what, bar, found, part=bar < 1))
    held.append(_bar("failed replies", 0, sum(each["failures"] for each in rows if each["server"] == OURS)))
    lost = next((each["acknowledged"] - each["kept"] for each in servers if each["server"] == OURS), None)
    held.append(_bar("replies to store: true without a row", 0, None if lost is None else max(0, lost)))
    start_s = next((each["cold_start_s"] for each in servers if each["server"] == OURS), None)
    held.append(_bar("cold start to the first answer, s", COLD_START_BAR_S, start_s))
    held.append(_bar("hansard --help, s", HELP_BAR_S, help_s))
    return held


def _bar(what: str, bar: float, measured: float | None, *, part: bool = False) -> dict[str, Any]:
    met = None if measured is None else measured <= bar
    return {"what": what, "at_most": bar, "measured": measured, "part": part, "met": met}


def report(measured: dict[str, Any]) -> str:
    """The tables."""
    head = ("row", "connections", "server", "requests/s", "p50 ms", "p99 ms", "CPU us/request", "failed")
    rows = [
        (
            each["row"],
            f"{each['connections']}",
            each["server"],
            f"{each['requests_per_s']:,.0f}",
            f"{each['p50_ms']:.2f}",
            f"{each['p99_ms']:.2f}",
            "-" if each["cpu_us"] is None else f"{each['cpu_us']:,.0f}",
            f"{each['failures']}",
        )
        for each in measured["rows"]
    ]
    servers = [
        (
            each["server"],
            measured["versions"][each["server"]],
            f"{each['cold_start_s']:.2f}",
            f"{each['peak_mb']:.0f}",
            f"{each['tracebacks']}",
            f"{each.get('acknowledged', '')}",
            f"{each.get('kept', '')}",
        )
        for each in measured["servers"]
    ]
    asked = [
        (
            each["what"],
            _number(each["at_most"], part=each["part"]),
            "missing" if each["measured"] is None else _number(each["measured"], part=each["part"]),
            {True: "met", False: "**missed**", None: "-"}[each["met"]],
        )
        for each in measured["bars"]
    ]
    return "\n\n".join(
        [
            "",
            table(head, rows),
            table(SERVER_COLUMNS, servers),
            table(("asked of Hansard", "at most", "measured", ""), asked),
        ]
    )


def _number(value: float, *, part: bool) -> str:
    """Parts of a peer's cost read best as 1/N."""
    return f"1/{1 / value:.0f}" if part else f"{value:.2f}"

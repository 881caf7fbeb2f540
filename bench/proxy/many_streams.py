"""A thousand streams at once, paced as models talk: what each chunk waits, and what it and each stream cost.

The upstream writes into every chunk the moment it was sent; the load reads the same clock when the chunk arrives. What
a server adds is the difference to the upstream asked directly. Only the time when all streams run is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import uvloop

from bench.numbers import quantile, table
from bench.processes import CannotRun, cpu_s, resident_mb
from bench.proxy.load import Reply, Target, play
from bench.proxy.peers import PEERS, CannotInstall, Place
from bench.proxy.servers import Cores, Front, chat, front, place_for, prepared, upstream

RATES = (5, 20)
FRONTS = ("nginx", "Hansard")
SENT = re.compile(rb'"@(\d{19})"')
OPEN_S = 2.0  # the streams begin spread over this long, so that their chunks do not come in step
SETTLE_S = 1.0

P99_BAR_MS, CPU_BAR_US, MEMORY_BAR_KB = 20.0, 45.0, 60.0
# Pools and caches fill at first; over the second half of the million chunks memory must stay.
SOAK_CHUNKS, SOAK_PARTS, SOAK_STREAM = 1_000_000, 10, 640
SOAK_GROWTH_BAR_MB = 2.0


@dataclass
class Tally:
    """The chunks that arrived while it was open."""

    delays_ms: list[float]
    open: bool = False
    running: int = 0
    broken: int = 0


class Listening(asyncio.Protocol):
    """One stream from its request to its end."""

    def __init__(self, target: Target, tally: Tally) -> None:
        self._target = target
        self._tally = tally
        self._reply = Reply()
        self._is_whole = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._tally.running += 1
        self._transport.write(self._target.request)

    def data_received(self, data: bytes) -> None:
        if self._tally.open:
            now = time.monotonic_ns()
            self._tally.delays_ms.extend((now - int(sent)) / 1e6 for sent in SENT.findall(data))
        if self._reply.feed(data):
            self._is_whole = True
            whole = self._reply.bytes()
            self._tally.broken += not whole.startswith(b"HTTP/1.1 200 ") or b"data: [DONE]" not in whole[-64:]
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.running -= 1
        self._tally.broken += not self._is_whole
        self.done.set_result(None)


@dataclass(frozen=True)
class Sample:
    """One server at one rate."""

    server: str
    per_s: int
    chunks: int
    p50_ms: float
    p99_ms: float
    cpu_us: float
    kb_per_stream: float
    broken: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this bench can be told."""
    parser.add_argument("--streams", type=int, default=1000, help="streams at once (default 1000)")
    parser.add_argument("--seconds", type=float, default=8.0, help="seconds counted per server and rate (default 8)")
    parser.add_argument("--soak-chunks", type=int, default=SOAK_CHUNKS, help="chunks relayed to watch memory (0: none)")


def run(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure, print, and return what was measured."""
    cores = Cores.of_this_machine()
    samples: list[Sample] = []
    missing: dict[str, str] = {}
    with prepared(cores), tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        mock = stack.enter_context(upstream(cores, Path(scratch), usual="mock"))
        for per_s in RATES:
            direct = Place(mock.port, mock.port, Path(scratch), folder)
            samples.append(uvloop.run(_sample(None, direct, per_s, asked)))
            for peer in PEERS:
                if peer.name not in FRONTS:
                    continue
                place = place_for(peer, mock.port, folder=Path(scratch) / str(per_s), environments=folder)
                try:
                    peer.install(folder)
                    with front(peer, place, cores) as each:  # a fresh one, so that its memory is that of this rate
                        samples.append(uvloop.run(_sample(each, place, per_s, asked)))
                except CannotInstall as failure:
                    missing[peer.name] = str(failure)
                print(f"{peer.name} at {per_s} chunks/s: done", flush=True)
        soak = _soak(mock.port, cores, Path(scratch), folder, asked.soak_chunks) if asked.soak_chunks else None
    measured = {
        "streams": asked.streams,
        "seconds": asked.seconds,
        "missing": missing,
        "samples": [vars(sample) for sample in samples],
        "soak": soak,
        "bars": bars(samples, soak),
    }
    print(report(measured))
    return measured


async def _sample(each: Front | None, place: Place, per_s: int, asked: argparse.Namespace) -> Sample:
    """All streams at once against one server, or against the upstream itself."""
    chunks = int(per_s * (OPEN_S + 2 * SETTLE_S + asked.seconds))
    model = f"mock,timed=1,chunks={chunks},gap_ms={1000 / per_s:g}"
    peer = PEERS[0] if each is None else each.peer
    target = chat(peer, place, stream=True, store=False, model=model)
    if each is not None:
        await play(chat(peer, place, stream=True, store=False), connections=4, seconds=SETTLE_S)
    pid = None if each is None else each.server.pid
    before_mb = 0.0 if pid is None else resident_mb(pid)
    tally = Tally([])
    streams = await _open_all(target, tally, asked.streams)
    await asyncio.sleep(SETTLE_S)
    if tally.running != asked.streams:
        raise CannotRun(f"only {tally.running} of {asked.streams} streams run")
    used_s = 0.0 if pid is None else cpu_s(pid)
    tally.open = True
    await asyncio.sleep(asked.seconds)
    tally.open = False
    used_s = 0.0 if pid is None else cpu_s(pid) - used_s
    grown_mb = 0.0 if pid is None else resident_mb(pid) - before_mb
    async with asyncio.timeout(60):
        await asyncio.gather(*(stream.done for stream in streams))
    counted = len(tally.delays_ms)
    return Sample(
        server="direct" if each is None else peer.name,
        per_s=per_s,
        chunks=counted,
        p50_ms=round(quantile(tally.delays_ms, 0.5), 2),
        p99_ms=round(quantile(tally.delays_ms, 0.99), 2),
        cpu_us=round(used_s * 1e6 / counted, 1),
        kb_per_stream=round(grown_mb * 1e3 / asked.streams, 1),
        broken=tally.broken,
    )


async def _open_all(target: Target, tally: Tally, streams: int) -> list[Listening]:
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    opened = []
    for number in range(streams):
        _, listening = await loop.create_connection(lambda: Listening(target, tally), "127.0.0.1", target.port)
        opened.append(listening)
        ahead_s = began + OPEN_S * number / streams - time.perf_counter()
        if ahead_s > 0:
            await asyncio.sleep(ahead_s)
    return opened


def _soak(upstream_port: int, cores: Cores, scratch: Path, folder: Path, chunks: int) -> dict[str, Any]:
    """Hansard's memory after each tenth of so many chunks."""
    peer = next(peer for peer in PEERS if peer.name == "Hansard")
    place = place_for(peer, upstream_port, folder=scratch / "soak", environments=folder)
    with front(peer, place, cores) as each:
        target = each.target(stream=True, store=False, model=f"mock,chunks={SOAK_STREAM}")
        relayed = 0
        held_mb: list[float] = []
        while len(held_mb) < SOAK_PARTS:
            outcome = uvloop.run(play(target, connections=32, seconds=1.0))
            if outcome.failures:
                raise CannotRun(f"the soak failed: {outcome.failures[0]}")
            relayed += SOAK_STREAM * len(outcome.latencies_s)
            while len(held_mb) < min(SOAK_PARTS, SOAK_PARTS * relayed // chunks):
                held_mb.append(round(resident_mb(each.server.pid), 1))
    return {"chunks": relayed, "held_mb": held_mb}


def bars(samples: Sequence[Sample], soak: dict[str, Any] | None) -> list[dict[str, Any]]:
    """What was asked for beside what was measured."""
    found = {(sample.server, sample.per_s): sample for sample in samples}
    held = []
    slow, fast, direct = found.get(("Hansard", 5)), found.get(("Hansard", 20)), found.get(("direct", 5))
    if slow is not None and direct is not None:
        held.append(_bar("added p99 at 5 chunks/s, ms", P99_BAR_MS, slow.p99_ms - direct.p99_ms))
    if fast is not None:
        held.append(_bar("CPU per chunk at 20 chunks/s, us", CPU_BAR_US, fast.cpu_us))
    if slow is not None:
        held.append(_bar("memory per stream, KB", MEMORY_BAR_KB, slow.kb_per_stream))
    broken = sum(sample.broken for sample in samples if sample.server == "Hansard")
    held.append(_bar("broken streams", 0, broken))
    if soak is not None:
        growth_mb = soak["held_mb"][-1] - soak["held_mb"][SOAK_PARTS // 2 - 1]
        what = f"growth over the second half of {soak['chunks']:,} relayed chunks, MB"
        held.append(_bar(what, SOAK_GROWTH_BAR_MB, growth_mb))
    return held


def _bar(what: str, bar: float, measured: float) -> dict[str, Any]:
    return {"what": what, "at_most": bar, "measured": round(measured, 2), "met": measured <= bar}


def report(measured: dict[str, Any]) -> str:
    """The tables."""
    samples = [Sample(**sample) for sample in measured["samples"]]
    direct = {sample.per_s: sample for sample in samples if sample.server == "direct"}
    rows = [
        (
            f"{sample.per_s}",
            sample.server,
            f"{sample.chunks:,}",
            f"{sample.p50_ms:.2f}",
            f"{sample.p99_ms:.2f}",
            *_added(sample, direct[sample.per_s]),
            f"{sample.broken}",
        )
        for sample in samples
    ]
    asked = [
        (each["what"], f"{each['at_most']:g}", f"{each['measured']:.2f}", "met" if each["met"] else "**missed**")
        for each in measured["bars"]
    ]
    head = ("chunks/s", "server", "chunks", "p50 ms", "p99 ms", "added p50", "added p99", "CPU us/chunk", "KB/stream")
    return "\n\n".join(
        [
            f"{measured['streams']} streams",
            table((*head, "broken"), rows),
            table(("asked of Hansard", "at most", "measured", ""), asked),
        ]
    )


def _added(sample: Sample, direct: Sample) -> tuple[str, str, str, str]:
    if sample.server == "direct":
        return ("-", "-", "-", "-")
    return (
        f"{sample.p50_ms - direct.p50_ms:.2f}",
        f"{sample.p99_ms - direct.p99_ms:.2f}",
        f"{sample.cpu_us:.1f}",
        f"{sample.kb_per_stream:.0f}",
    )

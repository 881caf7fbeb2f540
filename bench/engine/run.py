"""Hansard against the engine's own HTTP server: the same model and settings, turn and turn about in one run.

Ratios mean something on any machine; absolute numbers only on a quiet one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bench.engine.load import Outcome, Target, play, said
from bench.numbers import median, quantile, table
from bench.processes import OURS, TICKS_PER_S, CannotRun, Server, alive, free_port, running, stat_fields
from hansard.engines.llamacpp.engine import LlamaCppEngine
from hansard.engines.llamacpp.supervisor import COMMAND

STREAMS = (1, 8, 32)
TOKENS = 64
# The model's end-of-turn token, forbidden, so that every stream is TOKENS long.
END_OF_TURN = 2
BODY = {"max_tokens": TOKENS, "temperature": 0, "stream": True, "stream_options": {"include_usage": True}}
READY_S = 60.0
KEY = "bench"

RATIO_BAR, FIRST_TOKEN_BAR_MS, LAG_BAR_MS, IDLE_BAR_MB, START_BAR_S = 0.9, 15.0, 10.0, 100.0, 2.0


@dataclass
class Row:
    """All rounds at one number of streams, in the order played."""

    streams: int
    engine: list[Outcome] = field(default_factory=list)
    hansard: list[Outcome] = field(default_factory=list)
    hansard_cpu_s: float = 0.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this bench can be told."""
    parser.add_argument("--rounds", type=int, default=5, help="rounds per row and server (default 5)")
    parser.add_argument("--requests", type=int, default=96, help="most requests per round (default 96)")
    parser.add_argument("--model-file", type=Path, help="another model than the built-in one")


def run(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure, print, and return what was measured."""
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch)
        with (
            _engine(asked.model_file, data) as engine,
            _hansard(asked.model_file, data) as (hansard, ready_s),
            _idle_process(data),
        ):
            idle_mb = resident_mb_alone(hansard)
            rows = asyncio.run(_measure(engine, hansard, asked))
            measured = {
                "rows": [_summary(row) for row in rows],
                "event_loop_lag_p99_ms": _lag_p99_ms(data / "lag"),
                "idle_process_lag_p99_ms": _lag_p99_ms(data / "idle-lag"),
                "idle_mb": round(idle_mb, 1),
                "after_load_mb": round(resident_mb_alone(hansard), 1),
                "cold_start_s": round(ready_s, 2),
            }
    measured["bars"] = bars(measured)
    print(report(measured))
    return measured


def bars(measured: dict[str, Any]) -> list[dict[str, Any]]:
    """What is asked beside what was measured."""
    held = []
    for row in measured["rows"]:
        streams, more_ms = row["streams"], row["hansard_first_token_ms"] - row["engine_first_token_ms"]
        fast = row["ratio"] >= RATIO_BAR
        held += [
            {"what": f"ratio at {streams}", "at_least": RATIO_BAR, "measured": row["ratio"], "met": fast},
            _at_most(f"first token later at {streams}, ms", FIRST_TOKEN_BAR_MS, more_ms),
        ]
    return [
        *held,
        _at_most("event-loop lag p99, ms", LAG_BAR_MS, measured["event_loop_lag_p99_ms"]),
        _at_most("idle memory, MB", IDLE_BAR_MB, measured["idle_mb"]),
        _at_most("cold start to ready, s", START_BAR_S, measured["cold_start_s"]),
    ]


def _at_most(what: str, bar: float, measured: float) -> dict[str, Any]:
    return {"what": what, "at_most": bar, "measured": measured, "met": measured <= bar}


def resident_mb_alone(server: Server) -> float:
    """Hansard's own process, without the engine's."""
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def _engine(model: Path | None, data: Path) -> Iterator[Target]:
    """The very child process that Hansard starts, with the settings Hansard gives it, but on a port."""
    port = free_port()
    settings = LlamaCppEngine(name="peer", model_path=model)._supervisor.settings
    configuration = {**msgspec.structs.asdict(settings), "socket": None, "port": port, "key": KEY}
    with running(
        "engine", COMMAND, port=port, log=data / "engine.log", stdin=json.dumps(configuration).encode() + b"\n"
    ) as server:
        _wait(server, "/health", data / "engine.log")
        bias = [[END_OF_TURN, -100]]
        yield Target(f"{server.url}/v1/chat/completions", {**BODY, "logit_bias": bias}, KEY)


@contextmanager
def _hansard(model: Path | None, data: Path) -> Iterator[tuple[Server, float]]:
    port = free_port()
    module = [sys.executable, "-m", "bench.engine.hansard_server", "--port", str(port)]
    command = [*module, "--data", str(data), "--lag", str(data / "lag")]
    if model is not None:
        command += ["--model-file", str(model.resolve())]
    with running("hansard", command, port=port, log=data / "hansard.log", environment=OURS) as server:
        _wait(server, "/readyz", data / "hansard.log")
        yield server, time.perf_counter() - server.started


@contextmanager
def _idle_process(data: Path) -> Iterator[None]:
    """What the machine does to a process that does nothing, meanwhile."""
    command = [sys.executable, "-m", "bench.engine.sampler", "--lag", str(data / "idle-lag")]
    with running("idle process", command, port=0, log=data / "idle.log", environment=OURS):
        yield


def _lag_p99_ms(file: Path) -> float:
    return round(quantile([float(line) for line in file.read_text().split()], 0.99), 2)


async def _measure(engine: Target, hansard: Server, asked: argparse.Namespace) -> list[Row]:
    name = "hansard-tiny" if asked.model_file is None else "bench"
    body = {**BODY, "model": name, "logit_bias": {str(END_OF_TURN): -100}}
    ours = Target(f"{hansard.url}/v1/chat/completions", body)
    theirs = await said(engine)
    if theirs != await said(ours):
        raise CannotRun(f"The two do not say the same, so there is nothing to compare:\n{theirs}\n{await said(ours)}")
    rows = []
    for streams in STREAMS:
        row = Row(streams)
        requests = max(streams * 2, min(asked.requests, streams * 12))
        for target in (engine, ours):
            await play(target, streams=streams, requests=streams)  # warm up
        for number in range(asked.rounds):
            # Whoever goes second finds the machine as the first left it, so they take turns at that too.
            for target in (engine, ours) if number % 2 == 0 else (ours, engine):
                before_s = own_cpu_s(hansard.pid)
                outcome = await play(target, streams=streams, requests=requests)
                if outcome.tokens != requests * TOKENS:
                    raise CannotRun(f"{target.url}: {outcome.tokens} tokens instead of {requests * TOKENS}")
                (row.engine if target is engine else row.hansard).append(outcome)
                row.hansard_cpu_s += own_cpu_s(hansard.pid) - before_s if target is ours else 0.0
        rows.append(row)
    return rows


def own_cpu_s(pid: int) -> float:
    """Processor seconds of this process alone, its children left out."""
    fields = stat_fields(Path(f"/proc/{pid}/stat").read_text())
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def _summary(row: Row) -> dict[str, float]:
    engine, hansard = row.engine, row.hansard
    first_ms = [median([s * 1000 for o in side for s in o.first_token_s]) for side in (engine, hansard)]
    tokens = sum(outcome.tokens for outcome in hansard)
    return {
        "streams": row.streams,
        "engine_tokens_per_s": round(median([o.tokens_per_s for o in engine])),
        "hansard_tokens_per_s": round(median([o.tokens_per_s for o in hansard])),
        "ratio": round(median([h.tokens_per_s / e.tokens_per_s for e, h in zip(engine, hansard, strict=True)]), 3),
        "engine_first_token_ms": round(first_ms[0], 1),
        "hansard_first_token_ms": round(first_ms[1], 1),
        "hansard_cpu_us_per_token": round(row.hansard_cpu_s * 1e6 / tokens, 1),
    }


def report(measured: dict[str, Any]) -> str:
    """The table; bars stand in brackets."""
    head = (
        "streams",
        "engine tok/s",
        "Hansard tok/s",
        f"ratio (>= {RATIO_BAR})",
        "engine first token ms",
        "Hansard",
        f"more (<= {FIRST_TOKEN_BAR_MS:.0f})",
        "Hansard's CPU us/token",
    )
    rows = [
        (
            f"{row['streams']}",
            f"{row['engine_tokens_per_s']:,}",
            f"{row['hansard_tokens_per_s']:,}",
            f"{row['ratio']:.2f}",
            f"{row['engine_first_token_ms']:.1f}",
            f"{row['hansard_first_token_ms']:.1f}",
            f"{row['hansard_first_token_ms'] - row['engine_first_token_ms']:+.1f}",
            f"{row['hansard_cpu_us_per_token']:.0f}",
        )
        for row in measured["rows"]
    ]
    lines = [
        table(head, rows),
        "",
        f"event-loop lag p99    {measured['event_loop_lag_p99_ms']:.1f} ms (bar: under {LAG_BAR_MS:.0f}); "
        f"of an idle process meanwhile {measured['idle_process_lag_p99_ms']:.1f} ms",
        f"idle memory           {measured['idle_mb']:.0f} MB (bar: under {IDLE_BAR_MB:.0f}), without the engine's",
        f"memory after load     {measured['after_load_mb']:.0f} MB",
        f"cold start to ready   {measured['cold_start_s']:.2f} s (bar: under {START_BAR_S:.0f})",
    ]
    return "\n".join(lines)


def _wait(server: Server, path: str, log: Path) -> None:
    deadline = time.perf_counter() + READY_S
    while time.perf_counter() < deadline:
        if not alive(server):
            raise CannotRun(f"{server.name} ended before it was ready:\n{log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(server.url + path, timeout=1) as reply:
                if reply.status == 200:
                    return
        except OSError:
            time.sleep(0.005)
    raise CannotRun(f"{server.name}: not ready after {READY_S:.0f} s")

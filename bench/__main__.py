"""``make bench``: Hansard against the engine's own HTTP server, the same model, turn and turn about in one run.

Prints one table. Ratios mean something on any machine; absolute numbers only on a quiet one.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from importlib.resources import files
from pathlib import Path

import psutil

from bench.load import Outcome, Target, play, quantile
from bench.servers import running

STREAMS = (1, 8, 32)
TOKENS = 64
# The model's end-of-turn token, forbidden, so that every stream is TOKENS long.
END_OF_TURN = 2
PARALLEL = 8
CTX = 2048
THREADS = 2


def main() -> None:
    """Run every row and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds per row and server (default 5)")
    parser.add_argument("--requests", type=int, default=96, help="requests per round (default 96)")
    asked = parser.parse_args()
    model = str(files("hansard.engines.builtin") / "hansard-tiny.gguf")
    with tempfile.TemporaryDirectory() as data:
        lag = Path(data) / "lag"
        engine_options = ("--model", model, "--parallel", str(PARALLEL), "--ctx", str(CTX), "--threads", str(THREADS))
        with (
            running("bench.engine_server", *engine_options, ready_path="/health") as (engine_url, _, _),
            running("bench.hansard_server", "--data", data, "--lag", str(lag), ready_path="/readyz") as hansard,
        ):
            url, process, ready_s = hansard
            idle_mb = process.memory_info().rss / 1e6
            rows = asyncio.run(_measure(engine_url, url, asked.rounds, asked.requests))
            print_table(rows)
            late = [float(line) for line in lag.read_text().split()]
            print(f"\nevent-loop lag p99        {quantile(late, 0.99):.1f} ms (bar: under 10 ms)")
            print(f"idle memory               {idle_mb:.0f} MB (bar: under 100 MB)")
            print(f"cold start to ready       {ready_s:.2f} s (bar: under 2 s)")
            print(f"memory after the load     {process.memory_info().rss / 1e6:.0f} MB")
            print(f"machine                   {psutil.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f}")


async def _measure(
    engine_url: str, hansard_url: str, rounds: int, requests: int
) -> list[tuple[int, list[Outcome], list[Outcome]]]:
    common = {"max_tokens": TOKENS, "temperature": 0, "stream": True, "stream_options": {"include_usage": True}}
    engine = Target(engine_url + "/v1/chat/completions", {**common, "logit_bias": [[END_OF_TURN, -100]]})
    hansard = Target(
        hansard_url + "/v1/chat/completions",
        {**common, "model": "hansard-tiny", "logit_bias": {str(END_OF_TURN): -100}},
    )
    rows = []
    for streams in STREAMS:
        count = max(streams * 2, min(requests, streams * 12))
        for target in (engine, hansard):
            await play(target, streams=streams, requests=streams)  # warm up
        measured: tuple[list[Outcome], list[Outcome]] = ([], [])
        for round_number in range(rounds):
            # Whoever goes second finds the machine as the first left it, so they take turns at that too.
            order = (0, 1) if round_number % 2 == 0 else (1, 0)
            for index in order:
                measured[index].append(await play((engine, hansard)[index], streams=streams, requests=count))
        rows.append((streams, *measured))
    return rows


def print_table(rows: list[tuple[int, list[Outcome], list[Outcome]]]) -> None:
    """Medians over the rounds; the bars stand in the head, in brackets."""
    print("| streams | engine tok/s | Hansard tok/s | ratio (0.9) | first token ms: engine | Hansard | more (15) |")
    print("|---|---|---|---|---|---|---|")
    for streams, engine, hansard in rows:
        theirs, ours = (statistics.median(o.tokens_per_s for o in side) for side in (engine, hansard))
        first = [statistics.median(s for o in side for s in o.first_token_s) * 1000 for side in (engine, hansard)]
        ratio = statistics.median(h.tokens_per_s / e.tokens_per_s for e, h in zip(engine, hansard, strict=True))
        print(
            f"| {streams} | {theirs:,.0f} | {ours:,.0f} | {ratio:.2f} "
            f"| {first[0]:.1f} | {first[1]:.1f} | {first[1] - first[0]:+.1f} |"
        )


main()

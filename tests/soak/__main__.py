"""``make soak``: half an hour of mixed load on a real server, after which it holds no more than before.

``MINUTES=`` is how long is measured (30), after a sixth of that to warm up, at first with as many clients at once as
there ever may be; ``PER_S=`` how many scenarios begin each second (20); ``DATABASE=postgresql`` takes that in place of
SQLite, from the tests' own wheel; ``SEED=`` says which scenarios come when. Loopback only. Ends with 1 if a reply was
none that may be, if memory or the blocks that Python's objects take of it grew by more than 2 % (``judge.growth`` says
of what), or if at rest there are more files, sockets, threads or tasks than before. Blocks, because memory stays where
the warm-up's rush has brought it until what only grows has filled the room left then.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.processes import unwind_at_sigterm
from tests.postgres import postgres_server

from .judge import MOST_GROWTH
from .run import Run, ended, served, soaked

REST_S = 20.0


def main() -> int:
    minutes = float(os.environ.get("MINUTES") or 30)
    per_s = float(os.environ.get("PER_S") or 20)
    seed = int(os.environ.get("SEED") or time.time_ns() % 10**9)
    database = os.environ.get("DATABASE") or "sqlite"
    print(f"{minutes:g} minutes on {database}, {per_s:g} scenarios a second, seed {seed}", flush=True)
    unwind_at_sigterm()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        url = ""
        if database == "postgresql":
            postgres = stack.enter_context(postgres_server())
            url = postgres.new_database()
        server = stack.enter_context(served(directory, database=url))

        def weight() -> int:
            if url:
                return int(str(postgres.scalar("SELECT sum(pg_database_size(datname)) FROM pg_database")))
            return sum(file.stat().st_size for file in server.data.glob("hansard.sqlite3*"))

        run = Run(server, seed=seed, per_s=per_s, weight=weight)
        times = {"warm_s": minutes * 10, "measured_s": minutes * 60, "rest_s": REST_S}
        print(asyncio.run(soaked(run, **times, at_most=MOST_GROWTH)), flush=True)
        wrong = [*run.wrong, *(after := ended(server, database=url))]
        print("\n".join([*(f"MISSED {each}" for each in after), "missed" if wrong else "kept"]), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

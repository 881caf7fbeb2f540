"""One run: a server with everything on, load that warms it up, rest, load that is measured, rest, and the judgement."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import reduce
from pathlib import Path
from random import Random
from statistics import mode

from bench.processes import OURS, free_port, running
from tests.acceptance.server import Server
from tests.fuzz.attacks import KEY
from tests.fuzz.judge import NotHttp

from . import judge, leavers, process
from . import scenarios as stayers
from .judge import Held
from .leavers import SILENCE_S, UNREAD_S
from .world import RETENTION_S, World

Scenario = Callable[[World, Random], Awaitable[None]]

# Each with how often it comes.
SCENARIOS: dict[Scenario, int] = {
    **dict.fromkeys((stayers.plain, stayers.streamed, stayers.stored), 10),
    **dict.fromkeys((stayers.listed, stayers.deleted, stayers.changed, stayers.kept_alive), 4),
    **dict.fromkeys((stayers.conversation, stayers.tools, stayers.always, stayers.repeated, stayers.refused), 3),
    **dict.fromkeys((stayers.searched, stayers.counted, stayers.elsewhere, stayers.broken, stayers.looked), 2),
    **dict.fromkeys((stayers.limited, stayers.keys), 2),
    **dict.fromkeys((leavers.before_the_first_byte, leavers.mid_stream, leavers.in_the_queue), 4),
    **dict.fromkeys((leavers.in_the_request, leavers.half_closed, leavers.behind_each_other), 2),
    **dict.fromkeys((leavers.half_open, leavers.silent, leavers.slow_reader, leavers.no_reader), 1),
    **dict.fromkeys((leavers.no_http, leavers.too_much), 1),
}
# By served name: which upstream, and what the mock behind it is told.
MODELS = {
    "quick": ("steady", "mock,chunks=16"),
    "slow": ("steady", "mock,chunks=24,gap_ms=20"),
    "late": ("steady", "mock,chunks=4,delay_ms=600"),
    "long": ("steady", "mock,chunks=4000"),
    "caller": ("steady", "mock,calls=1"),
    "narrow": ("narrow", "mock,chunks=4,delay_ms=300"),
    "fails": ("shaky", "mock,status=500"),
    "refuses": ("shaky", "mock,status=400"),
    "busy": ("shaky", "mock,status=429"),
    "breaks": ("shaky", "mock,chunks=16,cut_after=5"),
}
UPSTREAMS = {"steady": "", "narrow": "max_connections = 2\n", "shaky": "retry_pause_s = 0.02\n"}
UPSTREAM_IDLE_S = 2.0

MOST_AT_ONCE = 64
PATIENCE_S = 60.0
"""A scenario that takes longer hangs."""

STOPPED_EVERY_S, STOPPED_S = 4.0, 1.0
"""In a rush the server is stopped so often and for so long, as a machine does it that has something else to do."""

SAMPLED_EVERY_S = 1.0
MOST_SHOWN = 20
LEVELS = ("own MB", "RSS MB", "1000 bl")
COLUMNS = ("min", "requests", "at once", *LEVELS, *Held._fields, "DB MB", "wrong")

MEMORY, BLOCKS = "memory", "blocks of Python's memory"


class Run:
    """Load on one server. ``per_s`` scenarios begin each second; ``weight`` says what the database takes, in bytes."""

    def __init__(
        self, server: Server, *, seed: int, per_s: float, weight: Callable[[], int], told_every_s: float = 60.0
    ) -> None:
        self._server = server
        self._chance = Random(seed)
        self._per_s = per_s
        self._weight = weight
        self._told_every_s = told_every_s
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._began = time.monotonic()
        self._at_once = 0
        self._tasks_there = 0
        self._blocks_there = 0.0
        self.world = World(server.root)
        self.levels: dict[str, list[float]] = {MEMORY: [], BLOCKS: []}
        """Memory in MB, and how many thousand blocks, each second that is measured."""
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    async def load(self, seconds: float, *, measured: bool = False, at_most: bool = False) -> None:
        """Scenarios for so long, all of them ended in the end; memory is noted meanwhile if it is ``measured``.

        ``at_most``: so many at once as there ever may be, and all of them at the same moment again and again, which is
        what a busy machine can come to at any time.
        """
        until = time.monotonic() + seconds
        beside = [asyncio.create_task(self._sample(measured=measured))]
        if at_most:
            beside.append(asyncio.create_task(self._stop_now_and_then()))
        try:
            async with asyncio.TaskGroup() as clients:
                due = time.monotonic()
                while (due := self._next(due, at_most=at_most)) < until:
                    await asyncio.sleep(due - time.monotonic())
                    await self._slots.acquire()
                    (scenario,) = self._chance.choices(list(SCENARIOS), list(SCENARIOS.values()))
                    clients.create_task(self._played(scenario, Random(self._chance.random())))
        finally:
            for each in beside:
                each.cancel()
            await asyncio.wait(beside)
            self.world.lines.let_go()

    async def at_rest(self, seconds: float) -> Held:
        """The least of each that is held within so long; of tasks what there are most of the time."""
        seen = [await self._held()]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(0.25)
            seen.append(await self._held())
        # Files and sockets close one after the other. Tasks also come and go: whoever waits for something for a while
        # has one more while it waits.
        least = reduce(Held.least, seen)
        return least._replace(tasks=mode(each.tasks for each in seen[len(seen) // 2 :]))

    async def at_rest_again(self, seconds: float, bar: Held) -> Held:
        """The least of each that is held within so long, or until no more than ``bar`` is held."""
        least = await self._held()
        until = time.monotonic() + seconds
        while time.monotonic() < until and least.least(bar) != least:
            await asyncio.sleep(0.25)
            least = least.least(await self._held())
        return least

    def head(self) -> str:
        return "  ".join(f"{name:>8}" for name in COLUMNS)

    def row(self) -> str:
        """How it stands."""
        memory = process.memory(self._server.pid)
        files, sockets, threads, tasks = self._held_now()
        minutes = (time.monotonic() - self._began) / 60
        levels = (memory.own, memory.resident, self._blocks_there)
        fields = (f"{minutes:.1f}", self.counts.total(), self._at_once, *(f"{level:.1f}" for level in levels))
        fields += (files, sockets, threads, tasks, f"{self._weight() / 1e6:.1f}", len(self.wrong))
        return "  ".join(f"{field:>8}" for field in fields)

    def _next(self, due: float, *, at_most: bool) -> float:
        return time.monotonic() if at_most else due + self._chance.expovariate(self._per_s)

    async def _played(self, scenario: Scenario, chance: Random) -> None:
        name = scenario.__name__
        self._at_once += 1
        try:
            async with asyncio.timeout(PATIENCE_S):
                await scenario(self.world, chance)
        except TimeoutError:
            self.wrong.append(f"{name}: hangs for {PATIENCE_S:.0f} s")
        except (AssertionError, OSError, NotHttp) as error:
            self.wrong.append(f"{name}: {error!r}")
        finally:
            self.counts[name] += 1
            self._at_once -= 1
            self._slots.release()

    async def _stop_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(STOPPED_EVERY_S)
            self._server.signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(STOPPED_S)
            finally:
                self._server.signal(signal.SIGCONT)

    async def _sample(self, *, measured: bool) -> None:
        told = time.monotonic()
        while True:
            await asyncio.sleep(SAMPLED_EVERY_S)
            await self._look()
            if measured:
                self.levels[MEMORY].append(process.memory(self._server.pid).own)
                self.levels[BLOCKS].append(self._blocks_there)
            if time.monotonic() - told >= self._told_every_s:
                told = time.monotonic()
                print(self.row(), flush=True)

    async def _held(self) -> Held:
        await self._look()
        self.world.lines.let_go()
        await asyncio.sleep(0.05)  # until the server has seen that
        return self._held_now()

    def _held_now(self) -> Held:
        files = process.files(self._server.pid)
        sockets = sum(each.startswith("socket:") for each in files)
        return Held(len(files), sockets, process.threads(self._server.pid), self._tasks_there)

    async def _look(self) -> None:
        """Take down what the server says of itself."""
        metrics = await self.world.metrics()
        self._tasks_there = int(metrics["hansard_event_loop_tasks"])
        self._blocks_there = metrics["hansard_python_allocated_blocks"] / 1000


async def soaked(run: Run, *, warm_s: float, measured_s: float, rest_s: float, at_most: float) -> str:
    """All of it, told on the way; what it came to, in words. What was missed is in ``run.wrong``."""
    await run.world.furnish()
    print(run.head(), flush=True)
    await run.load(warm_s / 3, at_most=True)
    await run.load(warm_s * 2 / 3)
    await run.world.awaken()
    before = await run.at_rest(rest_s)
    print(f"{run.row()}  at rest, before", flush=True)
    await run.load(measured_s, measured=True)
    after = await run.at_rest_again(3 * rest_s, before)
    print(f"{run.row()}  at rest, after", flush=True)
    run.wrong += judge.complaints(run.levels, before=before, after=after, at_most=at_most)
    metrics = await run.world.metrics()
    run.world.lines.let_go()
    run.wrong += [
        f"{int(crashes)} bugs in the log" for name, crashes in metrics.items() if "crashes" in name and crashes
    ]
    lines = [
        *(_told(name, levels) for name, levels in run.levels.items()),
        f"at rest before: {before}",
        f"at rest after:  {after}",
        ", ".join(f"{count} {name}" for name, count in run.counts.most_common()),
        *(f"MISSED {each}" for each in run.wrong[:MOST_SHOWN]),
        *([f"and {more} more"] if (more := len(run.wrong) - MOST_SHOWN) > 0 else []),
    ]
    return "\n".join(lines)


def _told(name: str, levels: Sequence[float]) -> str:
    first, last = judge.ends(levels)
    return f"{name}: {first:.2f} in the first third, {last:.2f} in the last, growth {judge.growth(levels):+.2%}"


@contextlib.contextmanager
def served(directory: Path, *, database: str = "") -> Iterator[Server]:
    """A server with everything on, in front of a mock upstream that is a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "bench.mock_upstream", "--port", str(port), "--idle-s", str(UPSTREAM_IDLE_S)]
    directory.mkdir(parents=True, exist_ok=True)
    with running("mock", command, port=port, log=directory / "mock.txt", environment=OURS):
        settings = directory / "hansard.toml"
        settings.write_text(_settings(f"http://127.0.0.1:{port}/v1"))
        arguments = ["--config", str(settings), *(("--db", database) if database else ())]
        with Server(directory, *arguments, model=(), environment={"HANSARD_API_KEY": KEY}) as server:
            yield server.start()


def ended(server: Server, *, database: str = "") -> list[str]:
    """Stop it; what is wrong with how it ended, and with what it leaves in its database."""
    wrong = [f"exit status {status}"] if (status := server.stop()) else []
    if "Traceback" in server.stderr:
        wrong.append(f"a traceback in the log:\n{server.stderr[server.stderr.index('Traceback') :][:3000]}")
    where = ["--db", database] if database else ["--data", str(server.data)]
    command = [sys.executable, "-m", "hansard", "db", "check", *where]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, cwd=server.directory)
    return wrong if checked.returncode == 0 else [*wrong, f"db check: {checked.stdout[-2000:]}{checked.stderr[-2000:]}"]


def _settings(base_url: str) -> str:
    scalars = {
        "search": "on",
        "retention": f"{RETENTION_S}s",
        "idempotency_ttl_s": RETENTION_S,
        "on_disconnect": "finish",
        "silence_s": SILENCE_S,
        "unread_s": UNREAD_S,
        "log": "json",
    }
    text = "".join(f"{name} = {value!r}\n" for name, value in scalars.items())
    text += '[[models]]\npath = "echo"\n'
    for name, (upstream, model) in MODELS.items():
        text += f'[[models]]\nname = "{name}"\ntargets = [{{ upstream = "{upstream}", model = "{model}" }}]\n'
    for name, more in UPSTREAMS.items():
        text += f'[[upstreams]]\nname = "{name}"\nbase_url = "{base_url}"\n{more}'
    return text

"""Hostile requests over real sockets against a real server with keys on: ``make fuzz``, in short in ``make test``.

Whatever is sent, a reply is whole HTTP with an envelope where it refuses, nothing is a 5xx but 503 with Retry-After,
no reply shows our inside, every connection ends, and at the end the server lives and has grown by a bound at most.

``REQUESTS=`` says how many, ``SEED=`` which: what was sent as number N is ``attacks.attack(SEED, N)``, but for
ids of completions, which differ from run to run, and for what eight clients at once do to each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.acceptance.server import ECHO, Server
from tests.fuzz import judge
from tests.fuzz.attacks import KEY, SILENCE_S, STORED, Attack, attack
from tests.fuzz.bodies import MAX_BODY_BYTES

CLIENTS = 8
PATIENCE_S = 10.0
"""A connection that neither answers nor ends for so long hangs. The server waits for ``SILENCE_S``."""

GROWTH_BYTES = 24 * 2**20
"""How much the server may grow behind the first fifth of the requests, which fills its caches and its pools."""

MOST_SHOWN = 20
_MADE = re.compile(rb'\{"id":"((chatcmpl-|proj_|key_)[^"]+)"')
_OF_PATH = {b"/projects/": b"proj_", b"/keys/": b"key_", b"": b"chatcmpl-"}


class Run:
    """So many requests of one seed against one server, and what was found."""

    def __init__(self, server: Server, *, seed: int, requests: int) -> None:
        self._address = urlsplit(server.base_url)
        self._server = server
        self._seed = seed
        self._requests = requests
        self._numbers: Iterator[int] = iter(range(requests))
        self._made: dict[bytes, deque[bytes]] = {kind: deque(maxlen=50) for kind in _OF_PATH.values()}
        self._warm_bytes = 0
        self._began = time.monotonic()
        self.findings: list[str] = []
        self.counts: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.growth_bytes = 0

    async def go(self) -> None:
        """Send all, and judge each; nothing is raised."""
        await asyncio.gather(*(self._work() for _ in range(CLIENTS)))
        self.growth_bytes = self._held_bytes() - self._warm_bytes
        if self.growth_bytes > GROWTH_BYTES:
            self.findings.append(f"memory grew by {self.growth_bytes / 2**20:.1f} MiB")
        if not self._server.is_ready():
            self.findings.append("the server does not answer any more")
        if "Traceback" in self._server.stderr:
            self.findings.append(f"a traceback in the log:\n{self._server.stderr[-3000:]}")

    async def _work(self) -> None:
        for number in self._numbers:
            if number == self._requests // 5:
                self._warm_bytes = self._held_bytes()
            if number and number % 5000 == 0:
                self._tell(number)
            tried = attack(self._seed, number)
            for problem in await self._judged(tried):
                self.findings.append(f"#{number} ({tried.name}): {problem}")

    async def _judged(self, tried: Attack) -> list[str]:
        self.kinds[tried.name] += 1
        try:
            async with asyncio.timeout(PATIENCE_S):
                data, is_reset = await self._sent(tried)
            got, rest = judge.replies(data, is_head=tried.is_head)
        except TimeoutError:
            return [f"hangs for {PATIENCE_S:.0f} s"]
        except judge.NotHttp as error:
            return [f"no HTTP: {error}"]
        except OSError as error:
            return [f"no connection: {error}"]
        if tried.then == "leave":
            return []
        self._count(got, is_reset=is_reset)
        # The kernel may throw away a reply that the end of the connection overtook.
        return [] if is_reset and not got else judge.complaints(tried, got, b"" if is_reset else rest)

    async def _sent(self, tried: Attack) -> tuple[bytes, bool]:
        """All that came back, and whether the connection broke instead of ending."""
        reader, writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        try:
            with contextlib.suppress(OSError):  # refused while we still write: the reply is there all the same
                for index, piece in enumerate(tried.pieces):
                    if index and tried.pause_s:
                        await asyncio.sleep(tried.pause_s)
                    writer.write(self._with_ids(piece))
                    await writer.drain()
                if tried.then == "finish":
                    writer.write_eof()
            return (b"", False) if tried.then == "leave" else await _received(reader, tried)
        finally:
            writer.transport.abort()

    def _with_ids(self, piece: bytes) -> bytes:
        """The same with ids that exist, once there are some."""
        name = STORED.encode()
        if name not in piece:
            return piece
        kind = next(kind for path, kind in _OF_PATH.items() if path in piece)
        return piece.replace(name, self._made[kind][-1]) if self._made[kind] else piece

    def _count(self, got: list[judge.Reply], *, is_reset: bool) -> None:
        for reply in got:
            self.counts[str(reply.status)] += 1
            if reply.status == 200 and (made := _MADE.match(reply.body)):
                self._made[made[2]].append(made[1])
        if not got:
            self.counts["reset" if is_reset else "closed"] += 1

    def _held_bytes(self) -> int:
        return sum(process.memory_info().rss for process in self._server.processes())

    def _tell(self, number: int) -> None:
        rate = number / (time.monotonic() - self._began)
        held = self._held_bytes() / 2**20
        print(f"{number:>7} sent, {rate:.0f}/s, {held:.0f} MiB, {len(self.findings)} findings", flush=True)

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))
        kinds = ", ".join(f"{count} {what}" for what, count in self.kinds.most_common())
        took_s = time.monotonic() - self._began
        lines = [f"sent in {took_s:.0f} s: {kinds}", f"got: {counts}", f"growth: {self.growth_bytes / 2**20:+.1f} MiB"]
        shown = [f"FOUND {finding}" for finding in self.findings[:MOST_SHOWN]]
        more = len(self.findings) - len(shown)
        return "\n".join([*lines, *shown, *([f"and {more} more"] if more else []), f"seed {self._seed}"])


async def _received(reader: asyncio.StreamReader, tried: Attack) -> tuple[bytes, bool]:
    """What comes until there are as many replies as there may be, or nothing more comes."""
    data = b""
    try:
        while piece := await reader.read(2**18):
            data += piece
            if len(judge.replies(data, is_head=tried.is_head)[0]) >= tried.replies:
                return data, False
    except ConnectionError:
        return data, True
    return data, False


@contextlib.contextmanager
def served(directory: Path) -> Iterator[Server]:
    """A server that has keys on and little patience."""
    bounds = ("--silence-s", str(SILENCE_S), "--max-body-bytes", str(MAX_BODY_BYTES))
    with Server(directory, *bounds, model=ECHO, environment={"HANSARD_API_KEY": KEY}) as server:
        yield server.start()


def main() -> int:
    seed = int(os.environ.get("SEED") or time.time_ns() % 10**9)
    requests = int(os.environ.get("REQUESTS") or 100_000)
    print(f"seed {seed}, {requests} requests, {CLIENTS} clients", flush=True)
    with tempfile.TemporaryDirectory() as directory, served(Path(directory)) as server:
        run = Run(server, seed=seed, requests=requests)
        asyncio.run(run.go())
        print(run)
    return 1 if run.findings else 0


if __name__ == "__main__":
    sys.exit(main())

"""Keeps one engine process alive: starts it, hears when it is ready, starts it again when it dies, stops it.

The child hangs on a pipe of ours: it ends when that pipe does, however we end. What is said to
the engine over its socket is not known here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from hansard.errors import StartupError

COMMAND = (sys.executable, "-P", "-m", "hansard.engines.llamacpp.child")
STOP_S = 5.0
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
HEALTHY_S = 30.0
KEPT_LINES = 40
READ_BYTES = 4096
SOCKET_PATH_LIMIT = 100  # sun_path has 104 bytes on macOS, 108 on Linux
LOAD_ERROR = "error loading model: "  # only to choose which line to show


class ChildSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine is started with. ``ctx`` is tokens per request; ``None`` lets the model decide.

    ``read_at_once_tokens`` is how much of the prompts goes into one step; ``None`` lets the engine decide.
    """

    model_path: str
    mmproj: str | None = None
    ctx: int | None = None
    parallel: int
    threads: int
    gpu_layers: int | None = None
    flash_attention: bool = True
    read_at_once_tokens: int | None = None


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What a child says once it serves. ``created`` is when the model file was written, in unix seconds.

    ``longest_token`` is in bytes, ``vocabulary`` how many tokens there are, 0 where the file does not say.
    """

    address: str
    context: int
    control_tokens: tuple[str, ...]
    longest_token: int
    vocabulary: int
    knows_developer: bool
    thinks: bool
    fingerprint: str
    created: int


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    """The one line a child writes."""

    ready: Ready | None = None
    failed: str | None = None
    cause: str | None = None


class Child:
    """One engine process, from its start to its end."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._complaints: deque[str] = deque(maxlen=KEPT_LINES)
        self._listening = asyncio.create_task(self._listen())  # ends with the process; awaited in ``ended``

    @classmethod
    async def spawn(cls, configuration: bytes) -> Child:
        """Start a process and hand it its configuration; it loads from here on."""
        # A session of its own: Ctrl-C in the terminal must reach us, and through us the engine.
        process = await asyncio.create_subprocess_exec(
            *COMMAND, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
        )
        child = cls(process)
        assert process.stdin is not None
        # uvloop raises RuntimeError where the child has ended already; ``ready`` finds that out by itself.
        with contextlib.suppress(RuntimeError, OSError):
            process.stdin.write(configuration + b"\n")
        return child

    async def ready(self) -> Ready:
        """Wait until it serves; raises ``StartupError`` with one line if it will not."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            await self.ended()
            raise StartupError(self._last_words())
        said = msgspec.json.decode(line, type=_Said)
        if said.ready is None:
            await self.ended()
            raise StartupError(said.failed or self._reason(said.cause))
        return said.ready

    async def ended(self) -> None:
        """Wait for its end."""
        await self._process.wait()
        await self._listening

    async def stop(self) -> None:
        """Close the pipe it hangs on; kill it if that does not end it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                await self.ended()
        except TimeoutError:
            self.kill()
            await self.ended()

    def kill(self) -> None:
        """End it at once; nothing happens if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _listen(self) -> None:
        """Keep the last lines of its standard error, and never let that pipe fill up."""
        assert self._process.stderr is not None
        unfinished = ""
        while piece := await self._process.stderr.read(READ_BYTES):
            *lines, unfinished = (unfinished + piece.decode("utf-8", "replace")).split("\n")
            self._complaints.extend(lines)
            unfinished = unfinished[-READ_BYTES:]
        if unfinished:
            self._complaints.append(unfinished)

    def _reason(self, cause: str | None) -> str:
        for line in self._complaints:
            if LOAD_ERROR in line:
                return "The model cannot be loaded: " + line.split(LOAD_ERROR, 1)[1].strip()
        return "The engine did not start: " + (self._complaints[-1] if self._complaints else str(cause))

    def how_it_ended(self) -> str:
        """One phrase about its end, for the log."""
        code = self._process.returncode or 0
        return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"

    def _last_words(self) -> str:
        if self._process.returncode == -signal.SIGILL:
            return "The engine ended by SIGILL while it loaded: its build needs a processor with AVX2."
        last = f": {self._complaints[-1]}" if self._complaints else "."
        return f"The engine {self.how_it_ended()} while it loaded the model{last}"


class Supervisor:
    """One model's engine process, kept alive between ``start`` and ``stop``."""

    def __init__(
        self,
        settings: ChildSettings,
        *,
        on_change: Callable[[str, str], None],
        over_loopback: bool = sys.platform == "win32",
    ) -> None:
        self.settings = settings
        self._on_change = on_change
        self._over_loopback = over_loopback
        self._port = 0
        self.key = secrets.token_hex(16)
        self.socket: str | None = None
        self.ready: Ready | None = None
        self._child: Child | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> Ready:
        """Return when it serves; raise ``StartupError`` if it cannot."""
        if not self._over_loopback:
            self.socket = _private_socket()
        try:
            ready = await self._spawn()
        except BaseException:
            await self.stop()
            raise
        # The one task of this object: born here, ended and awaited in ``stop``.
        self._watching = asyncio.create_task(self._keep_alive())
        return ready

    async def stop(self) -> None:
        """End the process and remove its socket."""
        self.ready = None
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None
        if self._child is not None:
            await self._child.stop()
            self._child = None
        if self.socket is not None:
            shutil.rmtree(os.path.dirname(self.socket), ignore_errors=True)

    def start_again(self, reason: str) -> None:
        """End a process that serves no more, for this ``reason``; nothing happens where it is not ready anyway."""
        if self._child is not None and self.ready is not None:
            self.ready = None
            self._on_change("lost", f"{reason}; starting it again")
            self._child.kill()

    async def _spawn(self) -> Ready:
        own = {"socket": self.socket, "port": self._port, "key": self.key}
        configuration = {**msgspec.structs.asdict(self.settings), **own}
        self._child = await Child.spawn(json.dumps(configuration).encode())
        self.ready = await self._child.ready()
        if self._over_loopback:
            self._port = urlsplit(self.ready.address).port or 0  # the next child takes the same
        return self.ready

    async def _keep_alive(self) -> None:
        clock = asyncio.get_running_loop().time
        delay_s = FIRST_DELAY_S
        while self._child is not None:
            begun = clock()
            await self._child.ended()
            if self.ready is not None:
                self._on_change("lost", f"{self._child.how_it_ended()}; starting it again")
            self.ready = None
            if clock() - begun > HEALTHY_S:
                delay_s = FIRST_DELAY_S
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)
            try:
                await self._spawn()
                self._on_change("back", "")
            except (StartupError, OSError) as failure:
                self._on_change("down", str(failure))  # and again after a longer wait


def _private_socket() -> str:
    """Where a child may listen: alone in a directory that it makes itself, since we may be killed before it does.

    In the directory for temporary files, if the path is short enough for a socket there.
    """
    name = os.path.join(f"hansard-{secrets.token_hex(8)}", "engine.sock")
    path = os.path.join(tempfile.gettempdir(), name)
    return path if len(path.encode()) <= SOCKET_PATH_LIMIT else os.path.join("/tmp", name)  # noqa: S108

"""Runs the real server the way an operator does: a process of its own, on a free port, with its own data directory.

Every process it starts carries a mark in its environment, so that what survives can be found and ended,
whoever its parent has become. How to talk to it is in ``wire``; nothing of ``hansard`` is imported here.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import psutil
import pytest

from .wire import Reply, send

MODEL = "hansard-tiny"
ECHO = ("--model", "echo")

# A model file to use in place of the built-in one, while that one is being trained or replaced.
MODEL_FILE = os.environ.get("HANSARD_TEST_MODEL", "builtin")
EMBEDDED = ("--model", "builtin" if MODEL_FILE == "builtin" else f"{MODEL}={MODEL_FILE}")

MARK = "ACCEPTANCE_MARK"
START_S = 30.0
STOP_S = 30.0
SHOWN_LINES = 40

T = TypeVar("T")


class Server:
    """One ``hansard serve``. It can be started, killed and started again on the same data."""

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        model: Sequence[str] = EMBEDDED,
        environment: Mapping[str, str] | None = None,
        data: Path | None = None,
        wrapper: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self._wrapper = tuple(wrapper)
        self.data = data or directory / "data"
        self.arguments = ("--port", "0", "--data", str(self.data), *model, *arguments)
        self.environment = dict(environment or {})
        self.mark = uuid.uuid4().hex
        # Short on purpose: the engine's socket lies below it, and a socket's path has some 100 bytes at most.
        self.temporary = Path(tempfile.mkdtemp(prefix="accept-"))
        self.base_url = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def root(self) -> str:
        """The address without ``/v1``."""
        return self.base_url.removesuffix("/v1")

    @property
    def stderr(self) -> str:
        """What the process has said since it was started last."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def banner(self) -> str:
        """What it says once it can answer."""
        return eventually(lambda: self.stderr if "--upstream" in self.stderr else None, "the banner")

    @property
    def stored_ids(self) -> list[str]:
        """The newest completions it has stored, at most 100."""
        return [stored["id"] for stored in self.get("/chat/completions?limit=100&order=desc").json()["data"]]

    def start(self) -> Server:
        """Return once it answers ``/readyz`` with 200."""
        self.spawn()
        match = eventually(self._announced, "the address in the banner", within_s=START_S, server=self)
        self.base_url = match[1]
        eventually(self.is_ready, "/readyz to answer 200", within_s=START_S, server=self)
        return self

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the process and wait for nothing."""
        self._starts += 1
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self._wrapper, sys.executable, "-m", "hansard", "serve", *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                cwd=self.directory,
            )
        return self._process

    def refuses_to_start(self) -> str:
        """Start it in the belief that it will not; what it said, if it ended by itself with exit status 1."""
        process = self.spawn()
        try:
            code = process.wait(START_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"It runs, and should have refused to start.\n{self.stderr}") from None
        assert code == 1, f"exit status {code}\n{self.stderr}"
        assert "Traceback" not in self.stderr, self.stderr
        self.assert_nothing_remains()
        return self.stderr

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return send("GET", f"{self.root}/readyz").status == 200
        return False

    def get(self, path: str, **headers: str) -> Reply:
        return send("GET", self.base_url + path, headers=headers)

    def post(self, path: str, body: object, **headers: str) -> Reply:
        return send("POST", self.base_url + path, body=body, headers=headers)

    def delete(self, path: str, **headers: str) -> Reply:
        return send("DELETE", self.base_url + path, headers=headers)

    def ask(self, prompt: str, **fields: object) -> Reply:
        """Create a completion that answers ``prompt``."""
        return self.post("/chat/completions", question(prompt, **fields))

    def kill(self) -> None:
        """``kill -9``, as a crash or the kernel's memory killer does it."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit status of the process, once it has ended."""
        assert self._process is not None
        try:
            return self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"It did not end within {STOP_S:.0f} s.\n{self.stderr}") from None

    def processes(self) -> list[psutil.Process]:
        """Every living process that this one started, and itself."""
        return [process for process in _living() if _mark_of(process) == self.mark]

    def engine(self) -> psutil.Process:
        """The one engine process."""
        (engine,) = eventually(lambda: [p for p in self.processes() if p.pid != self.pid], "an engine process")
        return engine

    def assert_nothing_remains(self) -> None:
        """No process and no socket is left, or will be in a moment."""

        def gone() -> bool:
            return not self.processes() and not list(self.temporary.rglob("*"))

        eventually(gone, "the engine and its socket to be gone", within_s=5, server=self, seen=self._remains)

    def close(self) -> None:
        """End whatever still runs."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if self._process is not None:
            self._process.wait(STOP_S)
        shutil.rmtree(self.temporary, ignore_errors=True)

    @property
    def _log(self) -> Path:
        return self.directory / f"stderr-{self._starts}.txt"

    def _announced(self) -> re.Match[str] | None:
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            raise AssertionError(f"It ended with exit status {code} before it was ready.\n{self.stderr}")
        return re.search(r'(?:listens on |"address":")(https?://[^\s"]+/v1)', self.stderr)

    def _environment(self) -> dict[str, str]:
        """Ours, without settings, and with a home of its own so that no settings file is found."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HANSARD_", "XDG_"))}
        own = {"HOME": str(self.directory / "home"), "TMPDIR": str(self.temporary), MARK: self.mark}
        return inherited | own | self.environment

    def _remains(self) -> str:
        processes = [f"{process.pid} {' '.join(process.cmdline())}" for process in self.processes()]
        return "\n".join([*processes, *map(str, self.temporary.rglob("*"))])


def mounted(directory: Path, options: str, then: str = "true") -> list[str]:
    """A command that runs another one where a small file system of its own is mounted there, and gone with it.

    It needs no rights but a user namespace; the test is skipped where there are none.
    """
    directory.mkdir(parents=True, exist_ok=True)
    script = f"mount -t tmpfs -o {options} tmpfs '{directory}' && {then} && exec \"$@\""
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], capture_output=True).returncode != 0:
        pytest.skip("a file system cannot be mounted here, not even in a namespace of one's own")
    return command


def question(prompt: str, **fields: object) -> dict[str, object]:
    """A create request with one user message."""
    return {"model": MODEL, "messages": [{"role": "user", "content": prompt}], **fields}


# Long enough to be under way when the engine dies: 250 numbers, whatever the model thinks of it.
NUMBERS = {
    "type": "object",
    "properties": {"n": {"type": "array", "items": {"type": "integer", "maximum": 99}, "minItems": 250}},
    "required": ["n"],
}
LONG = question(
    "List numbers.", response_format={"type": "json_schema", "json_schema": {"name": "numbers", "schema": NUMBERS}}
)


def busy(process: psutil.Process) -> bool:
    """Whether it computes at this moment."""
    before = process.cpu_times().user
    time.sleep(0.05)  # processor time is counted in hundredths of a second
    return process.cpu_times().user > before


def eventually(
    look: Callable[[], T],
    what: str,
    *,
    within_s: float = 10.0,
    server: Server | None = None,
    seen: Callable[[], str] = str,
) -> T:
    """Look until there is something to see; what is waited for is named if it does not come."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        if time.monotonic() > deadline:
            log = "\n".join(["", *server.stderr.splitlines()[-SHOWN_LINES:]]) if server is not None else ""
            raise AssertionError(f"Waited {within_s:.0f} s for {what}. {seen()}{log}")
        time.sleep(0.01)
    return found


def _living() -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):  # ended meanwhile, or somebody else's
        return None

"""How a command line is run: what comes out of it, and a terminal for those that look for one."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

CTRL_C = "\x03"
CTRL_D = "\x04"


class Outcome(NamedTuple):
    """How a command ended, and what it printed where."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


class Terminal:
    """Runs ``hansard`` with a terminal on all three streams."""

    def __init__(self, base_url: str) -> None:
        self._environ = {**os.environ, "OPENAI_BASE_URL": base_url, "COLUMNS": "120", "TERM": "xterm"}

    def run(self, *arguments: str, steps: Sequence[tuple[str, str]] = (), **environ: str) -> Outcome:
        """Wait for the first text of each step, then type the second. ``out`` is all that a person sees."""
        master, slave = pty.openpty()
        command = [sys.executable, "-m", "hansard", *arguments]
        environ = {**self._environ, **environ}
        with subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environ, start_new_session=True
        ) as process:
            os.close(slave)
            try:
                seen = _talk(master, process, steps)
            finally:
                process.kill()
                os.close(master)
        return Outcome(process.returncode, seen.decode().replace("\r\n", "\n"), "")


def _talk(master: int, process: subprocess.Popen[bytes], steps: Sequence[tuple[str, str]]) -> bytes:
    seen, searched, waiting = b"", 0, list(steps)
    while read := _read(master):
        seen += read
        while waiting and (found := seen.find(waiting[0][0].encode(), searched)) >= 0:
            searched = found + len(waiting[0][0])
            typed = waiting.pop(0)[1]
            if typed == CTRL_C:
                process.send_signal(signal.SIGINT)
            else:
                os.write(master, typed.encode())
    process.wait()
    return seen


def without_style(text: str) -> str:
    """The text without colours and other escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:  # Linux's way to say that the other side is closed
        return b""

"""The two servers under measurement, each a process of its own: Hansard, and the engine's own HTTP server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

READY_S = 60.0


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(module: str, *arguments: str, ready_path: str) -> Iterator[tuple[str, psutil.Process, float]]:
    """``python -m module --port N arguments``: its address, its process, and the seconds until it was ready."""
    port = free_port()
    started = time.perf_counter()
    command = [sys.executable, "-m", module, "--port", str(port), *arguments]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=_environment())
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_ready(process, url + ready_path)
        yield url, psutil.Process(process.pid), time.perf_counter() - started
    finally:
        process.terminate()
        process.wait(30)


def _environment() -> dict[str, str]:
    root = str(Path(__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": root}


def _wait_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.perf_counter() + READY_S
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"{url}: the server ended with {process.returncode} before it was ready")
        try:
            with urllib.request.urlopen(url, timeout=1) as reply:
                if reply.status == 200:
                    return
        except OSError:
            time.sleep(0.01)
    raise SystemExit(f"{url}: not ready after {READY_S:.0f} s")

"""HAProxy as an operator runs it, with the file of the example: three servers behind one address."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from .server import Server, eventually
from .wire import send

CONFIGURATION = Path(__file__).parents[2] / "examples" / "replicas" / "haproxy.cfg"
PROGRAM = shutil.which("haproxy", path=f"{os.defpath}:/usr/sbin:/usr/local/sbin")
NAMES = ("ONE", "TWO", "THREE")


@contextlib.contextmanager
def balanced(servers: Sequence[Server], log: Path) -> Iterator[str]:
    """The base URL in front of them, once a request through it is answered."""
    assert PROGRAM is not None
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("wb") as said:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        addresses = {
            f"HANSARD_{name}": server.root.removeprefix("http://") for name, server in zip(NAMES, servers, strict=True)
        }
        process = subprocess.Popen(
            [PROGRAM, "-db", "-f", str(CONFIGURATION)],
            env={**os.environ, **addresses, "HANSARD_BIND": f"fd@{listener.fileno()}"},
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        try:

            def works() -> bool:
                assert process.poll() is None, log.read_text()
                return answers(f"{url}/readyz")

            eventually(works, "HAProxy to answer", seen=log.read_text)
            yield f"{url}/v1"
        finally:
            process.terminate()
            process.wait(30)


def answers(url: str) -> bool:
    with contextlib.suppress(OSError):
        return send("GET", url).status == 200
    return False

"""The engine's process: it starts with a reason or not at all, comes back when it dies, and never outlives us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from hansard.engines.client import ChatClient
from hansard.engines.llamacpp.supervisor import ChildSettings, Supervisor
from hansard.errors import StartupError

pytestmark = pytest.mark.anyio

PATIENCE_S = 20.0

# Stands in for the engine where loading itself is what goes wrong.
FAKE_ENGINE = """
import os, signal, sys, time
class CommonParams:
    class model: path = None
    class cpuparams: n_threads = 0
    class cpuparams_batch: n_threads = 0
    class sampling: top_k = 40
__version__ = "0"
def Server(params):
    {load}
{top}
"""


@pytest.fixture
def settings(model_path: Path) -> ChildSettings:
    return ChildSettings(model_path=str(model_path), parallel=1, threads=1, ctx=256)


@pytest.fixture
def fake_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a module of the engine's name before the engine."""

    def install(*, load: str = "pass", top: str = "") -> None:
        (tmp_path / "xllamacpp.py").write_text(FAKE_ENGINE.format(load=load, top=top))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return install


class Changes:
    """What a supervisor reports, and a way to wait for it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self._news = asyncio.Event()

    def __call__(self, state: str, reason: str) -> None:
        self.seen.append((state, reason))
        self._news.set()

    async def until(self, state: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while state not in [seen for seen, _ in self.seen]:
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def supervised(
    settings: ChildSettings, changes: Changes | None = None, *, over_loopback: bool = False
) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(settings, on_change=changes or Changes(), over_loopback=over_loopback)
    await supervisor.start()
    try:
        yield supervisor
    finally:
        await supervisor.stop()


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "llamacpp.child" in " ".join(child.cmdline())]


async def healthy(supervisor: Supervisor) -> bool:
    assert supervisor.ready is not None
    socket = supervisor.socket
    client = ChatClient(base_url="http://engine" if socket else supervisor.ready.address, unix_socket=socket)
    try:
        return (await client.get("/health")).status == 200
    finally:
        await client.close()


async def test_it_serves_on_a_socket_nobody_else_can_reach(settings: ChildSettings) -> None:
    before = children()
    async with supervised(settings) as supervisor:
        assert supervisor.socket is not None
        assert Path(supervisor.socket).parent.stat().st_mode & 0o777 == 0o700
        assert supervisor.ready is not None
        assert supervisor.ready.context == 256
        assert supervisor.ready.fingerprint.startswith("fp_")
        assert len(supervisor.ready.fingerprint) == 13
        assert await healthy(supervisor)
        started = [child for child in children() if child not in before]
        assert len(started) == 1
        assert started[0].children() == []

    assert not Path(supervisor.socket).parent.exists()
    assert not started[0].is_running()


async def test_without_unix_sockets_it_serves_on_the_loopback_with_a_key(settings: ChildSettings) -> None:
    async with supervised(settings, over_loopback=True) as supervisor:
        assert supervisor.ready is not None
        address = supervisor.ready.address
        assert address.startswith("http://127.0.0.1:")
        anyone, ours = (
            ChatClient(base_url=address, headers=headers, keep_alive=False)
            for headers in ({}, {"Authorization": f"Bearer {supervisor.key}"})
        )
        assert (await anyone.get("/slots")).status == 401
        assert (await ours.get("/slots")).status == 200
        await anyone.close()
        await ours.close()


async def test_a_child_that_dies_is_started_again(settings: ChildSettings) -> None:
    changes = Changes()
    before = children()
    async with supervised(settings, changes) as supervisor:
        for child in children():
            if child not in before:
                child.kill()
        await changes.until("back")

        assert await healthy(supervisor)
    assert changes.seen == [("lost", "ended by SIGKILL; starting it again"), ("back", "")]


async def test_a_child_that_cannot_come_back_is_tried_again(
    settings: ChildSettings, fake_engine: Callable[..., None]
) -> None:
    changes = Changes()
    before = children()
    async with supervised(settings, changes) as supervisor:
        fake_engine(load="raise RuntimeError('no memory')")
        for child in children():
            if child not in before:
                child.kill()
        await changes.until("down")

        assert supervisor.ready is None
    assert changes.seen[1] == ("down", "The engine did not start: no memory")


@pytest.mark.parametrize(
    ("load", "top", "said"),
    [
        ("raise RuntimeError('why')", "", "The engine did not start: why"),
        ("os._exit(3)", "", "The engine ended with status 3 while it loaded the model."),
        (
            "sys.stderr.write('1 E llama: error loading model: bad tensor\\n1 E more\\n'); raise RuntimeError",
            "",
            "The model cannot be loaded: bad tensor",
        ),
        (
            "os.kill(os.getpid(), signal.SIGILL)",
            "",
            "The engine ended by SIGILL while it loaded: its build needs a processor with AVX2.",
        ),
        (
            "pass",
            "raise ImportError('libgomp.so.1: cannot open shared object file')",
            "The embedded engine needs the system library libgomp. Install it with `apt-get install libgomp1` "
            "(Debian, Ubuntu) or `dnf install libgomp` (Fedora, RHEL). There is no engine build for Alpine. "
            "In front of a chat server elsewhere (`hansard serve --upstream URL`) nothing needs it.",
        ),
        ("pass", "raise ImportError('nothing there')", "The engine cannot be loaded: nothing there."),
    ],
)
async def test_what_keeps_it_from_starting_is_said_in_one_line(
    settings: ChildSettings, fake_engine: Callable[..., None], load: str, top: str, said: str
) -> None:
    fake_engine(load=load, top=top)
    supervisor = Supervisor(settings, on_change=Changes())

    with pytest.raises(StartupError) as caught:
        await supervisor.start()

    assert caught.value.problems == (said,)
    assert supervisor.socket is not None
    assert not Path(supervisor.socket).parent.exists()


@pytest.mark.parametrize("kept", [0.1, 0.95])
async def test_a_model_file_cut_off_gets_one_line(settings: ChildSettings, tmp_path: Path, kept: float) -> None:
    whole = Path(settings.model_path).read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(whole[: int(len(whole) * kept)])

    with pytest.raises(StartupError) as caught:
        await Supervisor(ChildSettings(model_path=str(path), parallel=1, threads=1), on_change=Changes()).start()

    (problem,) = caught.value.problems
    assert problem.startswith("The model cannot be loaded: tensor ")


async def test_a_file_that_is_no_model_gets_one_line(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")

    with pytest.raises(StartupError) as caught:
        await Supervisor(ChildSettings(model_path=str(path), parallel=1, threads=1), on_change=Changes()).start()

    assert caught.value.problems == (f"{path} is not a GGUF model file (it does not start with 'GGUF').",)


PARENT = """
import asyncio, sys
from hansard.engines.llamacpp.supervisor import ChildSettings, Supervisor
async def main():
    settings = ChildSettings(model_path=sys.argv[1], parallel=1, threads=1, ctx=256)
    supervisor = Supervisor(settings, on_change=print)
    starting = asyncio.create_task(supervisor.start())
    while supervisor.socket is None:
        await asyncio.sleep(0)
    print(supervisor.socket, flush=True)
    await starting
    print("ready", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_it_ends_with_its_parent_and_leaves_nothing(settings: ChildSettings) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, settings.model_path], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    directory = Path(parent.stdout.readline().decode().strip()).parent
    assert parent.stdout.readline() == b"ready\n"
    (child,) = psutil.Process(parent.pid).children()

    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    gone, alive = psutil.wait_procs([child], timeout=PATIENCE_S)

    assert (gone, alive) == ([child], [])
    assert not directory.exists()
    parent.stdout.close()


KILLED_ON_THE_WAY = """
import asyncio, os, signal, sys
from hansard.engines.llamacpp.supervisor import ChildSettings, Supervisor
spawn = asyncio.create_subprocess_exec
async def spawn_and_die(*args, **kwargs):
    if sys.argv[2] == "after":
        process = await spawn(*args, **kwargs)
        print(process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.create_subprocess_exec = spawn_and_die
asyncio.run(Supervisor(ChildSettings(model_path=sys.argv[1], parallel=1, threads=1), on_change=print).start())
"""


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_parent_killed_before_it_says_what_it_wants_leaves_nothing(
    settings: ChildSettings, tmp_path: Path, when: str
) -> None:
    parent = subprocess.run(
        [sys.executable, "-c", KILLED_ON_THE_WAY, settings.model_path, when],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        timeout=PATIENCE_S,
    )

    assert parent.returncode == -signal.SIGKILL
    with contextlib.suppress(psutil.NoSuchProcess):
        for pid in parent.stdout.split():
            psutil.Process(int(pid)).wait(PATIENCE_S)
    assert list(tmp_path.iterdir()) == []


async def test_it_ends_with_its_parent_even_while_it_loads(
    settings: ChildSettings, fake_engine: Callable[..., None], tmp_path: Path
) -> None:
    loading = tmp_path / "loading"
    fake_engine(load=f"open({str(loading)!r}, 'w').close(); time.sleep(600)")
    parent = subprocess.Popen([sys.executable, "-c", PARENT, settings.model_path], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    directory = Path(parent.stdout.readline().decode().strip()).parent
    async with asyncio.timeout(PATIENCE_S):
        while not loading.exists():
            await asyncio.sleep(0.01)
    family = psutil.Process(parent.pid).children(recursive=True)

    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    gone, alive = psutil.wait_procs(family, timeout=PATIENCE_S)

    assert (len(gone), alive) == (2, [])
    assert not directory.exists()
    parent.stdout.close()

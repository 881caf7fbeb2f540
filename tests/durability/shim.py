"""Compiles ``shim.c``, and tells it what to do: which environment a program needs, and what shall fail in it now.

The layouts of ``struct control`` and ``struct entry`` are those of the C file.
"""

from __future__ import annotations

import errno
import mmap
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import pytest

T = TypeVar("T")

SOURCE: Final = Path(__file__).with_name("shim.c")

_CONTROL: Final = struct.Struct("=iiqqqqq")
_SPARED: Final = struct.calcsize("=ii")
_DELAY: Final = struct.calcsize("=iiqqqq")
_ENTRY: Final = struct.Struct("=IIqQ")


class Operation(IntFlag):
    """What can fail. GROW are the writes behind the end of a file, which alone need room on the disk."""

    WRITE = 1
    GROW = 2
    SYNC = 4
    READ = 8


class Kind(IntEnum):
    """What was done to a file. MARKED is no doing of the program's: it is what somebody wrote into the log."""

    WRITTEN = 1
    TRUNCATED = 2
    SYNCED = 3
    CREATED = 4
    UNLINKED = 5
    RENAMED = 6
    SYNC_FAILED = 7
    MARKED = 8


class Entry(NamedTuple):
    """``offset`` is where was written, or the size that a file was given; ``content`` what was written, or a mark."""

    kind: Kind
    path: str
    offset: int
    content: bytes


class Control:
    """The shim's orders, in a file that it reads all the time."""

    def __init__(self, file: Path) -> None:
        file.write_bytes(bytes(_CONTROL.size))
        file.chmod(0o666)  # PostgreSQL may run as another user
        self.file = file
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), _CONTROL.size)

    @property
    def failed(self) -> int:
        """How many operations have failed since ``fail``."""
        return int(_CONTROL.unpack_from(self._map)[5])

    def fail(self, error: int, operations: Operation, *, spared: int = 0, every: int = 1, in_a_row: int = 1) -> None:
        """Let these operations fail until ``heal``, some in a row of ``every`` so many, after some that are spared."""
        struct.pack_into("=qqqq", self._map, _SPARED, spared, every, in_a_row, 0)
        struct.pack_into("=ii", self._map, 0, error, operations)

    def slow_down(self, delay_us: int) -> None:
        """Let each write and each sync take so much longer, so that more can happen meanwhile."""
        struct.pack_into("=q", self._map, _DELAY, delay_us)

    def heal(self) -> None:
        struct.pack_into("=i", self._map, 0, 0)


def compiled(directory: Path) -> Path | None:
    """The shared object, made there; None where it cannot be had."""
    if sys.platform != "linux" or shutil.which("cc") is None:
        return None
    made = directory / "shim.so"
    command = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(made), str(SOURCE)]
    done = subprocess.run([*command, "-ldl", "-lpthread"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


def needed(it: T | None) -> T:
    """Skips the test where there is no shim."""
    if it is None:
        pytest.skip("no fault injection: it takes Linux and a C compiler (cc)")
    return it


def environment(
    shim: Path, directory: Path, *, control: Control | None = None, log: Path | None = None
) -> dict[str, str]:
    """What a program must be started with, so that its doings below ``directory`` go through the shim."""
    told = {} if control is None else {"SHIM_CONTROL": str(control.file)}
    noted = {} if log is None else {"SHIM_LOG": str(log)}
    return {"LD_PRELOAD": str(shim), "SHIM_DIRECTORY": str(directory), **told, **noted}


def mark(text: str) -> bytes:
    """An entry that stands for something that has happened elsewhere. It is to be appended by one ``os.write``."""
    content = text.encode()
    return _ENTRY.pack(Kind.MARKED, 0, 0, len(content)) + content


def entries(log: Path) -> Iterator[Entry]:
    """What was done, in order."""
    with log.open("rb") as opened:
        while head := opened.read(_ENTRY.size):
            kind, name_length, offset, length = _ENTRY.unpack(head)
            yield Entry(Kind(kind), opened.read(name_length).decode(), offset, opened.read(length))


FULL: Final = errno.ENOSPC
BROKEN: Final = errno.EIO

"""allocator.py: in processes of their own, since what is asked of an allocator holds for all of one."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from hansard.allocator import ASKED_OUTSIDE

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has several arenas")

# Tells the arenas (https://man7.org/linux/man-pages/man3/malloc_info.3.html) that four threads have which ask at once.
COUNTING = """
import ctypes, sys, threading
from hansard.allocator import share_one_arena
if sys.argv[1] == "shared":
    share_one_arena()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
together, counted = threading.Barrier(4), threading.Event()
def hold():
    libc.malloc(1000)
    together.wait()
    counted.wait()
threads = [threading.Thread(target=hold) for _ in range(3)]
for thread in threads:
    thread.start()
together.wait()
stream = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, stream)
libc.fclose(stream)
counted.set()
"""


def arenas(how: str, **environment: str) -> int:
    told = subprocess.run(
        [sys.executable, "-c", COUNTING, how],
        capture_output=True,
        text=True,
        check=True,
        env={**{name: value for name, value in os.environ.items() if name not in ASKED_OUTSIDE}, **environment},
    )
    return told.stdout.count("<heap nr=")


def test_threads_share_one_arena() -> None:
    assert arenas("apart") > 1
    assert arenas("shared") == 1


def test_an_operator_may_ask_for_more() -> None:
    assert arenas("shared", MALLOC_ARENA_MAX="3") == 3

"""How the C library hands out memory to a server's threads."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Final

# <malloc.h>: https://www.gnu.org/software/libc/manual/html_node/Malloc-Tunable-Parameters.html
_M_ARENA_MAX: Final = -8

# The two ways to tell glibc the same from outside.
ASKED_OUTSIDE: Final = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")


def share_one_arena() -> None:
    """All threads get memory from one arena from now on; to be called before the first of them. Only glibc has more.

    It has one for each thread, up to eight for each core. What a thread of the store had at its busiest moment stays
    with that thread, in pieces, and what it lets go is no other thread's: 11 to 17 MB that went on growing. They take
    turns at the interpreter anyway, so they hardly ever wait for each other here.
    """
    if sys.platform != "linux" or any(name in os.environ for name in ASKED_OUTSIDE):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)

"""One server per SQLite file: a lock beside it, which ends with the process, however that ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hansard.errors import StartupError


@contextmanager
def alone(db_file: Path) -> Iterator[None]:
    """Hold the lock of this database. Raises StartupError, with the other's process id, if somebody has it.

    The file stays: one that is removed while another waits for it would be locked by both. Where the system has no
    such locks (Windows, some network file systems), nothing is held.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    file = db_file.with_name(f"{db_file.name}.lock")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        held = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:  # the store says what is wrong with the directory
        yield
        return
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = os.pread(held, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise StartupError(
                f"{db_file} is in use by another `hansard serve` (process {other}). "
                "Stop that one, or choose another directory: --data DIR"
            ) from error
        except OSError:
            pass
        else:
            with suppress(OSError):  # a full disk, which the store tells
                os.ftruncate(held, 0)
                os.pwrite(held, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(held)

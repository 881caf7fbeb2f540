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

    And for a file with several names: under each it has another log, so what is written under one is not seen under
    another, and goes to pieces in the end (https://sqlite.org/howtocorrupt.html, 2.4).

    The lock's file stays: one that is removed while another waits for it would be locked by both. Where the system
    has no such locks (Windows, some network file systems), nothing is held.
    """
    place = Path(os.path.realpath(db_file))
    if _has_other_names(place):
        raise StartupError(
            f"{db_file} has another name as well (a hard link), and its log is found under one of them only. "
            f"Remove the other, which `find DIR -samefile {place}` finds."
        )
    try:
        import fcntl
    except ImportError:
        yield
        return
    file = place.with_name(f"{place.name}.lock")
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


def _has_other_names(file: Path) -> bool:
    try:
        return file.stat().st_nlink > 1 and file.is_file()
    except OSError:  # the store says what is wrong with it
        return False

"""Whether a file that is held open is still the one at its path.

Moved or removed, it goes on being written to and read from, and the next start finds nothing of that.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Moved(Exception):
    """What was opened is no longer where it was."""


class Identity(NamedTuple):
    """What one file has and no other, whatever its name."""

    device: int
    number: int


class Whereabouts:
    """Of one file. It is known by its identity once it was opened: some file systems give it another one then."""

    def __init__(self) -> None:
        self._known: tuple[Path, Identity | None] | None = None

    def forget(self) -> None:
        """Whatever is opened next is the one."""
        self._known = None

    def note(self, path: Path) -> None:
        """It has been opened at this path; if it is the first one, no other is to be."""
        if self._known is None:
            self._known = path, _identity(path)

    def check(self) -> None:
        """Raise Moved if it was opened and is not there any more, or OSError where that cannot be told."""
        if self._known is not None:
            path, identity = self._known
            if _identity(path) != identity:
                raise Moved


def _identity(path: Path) -> Identity | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return Identity(found.st_dev, found.st_ino)

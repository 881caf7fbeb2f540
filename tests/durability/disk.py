"""A disk as a power cut may leave it, told from the log of what was written and synced.

What was synced is there. Of what was written since, a disk may have anything: each write whole, not at all, or some of
its sectors. A name is sure to be there, or gone, once its directory was synced; until then the disk has done some of
what was asked of the directory, in order. That is less than Linux's file systems promise, and all that POSIX does.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from tests.durability.shim import Entry, Kind

SECTOR_BYTES: Final = 512

Names: TypeAlias = "dict[str, File]"


class File:
    """The bytes that are sure to be there, and the writes since the last sync."""

    def __init__(self) -> None:
        self.sure = bytearray()
        self.pending: list[Entry] = []

    def sync(self) -> None:
        for entry in self.pending:
            _apply(entry, self.sure)
        self.pending.clear()

    def fail_to_sync(self, chance: random.Random) -> None:
        """What Linux does: whether it was written or not, it will not be written any more."""
        self.sure = self.after_cut(chance)
        self.pending.clear()

    def after_cut(self, chance: random.Random) -> bytearray:
        content = bytearray(self.sure)
        # A cut mostly hits in one of three ways; to draw for each write alone would hardly ever keep or lose all.
        style = chance.choice(("all", "none", "each", "each"))
        for entry in self.pending:
            fate = chance.choice(("kept", "lost", "torn")) if style == "each" else style
            if fate in ("all", "kept"):
                _apply(entry, content)
            elif fate == "torn":
                _tear(entry, content, chance)
        return content


class Disk:
    """Fed with the log, entry by entry; ``after_cut`` says what a power cut leaves at this moment."""

    def __init__(self, directory: Path, chance: random.Random) -> None:
        self._directory = str(directory)
        self._chance = chance
        self._sure: Names = {}
        self._now: Names = {}
        self._pending: list[Callable[[Names], None]] = []
        self.syncs = 0

    def feed(self, entry: Entry) -> None:
        if entry.kind is not Kind.MARKED and not _is_kept(entry.path):
            return
        match entry.kind:
            case Kind.WRITTEN | Kind.TRUNCATED:
                self._now[entry.path].pending.append(entry)
            case Kind.SYNCED if entry.path == self._directory:
                for done in self._pending:
                    done(self._sure)
                self._pending.clear()
            case Kind.SYNCED:
                self.syncs += 1
                self._now[entry.path].sync()
            case Kind.SYNC_FAILED if entry.path != self._directory:
                self._now[entry.path].fail_to_sync(self._chance)
            case Kind.CREATED:
                self._ask(partial(_create, path=entry.path, file=File()))
            case Kind.UNLINKED:
                self._ask(partial(_unlink, path=entry.path))
            case Kind.RENAMED:
                self._ask(partial(_rename, path=entry.path, new=entry.content.decode()))

    def after_cut(self) -> dict[str, bytearray]:
        """What is there, by path."""
        names = dict(self._sure)
        for done in self._pending[: self._chance.randint(0, len(self._pending))]:
            done(names)
        return {path: file.after_cut(self._chance) for path, file in names.items()}

    def _ask(self, change: Callable[[Names], None]) -> None:
        change(self._now)
        self._pending.append(change)


def _create(names: Names, *, path: str, file: File) -> None:
    names[path] = file


def _unlink(names: Names, *, path: str) -> None:
    del names[path]


def _rename(names: Names, *, path: str, new: str) -> None:
    names[new] = names.pop(path)


def _is_kept(path: str) -> bool:
    """Shared memory and locks mean nothing to the next process."""
    return not path.endswith(("-shm", ".lock"))


def _apply(entry: Entry, content: bytearray) -> None:
    if entry.kind is Kind.TRUNCATED:
        del content[entry.offset :]
        content.extend(bytes(entry.offset - len(content)))
    else:
        _put(content, entry.offset, entry.content)


def _tear(entry: Entry, content: bytearray, chance: random.Random) -> None:
    """Some sectors of a write: the first ones, or any."""
    if entry.kind is Kind.TRUNCATED:
        return
    end = entry.offset + len(entry.content)
    starts = [entry.offset, *range((entry.offset // SECTOR_BYTES + 1) * SECTOR_BYTES, end, SECTOR_BYTES)]
    in_order = chance.random() < 0.5
    kept = starts[: chance.randint(0, len(starts))] if in_order else [s for s in starts if chance.random() < 0.5]
    for start in kept:
        stop = min((start // SECTOR_BYTES + 1) * SECTOR_BYTES, end)
        _put(content, start, entry.content[start - entry.offset : stop - entry.offset])


def _put(content: bytearray, offset: int, some: bytes) -> None:
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(some)] = some

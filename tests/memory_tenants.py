"""Projects and keys that are forgotten when they go: the Tenants seam in dicts, for the tests of the rooms above it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from hansard.errors import StoreUnavailable
from hansard.store.tenants import Changed, Entry, Key, Place, Project, State


class MemoryTenants:
    """``down`` makes it fail, as a database does that is away; ``held`` makes it wait before it answers."""

    def __init__(self, *things: Project | Key) -> None:
        self.of_project: dict[str, Project] = {}
        self.of_key: dict[str, Key] = {}
        self.entries: list[Entry] = []
        self.revision = 0
        self.asked = 0
        self.down = False
        self.held: asyncio.Event | None = None
        self._put(things)

    async def state(self) -> State:
        self._check()
        return State(self.revision, has_keys=bool(self.of_key))

    async def holders(self, digests: Sequence[bytes]) -> Mapping[bytes, tuple[Key, Project]]:
        self.asked += 1
        self._check()
        sought = {*digests}
        found = {
            key.digest: (key, self.of_project[key.project]) for key in self.of_key.values() if key.digest in sought
        }
        if self.held is not None:
            await self.held.wait()
        return found

    async def projects(self) -> Sequence[Project]:
        return sorted(self.of_project.values(), key=lambda project: project.name)

    async def keys(self) -> Sequence[Key]:
        return sorted(self.of_key.values(), key=lambda key: (key.created, key.id))

    async def key(self, key_id: str) -> Key | None:
        return next((key for key in await self.keys() if key.id == key_id), None)

    async def keep(self, changed: Sequence[Project | Key], entries: Sequence[Entry]) -> bool:
        self._check()
        self._put(changed)
        self.entries += entries
        self.revision += 1
        return True

    async def change_project(
        self, project: str, change: Callable[[Project], Project], entry: Entry
    ) -> Changed[Project] | None:
        self._check()
        if project not in self.of_project:
            return None
        now = self.of_project[project] = change(self.of_project[project])
        self.entries.append(entry)
        self.revision += 1
        return Changed(now)

    async def change_key(
        self, key_id: str, change: Callable[[Key], Sequence[Key]], entry: Entry
    ) -> Changed[Key] | None:
        self._check()
        key = self.of_key.get(key_id)
        if key is None:
            return None
        changed = change(key)
        if not changed:
            return Changed(key, is_done=False)
        self._put(changed)
        self.entries.append(entry)
        self.revision += 1
        return Changed(changed[0])

    async def note(self, entry: Entry) -> None:
        self._check()
        self.entries.append(entry)

    async def audit(self, *, project: str | None, after: Place | None, limit: int) -> Sequence[Entry]:
        return [entry for entry in self.entries if project in (None, entry.project)][:limit]

    def _put(self, things: Sequence[Project | Key]) -> None:
        for thing in things:
            if isinstance(thing, Project):
                self.of_project[thing.id] = thing
            else:
                self.of_key[thing.id] = thing

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("The store is down.")

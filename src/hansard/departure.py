"""The use cases of a project that leaves while the server runs: written out, closed, and cleared little by little.

What goes, and in which order, is ``store.leaving``'s. Whatever was closed and is not cleared is gone on with, whoever
closed it: after a restart, and for another server that has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from hansard.administration import Actor, Administration, logged
from hansard.core.admin import ProjectDeletion
from hansard.core.paging import ListQuery
from hansard.errors import InvalidRequest, NotFound, StoreUnavailable
from hansard.observe import Crashed, Observer, ignore
from hansard.store.base import Departing, Record
from hansard.store.tenants import DEFAULT_PROJECT

# What is read at once is held at once, and a record may be large.
_READ_AT_ONCE: Final = 16

# How long what another server has left lies about. Looking takes a few statements.
_LOOKS_EVERY_S: Final = 60.0

# After each batch, which takes some 10 ms: others are to have most of the writer.
_REST_S: Final = 0.04

_WHERE: Final = "departure"


class Departure:
    """``changed`` is awaited once a project is closed, so that its keys stop at once here."""

    def __init__(
        self,
        *,
        store: Departing,
        administration: Administration,
        changed: Callable[[], Awaitable[None]],
        observer: Observer = ignore,
        looks_every_s: float = _LOOKS_EVERY_S,
        rest_s: float = _REST_S,
    ) -> None:
        self._store = store
        self._administration = administration
        self._changed = changed
        self._observer = observer
        self._looks_every_s = looks_every_s
        self._rest_s = rest_s
        self._closed = asyncio.Event()
        self._asked: set[str] = set()
        """Of which nothing is left, cleared by another or before the start: whether it was scrubbed, nobody knows."""
        self._done: set[str] = set()

    async def records(self, actor: Actor, wanted: str, *, after: str | None) -> AsyncGenerator[Record, None]:
        """All completions of the project of that id or name, the oldest first, or those behind the one of that id.

        Who reads them is in the audit log before. NotFound and InvalidRequest come before the first.
        """
        project = (await self._administration.project(wanted)).id
        place = None
        if after is not None:
            place = await self._store.locate(project, after)
            if place is None:
                raise InvalidRequest(
                    "Invalid value for 'after': it is no completion of this project.",
                    param="after",
                    code="invalid_value",
                )
        await self._administration.note_read(actor, "project.exported", project=project, target=project)
        return self._pages(project, after)

    async def delete(self, actor: Actor, wanted: str) -> ProjectDeletion:
        """Close the project of that id or name at once; it is cleared from then on. One that is closed stays so."""
        try:
            project = await self._administration.project(wanted)
        except NotFound:
            return await self.deletion(wanted)
        if project.id == DEFAULT_PROJECT:
            raise InvalidRequest("The default project cannot be deleted.", code="invalid_value")
        entry = logged(actor, "project.deleted", project=project.id, target=project.id, details={"name": project.name})
        await self._store.close_project(project.id, entry)
        self._closed.set()
        await self._changed()
        return await self.deletion(project.id)

    async def deletion(self, project: str) -> ProjectDeletion:
        """How far it is with a project that was closed; NotFound for any other. Done is what is in no file any more."""
        left = await self._store.left_of(project)
        if left is None:
            raise NotFound(f"Project {project[:200]} not found", code="not_found")
        done = not left.anything and project in self._done
        if not left.anything and not done:
            self._asked.add(project)
            self._closed.set()
        return ProjectDeletion(id=project, completions_left=left.completions, done=done)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Clear what is closed meanwhile."""
        # Not in a task group: it would wrap what whoever runs beside it raises, and this task raises nothing.
        task = asyncio.get_running_loop().create_task(self._work(), name="hansard-departure")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def clear(self) -> None:
        """Delete all that is left of what is closed, and what of it is in files still."""
        for project in await self._store.closed_projects():
            while True:
                if not await self._store.clear_some(project):
                    break
                await asyncio.sleep(self._rest_s)
            await self._scrub(project)
        if self._asked:
            await self._scrub()

    async def _scrub(self, *cleared: str) -> None:
        gone = {*cleared, *self._asked}
        await self._store.scrub()
        self._done |= gone
        self._asked -= gone

    async def _pages(self, project: str, after: str | None) -> AsyncGenerator[Record, None]:
        query = ListQuery(order="asc")
        while True:
            place = None if after is None else await self._store.locate(project, after)
            if after is not None and place is None:
                return  # the project is deleted meanwhile
            some = await self._store.page(project, query, after=place, limit=_READ_AT_ONCE, whole=True)
            for record in some:
                yield record
            if not some:
                return
            after = some[-1].id

    async def _work(self) -> None:
        while True:
            self._closed.clear()
            try:
                with suppress(StoreUnavailable):  # there is time
                    await self.clear()
            except Exception as error:  # noqa: BLE001 - the edge of this task: a bug here must not end the server
                self._observer(Crashed(request_id=_WHERE, exception=error))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), self._looks_every_s)

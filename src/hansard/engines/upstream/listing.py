"""Which models an upstream serves: asked for now and then, so that nobody ever waits for the list."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import msgspec

from hansard.engines.base import ServedModel
from hansard.engines.client import ChatClient
from hansard.errors import EngineBusy, HansardError, UpstreamFailed
from hansard.observe import Crashed, EngineChanged, Observer

PATH = "/models"
PERIOD_S = 30.0
# A server is to give its first answer within 1.5 s from its start, also beside an upstream that hangs.
AT_START_S = 0.5


_NO_LIST = f"{PATH} answered with something that is no list of models"


class _Found(msgspec.Struct, frozen=True):
    """What one question brought: the list, or None, and the ``trouble`` or the ``remark`` of ``Listing``."""

    models: tuple[ServedModel, ...] | None = None
    trouble: str = ""
    remark: str = ""


class Listing:
    """What the upstream listed last. ``trouble`` says in a line why it could not be asked; "" while it could.

    An upstream that answers but has no list is no trouble: chat may work all the same. Nor is one that wants a key
    where only clients have one (``takes_client_key``). ``remark`` says in a line that what it sent as its list could
    not be read; "" when it could.
    """

    def __init__(self, client: ChatClient, *, name: str, observer: Observer, takes_client_key: bool = False) -> None:
        self._client = client
        self._name = name
        self._takes_client_key = takes_client_key
        self._observer = observer
        self._asking: asyncio.Task[None] | None = None
        self.models: tuple[ServedModel, ...] = ()
        self.trouble = ""
        self.remark = ""

    async def anew(self) -> Collection[str] | None:
        """The names listed now; None if there is no list. Raises ``UpstreamFailed`` with the trouble."""
        models = await self._ask()
        if self.trouble:
            raise UpstreamFailed(self.trouble)
        return None if models is None else {model.id for model in models}

    async def start(self) -> None:
        """Ask for the first time, and from then on in the background; a slow answer is not waited for."""
        first = asyncio.Event()
        # Ends in ``stop``, which the composition root calls for every engine it started.
        self._asking = asyncio.get_running_loop().create_task(self._keep_asking(first))
        try:
            async with asyncio.timeout(AT_START_S):
                await first.wait()
        except TimeoutError:
            return

    async def stop(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _keep_asking(self, first: asyncio.Event) -> None:
        while True:
            try:
                await self._ask()
            except Exception as error:  # noqa: BLE001 - the edge of this task: a bug here must not end it
                self._observer(Crashed(request_id=f"the list of models of {self._name}", exception=error))
            first.set()
            await asyncio.sleep(PERIOD_S)

    async def _ask(self) -> tuple[ServedModel, ...] | None:
        found = await self._read()
        if not found.trouble and not found.remark:  # otherwise nothing says that what it listed before is gone
            self.models = found.models or ()
        if bool(found.trouble) is not bool(self.trouble):
            self._tell("lost" if found.trouble else "back", found.trouble)
        if found.remark and not self.remark:
            self._tell("unlisted", found.remark)
        self.trouble = found.trouble
        if not found.trouble:
            self.remark = found.remark
        return found.models

    async def _read(self) -> _Found:
        try:
            reply = await self._client.get(PATH)
        except EngineBusy:  # our own line was too long: nothing new is known
            return _Found(self.models, self.trouble, self.remark)
        except HansardError as error:
            return _Found(trouble=error.message)
        if reply.status == 200:
            models = _models(reply.body)
            return _Found(remark=_NO_LIST) if models is None else _Found(models)
        if reply.status in (401, 403) and not self._takes_client_key:
            return _Found(trouble=f"{PATH} answered with status {reply.status}: the key is missing or wrong")
        return _Found(trouble=f"{PATH} answered with status {reply.status}" if reply.status >= 500 else "")

    def _tell(self, state: str, reason: str) -> None:
        self._observer(EngineChanged(engine=self._name, state=state, reason=reason))


def _models(body: bytes) -> tuple[ServedModel, ...] | None:
    """Every entry that has a name, whatever else it has; None for what is no list, or one without any name in it."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    listed = document.get("data", document) if isinstance(document, dict) else document
    if listed is None:  # Go's spelling of an empty list
        return ()
    if not isinstance(listed, list):
        return None
    models = tuple(_model(entry) for entry in listed if _has_name(entry))
    return models if models or not listed else None


def _model(entry: dict[str, Any]) -> ServedModel:
    created, owner = entry.get("created"), entry.get("owned_by")
    return ServedModel(
        id=entry["id"],
        created=created if type(created) is int and created > 0 else 0,
        owned_by=owner if isinstance(owner, str) and owner else "upstream",
    )


def _has_name(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("id"), str) and entry["id"] != ""

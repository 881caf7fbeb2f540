"""Which models an upstream serves: asked for now and then, so that nobody ever waits for the list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import msgspec

from hansard.engines.base import ServedModel
from hansard.engines.client import ChatClient
from hansard.errors import EngineBusy, HansardError, UpstreamFailed

PATH = "/models"
PERIOD_S = 30.0
# A server is to give its first answer within 1.5 s from its start, also beside an upstream that hangs.
AT_START_S = 0.5


class _Model(msgspec.Struct):
    id: str
    created: int = 0
    owned_by: str = "upstream"


class _Models(msgspec.Struct):
    data: list[_Model]


class Listing:
    """What the upstream listed last. ``trouble`` says in a line why it could not be asked; "" while it could.

    An upstream that answers but has no list is no trouble: chat may work all the same. Nor is one that wants a key
    where only clients have one (``takes_client_key``).
    """

    def __init__(self, client: ChatClient, *, on_change: Callable[[str], None], takes_client_key: bool = False) -> None:
        self._client = client
        self._takes_client_key = takes_client_key
        self._on_change = on_change
        self._asking: asyncio.Task[None] | None = None
        self.models: tuple[ServedModel, ...] = ()
        self.trouble = ""

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
            await self._ask()
            first.set()
            await asyncio.sleep(PERIOD_S)

    async def _ask(self) -> tuple[ServedModel, ...] | None:
        models, trouble = await self._read()
        if not trouble:  # what it listed before it went is what it will serve when it is back
            self.models = models or ()
        if bool(trouble) is not bool(self.trouble):
            self._on_change(trouble)
        self.trouble = trouble
        return models

    async def _read(self) -> tuple[tuple[ServedModel, ...] | None, str]:
        """The list, or None, and the trouble, or ""."""
        try:
            reply = await self._client.get(PATH)
            if reply.status == 200:
                listed = msgspec.json.decode(reply.body, type=_Models).data
                return tuple(ServedModel(id=one.id, created=one.created, owned_by=one.owned_by) for one in listed), ""
        except EngineBusy:  # our own line was too long: nothing new is known
            return self.models, self.trouble
        except HansardError as error:
            return None, error.message
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None, ""
        if reply.status in (401, 403) and not self._takes_client_key:
            return None, f"{PATH} answered with status {reply.status}: the key is missing or wrong"
        return None, f"{PATH} answered with status {reply.status}" if reply.status >= 500 else ""

"""Which models an upstream serves: asked for now and then, so that nobody ever waits for the list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from hansard.engines.base import ServedModel
from hansard.engines.client import ChatClient
from hansard.errors import HansardError

PATH = "/models"
PERIOD_S = 30.0
AT_START_S = 2.0


class _Model(msgspec.Struct):
    id: str
    created: int = 0
    owned_by: str = "upstream"


class _Models(msgspec.Struct):
    data: list[_Model]


class Listing:
    """What the upstream listed last. ``trouble`` says in a line why it could not be asked; "" while it could.

    An upstream that answers but has no list is no trouble: chat may work all the same.
    """

    def __init__(self, client: ChatClient, *, on_change: Callable[[str], None]) -> None:
        self._client = client
        self._on_change = on_change
        self._asking: asyncio.Task[None] | None = None
        self.models: tuple[ServedModel, ...] = ()
        self.trouble = ""

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

    async def _ask(self) -> None:
        trouble = ""
        try:
            reply = await self._client.get(PATH)
            if reply.status == 200:
                listed = msgspec.json.decode(reply.body, type=_Models).data
                self.models = tuple(
                    ServedModel(id=model.id, created=model.created, owned_by=model.owned_by) for model in listed
                )
            elif reply.status in (401, 403):
                trouble = f"{PATH} answered with status {reply.status}: the key is missing or wrong"
            elif reply.status >= 500:
                trouble = f"{PATH} answered with status {reply.status}"
        except HansardError as error:
            trouble = error.message
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.models = ()
        if bool(trouble) is not bool(self.trouble):
            self._on_change(trouble)
        self.trouble = trouble

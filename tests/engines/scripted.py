"""An engine that plays a script: documents it yields, errors it raises, and moments at which it waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterable, Sequence
from typing import TypeAlias

from hansard.contract import Document
from hansard.contract.request import ChatRequest
from hansard.core.accumulate import Accumulator
from hansard.engines.base import Call, Chunks, Health, ServedModel
from hansard.errors import InvalidRequest

Step: TypeAlias = Document | Exception | asyncio.Event


class ScriptedEngine:
    """Plays the same steps for every call; an Event is waited for. ``closed`` counts streams that ended, however."""

    def __init__(
        self,
        *steps: Step,
        name: str = "scripted",
        models: Sequence[str] = ("m",),
        takes_any_model: bool = False,
        takes_unknown_parameters: bool = True,
        takes_client_key: bool = False,
    ) -> None:
        self.name = name
        self.takes_any_model = takes_any_model
        self.takes_unknown_parameters = takes_unknown_parameters
        self.takes_client_key = takes_client_key
        self.is_ready = True
        self.steps = steps
        self.calls: list[Call] = []
        self.closed = 0
        self.serve(*models)

    def serve(self, *models: str) -> None:
        """List these models from now on."""
        self._models = tuple(ServedModel(id=model, created=1, owned_by=self.name) for model in models)

    def models(self) -> Sequence[ServedModel]:
        return self._models

    async def listed(self) -> Collection[str]:
        return {model.id for model in self._models}

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def health(self) -> Health:
        return Health(ready=self.is_ready, reason="" if self.is_ready else "told to be away")

    def refusals(self, request: ChatRequest) -> Iterable[InvalidRequest]:
        return ()

    async def complete(self, call: Call) -> Document:
        accumulator = Accumulator()
        async for chunks in self.stream(call):
            for chunk in chunks:
                accumulator.feed(chunk)
        return accumulator.finish()

    async def stream(self, call: Call) -> AsyncGenerator[Chunks, None]:
        self.calls.append(call)
        call.taken_up()
        try:
            for step in self.steps:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, Exception):
                    raise step
                else:
                    yield [step]
        finally:
            self.closed += 1


def opener(index: int = 0) -> Document:
    return _chunk(index, {"role": "assistant", "content": "", "refusal": None})


def said(text: str, index: int = 0) -> Document:
    return _chunk(index, {"content": text})


def finish(reason: str = "stop", index: int = 0) -> Document:
    return _chunk(index, {}, reason)


def usage(prompt_tokens: int, completion_tokens: int) -> Document:
    total = prompt_tokens + completion_tokens
    counts = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total}
    return {"service_tier": "default", "choices": [], "usage": counts}


def _chunk(index: int, delta: Document, reason: str | None = None) -> Document:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
    return {"service_tier": "default", "choices": [choice]}

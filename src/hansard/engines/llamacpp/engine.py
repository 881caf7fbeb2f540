"""The engine that runs GGUF models on this machine: admission, the child, and the way there and back.

Rules about requests live in ``body``, about replies in ``reply``; this file only connects them.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import aclosing, suppress
from pathlib import Path

import msgspec

from hansard import observe
from hansard.contract import Document
from hansard.contract.request import ChatRequest
from hansard.core import ids
from hansard.core.accumulate import Accumulator
from hansard.engines.base import Call, Chunks, Health, ServedModel
from hansard.engines.client import NotAStream
from hansard.engines.llamacpp import body, counting, failures, merge, penalties, prompt, reply
from hansard.engines.llamacpp.admission import Admission
from hansard.engines.llamacpp.body import Order
from hansard.engines.llamacpp.compiling import Compiler
from hansard.engines.llamacpp.pulse import EVERY_S, Pulse
from hansard.engines.llamacpp.reply import Limits, Reply
from hansard.engines.llamacpp.running import SLOTS, Running, running_model
from hansard.engines.llamacpp.supervisor import ChildSettings, Supervisor
from hansard.engines.llamacpp.watch import Watch
from hansard.errors import (
    EngineUnavailable,
    HansardError,
    InvalidRequest,
    StartupError,
    UpstreamFailed,
    UpstreamTimeout,
)

BUILTIN = Path(__file__).parent.parent / "builtin" / "hansard-tiny.gguf"
CHAT = "/v1/chat/completions"
QUEUE_LIMIT = 256

# A small model's slots and attention cost little; a large one's take gigabytes of memory.
LARGE_MODEL_BYTES = 1024**3
PARALLEL, LARGE_PARALLEL = 8, 4
# A tiny model's threads wait for each other longer than they compute: with one per core, and the
# cores busy otherwise, the built-in model fell from 2,500 to 300 tokens a second.
TINY_MODEL_BYTES = 64 * 1024**2

# Flash attention rounds otherwise from 64 tokens of one prompt on, and where several threads share it (seen: up to 0.6
# in a log probability): a text then depends on what is read along with it and on what was cached. Without it all is
# exact; so it is with one thread and fewer tokens. That is faster where many streams share a tiny model, the other for
# prompts; for a large model attention without it would take too much memory.
EXACT_READ_TOKENS = 48

# How long the engine's loop may take to come round: longer than for 512 tokens of a prompt, on a slow machine.
STILL_S, LARGE_STILL_S = 30.0, 180.0

OWNER = "hansard"
DEMONSTRATION = "Demonstration model: a few million parameters, built into Hansard so that it answers out of the box."
BROKE_OFF = "The engine broke off while answering; it is being started again. Please try again in a moment."


class LlamaCppEngine:
    """One GGUF model in one child process. Without ``model_path`` it is the built-in model.

    ``ctx`` is tokens per request, ``parallel`` how many requests run at once; at most ``queue_limit``
    more may wait. An engine that does not move for ``still_s`` seconds while it has work is started again.
    What is ``None`` is chosen from the model and the machine.
    """

    takes_any_model = False
    takes_unknown_parameters = False
    takes_client_key = False

    def __init__(
        self,
        *,
        name: str,
        model_path: Path | None = None,
        mmproj: Path | None = None,
        ctx: int | None = None,
        parallel: int | None = None,
        threads: int | None = None,
        gpu_layers: int | None = None,
        queue_limit: int = QUEUE_LIMIT,
        observer: observe.Observer = observe.ignore,
        still_s: float | None = None,
        pulse_every_s: float = EVERY_S,
    ) -> None:
        path = BUILTIN if model_path is None else model_path
        size_bytes = path.stat().st_size if path.is_file() else 0  # a missing file is the child's to report
        slots = parallel or (LARGE_PARALLEL if size_bytes > LARGE_MODEL_BYTES else PARALLEL)
        threads = threads or (_cores() if size_bytes > TINY_MODEL_BYTES else 1)
        is_light = size_bytes <= TINY_MODEL_BYTES and threads == 1
        self.name = name
        self._description = DEMONSTRATION if model_path is None else None
        self._served = ServedModel(id=name, created=0, owned_by=OWNER, description=self._description)
        self._sees_images = mmproj is not None
        self._admission = Admission(slots=slots, queue_limit=queue_limit)
        self._compiler = Compiler(queue_limit=queue_limit)
        self._observer = observer
        settings = ChildSettings(
            model_path=os.fspath(path),
            mmproj=None if mmproj is None else os.fspath(mmproj),
            ctx=ctx,
            parallel=slots,
            threads=threads,
            gpu_layers=gpu_layers,
            # The same text for a seed, whatever else runs: see EXACT_READ_TOKENS.
            flash_attention=is_light or size_bytes > LARGE_MODEL_BYTES,
            read_at_once_tokens=EXACT_READ_TOKENS if is_light else None,
        )
        self._supervisor = Supervisor(settings, on_change=self._report)
        self._running: Running | None = None
        self._still_s = still_s or (LARGE_STILL_S if size_bytes > LARGE_MODEL_BYTES else STILL_S)
        self._pulse = Pulse(sign=self._sign, on_still=self._start_again, still_s=self._still_s, every_s=pulse_every_s)
        self._feeling: asyncio.Task[None] | None = None

    async def listed(self) -> Collection[str]:
        return {self.name}

    def models(self) -> Sequence[ServedModel]:
        return (self._served,)

    def ready(self) -> bool:
        """Whether the model is loaded and its child runs."""
        return self._running is not None and self._supervisor.ready is not None

    def health(self) -> Health:
        return Health(ready=True) if self.ready() else Health(ready=False, reason="not running")

    async def start(self) -> None:
        """Load the model and return once it answers; raise ``StartupError`` with the reason if it cannot."""
        try:
            ready = await self._supervisor.start()
            running = await running_model(ready, self._supervisor, sees_images=self._sees_images)
        except StartupError as failure:
            raise StartupError(*(f"Model {self.name}: {problem}" for problem in failure.problems)) from None
        except HansardError as failure:
            await self._supervisor.stop()
            raise StartupError(f"Model {self.name}: the engine ended as soon as it had started.") from failure
        self._served = ServedModel(id=self.name, created=ready.created, owned_by=OWNER, description=self._description)
        self._running = running
        self._feeling = asyncio.create_task(self._pulse.feel())  # ended and awaited in ``stop``

    async def stop(self) -> None:
        """Send home who waits, cancel what runs, then end the child."""
        running, self._running = self._running, None
        self._admission.refuse_waiting(self._unavailable())
        self._compiler.refuse_waiting(self._unavailable())
        if self._feeling is not None:
            self._feeling.cancel()
            with suppress(asyncio.CancelledError):
                await self._feeling
            self._feeling = None
        if running is not None:
            await running.client.close()
        await self._supervisor.stop()

    def refusals(self, request: ChatRequest) -> Iterable[InvalidRequest]:
        return body.refusals(request, None if self._running is None else self._running.abilities)

    async def complete(self, call: Call) -> Document:
        """Streamed inside as well, because the engine can cancel nothing else."""
        accumulator = Accumulator()
        async with aclosing(self.stream(call)) as chunks:
            async for together in chunks:
                for chunk in together:
                    accumulator.feed(chunk)
        return accumulator.finish()

    async def stream(self, call: Call) -> AsyncGenerator[Chunks, None]:
        running = self._running_now()
        order, watch = await self._ordered(call, running)
        running.least.check(order.body["messages"], context=running.context)
        self._admission.check()
        if penalties.wanted(order.body):
            order = await _fairly_penalized(running, order)
        watches = [None if watch is None else watch.another() for _ in range(order.n)]
        replies = [_reply(index, order, running, following) for index, following in enumerate(watches)]
        choices = [self._choice(order, each, call.seed + index, call.taken_up) for index, each in enumerate(replies)]
        async with aclosing(choices[0] if order.n == 1 else merge.interleaved(choices)) as chunks:
            async for together in chunks:
                yield together
        yield [reply.usage_chunk(running.fingerprint, replies)]

    async def _ordered(self, call: Call, running: Running) -> tuple[Order, Watch | None]:
        abilities, context = running.abilities, running.context

        def ordered() -> tuple[Order, Watch | None]:
            order = body.order(call.request, abilities, fields=call.document)
            return order, body.watched(order, order.body)

        if not body.compiles(call.request):
            return ordered()
        async with self._compiler.turn():
            outline = await self._compiler.work(lambda: body.outline(call.request, abilities, context=context))
            if outline is not None:
                with self._pulse.working():
                    await counting.check(running, outline)
            return await self._compiler.work(ordered)

    async def _choice(
        self, order: Order, answer: Reply, seed: int, taken_up: Callable[[], None]
    ) -> AsyncGenerator[Chunks, None]:
        """One choice is one request to the engine, or two, and holds one slot."""
        async with self._admission.slot():
            taken_up()
            async with aclosing(self._asked(order, order.body, answer, seed)) as chunks:
                async for together in chunks:
                    yield together
            if (name := answer.wanted) is not None:
                asked = body.input_of(order, name, written=answer.usage.completion_tokens)
                if asked.get("max_tokens", 1) <= 0:
                    yield [*answer.cut_off()]
                    return
                answer.resume(name, await self._compiler.run(lambda: body.watched(order, asked)))
                async with aclosing(self._asked(order, asked, answer, seed)) as chunks:
                    async for together in chunks:
                        yield together
        if not answer.finished:
            raise EngineUnavailable(BROKE_OFF)

    async def _asked(self, order: Order, asked: Document, answer: Reply, seed: int) -> AsyncGenerator[Chunks, None]:
        running = self._running_now()
        sent = running.neutralizer.encode(body.seeded(asked, seed))
        try:
            with self._pulse.working():
                async with aclosing(running.client.stream(CHAT, sent)) as reads:
                    async for payloads in reads:
                        chunks: Chunks = [chunk for payload in payloads for chunk in answer.feed(payload)]
                        if chunks:
                            yield chunks
                        if answer.stopped:
                            break  # and leaving ends it there
        except NotAStream as refused:
            raise failures.of_body(refused.reply.body, images=order.images) from None
        except (UpstreamFailed, UpstreamTimeout) as failure:
            raise EngineUnavailable(BROKE_OFF) from failure

    def _running_now(self) -> Running:
        if self._running is None or self._supervisor.ready is None:
            raise self._unavailable()
        return self._running

    async def _sign(self) -> None:
        """Its slots are told by its loop, between two steps."""
        await self._running_now().client.get(SLOTS)

    def _start_again(self) -> None:
        self._supervisor.start_again(f"did not move for {self._still_s:g} s")

    def _unavailable(self) -> EngineUnavailable:
        return EngineUnavailable(f"The engine of {self.name} is not running now. Please try again in a moment.")

    def _report(self, state: str, reason: str) -> None:
        self._observer(observe.EngineChanged(engine=self.name, state=state, reason=reason))


async def _fairly_penalized(running: Running, order: Order) -> Order:
    """The order with penalties for what the answer says, not the prompt; as it was where that cannot be told."""
    if prompt.has_images(order.body["messages"]):
        return order  # what their tokens are is known to the engine alone
    try:
        tokens = await counting.tokens(running, order.body)
    except (msgspec.MsgspecError, UpstreamFailed, UpstreamTimeout):
        return order  # the engine says what is wrong when it is asked for the answer
    fair = penalties.of_answer(order.body, tokens, context=running.context)
    return msgspec.structs.replace(order, body=fair)


def _reply(index: int, order: Order, running: Running, watch: Watch | None) -> Reply:
    return Reply(
        index=index,
        fingerprint=running.fingerprint,
        limits=Limits(running.context, order.cap),
        logprobs=order.logprobs,
        tools=order.tools,
        mint=_call_id,
        stops=order.stops,
        watch=watch,
    )


def _call_id() -> str:
    return ids.tool_call_id(secrets.token_bytes(ids.ENTROPY_BYTES))


def _cores() -> int:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

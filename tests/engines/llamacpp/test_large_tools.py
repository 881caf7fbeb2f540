"""Tools far too large for the context: what their refusal costs, and who waits for it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from hansard.engines.base import Call
from hansard.engines.llamacpp import LlamaCppEngine, body, counting
from hansard.errors import InvalidRequest

pytestmark = pytest.mark.anyio

Ask = Callable[..., Call]

# It took 10 s and more where the template of the built-in model put its text together word by word, and takes 0.5 s.
CPU_S = 4.0
ANY = {"type": "json_schema", "json_schema": {"name": "any", "schema": {"type": "object"}}}


def tools(count: int, properties: int, **schema: Any) -> list[dict[str, Any]]:
    names = [f"p{index}" for index in range(properties)]
    parameters = {
        "type": "object",
        "properties": {name: {"type": "string", **schema} for name in names},
        "required": names,
        "additionalProperties": False,
    }
    return [
        {"type": "function", "function": {"name": f"f{index}", "strict": bool(schema), "parameters": parameters}}
        for index in range(count)
    ]


def child(engine: LlamaCppEngine) -> psutil.Process:
    assert engine._supervisor._child is not None
    return psutil.Process(engine._supervisor._child._process.pid)


def spent_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def asked_tokens(mistake: InvalidRequest) -> int:
    assert (mistake.param, mistake.code) == ("messages", "context_length_exceeded")
    before, _, after = mistake.message.partition("your messages resulted in ")
    assert before == "This model's maximum context length is 2048 tokens. However, "
    number, _, rest = after.partition(" ")
    assert rest == "tokens. Please reduce the length of the messages."
    return int(number)


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": tools(128, 30)},
        {"tools": tools(128, 30), "tool_choice": "required"},
        {"tools": tools(128, 30, pattern="^[a-z]+$")},
        {"tools": tools(128, 30, pattern="^[a-z]+$"), "tool_choice": "required"},
    ],
    ids=["auto", "required", "strict patterns", "required strict patterns"],
)
async def test_they_are_refused_cheaply_and_with_the_true_number(
    engine: LlamaCppEngine, call_of: Ask, fields: dict[str, Any]
) -> None:
    process, call = child(engine), call_of(**fields)
    before = spent_s(process)

    with pytest.raises(InvalidRequest) as caught:
        await engine.complete(call)

    assert spent_s(process) - before < CPU_S
    assert asked_tokens(caught.value) == 22322  # of the prompt, by llama.cpp's own count


@pytest.mark.parametrize("fields", [{}, {"tool_choice": "required"}, {"response_format": ANY}])
@pytest.mark.parametrize(("count", "fits"), [(11, True), (12, False)])
async def test_what_is_counted_first_is_what_the_engine_counts(
    engine: LlamaCppEngine, call_of: Ask, fields: dict[str, Any], count: int, fits: bool
) -> None:
    call = call_of(tools=tools(count, 30), max_tokens=1, **fields)
    assert engine._running is not None
    outline = body.outline(call.request, engine._running.abilities, context=engine._running.context)
    assert outline is not None
    counted = len(await counting.tokens(engine._running, outline))

    if fits:
        assert (await engine.complete(call))["usage"]["prompt_tokens"] == counted
        return
    with pytest.raises(InvalidRequest) as caught:
        await engine.complete(call)
    order = body.order(call.request, engine._running.abilities)
    with pytest.raises(InvalidRequest) as told:  # by the engine, which is not asked otherwise
        async for _ in engine._asked(order, order.body, None, seed=1):  # type: ignore[arg-type]
            pass
    assert asked_tokens(caught.value) == asked_tokens(told.value) == counted


async def test_others_do_not_wait_for_them(engine: LlamaCppEngine, call_of: Ask) -> None:
    call = call_of(tools=tools(128, 30, pattern="^[a-z]+$"), tool_choice="required")
    crowd = [asyncio.create_task(engine.complete(call)) for _ in range(8)]
    await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)

    await engine.complete(call_of(max_tokens=2))

    assert sum(task.done() for task in crowd) < len(crowd)
    for task in crowd:
        with pytest.raises(InvalidRequest):
            await task


async def test_who_leaves_is_not_read_any_more(engine: LlamaCppEngine, call_of: Ask) -> None:
    process, call = child(engine), call_of(tools=tools(128, 30))
    crowd = [asyncio.create_task(engine.complete(call)) for _ in range(8)]
    before = spent_s(process)
    await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
    one = spent_s(process) - before

    for task in crowd:
        task.cancel()
    await asyncio.wait(crowd)
    assert (await engine.complete(call_of(tools=tools(1, 1), max_tokens=1)))["choices"]

    assert spent_s(process) - before < 4 * one + 0.5


async def test_what_no_model_reads_is_not_given_to_it(engine: LlamaCppEngine, call_of: Ask) -> None:
    described = {"type": "object", "description": "x" * 600_000}
    call = call_of(tools=[{"type": "function", "function": {"name": "f", "parameters": described}}])

    with pytest.raises(InvalidRequest) as caught:
        await engine.complete(call)

    assert (caught.value.param, caught.value.code) == ("tools", "string_above_max_length")
    assert re.fullmatch(
        r"Invalid 'tools': too long\. Expected at most 500000 bytes of JSON, but got 600\d\d\d instead\.",
        caught.value.message,
    )

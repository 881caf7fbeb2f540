"""Several choices of one call: each a reply of its own, plain and streamed, and all of them gone when the client is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import msgspec
import pytest

from hansard.core.accumulate import Accumulator
from hansard.engines.base import Call
from hansard.engines.llamacpp import LlamaCppEngine

pytestmark = pytest.mark.anyio

Ask = Callable[..., Call]

PATIENCE_S = 20.0
NEVER_ENDS = {"logit_bias": {"2": -100}}  # token 2 ends the built-in model's answers
WORD = {"type": "string", "maxLength": 20}
PERSON = {"type": "object", "properties": {"name": WORD}, "required": ["name"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "greet", "description": "Greet somebody", "parameters": PERSON}}


def user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


KINDS: dict[str, dict[str, Any]] = {
    "text": {},
    "log probabilities": {"logprobs": True, "top_logprobs": 2},
    "a stop": {"stop": ["e", "zz"]},
    "a stop and log probabilities": {"stop": ["e", "zz"], "logprobs": True},
    "tools": {"tools": [TOOL]},
    "tools and log probabilities": {"tools": [TOOL], "logprobs": True},
    "a forced call": {"tools": [TOOL], "tool_choice": "required"},
    "a schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "p", "schema": PERSON}}},
    "a schema and log probabilities": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "p", "schema": PERSON}},
        "logprobs": True,
    },
    "penalties": {"presence_penalty": 1, "frequency_penalty": 0.5},
}


def without_ids(completion: dict[str, Any]) -> dict[str, Any]:
    for choice in completion["choices"]:
        for call in choice["message"].get("tool_calls", ()):
            del call["id"]
    return completion


@pytest.mark.parametrize("kind", KINDS)
async def test_each_choice_is_the_reply_to_its_own_seed(engine: LlamaCppEngine, call_of: Ask, kind: str) -> None:
    fields: dict[str, Any] = {"messages": user("Tell me a story"), "temperature": 1.5, "max_tokens": 24, **KINDS[kind]}
    call = call_of(seed=3, n=3, **fields)

    plain = without_ids(await engine.complete(call))
    accumulator = Accumulator(choices=3)
    openers: dict[int, int] = dict.fromkeys(range(3), 0)
    finishes: dict[int, int] = dict.fromkeys(range(3), 0)
    async with aclosing(engine.stream(call)) as stream:
        async for together in stream:
            for chunk in together:
                accumulator.feed(chunk)
                for choice in chunk["choices"]:
                    openers[choice["index"]] += "role" in choice["delta"]
                    finishes[choice["index"]] += choice["finish_reason"] is not None
    streamed = without_ids(accumulator.finish())
    alone = [without_ids(await engine.complete(call_of(seed=seed, **fields))) for seed in (3, 4, 5)]

    assert openers == finishes == {0: 1, 1: 1, 2: 1}
    assert streamed["choices"] == plain["choices"]
    assert [{**choice, "index": 0} for choice in plain["choices"]] == [one["choices"][0] for one in alone]
    for usage in (plain["usage"], streamed["usage"]):
        assert usage["prompt_tokens"] == alone[0]["usage"]["prompt_tokens"]
        assert usage["completion_tokens"] == sum(one["usage"]["completion_tokens"] for one in alone)
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


async def busy_slots(engine: LlamaCppEngine) -> int:
    assert engine._running is not None
    reply = await engine._running.client.get("/slots")
    return sum(slot["is_processing"] for slot in msgspec.json.decode(reply.body))


async def until_busy(engine: LlamaCppEngine, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await busy_slots(engine) != count:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("plain", [True, False])
async def test_who_leaves_frees_every_slot(engine: LlamaCppEngine, call_of: Ask, plain: bool) -> None:
    async with aclosing(engine.stream(call_of(**NEVER_ENDS))) as staying:
        await anext(staying)
        call = call_of(n=3, **NEVER_ENDS)
        if plain:
            leaving = asyncio.create_task(engine.complete(call))
            await until_busy(engine, 4)
            leaving.cancel()
        else:
            async with aclosing(engine.stream(call)) as stream:
                await anext(stream)
                await until_busy(engine, 4)

        await until_busy(engine, 1)

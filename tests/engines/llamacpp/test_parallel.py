"""Two calls in one answer, and one where only one may be; the built-in model makes both by itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from hansard.core.accumulate import Accumulator
from hansard.engines.base import Call
from hansard.engines.llamacpp import LlamaCppEngine

pytestmark = pytest.mark.anyio

Ask = Callable[..., Call]

PLACE = {"type": "object", "properties": {"location": {"type": "string", "maxLength": 20}}, "required": ["location"]}
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Current weather", "parameters": PLACE},
}
BOTH = {
    "messages": [{"role": "user", "content": "What is the weather in Paris and London?"}],
    "tools": [WEATHER],
    "temperature": 0,
    "max_tokens": 120,
}


async def streamed(engine: LlamaCppEngine, call: Call) -> list[dict[str, Any]]:
    async with aclosing(engine.stream(call)) as stream:
        return [chunk async for together in stream for chunk in together]


async def added_up(engine: LlamaCppEngine, call: Call) -> dict[str, Any]:
    accumulator = Accumulator()
    for chunk in await streamed(engine, call):
        accumulator.feed(chunk)
    return accumulator.finish()


@pytest.mark.parametrize("way", [LlamaCppEngine.complete, added_up])
@pytest.mark.parametrize(
    ("asked", "places"),
    [
        ({}, ["Paris", "London"]),
        ({"parallel_tool_calls": True}, ["Paris", "London"]),
        ({"parallel_tool_calls": False}, ["Paris"]),
    ],
)
async def test_as_many_calls_as_may_be(
    engine: LlamaCppEngine, call_of: Ask, way: Any, asked: dict[str, Any], places: list[str]
) -> None:
    (choice,) = (await way(engine, call_of(**BOTH, **asked)))["choices"]

    made = choice["message"]["tool_calls"]
    assert [call["function"] for call in made] == [
        {"name": "get_weather", "arguments": f'{{"location": "{place}"}}'} for place in places
    ]
    assert len({call["id"] for call in made}) == len(places)
    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "tool_calls")


async def test_a_stream_opens_the_second_call_once_the_first_is_whole(engine: LlamaCppEngine, call_of: Ask) -> None:
    chunks = await streamed(engine, call_of(**BOTH))

    pieces = [piece for chunk in chunks for each in chunk["choices"] for piece in each["delta"].get("tool_calls", ())]
    openers = [piece for piece in pieces if "id" in piece]
    assert [(piece["index"], piece["type"]) for piece in openers] == [(0, "function"), (1, "function")]
    assert [piece["function"] for piece in openers] == [{"name": "get_weather", "arguments": ""}] * 2
    assert [piece["index"] for piece in pieces] == sorted(piece["index"] for piece in pieces)

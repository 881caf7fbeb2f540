"""Custom tools with a grammar, through the real engine: every choice, alone and mixed, plain and streamed."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from hansard.contract.request import Grammar
from hansard.core.accumulate import Accumulator
from hansard.engines.base import Call
from hansard.engines.llamacpp import LlamaCppEngine, grammars
from hansard.errors import InvalidRequest

pytestmark = pytest.mark.anyio

Ask = Callable[..., Call]

MONTH = 'start: YEAR "-" MONTH\nYEAR: /20[0-9]{2}/\nMONTH: /0[1-9]|1[0-2]/  // }'
MONTHS = re.compile(r"20\d\d-(0[1-9]|1[0-2])")
WEATHER = [{"role": "user", "content": "What is the weather in Paris?"}]
TIMER = {
    "type": "function",
    "function": {
        "name": "set_timer",
        "description": "Start a timer",
        "parameters": {"type": "object", "properties": {"minutes": {"type": "integer"}}, "required": ["minutes"]},
    },
}


def custom(name: str, syntax: str, definition: str) -> dict[str, Any]:
    form = {"type": "grammar", "grammar": {"syntax": syntax, "definition": definition}}
    return {"type": "custom", "custom": {"name": name, "description": "Current weather", "format": form}}


MONTHLY = custom("get_month", "lark", MONTH)
# The built-in model calls a tool of this name by itself when it is asked for the weather.
CALLED = custom("get_weather", "regex", "[A-Z][a-z]{2,8}/[0-9]{3}")
PLACES = re.compile("[A-Z][a-z]{2,8}/[0-9]{3}")


async def streamed(engine: LlamaCppEngine, call: Call) -> list[dict[str, Any]]:
    async with aclosing(engine.stream(call)) as stream:
        return [chunk async for together in stream for chunk in together]


async def added_up(engine: LlamaCppEngine, call: Call) -> dict[str, Any]:
    accumulator = Accumulator()
    for chunk in await streamed(engine, call):
        accumulator.feed(chunk)
    return accumulator.finish()


ALLOWED = {"mode": "required", "tools": [{"type": "custom", "custom": {"name": "get_month"}}]}


@pytest.mark.parametrize("way", [LlamaCppEngine.complete, added_up])
@pytest.mark.parametrize(
    ("tools", "choice", "reason"),
    [
        ([MONTHLY], "required", "tool_calls"),
        ([TIMER, MONTHLY], {"type": "custom", "custom": {"name": "get_month"}}, "stop"),
        ([TIMER, MONTHLY], {"type": "allowed_tools", "allowed_tools": ALLOWED}, "tool_calls"),
    ],
)
async def test_a_forced_call_is_by_the_grammar(
    engine: LlamaCppEngine, call_of: Ask, way: Any, tools: Any, choice: Any, reason: str
) -> None:
    (only,) = (await way(engine, call_of(tools=tools, tool_choice=choice)))["choices"]

    (made,) = only["message"]["tool_calls"]
    assert list(made) == ["id", "type", "custom"]
    assert (made["type"], made["custom"]["name"]) == ("custom", "get_month")
    assert MONTHS.fullmatch(made["custom"]["input"])
    assert (only["message"]["content"], only["finish_reason"]) == (None, reason)


async def test_a_function_beside_it_keeps_its_schema(engine: LlamaCppEngine, call_of: Ask) -> None:
    choice = {"type": "function", "function": {"name": "set_timer"}}
    (only,) = (await engine.complete(call_of(tools=[MONTHLY, TIMER], tool_choice=choice)))["choices"]

    assert re.fullmatch(r'\{"minutes": ?-?\d+\}', only["message"]["tool_calls"][0]["function"]["arguments"])


async def test_required_is_one_of_both_kinds(engine: LlamaCppEngine, call_of: Ask) -> None:
    asked = {"tools": [MONTHLY, TIMER], "tool_choice": "required", "temperature": 1.0, "n": 4, "max_tokens": 60}
    for choice in (await engine.complete(call_of(**asked)))["choices"]:
        (made,) = choice["message"]["tool_calls"]
        written = made["custom"]["input"] if made["type"] == "custom" else made["function"]["arguments"]
        assert re.fullmatch(MONTHS if made["type"] == "custom" else r'\{"minutes": -?\d+\}', written)


@pytest.mark.parametrize("way", [LlamaCppEngine.complete, added_up])
async def test_the_model_decides_and_its_input_is_bound(engine: LlamaCppEngine, call_of: Ask, way: Any) -> None:
    completion = await way(engine, call_of(tools=[CALLED, TIMER], messages=WEATHER, temperature=0))

    (choice,) = completion["choices"]
    (made,) = choice["message"]["tool_calls"]
    assert (made["type"], made["custom"]["name"], choice["finish_reason"]) == ("custom", "get_weather", "tool_calls")
    assert PLACES.fullmatch(made["custom"]["input"])


async def test_both_requests_are_counted(engine: LlamaCppEngine, call_of: Ask) -> None:
    asked = {"tools": [CALLED], "messages": WEATHER, "temperature": 0}
    forced = (await engine.complete(call_of(tool_choice="required", **asked)))["usage"]
    decided = (await engine.complete(call_of(**asked)))["usage"]

    assert decided["prompt_tokens"] == 2 * forced["prompt_tokens"]
    assert decided["completion_tokens"] > forced["completion_tokens"]
    assert decided["total_tokens"] == decided["prompt_tokens"] + decided["completion_tokens"]


@pytest.mark.parametrize("cap", range(1, 24))
async def test_a_cap_holds_for_both_together(engine: LlamaCppEngine, call_of: Ask, cap: int) -> None:
    completion = await engine.complete(call_of(tools=[CALLED], messages=WEATHER, temperature=0, max_tokens=cap))

    assert completion["choices"][0]["finish_reason"] == "length"
    assert completion["usage"]["completion_tokens"] <= cap


async def test_it_may_answer_in_text(engine: LlamaCppEngine, call_of: Ask) -> None:
    for asked in ({}, {"tool_choice": "none"}):
        completion = await engine.complete(call_of(tools=[MONTHLY], temperature=0, **asked))

        assert completion["choices"][0]["message"]["content"]
        assert "tool_calls" not in completion["choices"][0]["message"]


@pytest.mark.parametrize("choice", ["auto", "required"])
async def test_how_a_call_is_streamed(engine: LlamaCppEngine, call_of: Ask, choice: str) -> None:
    asked = call_of(tools=[CALLED], tool_choice=choice, messages=WEATHER, temperature=0)
    *chunks, finish, usage = await streamed(engine, asked)

    opener, *deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    (made,) = opener.pop("tool_calls")
    assert opener == {"role": "assistant", "content": None, "refusal": None}
    assert made.pop("id").startswith("call_")
    assert made == {"index": 0, "type": "custom", "custom": {"name": "get_weather", "input": ""}}
    assert len(deltas) > 1
    pieces = [delta["tool_calls"][0]["custom"]["input"] for delta in deltas]
    assert deltas == [{"tool_calls": [{"index": 0, "custom": {"input": piece}}]} for piece in pieces]
    assert PLACES.fullmatch("".join(pieces))
    assert finish["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "tool_calls"}]
    assert usage["choices"] == []


@pytest.mark.parametrize(
    ("regex", "source"),
    [
        ("a", "start: /(?:a)/"),
        ("a/b", r"start: /(?:a\/b)/"),
        (r"a\/b", r"start: /(?:a\/b)/"),
        (r"a\\/b", r"start: /(?:a\\\/b)/"),
        ("a\nb", r"start: /(?:a\nb)/"),
    ],
)
def test_a_regex_is_a_grammar_of_one_token(regex: str, source: str) -> None:
    assert grammars.lark(Grammar(syntax="regex", definition=regex)) == source
    assert grammars.wrong(source) is None


def test_the_compiler_is_loaded_with_the_first_grammar() -> None:
    asked = "import sys, hansard.engines.llamacpp.engine; assert 'llguidance' not in sys.modules"

    subprocess.run([sys.executable, "-c", asked], check=True)


# 2,400 places where a row of the engine's parser has room for 2,000: compiled without complaint, given up at its start.
TOO_LARGE = custom("get_weather", "lark", "start: " + " ".join(f'"{letter}"?' for letter in "abcdefghij" * 120))
SAID = (
    "Invalid grammar for custom tool 'get_weather': it is too large for this engine, which could not keep to it. "
    "Use fewer alternatives and optional parts."
)


@pytest.mark.parametrize("way", [LlamaCppEngine.complete, streamed])
@pytest.mark.parametrize("choice", ["auto", "required", {"type": "custom", "custom": {"name": "get_weather"}}])
async def test_what_the_engine_cannot_hold_to_the_end_is_refused(
    engine: LlamaCppEngine, call_of: Ask, way: Any, choice: Any
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await way(engine, call_of(tools=[TIMER, TOO_LARGE], tool_choice=choice, messages=WEATHER, temperature=0))

    assert caught.value.message == SAID
    assert caught.value.param == "tools[1].custom.format.grammar.definition"


async def test_the_engines_own_work_on_it_is_ended(engine: LlamaCppEngine, call_of: Ask) -> None:
    endless = {"logit_bias": {"2": -100}}  # token 2 ends the built-in model's answers
    with pytest.raises(InvalidRequest):
        await engine.complete(call_of(tools=[TOO_LARGE], tool_choice="required", n=3, **endless))

    assert engine._running is not None
    async with asyncio.timeout(20):
        while any(slot["is_processing"] for slot in json.loads((await engine._running.client.get("/slots")).body)):
            await asyncio.sleep(0.01)


# The same for schemas with a pattern, which LLGuidance holds too.
MANY = {
    "anyOf": [
        {"type": "object", "properties": {f"k{number}": {"type": "string", "pattern": "^[a-z]{1,9}$"}}}
        | {"required": [f"k{number}"], "additionalProperties": False}
        for number in range(2100)
    ]
}


@pytest.mark.parametrize("way", [LlamaCppEngine.complete, streamed])
async def test_a_schema_that_is_too_large_is_refused_as_well(engine: LlamaCppEngine, call_of: Ask, way: Any) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": MANY}}
    with pytest.raises(InvalidRequest) as caught:
        await way(engine, call_of(tools=[tool], tool_choice="required", temperature=0, max_tokens=60))

    assert (caught.value.param, caught.value.code) == ("tools[0].function.parameters", "invalid_function_parameters")
    assert "it is too large for this engine" in caught.value.message


async def test_the_loop_turns_while_a_grammar_is_read(engine: LlamaCppEngine, call_of: Ask) -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    large = custom("large", "lark", "start: " + " | ".join(f"/[a-z]{{{number}}}x/" for number in range(1000)))
    turning = asyncio.create_task(turn())
    with pytest.raises(InvalidRequest, match="unknown name"):
        await engine.complete(call_of(tools=[large, custom("broken", "lark", "start: nothing")]))
    turning.cancel()

    assert turns > 3


@pytest.mark.parametrize(
    "definition",
    ["start[max_tokens=3]: /a+/", 'start: a "b"\na[lazy, temperature = 0.5]: /a+/', 'start: "a" <|im_end|>'],
)
def test_what_only_tokens_could_tell_is_refused(definition: str) -> None:
    assert grammars.check(Grammar(syntax="lark", definition=definition)) is not None


def test_words_that_look_like_attributes_are_words() -> None:
    definition = 'start: "a[max_tokens=3]:" /[a-z]+[temperature=]/'

    assert grammars.check(Grammar(syntax="lark", definition=definition)) is None

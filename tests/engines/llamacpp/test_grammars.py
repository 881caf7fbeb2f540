"""Custom tools with a grammar, through the real engine: every choice, alone and mixed, plain and streamed."""

from __future__ import annotations

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

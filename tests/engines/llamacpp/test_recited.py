"""What the engine makes of a model whose every word and its odds are known: thoughts, odds, penalties, counts."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansard.core.accumulate import Accumulator
from hansard.engines.base import Call
from hansard.engines.llamacpp import LlamaCppEngine
from tests.engines.llamacpp import reciter
from tests.engines.llamacpp.reciter import END, SURE, THINK, THOUGHT, VOCABULARY, chain

pytestmark = pytest.mark.anyio

Ask = Callable[..., Call]

THINKING = chain(THINK, "H", "m", THOUGHT, "O", "k")


@asynccontextmanager
async def reciting(path: Path, script: reciter.Script) -> AsyncIterator[LlamaCppEngine]:
    reciter.write(path / "reciter.gguf", script)
    engine = LlamaCppEngine(name="reciter", model_path=path / "reciter.gguf", parallel=2)
    await engine.start()
    yield engine
    await engine.stop()


@pytest.fixture(scope="module")
async def thinker(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LlamaCppEngine]:
    """It thinks "Hm" and says "Ok"."""
    async with reciting(tmp_path_factory.mktemp("thinker"), THINKING) as engine:
        yield engine


@pytest.fixture(scope="module")
async def alphabet(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LlamaCppEngine]:
    async with reciting(tmp_path_factory.mktemp("alphabet"), chain(*"abcdefgh")) as engine:
        yield engine


async def added_up(engine: LlamaCppEngine, call: Call) -> dict[str, Any]:
    """The stream of a call, as the completion it spells."""
    accumulator = Accumulator()
    async with aclosing(engine.stream(call)) as stream:
        async for together in stream:
            for chunk in together:
                accumulator.feed(chunk)
    return accumulator.finish()


async def said(engine: LlamaCppEngine, call: Call) -> str:
    message = (await engine.complete(call))["choices"][0]["message"]
    assert isinstance(message["content"], str)
    return message["content"]


def user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


async def test_nothing_is_cut_off_where_the_model_file_does_not_say_so(thinker: LlamaCppEngine) -> None:
    assert thinker._running is not None

    properties = msgspec.json.decode((await thinker._running.client.get("/props")).body)
    used = properties["default_generation_settings"]["params"]

    assert (used["top_k"], used["min_p"], used["typical_p"], used["repeat_penalty"]) == (0, 0, 1, 1)
    assert (used["dry_multiplier"], used["xtc_probability"], used["mirostat"]) == (0, 0, 0)


@pytest.mark.parametrize("way", [LlamaCppEngine.complete, added_up])
async def test_thoughts_come_beside_the_answer_and_are_counted(
    thinker: LlamaCppEngine, call_of: Ask, way: Callable[..., Any]
) -> None:
    completion = await way(thinker, call_of(n=2))

    for choice in completion["choices"]:
        assert choice["message"]["content"] == "Ok"
        assert choice["message"]["reasoning_content"] == "Hm"
        assert choice["finish_reason"] == "stop"
    # <think> H m | </think> O k <|im_end|>, twice
    assert completion["usage"]["completion_tokens_details"]["reasoning_tokens"] == 2 * 3
    assert completion["usage"]["completion_tokens"] == 2 * 7


async def test_a_stream_thinks_first(thinker: LlamaCppEngine, call_of: Ask) -> None:
    async with aclosing(thinker.stream(call_of())) as stream:
        chunks = [chunk async for together in stream for chunk in together]

    assert [choice["delta"] for chunk in chunks for choice in chunk["choices"]] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"reasoning_content": "H"},
        {"reasoning_content": "m"},
        {"content": "O"},
        {"content": "k"},
        {},
    ]


async def test_the_cap_includes_the_thoughts(thinker: LlamaCppEngine, call_of: Ask) -> None:
    completion = await thinker.complete(call_of(max_completion_tokens=3))

    (choice,) = completion["choices"]
    assert (choice["message"]["content"], choice["message"]["reasoning_content"]) == ("", "Hm")
    assert choice["finish_reason"] == "length"
    assert completion["usage"]["completion_tokens"] == 3
    assert completion["usage"]["completion_tokens_details"]["reasoning_tokens"] == 3


@pytest.mark.parametrize(("effort", "thinks"), [("none", False), ("low", True), (None, True)])
async def test_thinking_is_turned_off_by_no_effort(
    thinker: LlamaCppEngine, call_of: Ask, effort: str | None, thinks: bool
) -> None:
    completion = await thinker.complete(call_of(reasoning_effort=effort))

    (choice,) = completion["choices"]
    assert choice["message"]["content"] == "Ok"
    assert ("reasoning_content" in choice["message"]) is thinks
    assert completion["usage"]["completion_tokens_details"]["reasoning_tokens"] == (3 if thinks else 0)


@pytest.mark.parametrize("way", [LlamaCppEngine.complete, added_up])
async def test_thoughts_have_no_log_probabilities(
    thinker: LlamaCppEngine, call_of: Ask, way: Callable[..., Any]
) -> None:
    completion = await way(thinker, call_of(logprobs=True))

    assert [entry["token"] for entry in completion["choices"][0]["logprobs"]["content"]] == ["O", "k"]


PLACE = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": PLACE}}
CITIES = ['{"place": "Paris"}', '{"place": "Rome"}']


@pytest.fixture(scope="module")
async def planner(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LlamaCppEngine]:
    """It thinks "Hm" and calls a tool, twice."""
    calls = [reciter.call("weather", city) for city in CITIES]
    script = chain(THINK, "H", "m", THOUGHT, *calls)
    async with reciting(tmp_path_factory.mktemp("planner"), script) as engine:
        yield engine


@pytest.mark.parametrize("way", [LlamaCppEngine.complete, added_up])
@pytest.mark.parametrize("parallel", [True, False])
async def test_thoughts_come_before_the_calls(
    planner: LlamaCppEngine, call_of: Ask, way: Callable[..., Any], parallel: bool
) -> None:
    completion = await way(planner, call_of(tools=[WEATHER], parallel_tool_calls=parallel, temperature=0))

    (choice,) = completion["choices"]
    assert choice["message"]["reasoning_content"] == "Hm"
    assert [made["function"]["arguments"] for made in choice["message"]["tool_calls"]] == CITIES[: 1 + parallel]
    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "tool_calls")
    assert completion["usage"]["completion_tokens_details"]["reasoning_tokens"] == 3  # <think> H m


async def test_an_earlier_turns_thoughts_may_come_back(thinker: LlamaCppEngine, call_of: Ask) -> None:
    message = (await thinker.complete(call_of(messages=user("Hi"))))["choices"][0]["message"]

    assert await said(thinker, call_of(messages=[*user("Hi"), message, *user("Hi")])) == "Ok"


@pytest.mark.parametrize("way", [LlamaCppEngine.complete, added_up])
async def test_log_probabilities_are_the_models(tmp_path: Path, call_of: Ask, way: Callable[..., Any]) -> None:
    logits = {"A": 4.0, "B": 3.0, "C": 1.0}
    # Every other token has a logit of 0.
    whole = math.log(sum(map(math.exp, logits.values())) + len(VOCABULARY) - len(logits))

    async with reciting(tmp_path, {**chain("A"), "\n": logits}) as engine:
        call = call_of(logprobs=True, top_logprobs=3, temperature=0, frequency_penalty=0.1)
        (entry,) = (await way(engine, call))["choices"][0]["logprobs"]["content"]

    assert (entry["token"], entry["bytes"]) == ("A", [65])
    assert entry["logprob"] == pytest.approx(4.0 - whole, abs=1e-3)
    assert [(each["token"], each["bytes"]) for each in entry["top_logprobs"]] == [("A", [65]), ("B", [66]), ("C", [67])]
    assert [each["logprob"] for each in entry["top_logprobs"]] == pytest.approx(
        [logit - whole for logit in logits.values()], abs=1e-3
    )


@pytest.mark.parametrize("way", [LlamaCppEngine.complete, added_up])
@pytest.mark.parametrize(
    ("stop", "text", "reason", "tokens"),
    [("fgh", "abcde", "stop", 8), ("cdf", "abcdefgh", "stop", 9), (["xyz", "bd", "d"], "abc", "stop", 4)],
)
async def test_a_stop_costs_no_log_probabilities(
    alphabet: LlamaCppEngine, call_of: Ask, way: Callable[..., Any], stop: Any, text: str, reason: str, tokens: int
) -> None:
    plain = await way(alphabet, call_of(stop=stop))
    completion = await way(alphabet, call_of(stop=stop, logprobs=True))

    (choice,) = completion["choices"]
    assert [entry["token"] for entry in choice["logprobs"]["content"]] == list(text)
    assert (choice["message"]["content"], choice["finish_reason"]) == (text, reason)
    assert completion["usage"]["completion_tokens"] == tokens
    assert {**choice, "logprobs": None} == plain["choices"][0]
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert completion["usage"][name] == plain["usage"][name]


@pytest.fixture(scope="module")
async def stutterer(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LlamaCppEngine]:
    """It says "x" again and again; "y", which ends it, comes next with one logit less."""
    script: dict[str, Any] = {"\n": "x", "x": {"x": SURE, "y": SURE - 1.0}, "y": END}
    async with reciting(tmp_path_factory.mktemp("stutterer"), script) as engine:
        yield engine


@pytest.mark.parametrize("prompt", ["Hello", "x", "xxxxxxxx yyy", "x" * 100])
@pytest.mark.parametrize(
    ("penalty", "text"),
    [(0.4, "xxxy"), (0.6, "xxy"), (1.5, "xy"), (0, "xxxxx")],
)
async def test_frequencies_are_the_answers(
    stutterer: LlamaCppEngine, call_of: Ask, prompt: str, penalty: float, text: str
) -> None:
    call = call_of(messages=user(prompt), frequency_penalty=penalty, temperature=0, max_tokens=5)

    assert await said(stutterer, call) == text


async def test_the_whole_answer_is_counted(stutterer: LlamaCppEngine, call_of: Ask) -> None:
    call = call_of(messages=user("x"), frequency_penalty=0.0101, temperature=0, max_tokens=200)

    assert await said(stutterer, call) == "x" * 100 + "y"  # 99 of them cost 0.9999, and 100 more than "y" is behind


async def test_a_presence_is_charged_once(stutterer: LlamaCppEngine, call_of: Ask) -> None:
    asked = {"temperature": 0, "max_tokens": 5}

    assert await said(stutterer, call_of(presence_penalty=1.5, **asked)) == "xy"
    assert await said(stutterer, call_of(presence_penalty=0.5, **asked)) == "xxxxx"
    # The shortfall that the documentation names: a token of the prompt is free of it.
    assert await said(stutterer, call_of(presence_penalty=1.5, messages=user("x"), **asked)) == "xxxxx"


async def test_a_seed_says_which_of_two(tmp_path: Path, call_of: Ask) -> None:
    coin = {"a": SURE, "b": SURE}
    async with reciting(tmp_path, {"\n": coin, "a": coin, "b": coin}) as engine:
        asked = {"max_tokens": 24, "temperature": 1.0}
        first = [await said(engine, call_of(seed=seed, **asked)) for seed in (1, 2, 3)]
        again = await engine.complete(call_of(seed=1, n=3, **asked))

    assert len(set(first)) == 3
    assert [choice["message"]["content"] for choice in again["choices"]] == first


async def test_a_second_turn_reads_only_what_is_new(tmp_path: Path, call_of: Ask) -> None:
    async with reciting(tmp_path, chain("O", "k")) as engine:
        first = await engine.complete(call_of(messages=user("Hi")))
        turns = [*user("Hi"), first["choices"][0]["message"], *user("And?")]
        second = await engine.complete(call_of(messages=turns))

    assert first["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    # The first prompt and the two tokens of its answer; that its end was chosen is not in the cache yet.
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] == first["usage"]["prompt_tokens"] + 2


@pytest.mark.parametrize(
    ("bias", "text"),
    [({}, "a"), ({"97": -100}, "b"), ({"98": 2}, "b"), ({"99": 1}, "a"), ({"97": -100, "98": -100}, "c")],
)
@pytest.mark.parametrize("way", [LlamaCppEngine.complete, added_up])
async def test_a_bias_moves_the_odds_of_a_token(
    tmp_path: Path, call_of: Ask, way: Callable[..., Any], bias: dict[str, float], text: str
) -> None:
    first = {"a": SURE, "b": SURE - 1.0, "c": SURE - 2.0}
    async with reciting(tmp_path, {"\n": first, "a": END, "b": END, "c": END}) as engine:
        completion = await way(engine, call_of(logit_bias=bias, temperature=0))

    assert completion["choices"][0]["message"]["content"] == text

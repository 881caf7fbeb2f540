"""What an upstream streams adds up to what it answers unstreamed: both forms written by hand, as recorded."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import msgspec
import pytest

from hansard.core.accumulate import Accumulator
from hansard.core.validate import parse_create
from hansard.engines.base import Call
from hansard.engines.upstream import UpstreamEngine
from tests.engines.mock import Asked, serving

pytestmark = pytest.mark.anyio

HEAD = {"id": "chatcmpl-1", "created": 7, "model": "m-2026"}
TAIL = {"service_tier": "default", "system_fingerprint": "fp_1"}
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def choice(message: dict[str, Any], *, index: int = 0, logprobs: object = None, end: str = "stop") -> dict[str, Any]:
    whole = {"role": "assistant", "content": None, "refusal": None, "annotations": [], **message}
    return {"index": index, "message": whole, "logprobs": logprobs, "finish_reason": end}


def piece(delta: dict[str, Any], *, index: int = 0, logprobs: object = None, end: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": end}


def function(name: str, arguments: str, call_id: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def entry(token: str) -> dict[str, Any]:
    return {"token": token, "logprob": -0.5, "bytes": list(token.encode()), "top_logprobs": []}


TEXT_OPENER = {"role": "assistant", "content": "", "refusal": None}
PARIS, ROME = '{"city":"Paris"}', '{"city":"Rome"}'

# The choices of the plain reply, and the choices of the stream's chunks in order.
WAYS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "text": (
        [choice({"content": "Hi there."})],
        [piece(TEXT_OPENER), piece({"content": "Hi"}), piece({"content": " there."}), piece({}, end="stop")],
    ),
    "one tool call": (
        [choice({"tool_calls": [function("f", PARIS, "call_1")]}, end="tool_calls")],
        [
            piece(
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"index": 0, **function("f", "", "call_1")}],
                    "refusal": None,
                }
            ),
            piece({"tool_calls": [{"index": 0, "function": {"arguments": PARIS[:5]}}]}),
            piece({"tool_calls": [{"index": 0, "function": {"arguments": PARIS[5:]}}]}),
            piece({}, end="tool_calls"),
        ],
    ),
    "several tool calls": (
        [choice({"tool_calls": [function("f", PARIS, "call_1"), function("g", ROME, "call_2")]}, end="tool_calls")],
        [
            piece({"role": "assistant", "content": None}),
            piece({"tool_calls": [{"index": 0, **function("f", "", "call_1")}]}),
            piece({"tool_calls": [{"index": 0, "function": {"arguments": PARIS}}]}),
            piece({"tool_calls": [{"index": 1, **function("g", "", "call_2")}]}),
            piece({"tool_calls": [{"index": 1, "function": {"arguments": ROME}}]}),
            piece({}, end="tool_calls"),
        ],
    ),
    "several choices": (
        [choice({"content": "Aye."}), choice({"content": "No"}, index=1, end="length")],
        [
            piece(TEXT_OPENER),
            piece(TEXT_OPENER, index=1),
            piece({"content": "No"}, index=1),
            piece({"content": "A"}),
            piece({}, index=1, end="length"),
            piece({"content": "ye."}),
            piece({}, end="stop"),
        ],
    ),
    "log probabilities": (
        [choice({"content": "Hi!"}, logprobs={"content": [entry("Hi"), entry("!")], "refusal": None})],
        [
            piece(TEXT_OPENER, logprobs={"content": [], "refusal": None}),
            piece({"content": "Hi"}, logprobs={"content": [entry("Hi")], "refusal": None}),
            piece({"content": "!"}, logprobs={"content": [entry("!")], "refusal": None}),
            piece({}, end="stop"),
        ],
    ),
    "refusal": (
        [choice({"refusal": "I cannot."})],
        [
            piece({"role": "assistant", "content": None, "refusal": ""}),
            piece({"refusal": "I"}),
            piece({"refusal": " cannot."}),
            piece({}, end="stop"),
        ],
    ),
    "refusal with log probabilities": (
        [choice({"refusal": "No."}, logprobs={"content": None, "refusal": [entry("No"), entry(".")]})],
        [
            piece({"role": "assistant", "content": None, "refusal": ""}, logprobs={"content": None, "refusal": []}),
            piece({"refusal": "No"}, logprobs={"content": None, "refusal": [entry("No")]}),
            piece({"refusal": "."}, logprobs={"content": None, "refusal": [entry(".")]}),
            piece({}, end="stop"),
        ],
    ),
}


@pytest.mark.parametrize("way", WAYS)
async def test_the_stream_adds_up_to_the_plain_reply(way: str) -> None:
    choices, pieces = WAYS[way]
    plain = {**HEAD, "object": "chat.completion", "choices": choices, "usage": USAGE, **TAIL}

    async def handler(asked: Asked) -> None:
        if not asked.json.get("stream"):
            await asked.reply(200, plain)
            return
        head = {**HEAD, "object": "chat.completion.chunk", **TAIL}
        chunks = [{**head, "choices": [one], "usage": None, "obfuscation": "xyz"} for one in pieces]
        await asked.stream(*chunks, {**head, "choices": [], "usage": USAGE, "obfuscation": "x"}, "[DONE]")

    async with serving(handler) as mock:
        engine = UpstreamEngine(name="u", base_url=mock.base_url, observer=lambda _: None)
        await engine.start()
        try:
            accumulator = Accumulator(choices=len(choices))
            async with aclosing(engine.stream(call(n=len(choices), stream=True))) as stream:
                async for together in stream:
                    for chunk in together:
                        accumulator.feed(chunk)
            complete = msgspec.json.decode(msgspec.json.encode(await engine.complete(call(n=len(choices)))))
        finally:
            await engine.stop()

    assert accumulator.finish() == complete
    assert complete == plain


def call(**fields: Any) -> Call:
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}
    received = parse_create(msgspec.json.encode(asked))
    return Call(request=received.request, document=received.document, model="m", seed=1)

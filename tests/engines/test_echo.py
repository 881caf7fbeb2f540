"""engines/echo.py: it says back what it hears."""

from __future__ import annotations

import json

import pytest

from hansard.core.accumulate import Accumulator
from hansard.core.validate import parse_create
from hansard.engines.base import Call
from hansard.engines.echo import EchoEngine
from hansard.errors import InvalidRequest

pytestmark = pytest.mark.anyio


def call(**fields: object) -> Call:
    body = {"model": "echo", "messages": [{"role": "user", "content": "one  two three"}], **fields}
    received = parse_create(json.dumps(body).encode())
    return Call(request=received.request, document=received.document, model="echo", seed=1)


async def test_it_says_the_last_user_message_word_by_word() -> None:
    chunks = [chunk async for together in EchoEngine().stream(call()) for chunk in together]

    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert deltas == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "one"},
        {"content": "  two"},
        {"content": " three"},
        {},
    ]
    usage = chunks[-1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (3, 3, 6)
    details = {**usage["prompt_tokens_details"], **usage["completion_tokens_details"]}
    assert set(details.values()) == {0}


async def test_text_parts_are_heard_and_other_roles_are_not() -> None:
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "c"},
    ]

    completion = await EchoEngine().complete(call(messages=messages))

    assert completion["choices"][0]["message"]["content"] == "a b"


async def test_a_token_limit_ends_it_with_length() -> None:
    completion = await EchoEngine().complete(call(max_completion_tokens=2))

    [choice] = completion["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("one  two", "length")


@pytest.mark.parametrize(
    ("stop", "said"), [("wo", "one  t"), (["three", "  two"], "one"), (["two three", "two"], "one  "), ("one", "")]
)
async def test_a_stop_text_ends_it(stop: object, said: str) -> None:
    completion = await EchoEngine().complete(call(stop=stop))

    [choice] = completion["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (said, "stop")
    assert completion["usage"]["prompt_tokens"] == 3


async def test_of_several_fields_it_cannot_honour_the_first_is_named() -> None:
    with pytest.raises(InvalidRequest) as refused:
        await EchoEngine().complete(call(web_search_options={"search_context_size": "low"}, logprobs=True))
    assert refused.value.param == "web_search_options"


async def test_n_choices_say_the_same() -> None:
    completion = await EchoEngine().complete(call(n=2))

    assert [choice["message"]["content"] for choice in completion["choices"]] == ["one  two three"] * 2
    assert completion["usage"]["completion_tokens"] == 6


async def test_what_it_cannot_do_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as refused:
        await EchoEngine().complete(call(logprobs=True))
    assert (refused.value.param, refused.value.code) == ("logprobs", "unsupported_parameter")


async def test_moderation_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="moderation"):
        await EchoEngine().complete(call(moderation={"model": "m"}))


async def test_asked_for_plain_text_it_says_it() -> None:
    completion = await EchoEngine().complete(call(response_format={"type": "text"}, modalities=["text"]))
    assert completion["choices"][0]["finish_reason"] == "stop"


async def test_both_ways_give_the_same() -> None:
    accumulator = Accumulator()
    async for chunks in EchoEngine().stream(call()):
        for chunk in chunks:
            accumulator.feed(chunk)

    assert accumulator.finish() == await EchoEngine().complete(call())


@pytest.mark.parametrize("url", ["", "cat.png", "ftp://a/cat.png", "file:///etc/passwd", "http://", "data:image/png"])
async def test_an_image_without_an_address_is_refused(url: str) -> None:
    parts = [{"type": "text", "text": "Look."}, {"type": "image_url", "image_url": {"url": url}}]
    with pytest.raises(InvalidRequest) as caught:
        await EchoEngine().complete(call(messages=[{"role": "user", "content": parts}]))
    assert (caught.value.param, caught.value.code) == ("messages[0].content[1].image_url.url", "invalid_value")


@pytest.mark.parametrize("url", ["https://example.com/cat.png", "data:image/png;base64,iVBO"])
async def test_of_an_image_the_text_beside_it_is_said_back(url: str) -> None:
    parts = [{"type": "text", "text": "Look."}, {"type": "image_url", "image_url": {"url": url}}]
    made = await EchoEngine().complete(call(messages=[{"role": "user", "content": parts}]))
    assert made["choices"][0]["message"]["content"].strip() == "Look."

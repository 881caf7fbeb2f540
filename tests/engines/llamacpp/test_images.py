"""Images reach a model that has a projector, and the engine is given none to fetch."""

from __future__ import annotations

import base64
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from hansard.core.accumulate import Accumulator
from hansard.engines.base import Call
from hansard.engines.llamacpp import LlamaCppEngine, gguf, images
from hansard.errors import InvalidRequest
from tests.engines.llamacpp import projector

pytestmark = pytest.mark.anyio

Ask = Callable[..., Call]


@pytest.fixture(scope="module")
async def seeing(
    anyio_backend: str, model_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LlamaCppEngine]:
    """The built-in model with eyes that see nothing."""
    mmproj = tmp_path_factory.mktemp("eyes") / "mmproj.gguf"
    projector.write(mmproj, embedding=gguf._metadata(str(model_path))["qwen3.embedding_length"])
    engine = LlamaCppEngine(name="seeing", model_path=model_path, mmproj=mmproj, parallel=2, ctx=512)
    await engine.start()
    yield engine
    await engine.stop()


def shown(*urls: str) -> list[dict[str, Any]]:
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, *images]}]


async def prompt_tokens(engine: LlamaCppEngine, call: Call) -> int:
    count = (await engine.complete(call))["usage"]["prompt_tokens"]
    assert isinstance(count, int)
    return count


async def test_an_image_takes_its_place_in_the_prompt(seeing: LlamaCppEngine, call_of: Ask) -> None:
    blind = await prompt_tokens(seeing, call_of(max_tokens=2, messages=shown()))
    one = await prompt_tokens(seeing, call_of(max_tokens=2, messages=shown(projector.PIXEL)))
    two = await prompt_tokens(seeing, call_of(max_tokens=2, messages=shown(projector.PIXEL, projector.PIXEL)))

    assert one - blind >= 16  # 56 pixels square in patches of 14
    assert two - one == one - blind


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x.png", "https://example.com/x.png", "file:///etc/passwd"])
async def test_nothing_is_fetched(seeing: LlamaCppEngine, call_of: Ask, url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await seeing.complete(call_of(messages=shown(url)))

    assert caught.value.param == "messages[0].content[1].image_url.url"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("data:image/png;base64,AAAA", "invalid_image_format"),
        ("data:image/webp;base64,UklGRiQAAABXRUJQ", "invalid_image_format"),
        ("data:image/png;base64,", "invalid_image_format"),
        ("data:image/png;base64,iVBORw0KGg", "invalid_value"),
        ("data:image/png;base64,iVBO Rw0K", "invalid_value"),
        ("data:image/png;base64,\u00e9", "invalid_value"),
        ("data:image/png,plain", "unsupported_value"),
        ("data:text/plain;base64,AAAA", "unsupported_value"),
    ],
)
def test_what_is_no_image_is_named(url: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        images.check(url, where="messages[0].content[1].image_url.url")

    assert (caught.value.param, caught.value.code) == ("messages[0].content[1].image_url.url", code)


async def test_the_second_image_is_named(seeing: LlamaCppEngine, call_of: Ask) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await seeing.complete(call_of(messages=shown(projector.PIXEL, "data:image/png;base64,AAAA")))

    assert caught.value.param == "messages[0].content[2].image_url.url"


PNG = base64.b64decode(projector.PIXEL.partition(",")[2])


def png(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()


@pytest.mark.parametrize("length", [8, 20, 33, 57, 58, len(PNG) - 5])
async def test_an_image_that_breaks_off_is_named(seeing: LlamaCppEngine, call_of: Ask, length: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await seeing.complete(call_of(messages=shown(projector.PIXEL, png(PNG[:length]))))

    assert (caught.value.param, caught.value.code) == (
        "messages[0].content[2].image_url.url", "invalid_image_format"
    )  # fmt: skip


async def test_what_the_engine_reads_to_the_end_is_taken(seeing: LlamaCppEngine, call_of: Ask) -> None:
    for content in (PNG + b"more", PNG[:-4]):
        assert await prompt_tokens(seeing, call_of(max_tokens=1, messages=shown(png(content))))


BROKEN = png(PNG[:41] + bytes(13) + PNG[54:])  # nothing where its pixels are
HUGE = png(PNG[:16] + struct.pack(">II", 60_000, 60_000) + PNG[24:])  # and the pixels of one


@pytest.mark.parametrize("unreadable", [BROKEN, HUGE])
async def test_an_image_that_cannot_be_read_is_named(seeing: LlamaCppEngine, call_of: Ask, unreadable: str) -> None:
    place = "messages[0].content[1].image_url.url"
    told = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}  # by a message of ours
    with pytest.raises(InvalidRequest) as caught:
        await seeing.complete(call_of(messages=shown(unreadable), response_format=told))

    assert (caught.value.param, caught.value.code) == (place, "invalid_image_format")
    assert caught.value.message == f"Invalid value: '{place}' is an image that cannot be read."


async def test_of_several_images_the_engine_does_not_say_which(seeing: LlamaCppEngine, call_of: Ask) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await seeing.complete(call_of(messages=shown(projector.PIXEL, BROKEN)))

    assert (caught.value.param, caught.value.code) == ("messages", "invalid_image_format")
    assert caught.value.message == "Invalid value: 'messages' has an image that cannot be read."


async def test_a_stream_sees_the_same(seeing: LlamaCppEngine, call_of: Ask) -> None:
    call = call_of(max_tokens=4, temperature=0, messages=shown(projector.PIXEL))
    accumulator = Accumulator()
    async with aclosing(seeing.stream(call)) as stream:
        async for together in stream:
            for chunk in together:
                accumulator.feed(chunk)

    streamed, plain = accumulator.finish(), await seeing.complete(call)
    assert streamed["choices"] == plain["choices"]
    assert streamed["usage"]["prompt_tokens"] == plain["usage"]["prompt_tokens"]


async def test_without_a_projector_images_are_refused_by_name(engine: LlamaCppEngine, call_of: Ask) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await engine.complete(call_of(messages=shown(projector.PIXEL)))

    assert (caught.value.param, caught.value.code) == ("messages[0].content[1].type", "unsupported_value")

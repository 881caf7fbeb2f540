"""What the engine's tests share: requests, the model, and one running engine for all of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansard.contract.request import ChatRequest
from hansard.core.validate import parse_create
from hansard.engines.base import Call
from hansard.engines.llamacpp import LlamaCppEngine
from hansard.engines.llamacpp.engine import BUILTIN

HELLO = [{"role": "user", "content": "Hello"}]


def _checked(fields: dict[str, Any]) -> Any:
    return parse_create(msgspec.json.encode({"model": "hansard-tiny", "messages": HELLO, **fields}))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """For the whole session, because the engine that the tests share lives in one event loop."""
    return "asyncio"


@pytest.fixture(scope="session")
def request_of() -> Callable[..., ChatRequest]:
    """A checked request with these fields."""
    return lambda **fields: _checked(fields).request


@pytest.fixture(scope="session")
def call_of() -> Callable[..., Call]:
    """A call with these fields and this seed."""

    def build(seed: int = 1, **fields: Any) -> Call:
        received = _checked(fields)
        return Call(request=received.request, document=received.document, model="hansard-tiny", seed=seed)

    return build


@pytest.fixture(scope="session")
def model_path() -> Path:
    """The built-in model, or the one to try instead of it."""
    return Path(os.environ.get("HANSARD_TEST_MODEL", BUILTIN))


@pytest.fixture(scope="session")
async def engine(anyio_backend: str, model_path: Path) -> AsyncIterator[LlamaCppEngine]:
    """The one engine of this folder's tests, on the built-in model."""
    running = LlamaCppEngine(name="hansard-tiny", model_path=model_path)
    await running.start()
    yield running
    async with asyncio.timeout(20):
        await running.stop()

"""Whatever is wrong with a request, of several mistakes the one is told whose field comes first in the document."""

from __future__ import annotations

from typing import Any

import pytest

from hansard.api.front import Front
from hansard.api.routes import application
from hansard.completions import Completions
from hansard.engines.echo import EchoEngine
from hansard.engines.router import Router
from hansard.observe import ignore
from hansard.observe.metrics import Metrics
from hansard.recorder import Recorder
from hansard.tenancy import Gate
from tests.api.asgi import Client
from tests.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "Hi"}]

# Body, param, code of the one that is told.
FIRST: dict[str, tuple[dict[str, Any], str | None, str | None]] = {
    "unknown model, bound": ({"model": "nope", "n": 0, "messages": MESSAGES}, None, "model_not_found"),
    "bound, unknown model": ({"n": 0, "model": "nope", "messages": MESSAGES}, "n", "integer_below_min_value"),
    "unknown model, unknown field": ({"model": "nope", "zz": 1, "messages": []}, None, "model_not_found"),
    "unknown model, rule": ({"model": "nope", "messages": MESSAGES, "top_logprobs": 1}, None, "model_not_found"),
    "rule, unknown model": ({"top_logprobs": 1, "model": "nope", "messages": MESSAGES}, "top_logprobs", None),
    "unsupported, bound": (
        {"model": "echo", "moderation": {"model": "x"}, "n": 0, "messages": MESSAGES},
        "moderation",
        "unsupported_parameter",
    ),
    "bound, unsupported": (
        {"model": "echo", "n": 0, "moderation": {"model": "x"}, "messages": MESSAGES},
        "n",
        "integer_below_min_value",
    ),
    "unsupported, unknown field": (
        {"model": "echo", "logprobs": True, "zz": 1, "messages": MESSAGES},
        "logprobs",
        "unsupported_parameter",
    ),
    "unknown field, unsupported": (
        {"model": "echo", "zz": 1, "logprobs": True, "messages": MESSAGES},
        "zz",
        "unknown_parameter",
    ),
    "bound, nothing where messages should be": ({"model": "echo", "n": 0}, "n", "integer_below_min_value"),
}


@pytest.mark.parametrize(("body", "param", "code"), FIRST.values(), ids=FIRST.keys())
async def test_the_first_in_the_document_is_told(body: dict[str, Any], param: str | None, code: str | None) -> None:
    reply = await _client().post("/v1/chat/completions", body)

    error = reply.json["error"]
    assert (error["param"], error["code"]) == (param, code), error
    assert reply.status == (404 if code == "model_not_found" else 400)


def _client() -> Client:
    store = MemoryStore()
    completions = Completions(
        router=Router(engines=[EchoEngine()], aliases={}), store=store, recorder=Recorder(store=store, observer=ignore)
    )
    front = Front(gate=Gate(key=None), observer=ignore, max_body_bytes=10_000)
    return Client(application(completions, front, metrics=Metrics(), version="1", default_order="asc"))

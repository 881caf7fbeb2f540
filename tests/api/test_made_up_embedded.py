"""The same made-up requests on the embedded engine, which takes tools, schemas and log probabilities as well.

``HYPOTHESIS_PROFILE=long`` makes up many more of them.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansard.api.front import Front
from hansard.api.routes import application
from hansard.completions import Completions
from hansard.engines.llamacpp import LlamaCppEngine
from hansard.engines.router import Router
from hansard.observe import ignore
from hansard.observe.metrics import Metrics
from hansard.recorder import Recorder
from hansard.tenancy import Gate
from tests import official
from tests.api.asgi import Client, Reply
from tests.api.test_made_up import completed, envelope
from tests.contract import made_up
from tests.memory_store import MemoryStore

pytestmark = official.needed

WITHIN_S = 60
ANSWER_TOKENS = 6
REQUESTS = made_up.requests() if official.PATH.exists() else st.just({})
# Each of them is worked on by a model.
unhurried = settings(
    max_examples=max(25, settings().max_examples // 10),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

Send = Callable[[dict[str, Any]], Reply]


@pytest.fixture(scope="module")
def send() -> Iterator[Send]:
    """Sends to an application on one engine, all in one event loop."""
    store = MemoryStore()
    engine = LlamaCppEngine(name="echo", ctx=512, parallel=2)
    recorder = Recorder(store=store, observer=ignore)
    completions = Completions(router=Router(engines=[engine], aliases={}), store=store, recorder=recorder)
    front = Front(gate=Gate(key=None), observer=ignore, max_body_bytes=10_000_000)
    app = application(completions, front, metrics=Metrics(), version="1", default_order="asc")

    async def post(request: dict[str, Any]) -> Reply:
        async with asyncio.timeout(WITHIN_S):
            return await Client(app).post("/v1/chat/completions", json.dumps(request).encode())

    with asyncio.Runner() as runner:
        runner.run(engine.start())
        yield lambda request: runner.run(post(request))
        runner.run(engine.stop())


def short(request: dict[str, Any]) -> dict[str, Any]:
    """The same with few and short answers, and with what only this engine reads put right."""
    cap = "max_tokens" if request.get("max_tokens") is not None else "max_completion_tokens"
    request[cap] = min(request.get(cap) or ANSWER_TOKENS, ANSWER_TOKENS)
    if request.get("n") is not None:
        request["n"] = min(request["n"], 2)
    if request.get("logit_bias"):
        request["logit_bias"] = {str(token): bias for token, bias in enumerate(request["logit_bias"].values())}
    return request


def named_in(request: dict[str, Any], param: str | None) -> bool:
    return param is not None and re.split(r"[.\[]", param, maxsplit=1)[0] in request


@unhurried
@given(request=REQUESTS.map(short))
def test_what_is_right_is_answered(send: Send, request: dict[str, Any]) -> None:
    """Or refused by name, as made-up schemas and grammars are."""
    reply = send(request)

    if reply.status == 200:
        completed(request, reply)
    else:
        assert reply.status == 400, reply.body
        assert named_in(request, envelope(reply)["param"]), reply.body


@unhurried
@given(request=REQUESTS.filter(lambda request: request.get("tools")).map(short), data=st.data())
def test_any_choice_among_tools_is_answered(send: Send, request: dict[str, Any], data: st.DataObject) -> None:
    for tool in request["tools"]:
        tool.get("function", {}).pop("parameters", None)
        tool.get("custom", {}).pop("format", None)
    references = [
        {"type": tool["type"], tool["type"]: {"name": tool[tool["type"]]["name"]}} for tool in request["tools"]
    ]
    allowed = {
        "mode": data.draw(st.sampled_from(["auto", "required"])),
        "tools": data.draw(st.lists(st.sampled_from(references), max_size=2)),
    }
    words = ["auto", "none", "required"]
    choice = st.sampled_from([*words, *references, {"type": "allowed_tools", "allowed_tools": allowed}])
    request["tool_choice"] = data.draw(choice)

    reply = send(request)

    if reply.status == 200:
        completed(request, reply)
    else:
        assert reply.status == 400, reply.body
        assert named_in(request, envelope(reply)["param"]), reply.body


@unhurried
@given(data=st.data())
def test_what_is_broken_is_told_so(send: Send, data: st.DataObject) -> None:
    request = short(data.draw(REQUESTS))
    spoiled = data.draw(made_up.broken(request))

    reply = send(spoiled)

    if reply.status == 200:
        completed(spoiled, reply)
    else:
        assert 400 <= reply.status < 500, reply.body
        assert envelope(reply)["type"] == "invalid_request_error"

"""Requests that nobody wrote: right ones are answered, broken ones told what is wrong, and nothing ever fails or hangs.

``HYPOTHESIS_PROFILE=long`` makes up many more of them.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hansard.api.front import Front
from hansard.api.routes import application
from hansard.completions import Completions
from hansard.engines.echo import EchoEngine
from hansard.engines.router import Router
from hansard.observe import ignore
from hansard.observe.metrics import Metrics
from hansard.recorder import Recorder
from hansard.tenancy import Gate
from tests import official
from tests.api.asgi import Client, Reply
from tests.contract import made_up
from tests.memory_store import MemoryStore

pytestmark = official.needed

WITHIN_S = 20
REQUESTS = made_up.requests() if official.PATH.exists() else st.just({})
# Each of them is a whole request, made of a large schema.
unhurried = settings(
    max_examples=max(30, settings().max_examples // 3),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def sent(body: bytes) -> Reply:
    store = MemoryStore()
    recorder = Recorder(store=store, observer=ignore)
    completions = Completions(router=Router(engines=[EchoEngine()], aliases={}), store=store, recorder=recorder)
    front = Front(gate=Gate(key=None), observer=ignore, max_body_bytes=10_000_000)
    app = application(completions, front, metrics=Metrics(), version="1", default_order="asc")

    async def send() -> Reply:
        async with asyncio.timeout(WITHIN_S):
            return await Client(app).post("/v1/chat/completions", body)

    return asyncio.run(send())


def envelope(reply: Reply) -> Any:
    error = reply.json["error"]
    assert list(error) == ["message", "type", "param", "code"]
    return error


def completed(request: Any, reply: Reply) -> None:
    """A whole completion, or a whole stream, as the official document describes them."""
    if request.get("stream"):
        *events, done = reply.events
        assert done == "[DONE]"
        assert [problem for event in events for problem in official.problems("chunk", json.loads(event))] == []
    else:
        assert official.problems("completion", reply.json) == []


@unhurried
@given(REQUESTS)
def test_what_is_right_is_answered(request: dict[str, Any]) -> None:
    """Or refused by name, where an echo cannot do it (decision 36)."""
    reply = sent(json.dumps(request).encode())

    if reply.status == 200:
        completed(request, reply)
    else:
        assert (reply.status, envelope(reply)["code"]) == (400, "unsupported_parameter"), reply.body
        assert envelope(reply)["param"] in request


@unhurried
@given(st.data())
def test_what_is_broken_is_told_so(data: st.DataObject) -> None:
    request = data.draw(REQUESTS)
    spoiled = data.draw(made_up.broken(request))

    reply = sent(json.dumps(spoiled).encode())

    if reply.status == 200:
        assert list(official_validator().iter_errors(spoiled)) == [], spoiled
        completed(spoiled, reply)
    else:
        assert 400 <= reply.status < 500, reply.body
        assert envelope(reply)["type"] == "invalid_request_error"


def official_validator() -> Draft202012Validator:
    reference = {"$ref": "#/components/schemas/CreateChatCompletionRequest"}
    return Draft202012Validator({**reference, "components": {"schemas": official.schemas()}})


@unhurried
@given(REQUESTS, st.data())
def test_what_is_cut_short_is_no_request(request: dict[str, Any], data: st.DataObject) -> None:
    body = json.dumps(request, ensure_ascii=False).encode()
    reply = sent(body[: data.draw(st.integers(0, len(body) - 1))])

    assert reply.status == 400
    assert envelope(reply)["message"].startswith("We could not parse the JSON body")


@unhurried
@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer(body: bytes) -> None:
    assert sent(body).status == 400


def test_all_fields_are_made_up() -> None:
    """So that the tests above are about all 37 of them."""
    seen: set[str] = set()

    @settings(max_examples=200, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(REQUESTS)
    def look(request: dict[str, Any]) -> None:
        seen.update(request)

    look()
    assert len(seen) == 37

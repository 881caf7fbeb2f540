"""api/: the six operations and their neighbours, as HTTP."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import time
from typing import Any

import pytest
from starlette.types import Message

from hansard.administration import Administration
from hansard.api.exchange import Exchange
from hansard.api.front import Front
from hansard.api.routes import application
from hansard.completions import Completions
from hansard.departure import Departure
from hansard.engines.router import Router
from hansard.errors import EngineBusy, RateLimited, UpstreamFailed
from hansard.observe import Crashed, Event, RequestServed, both
from hansard.observe.metrics import Metrics
from hansard.recorder import Recorder
from hansard.repeats import Claim
from hansard.tenancy import Gate
from tests.api.asgi import Client, Reply
from tests.engines.scripted import ScriptedEngine, Step, finish, opener, said, usage
from tests.memory_store import MemoryStore
from tests.memory_tenants import MemoryTenants

pytestmark = pytest.mark.anyio

HELLO: tuple[Step, ...] = (opener(), said("Hel"), said("lo"), finish(), usage(3, 2))
ASKED = {"model": "org/m", "messages": [{"role": "user", "content": "Hi"}]}


class Site:
    """The whole HTTP surface over a scripted engine and a store in memory."""

    def __init__(self, *steps: Step, key: str | None = None, max_body_bytes: int = 10_000) -> None:
        self.engine = ScriptedEngine(*(steps or HELLO), models=["org/m"])
        self.store = MemoryStore()
        self.events: list[Event] = []
        self.metrics = Metrics()
        observer = both(self.metrics, self.events.append)
        self.completions = Completions(
            router=Router(engines=[self.engine], aliases={}),
            store=self.store,
            recorder=Recorder(store=self.store, observer=observer),
        )
        administration = Administration(tenants=MemoryTenants())
        gate = Gate(key=key)
        front = Front(gate=gate, observer=observer, max_body_bytes=max_body_bytes)
        self.client = Client(
            application(
                self.completions,
                front,
                metrics=self.metrics,
                version="1.2.3",
                default_order="asc",
                administration=administration,
                departure=Departure(store=self.store, administration=administration, changed=gate.look),
            )
        )

    @property
    def served(self) -> RequestServed:
        [event] = [event for event in self.events if isinstance(event, RequestServed)]
        return event

    async def create(self, **fields: Any) -> Reply:
        return await self.client.post("/v1/chat/completions", {**ASKED, **fields})


def error(reply: Reply) -> tuple[int, str, str | None, str | None]:
    """Status, type, param and code; the envelope always has all four keys."""
    envelope = reply.json["error"]
    assert list(envelope) == ["message", "type", "param", "code"]
    assert reply.headers["content-type"] == "application/json"
    return reply.status, envelope["type"], envelope["param"], envelope["code"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions", "/v1/chat/completions/"])
async def test_create_answers_with_and_without_prefix_and_slash(path: str) -> None:
    reply = await Site().client.post(path, ASKED)

    assert reply.status == 200
    assert reply.json["choices"][0]["message"]["content"] == "Hello"


async def test_every_reply_carries_a_request_id_and_the_api_version() -> None:
    reply = await Site().create()

    assert re.fullmatch(r"req_[0-9a-f]{32}", reply.headers["x-request-id"])
    assert reply.headers["openai-version"] == "2020-10-01"
    assert reply.headers["openai-processing-ms"].isdigit()
    assert reply.headers["content-length"] == str(len(reply.body))


async def test_a_stream_has_its_headers_its_chunks_and_its_end() -> None:
    reply = await Site().create(stream=True, stream_options={"include_obfuscation": False})

    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "content-length" not in reply.headers
    *chunks, done = reply.events
    assert done == "[DONE]"
    assert [json.loads(chunk)["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
    assert list(json.loads(chunks[0])) == ["id", "object", "created", "model", "service_tier", "choices"]


async def test_chunks_are_padded_unless_the_client_declines() -> None:
    padded = await Site().create(stream=True)

    for event in padded.events[:-1]:
        assert len(event) % 16 == 1  # measured on the live API's streams
        assert list(json.loads(event))[-1] == "obfuscation"


async def test_every_chunk_leaves_as_it_is_born() -> None:
    gate = asyncio.Event()
    site = Site(opener(), gate, said("Hello"), finish())

    request = asyncio.create_task(site.create(stream=True))
    await site.client.got_piece.wait()  # the opener is here, and the engine still waits
    gate.set()

    assert (await request).events[-1] == "[DONE]"


async def test_a_failure_before_the_first_chunk_is_an_http_status() -> None:
    reply = await Site(EngineBusy("The queue is full.", retry_after_s=3)).create(stream=True)

    assert error(reply) == (503, "server_error", None, None)
    assert reply.json["error"]["message"].startswith(
        "That model is currently overloaded with other requests. The queue"
    )
    assert reply.headers["retry-after"] == "3"


async def test_a_failure_midway_is_an_error_frame_and_then_the_end() -> None:
    site = Site(opener(), said("Hel"), UpstreamFailed("The upstream is gone."))

    reply = await site.create(stream=True)

    assert reply.status == 200
    assert json.loads(reply.events[-2]) == {
        "error": {
            "message": "The upstream is gone.",
            "type": "server_error",
            "param": None,
            "code": "upstream_unreachable",
        }
    }
    assert reply.events[-1] == "[DONE]"
    assert site.served.error == "upstream_unreachable"


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_bug_is_a_500_without_a_traceback_and_an_event(streamed: bool) -> None:
    site = Site(ZeroDivisionError("secret"))

    reply = await site.create(stream=streamed)

    assert error(reply) == (500, "server_error", None, None)
    assert "secret" not in reply.body.decode()
    assert [type(event) for event in site.events] == [Crashed, RequestServed]


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "order-66"}])
async def test_a_commit_that_fails_is_an_error_frame_in_place_of_the_end(headers: dict[str, str]) -> None:
    """Decision 21, so that ``[DONE]`` implies that it is stored."""
    gate = asyncio.Event()
    site = Site(opener(), gate, said("Hello"), finish())
    body = {**ASKED, "stream": True, "store": True}

    request = asyncio.create_task(site.client.post("/v1/chat/completions", body, headers=headers))
    await site.client.got_piece.wait()
    site.store.down = True
    gate.set()
    reply = await request

    assert reply.status == 200
    *_, last, failure = reply.events
    assert json.loads(last)["choices"][0]["finish_reason"] == "stop"
    assert json.loads(failure)["error"]["code"] == "store_unavailable"


async def test_a_bug_midway_is_an_error_frame_and_an_event() -> None:
    site = Site(opener(), ZeroDivisionError("secret"))

    reply = await site.create(stream=True)

    assert json.loads(reply.events[-2])["error"]["message"].startswith("The server had an error")
    assert reply.events[-1] == "[DONE]"
    assert [type(event) for event in site.events] == [Crashed, RequestServed]


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_client_that_leaves_stops_the_engine(streamed: bool) -> None:
    site = Site(opener(), asyncio.Event())

    request = asyncio.create_task(site.create(stream=streamed))
    while not site.engine.calls:
        await asyncio.sleep(0)
    site.client.leave.set()
    await request

    assert site.engine.closed == 1
    assert site.served.status == 499


async def test_a_cancelled_server_is_not_taken_for_a_client_that_left() -> None:
    site = Site(opener(), asyncio.Event())

    request = asyncio.create_task(site.create())
    while not site.engine.calls:
        await asyncio.sleep(0)
    request.cancel()

    with pytest.raises(asyncio.CancelledError):
        await request


async def test_who_is_cut_off_by_a_shutdown_is_told() -> None:
    """The task is cancelled and must stay so; what was sent by then is seen on the way."""
    plain, streamed = Site(opener(), asyncio.Event()), Site(opener(), asyncio.Event())

    requests = [asyncio.create_task(plain.create()), asyncio.create_task(streamed.create(stream=True))]
    while not (plain.engine.calls and streamed.client.got_piece.is_set()):
        await asyncio.sleep(0)
    for request in requests:
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    assert error(plain.client.last)[:2] == (503, "server_error")
    assert json.loads(streamed.client.last.events[-2])["error"]["message"] == "The server is shutting down."
    assert streamed.client.last.events[-1] == "[DONE]"
    assert [(site.served.status, site.served.error) for site in (plain, streamed)] == [
        (503, "server_error"),
        (200, "server_error"),
    ]


async def test_retry_after_of_a_rate_limit_is_passed_on() -> None:
    reply = await Site(RateLimited("Slow down.", retry_after_s=7)).create()

    assert error(reply) == (429, "requests", None, "rate_limit_exceeded")
    assert reply.headers["retry-after"] == "7"


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_refused(announced: bool) -> None:
    site = Site(max_body_bytes=100)

    pieces = [b"x" * 60, b"x" * 60]
    headers = {"content-length": "120"} if announced else {}
    reply = await site.client.request("POST", "/v1/chat/completions", pieces=pieces, headers=headers)

    assert error(reply) == (413, "invalid_request_error", None, "request_too_large")


async def test_a_body_in_pieces_is_one_body() -> None:
    text = json.dumps(ASKED).encode()

    reply = await Site().client.request("POST", "/v1/chat/completions", pieces=[text[:10], text[10:20], text[20:]])

    assert reply.status == 200


async def test_a_content_type_is_not_asked_for() -> None:
    reply = await Site().client.post("/v1/chat/completions", ASKED, headers={"content-type": "text/plain"})

    assert reply.status == 200


async def test_a_stored_request_may_have_numbers_of_any_length() -> None:
    site = Site()
    huge = b"9" * 5_000
    call = b'{"id":"c","type":"function","function":{"name":"f","arguments":"{}"},"at":1e999}'
    messages = b'[{"role":"assistant","tool_calls":[' + call + b']},{"role":"tool","tool_call_id":"c","content":"x"}]'
    body = b'{"model":"org/m","store":true,"top_k":' + huge + b',"messages":' + messages + b"}"

    made = await site.client.post("/v1/chat/completions", body)
    address = f"/v1/chat/completions/{made.json['id']}"
    shown = await site.client.get(address + "/messages")
    got, listed = await site.client.get(address), await site.client.get("/v1/chat/completions")

    assert [reply.status for reply in (made, shown, got, listed)] == [200, 200, 200, 200]
    assert b'"tool_calls":[' + call + b"]" in shown.body


async def test_the_stored_life_of_a_completion() -> None:
    site = Site()
    made = (await site.create(store=True, metadata={"a": "b"})).json["id"]
    address = f"/v1/chat/completions/{made}"

    listed = await site.client.get("/v1/chat/completions", b"metadata%5Ba%5D=b")
    got = await site.client.get(address)
    messages = await site.client.get(address + "/messages")
    updated = await site.client.post(address, {"metadata": {"c": "d"}})
    deleted = await site.client.request("DELETE", address, headers={"content-type": "application/json"})
    gone = await site.client.get(address)

    assert [stored["id"] for stored in listed.json["data"]] == [made]
    assert (listed.json["first_id"], listed.json["last_id"], listed.json["has_more"]) == (made, made, False)
    assert got.json == listed.json["data"][0]
    assert [message["id"] for message in messages.json["data"]] == [f"{made}-0"]
    assert updated.json["metadata"] == {"c": "d"}
    assert deleted.json == {"object": "chat.completion.deleted", "id": made, "deleted": True}
    assert error(gone) == (404, "invalid_request_error", "completion_id", "not_found")
    assert gone.json["error"]["message"] == f"Completion {made} not found"


@pytest.mark.parametrize(
    ("sent", "completion_id"),
    [
        ("comp_nonexistent_12345", "comp_nonexistent_12345"),
        ("chatcmpl%2F0%2001%3Fx", "chatcmpl/0 01?x"),  # as the official clients write such an id
        ("..%2fmodels", "../models"),
        ("%C3%A9", "é"),
    ],
)
@pytest.mark.parametrize("rest", ["", "/messages"])
async def test_odd_ids_are_unknown_ids(sent: str, completion_id: str, rest: str) -> None:
    reply = await Site().client.get(f"/v1/chat/completions/{sent}{rest}")

    assert error(reply) == (404, "invalid_request_error", "completion_id", "not_found")
    assert reply.json["error"]["message"] == f"Completion {completion_id} not found"


@pytest.mark.parametrize("prefix", ["/v1", ""])
async def test_models_are_listed_and_shown_even_with_a_slash(prefix: str) -> None:
    site = Site()

    listed = await site.client.get(f"{prefix}/models")
    shown = await site.client.get(f"{prefix}/models/org/m")
    escaped = await site.client.get(f"{prefix}/models/org%2Fm")

    expected = {"id": "org/m", "object": "model", "created": 1, "owned_by": "scripted"}
    assert listed.json == {"object": "list", "data": [expected]}
    assert shown.json == escaped.json == expected


async def test_an_unknown_model_has_the_text_of_its_operation() -> None:
    site = Site()

    created = await site.create(model="gpt-x")
    shown = await site.client.get("/v1/models/fake_id")

    assert error(created) == (404, "invalid_request_error", None, "model_not_found")
    assert error(shown) == (404, "invalid_request_error", "model", "model_not_found")
    assert shown.json["error"]["message"] == "The model 'fake_id' does not exist"


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        # What a base URL meets that was pasted with the operation's own path.
        ("POST", "/v1/chat/completions/chat/completions", "Invalid URL (POST /v1/chat/completions/chat/completions)"),
        ("POST", "/v1/nothing", "Invalid URL (POST /v1/nothing)"),
        ("GET", "/v1/chat/completions/a/b", "Invalid URL (GET /v1/chat/completions/a/b)"),
        ("GET", "/v1/a%2Fb", "Invalid URL (GET /v1/a/b)"),
        ("GET", "/v1%2Fmodels", "Invalid URL (GET /v1/models)"),
        ("GET", "/v1/hansard%2fv1/projects", "Invalid URL (GET /v1/hansard/v1/projects)"),
        ("GET", "/", "Invalid URL (GET /)"),
    ],
)
async def test_unknown_addresses(method: str, path: str, message: str) -> None:
    reply = await Site().client.request(method, path, {"metadata": {}})

    assert error(reply) == (404, "invalid_request_error", None, None)
    assert reply.json["error"]["message"] == message


async def test_a_websocket_is_declined() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/v1/chat/completions", "headers": [], "query_string": b""}
    await Site().client.app(scope, receive, send)

    assert sent == [{"type": "websocket.close"}]


async def test_clients_of_another_api_are_told_what_to_change() -> None:
    reply = await Site().client.post("/v1/responses", {})

    assert error(reply) == (404, "invalid_request_error", None, None)
    assert "openai.chat('MODEL')" in reply.json["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "said", "allowed"),
    [
        ("PUT", "/v1/chat/completions", "GET and POST", "GET, POST, HEAD"),
        ("PATCH", "/v1/chat/completions/chatcmpl-1", "GET, POST, and DELETE", "GET, POST, DELETE, HEAD"),
        ("POST", "/v1/chat/completions/chatcmpl-1/messages", "GET", "GET, HEAD"),
        ("DELETE", "/v1/models/m", "GET", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_says_which_are_right(method: str, path: str, said: str, allowed: str) -> None:
    reply = await Site().client.request(method, path)

    assert error(reply) == (405, "invalid_request_error", None, "method_not_supported")
    assert reply.json["error"]["message"] == f"Only {said} requests are accepted."
    assert reply.headers["allow"] == allowed


@pytest.mark.parametrize("body", [ASKED | {"n": -1}, ASKED | {"model": "unknown"}, b"{"])
async def test_a_request_that_is_refused_is_let_go_at_once(body: object) -> None:
    """An error leads to all that was known where it was raised; whoever keeps one there keeps all of it."""
    site = Site()
    gc.collect()
    gc.disable()
    try:
        refused = await site.client.post("/v1/chat/completions", body)
        left = [each for each in gc.get_objects() if isinstance(each, Exchange)]
    finally:
        gc.enable()

    assert refused.status in (400, 404)
    assert left == []


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz", "/metrics", "/v1/models", "/v1/chat/completions"])
async def test_head_answers_as_get_does(path: str) -> None:
    site = Site()

    head = await site.client.request("HEAD", path)
    got = await site.client.get(path)

    assert head.status == got.status == 200
    assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/chat/completions"),
        ("GET", "/v1/chat/completions/chatcmpl-1"),
        ("POST", "/v1/chat/completions/chatcmpl-1"),
        ("DELETE", "/v1/chat/completions/chatcmpl-1"),
        ("GET", "/v1/chat/completions/chatcmpl-1/messages"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/m"),
        ("GET", "/metrics"),
    ],
)
async def test_every_operation_asks_for_the_key(method: str, path: str) -> None:
    site = Site(key="sk-right")

    none = await site.client.request(method, path, ASKED)
    wrong = await site.client.request(method, path, ASKED, headers={"authorization": "Bearer sk-wrong"})
    right = await site.client.request(method, path, ASKED, headers={"authorization": "Bearer sk-right"})

    assert error(none) == (401, "invalid_request_error", None, None)
    assert error(wrong) == (401, "invalid_request_error", None, "invalid_api_key")
    assert right.status != 401
    # Recorded: a refused key is not told the API's version.
    assert not [name for name in {**none.headers, **wrong.headers} if name.startswith("openai-")]


async def test_health_needs_no_key_and_readiness_tells_what_is_missing() -> None:
    site = Site(key="sk-right")

    health = await site.client.get("/health")
    alive = await site.client.get("/livez")
    ready = await site.client.get("/readyz")
    site.store.down = True
    broken = await site.client.get("/readyz")

    assert health.json == alive.json == {"status": "ok"}
    assert (ready.status, ready.json["status"]) == (200, "ready")
    assert (broken.status, broken.json["checks"]) == (503, {"store": "unavailable", "engine scripted": "ok"})


async def test_a_server_that_shuts_down_is_not_ready_and_alive_all_the_same() -> None:
    site = Site()
    site.completions.shut_down()

    ready = await site.client.get("/readyz")

    assert (ready.status, ready.json["status"], ready.headers["retry-after"]) == (503, "shutting_down", "1")
    assert (await site.client.get("/livez")).status == 200
    assert (await site.create()).status == 200


async def test_the_log_line_knows_the_clients_own_id() -> None:
    site = Site()

    await site.client.post("/v1/chat/completions", ASKED, headers={"x-client-request-id": "mine-7"})

    assert site.served.client_request_id == "mine-7"


@pytest.mark.parametrize(("streamed", "store"), [(True, True), (True, False), (False, True), (False, False)])
async def test_the_log_line_knows_how_it_was_made(streamed: bool, store: bool) -> None:
    site = Site()

    await site.create(stream=streamed, store=store)

    work = site.served.work
    assert work is not None
    assert (work.model_name, work.engine, work.finish_reason) == ("org/m", "scripted", "stop")
    assert work.queue_s is not None
    if streamed:
        assert work.first_chunk_s is not None
        assert work.last_chunk_s is not None
        assert work.queue_s <= work.first_chunk_s <= work.last_chunk_s
    else:
        assert work.first_chunk_s is None


async def test_the_log_line_knows_the_completion() -> None:
    site = Site()

    made = (await site.create(store=True)).json["id"]

    served = site.served
    assert (served.status, served.model, served.completion_id, served.stored) == (200, "org/m", made, True)
    assert (served.prompt_tokens, served.completion_tokens) == (3, 2)


async def test_readiness_says_more_when_asked() -> None:
    site = Site()

    ready = await site.client.get("/readyz", b"verbose")
    site.engine.is_ready = False
    broken = await site.client.get("/v1/readyz", b"verbose")

    assert "models" not in (await site.client.get("/readyz")).json
    assert ready.json["models"] == {"org/m": [{"engine": "scripted", "model": "org/m", "ready": True}]}
    assert (broken.status, broken.headers["retry-after"]) == (503, "1")
    assert broken.json["reasons"] == {"scripted": "told to be away"}


async def test_metadata_may_come_in_a_header() -> None:
    site = Site()
    headers = {"x-hansard-metadata": '{"team": "x", "a": "header"}'}

    await site.client.post("/v1/chat/completions", {**ASKED, "store": True, "metadata": {"a": "b"}}, headers=headers)
    await site.client.post("/v1/chat/completions", ASKED, headers=headers)

    [record] = site.store.records.values()
    assert record is not None
    assert record.metadata == {"team": "x", "a": "b"}


async def test_the_clients_own_header_travels_with_the_call() -> None:
    site = Site()
    site.engine.takes_client_key = True

    await site.client.post("/v1/chat/completions", ASKED, headers={"authorization": "Bearer mine"})

    assert [call.authorization for call in site.engine.calls] == ["Bearer mine"]


@pytest.mark.parametrize("path", ["/v1/responses", "/responses", "/v1/completions", "/completions"])
async def test_who_speaks_another_api_is_told_what_to_set(path: str) -> None:
    reply = await Site().client.post(path, ASKED)

    assert error(reply)[0] == 404
    for word in ("Chat Completions", "openai.chat(", "openai-chat:", "openai-api/"):
        assert word in reply.json["error"]["message"]


async def test_metrics_count_what_was_served() -> None:
    site = Site()
    await site.create(store=True)
    await site.create(model="unknown")

    reply = await site.client.get("/metrics")

    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = reply.body.decode().splitlines()
    assert 'hansard_requests_total{method="POST",path="/chat/completions",status="200"} 1' in lines
    assert 'hansard_requests_total{method="POST",path="/chat/completions",status="404"} 1' in lines
    assert 'hansard_generation_tokens_total{model_name="org/m",upstream=""} 2' in lines
    assert 'hansard_request_success_total{model_name="org/m",upstream="",finished_reason="stop"} 1' in lines
    assert 'hansard_requests_running{model_name="org/m"} 0' in lines
    assert "hansard_stored_completions_total 1" in lines
    assert 'hansard_ready{part="scripted"} 1' in lines


KEYED = {"idempotency-key": "order-66"}


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_repeat_under_its_key_is_answered_as_before_and_says_so(streamed: bool) -> None:
    site = Site()
    body = {**ASKED, "stream": streamed, "stream_options": {"include_obfuscation": False}} if streamed else ASKED

    first = await site.client.post("/v1/chat/completions", body, headers=KEYED)
    again = await site.client.post("/chat/completions", body, headers=KEYED)

    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert (again.body == first.body) if not streamed else (again.events[-1] == "[DONE]")
    assert len(site.engine.calls) == 1
    made, replayed = [event for event in site.events if isinstance(event, RequestServed)]
    assert (made.replayed, made.completion_tokens) == (False, 2)
    assert (replayed.replayed, replayed.completion_tokens, replayed.stored) == (True, None, False)
    assert replayed.completion_id == made.completion_id


async def test_without_a_key_there_are_two_completions() -> None:
    site = Site()
    assert (await site.create()).json["id"] != (await site.create()).json["id"]


async def test_another_request_under_the_key_is_a_conflict_that_clients_do_not_try_again() -> None:
    site = Site()
    await site.client.post("/v1/chat/completions", ASKED, headers=KEYED)

    other = await site.client.post("/v1/chat/completions", {**ASKED, "stream": True}, headers=KEYED)
    beside = await site.client.post(
        "/v1/chat/completions", {**ASKED, "store": True}, headers={**KEYED, "x-hansard-metadata": "{}"}
    )

    for reply in (other, beside):
        assert error(reply) == (409, "invalid_request_error", None, "idempotency_key_reused")
        assert reply.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_key_that_was_sent_before_with_another_request_is_let_go_at_once(streamed: bool) -> None:
    """Its error leads to where it was raised, and so to the claim; nothing of the claim may lead to the error."""
    site = Site()
    body = {**ASKED, "stream": streamed}
    await site.client.post("/v1/chat/completions", body, headers=KEYED)
    gc.collect()
    gc.disable()
    try:
        refused = await site.client.post("/v1/chat/completions", {**body, "seed": 1}, headers=KEYED)
        left = [each for each in gc.get_objects() if isinstance(each, Exchange | Claim)]
    finally:
        gc.enable()

    assert refused.status == 409
    assert left == []


@pytest.mark.parametrize(
    ("headers", "metadata", "lengths"),
    [
        ({}, {}, (None, None)),
        ({"x-hansard-ttl": "2h", "x-hansard-body-ttl": "90"}, {}, (7200, 90)),
        ({}, {"hansard_ttl": "2h", "hansard_body_ttl": "90"}, (7200, 90)),
        ({"x-hansard-ttl": "1h"}, {"hansard_ttl": "2h"}, (3600, None)),
        ({"x-hansard-metadata": '{"hansard_ttl": "2h"}'}, {}, (7200, None)),
    ],
)
async def test_a_request_may_say_how_long_it_is_kept(
    headers: dict[str, str], metadata: dict[str, str], lengths: tuple[int | None, int | None]
) -> None:
    site = Site()
    before = int(time.time())
    made = await site.client.post(
        "/v1/chat/completions", {**ASKED, "store": True, "metadata": metadata}, headers=headers
    )
    after = int(time.time())
    [record] = site.store.records.values()
    assert made.status == 200
    assert record is not None
    for ends, length_s in zip((record.expires, record.body_expires), lengths, strict=True):
        assert ends is None if length_s is None else ends is not None and before <= ends - length_s <= after


async def test_a_length_that_is_none_is_refused_before_anything_is_generated() -> None:
    site = Site()
    reply = await site.client.post("/v1/chat/completions", ASKED, headers={"x-hansard-ttl": "soon"})
    assert error(reply) == (400, "invalid_request_error", "X-Hansard-TTL", "invalid_value")
    assert site.engine.calls == []


async def test_a_metadata_header_is_part_of_what_the_key_stands_for() -> None:
    site = Site()
    body = {**ASKED, "store": True}
    first = await site.client.post("/v1/chat/completions", body, headers={**KEYED, "x-hansard-metadata": '{"a": "b"}'})
    assert first.status == 200
    assert error(await site.client.post("/v1/chat/completions", body, headers=KEYED))[0] == 409


@pytest.mark.parametrize("key", ["", "x" * 256, "\xe9"])
async def test_a_key_that_is_none_is_refused(key: str) -> None:
    reply = await Site().client.post("/v1/chat/completions", ASKED, headers={"idempotency-key": key})
    assert error(reply) == (400, "invalid_request_error", "Idempotency-Key", "invalid_value")

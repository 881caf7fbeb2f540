"""traces/: spans as the conventions for generative AI have them, in memory; and sent to a collector on loopback."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from hansard.api.front import Front
from hansard.api.routes import application
from hansard.app import House
from hansard.completions import Completions
from hansard.config import resolve
from hansard.core.validate import parse_create
from hansard.engines.base import Call
from hansard.engines.router import Router
from hansard.errors import UpstreamFailed
from hansard.observe import ignore
from hansard.observe.metrics import Metrics
from hansard.recorder import Recorder
from hansard.tenancy import Gate
from hansard.traces import Tracing
from tests.api.asgi import Client, Reply
from tests.engines.mock import Asked, completion, serving
from tests.engines.scripted import ScriptedEngine, Step, finish, opener, said, usage
from tests.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

HELLO: tuple[Step, ...] = (opener(), said("Hel"), said("lo"), finish(), usage(3, 2))
ASKED = {"model": "m", "messages": [{"role": "user", "content": "a secret of state"}]}
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
# The example of https://www.w3.org/TR/trace-context/#traceparent-header
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Site:
    """The whole HTTP surface with its spans in memory, over a scripted engine that is elsewhere or here."""

    def __init__(self, *steps: Step, address: str | None = "http://gpu-box:8000/v1", **environ: str) -> None:
        self.engine = ScriptedEngine(*(steps or HELLO))
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        tracing = Tracing(provider, version="1", environ=environ)
        store = MemoryStore()
        completions = Completions(
            router=Router(engines=[tracing.engine(self.engine, address=address)], aliases={}),
            store=store,
            recorder=Recorder(store=store, observer=ignore),
        )
        front = Front(gate=Gate(key=None), observer=ignore, max_body_bytes=100_000)
        app = application(completions, front, metrics=Metrics(), version="1", default_order="asc")
        self.client = Client(tracing.application(app))

    async def create(self, headers: dict[str, str] | None = None, **fields: Any) -> Reply:
        return await self.client.post("/v1/chat/completions", {**ASKED, **fields}, headers=headers)

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self._exporter.get_finished_spans()}

    @property
    def chat(self) -> dict[str, Any]:
        """The attributes of the call's span."""
        return {**(self.spans["chat m"].attributes or {})}


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_has_the_attributes_of_the_conventions(streamed: bool) -> None:
    site = Site()
    await site.create(
        stream=streamed,
        temperature=0.5,
        top_p=0.9,
        max_completion_tokens=50,
        stop=["END"],
        seed=7,
        frequency_penalty=0.25,
        presence_penalty=0.75,
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    )

    attributes = site.chat
    if streamed:
        assert 0 <= attributes.pop("gen_ai.response.time_to_first_chunk") < 60
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.stream": streamed,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.seed": 7,
        "gen_ai.request.frequency_penalty": 0.25,
        "gen_ai.request.presence_penalty": 0.75,
        "gen_ai.output.type": "json",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 2,
        "server.address": "gpu-box",
        "server.port": 8000,
    }
    assert site.spans["chat m"].kind is SpanKind.CLIENT
    assert site.spans["chat m"].status.status_code is StatusCode.UNSET


async def test_what_is_left_out_of_a_request_is_left_out_of_its_span() -> None:
    site = Site(address=None)
    await site.create()

    assert site.chat == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "hansard",
        "gen_ai.request.model": "m",
        "gen_ai.request.stream": False,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 2,
    }
    assert site.spans["chat m"].kind is SpanKind.INTERNAL


async def test_no_chunk_goes_past_a_span() -> None:
    """The engine is told of nobody who would take chunks where they come."""
    engine = ScriptedEngine(*HELLO)
    tracing = Tracing(TracerProvider(shutdown_on_exit=False), version="1", environ={})
    received = parse_create(json.dumps({**ASKED, "stream": True}).encode())
    call = Call(
        request=received.request, document=received.document, model="m", seed=1, taker=lambda _: pytest.fail("taken")
    )

    seen = [one async for chunks in tracing.engine(engine, address="http://a/v1").stream(call) for one in chunks]

    assert (len(seen), [each.taker for each in engine.calls]) == (len(HELLO), [None])


@pytest.mark.parametrize("streamed", [False, True])
async def test_nothing_that_was_said_is_in_a_span_unless_it_is_asked_for(streamed: bool) -> None:
    site = Site()
    await site.create(stream=streamed)

    told = "".join(span.to_json() for span in site.spans.values())
    assert "secret of state" not in told
    assert "Hel" not in told


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("word", ["true", "SPAN_ONLY"])
async def test_what_was_said_is_there_where_it_is_asked_for(streamed: bool, word: str) -> None:
    site = Site(**{CAPTURE: word})
    await site.create(stream=streamed)

    assert json.loads(site.chat["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "a secret of state"}]}
    ]
    assert json.loads(site.chat["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Hello"}], "finish_reason": "stop"}
    ]


async def test_calls_of_tools_and_what_they_gave_are_parts() -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"in":"Rome"}'}}
    messages = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "Look."}, {"type": "image_url", "image_url": {"url": "https://a/b"}}],
        },
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Rain."},
    ]
    site = Site(**{CAPTURE: "true"})
    await site.create(messages=messages, tools=tools)

    assert json.loads(site.chat["gen_ai.tool.definitions"]) == tools
    assert [message["parts"] for message in json.loads(site.chat["gen_ai.input.messages"])] == [
        [{"type": "text", "content": "Look."}, {"type": "uri", "modality": "image", "uri": "https://a/b"}],
        [{"type": "tool_call", "id": "call_1", "name": "weather", "arguments": '{"in":"Rome"}'}],
        [{"type": "tool_call_response", "id": "call_1", "response": "Rain."}],
    ]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_failure_is_told_by_its_word_and_not_by_its_text(streamed: bool) -> None:
    site = Site(UpstreamFailed("It said: a secret of state.", code="upstream_error"))
    await site.create(stream=streamed)

    span = site.spans["chat m"]
    assert site.chat["error.type"] == "upstream_error"
    assert span.status.status_code is StatusCode.ERROR
    assert "secret" not in span.to_json()
    assert site.spans["POST /chat/completions"].status.status_code is StatusCode.ERROR


async def test_a_client_that_leaves_ends_the_span() -> None:
    site = Site(opener(), said("Hel"), asyncio.Event())
    asking = asyncio.create_task(site.create(stream=True))
    await site.client.got_piece.wait()
    site.client.leave.set()
    await asking

    assert site.chat["error.type"] == "client_left"


async def test_a_request_goes_on_with_its_clients_trace_and_the_upstream_with_ours() -> None:
    site = Site()
    reply = await site.create({"traceparent": f"00-{TRACE}-{PARENT}-01"})

    server, call = site.spans["POST /chat/completions"], site.spans["chat m"]
    assert server.parent is not None
    assert call.parent is not None
    assert (server.context.trace_id, server.parent.span_id) == (int(TRACE, 16), int(PARENT, 16))
    assert call.parent.span_id == server.context.span_id
    assert site.engine.calls[0].headers == {"traceparent": f"00-{TRACE}-{call.context.span_id:016x}-01"}
    assert {**(server.attributes or {})} == {
        "http.request.method": "POST",
        "http.route": "/chat/completions",
        "http.response.status_code": 200,
        "hansard.request_id": reply.headers["x-request-id"],
    }


async def test_probes_leave_no_span() -> None:
    site = Site()
    for path in ("/health", "/livez", "/v1/readyz", "/metrics"):
        await site.client.get(path)

    assert site.spans == {}


# From the settings to a collector


class Collector(HTTPServer):
    """Takes what is posted; ``got`` is set with the first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.taken: list[tuple[str, bytes]] = []
        self.got = threading.Event()


class _Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.taken.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.end_headers()
        self.server.got.set()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


async def test_a_server_sends_its_spans_to_the_collector_and_its_trace_to_the_upstream(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    seen: list[str | None] = []

    async def handler(asked: Asked) -> None:
        seen.append(asked.headers.get("traceparent"))
        await asked.reply(200, completion("Hi"))

    async with serving(handler) as mock:
        flags = {"traces": "otlp", "upstreams": [f"office={mock.base_url}"]}
        house = House(resolve(flags, {}, config_dir=tmp_path, data_dir=tmp_path), observer=ignore)
        async with house.opened():
            reply = await Client(house.application(own_lifespan=False)).post("/v1/chat/completions", ASKED)

    assert reply.status == 200
    assert seen[-1] is not None
    # All of it was sent by the time the house was closed.
    path, body = collector.taken[0]
    assert path == "/v1/traces"
    for word in (b"chat m", b"POST /chat/completions", b"gen_ai.usage.output_tokens", b"hansard"):
        assert word in body
    assert b"secret of state" not in body
    assert bytes.fromhex(seen[-1].split("-")[1]) in body


def test_where_it_is_not_installed_the_start_says_what_to_do() -> None:
    program = (
        "import sys\n"
        "sys.modules['opentelemetry'] = None\n"
        "from hansard.cli import main\n"
        "sys.argv = ['hansard', 'serve', '--model', 'echo', '--port', '0', '--data', '/nowhere', '--traces', 'otlp']\n"
        "main()\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert ran.returncode == 1
    assert "pip install 'hansard[otel]'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_where_traces_are_off_nothing_of_it_is_imported() -> None:
    program = (
        "import sys, hansard.app, hansard.config as c\n"
        "from pathlib import Path\n"
        "hansard.app.House(c.resolve({'models': ['echo']}, {}, data_dir=Path('/nowhere')), observer=lambda _: None)\n"
        "print([name for name in sys.modules if 'opentelemetry' in name or 'hansard.traces' in name])\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert ran.stdout == "[]\n"

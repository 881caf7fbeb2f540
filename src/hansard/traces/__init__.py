"""Traces for OpenTelemetry, with its conventions for generative AI: nothing here is imported unless they are on.

A span for each HTTP request and, below it, one for each call to an engine. What was said is left out unless the
operator asks for it. Where spans go is the SDK's business, which reads its own variables (``OTEL_*``).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from hansard.engines.base import Engine
from hansard.traces.engine import TracedEngine
from hansard.traces.http import traced

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# https://github.com/open-telemetry/semantic-conventions-genai: "true" is its older form.
_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_ON: Final = frozenset({"true", "span_only", "span_and_event"})


class Tracing:
    """What of a server is traced. ``environ`` has the operator's ``OTEL_*``."""

    def __init__(self, provider: TracerProvider, *, version: str, environ: Mapping[str, str]) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("hansard", version)
        self._with_content = environ.get(_CONTENT, "").lower() in _ON

    def engine(self, engine: Engine, *, address: str | None = None) -> Engine:
        """The engine with a span for each call; ``address`` is the URL of one that is elsewhere."""
        return TracedEngine(engine, tracer=self._tracer, address=address, with_content=self._with_content)

    def application(self, app: ASGIApp) -> ASGIApp:
        """The application with a span for each request, but for probes."""
        return traced(app, tracer=self._tracer)

    async def stop(self) -> None:
        """Send what is left, as far as somebody takes it."""
        await asyncio.to_thread(self._provider.shutdown)


def over_otlp(*, version: str) -> Tracing:
    """Spans go to an OTLP collector over HTTP: localhost:4318, or where ``OTEL_EXPORTER_OTLP_ENDPOINT`` says."""
    resource = Resource.create({SERVICE_VERSION: version})
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):  # nobody has named it
        resource = resource.merge(Resource({SERVICE_NAME: "hansard"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider, version=version, environ=os.environ)

"""A span for each HTTP request, which goes on with the client's trace where it sends one (``traceparent``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from hansard.observe.metrics import place

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PROBES: Final = frozenset({"/health", "/livez", "/readyz", "/metrics"})
_CARRIED: Final = (b"traceparent", b"tracestate", b"baggage")


def traced(app: ASGIApp, *, tracer: Tracer) -> ASGIApp:
    """https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span"""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (route := place(scope["path"])) in _PROBES:
            await app(scope, receive, send)
            return
        carried = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _CARRIED}
        asked = {"http.request.method": scope["method"], "http.route": route}
        with tracer.start_as_current_span(
            f"{scope['method']} {route}",
            context=extract(carried),
            kind=SpanKind.SERVER,
            attributes=asked,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            async def tell(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(Status(StatusCode.ERROR))
                    for name, value in message["headers"]:
                        if name == b"x-request-id":
                            span.set_attribute("hansard.request_id", value.decode("latin-1"))
                await send(message)

            await app(scope, receive, tell)

    return serve

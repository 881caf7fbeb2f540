"""``hansard serve``: from flags to settings, and from settings to a running server.

What runs is composed in ``hansard.app``; here is only what the operator types and reads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from hansard.cli.exits import FAILED, CommandError
from hansard.cli.options import examples
from hansard.cli.output import hint

if TYPE_CHECKING:
    from hansard.config import Settings
    from hansard.engines.base import ServedModel

EXAMPLES = examples(
    "hansard serve",
    "hansard serve --model qwen3-4b.gguf --ctx 8192 --parallel 4 --alias 'gpt-4o=qwen3-4b'",
    "hansard serve --upstream http://localhost:11434/v1 --model builtin",
    "hansard serve --host 0.0.0.0 --api-key-file key.txt --data /var/lib/hansard",
)

# Values arrive as they were typed: hansard.config checks them all and reports every mistake at once.
Text = str | None
Texts = list[str] | None


def add_to(app: typer.Typer) -> None:
    app.command("serve", epilog=EXAMPLES)(serve)


def serve(
    context: typer.Context,
    models: Annotated[
        Texts, typer.Option("--model", metavar="[NAME=]FILE", help="Model file to serve, or 'builtin'. Repeatable.")
    ] = None,
    mmproj: Annotated[Text, typer.Option(metavar="FILE", help="Projector that lets the model see images.")] = None,
    ctx: Annotated[Text, typer.Option(metavar="N", help="Context of one request, in tokens.")] = None,
    parallel: Annotated[Text, typer.Option(metavar="N", help="Requests a model works on at once.")] = None,
    threads: Annotated[Text, typer.Option(metavar="N", help="Processor threads for a model.")] = None,
    gpu_layers: Annotated[Text, typer.Option(metavar="N", help="Layers to put on the GPU; -1 for all.")] = None,
    upstreams: Annotated[
        Texts, typer.Option("--upstream", metavar="[NAME=]URL", help="Chat server to pass requests to. Repeatable.")
    ] = None,
    upstream_key_file: Annotated[
        Text, typer.Option(metavar="FILE", help="File with the upstream's key; or HANSARD_UPSTREAM_KEY.")
    ] = None,
    aliases: Annotated[
        Texts, typer.Option("--alias", metavar="NAME=MODEL", help="Answer for NAME ('*': any) with MODEL. Repeatable.")
    ] = None,
    host: Annotated[Text, typer.Option(metavar="HOST", help="Address to listen on.  [default: 127.0.0.1]")] = None,
    port: Annotated[Text, typer.Option(metavar="N", help="Port; 0 takes a free one.  [default: 8000]")] = None,
    tls_cert: Annotated[
        Text, typer.Option(metavar="FILE", help="Speak TLS with this certificate and those behind it, in PEM.")
    ] = None,
    tls_key: Annotated[Text, typer.Option(metavar="FILE", help="Its key, if that is in a file of its own.")] = None,
    cors: Annotated[
        Texts, typer.Option(metavar="ORIGIN", help="Pages that may ask from a browser, https://HOST. Repeatable.")
    ] = None,
    data: Annotated[Text, typer.Option(metavar="DIR", help="Where completions are kept.")] = None,
    db: Annotated[
        Text, typer.Option(metavar="URL", help="Database, if not in there: sqlite:///FILE, postgresql://HOST/NAME.")
    ] = None,
    api_key_file: Annotated[
        Text, typer.Option(metavar="FILE", help="File with the key clients must send; or HANSARD_API_KEY.")
    ] = None,
    organization: Annotated[
        Text, typer.Option(metavar="ID", help="What OpenAI-Organization must say if it is sent.  [default: anything]")
    ] = None,
    audit: Annotated[
        Text,
        typer.Option(metavar="all|acts", help="Log who reads or deletes what is stored, or acts only.  [default: all]"),
    ] = None,
    store: Annotated[
        Text, typer.Option(metavar="asked|always|never", help="Which completions to keep.  [default: asked]")
    ] = None,
    redactions: Annotated[
        Texts, typer.Option("--redaction", metavar="NAME=REGEX", help="Pattern for policies to redact. Repeatable.")
    ] = None,
    list_order: Annotated[Text, typer.Option(metavar="asc|desc", help="Order of lists.  [default: asc]")] = None,
    metadata_without_store: Annotated[
        Text, typer.Option(metavar="refuse|accept", help="Metadata on what is not stored.  [default: refuse]")
    ] = None,
    search: Annotated[
        Text, typer.Option(metavar="off|on", help="Keep an index to search completions in.  [default: off]")
    ] = None,
    search_budget_ms: Annotated[
        Text, typer.Option(metavar="N", help="Milliseconds a search may take.  [default: 1000]")
    ] = None,
    nulls: Annotated[
        Text, typer.Option(metavar="accept|refuse", help="Null in fields that have none.  [default: accept]")
    ] = None,
    on_disconnect: Annotated[
        Text, typer.Option(metavar="cancel|finish", help="When the client leaves a stream.  [default: cancel]")
    ] = None,
    idempotency_ttl_s: Annotated[
        Text, typer.Option(metavar="S", help="Seconds an Idempotency-Key counts.  [default: 86400]")
    ] = None,
    retention: Annotated[
        Text, typer.Option(metavar="TIME", help="How long to keep completions: 30d, 12h, 90.  [default: never ends]")
    ] = None,
    retention_bodies: Annotated[
        Text, typer.Option(metavar="TIME", help="How long to keep what was said in them.  [default: as long]")
    ] = None,
    max_body_bytes: Annotated[Text, typer.Option(metavar="N", help="Largest request.  [default: 67108864]")] = None,
    max_bodies_bytes: Annotated[
        Text, typer.Option(metavar="N", help="Of all requests at once, together.  [default: 268435456]")
    ] = None,
    max_completion_bytes: Annotated[
        Text, typer.Option(metavar="N", help="Largest completion to hold.  [default: 67108864]")
    ] = None,
    queue: Annotated[Text, typer.Option(metavar="N", help="Requests a model lets wait.  [default: 128]")] = None,
    silence_s: Annotated[
        Text, typer.Option(metavar="S", help="Seconds a client may be silent in a request.  [default: 30]")
    ] = None,
    body_s: Annotated[
        Text, typer.Option(metavar="S", help="Seconds a whole request body may take.  [default: 600]")
    ] = None,
    unread_s: Annotated[
        Text, typer.Option(metavar="S", help="Seconds a client may leave its reply unread.  [default: 60]")
    ] = None,
    drain: Annotated[Text, typer.Option(metavar="S", help="Seconds to finish in at the end.  [default: 30]")] = None,
    log: Annotated[
        Text, typer.Option(metavar="text|json|off", help="A line per request, how.  [default: text]")
    ] = None,
    traces: Annotated[
        Text, typer.Option(metavar="off|otlp", help="Spans for OpenTelemetry, and where to.  [default: off]")
    ] = None,
    config: Annotated[Text, typer.Option(metavar="FILE", help="TOML file with any of these settings.")] = None,
) -> None:
    """Serve the Chat Completions API, and keep what is to be stored.

    Without --model and --upstream a small built-in demonstration model answers. Each option is
    also a variable (--drain: HANSARD_DRAIN) and a key of the TOML file (drain); a flag
    wins over a variable, a variable over the file. `hansard config show` tells what holds.
    """
    from hansard.config import resolve
    from hansard.errors import StartupError

    log = context.params["log"] or os.environ.get("HANSARD_LOG")
    try:
        settings = resolve(context.params, os.environ)
        log = settings.log
        run(settings)
    except StartupError as error:
        if log != "json":
            raise CommandError(str(error)) from error
        from hansard.observe import lines

        lines.say("not_started", level="error", message=str(error))
        raise typer.Exit(FAILED) from error


def run(settings: Settings) -> None:
    """Serve until told to stop."""
    from hansard.app import serve as serve_app
    from hansard.cli.banner import banner, invocation
    from hansard.cli.notify import READY, STOPPING, notify

    def greet(base_url: str, models: Sequence[ServedModel]) -> None:
        colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        if settings.log == "json":
            _say_in_a_line(settings, models, base_url)
        else:
            hint(banner(settings, models, base_url, command=invocation(sys.argv[0]), colour=colour))
        notify(READY)

    serve_app(settings, on_ready=greet, on_stop=lambda: notify(STOPPING))


def _say_in_a_line(settings: Settings, models: Sequence[ServedModel], base_url: str) -> None:
    """The banner for machines."""
    from hansard import __version__
    from hansard.observe import lines

    lines.say(
        "server_started",
        level="info",
        version=__version__,
        address=base_url,
        models=[model.id for model in models if model.id not in settings.aliases],
        aliases=dict(settings.aliases),
        store=str(settings.db),
    )

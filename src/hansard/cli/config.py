"""``hansard config``: which settings hold, and where each comes from. It starts nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from hansard.cli.exits import CommandError
from hansard.cli.options import AsJson, examples
from hansard.cli.output import Column, say_json, say_rows

if TYPE_CHECKING:
    from hansard.config import ModelSpec, Settings, UpstreamSpec

COLUMNS = (Column("SETTING"), Column("VALUE", 60), Column("ORIGIN"))

# Of an upstream; a test holds them to the settings.
LIMITS = (
    *("connect_s", "first_byte_s", "between_chunks_s", "total_s", "max_connections"),
    *("retries", "retry_pause_s", "retry_longest_pause_s", "retry_share", "retry_reserve"),
    *("breaker_failures", "breaker_pause_s", "breaker_longest_pause_s", "breaker_probes"),
)

SHOW_EXAMPLES = examples(
    "hansard config show",
    "hansard config show --config hansard.toml",
    "hansard config show --json",
)


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="The settings of `hansard serve`.", epilog=SHOW_EXAMPLES)
    group.callback()(lambda: None)
    group.command("show", epilog=SHOW_EXAMPLES)(show)
    app.add_typer(group, name="config")


def show(
    *,
    config: Annotated[str | None, typer.Option(metavar="FILE", help="TOML file to read.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print each setting with its value and where that comes from.

    Variables (HANSARD_PORT) win over the TOML file, and flags of `hansard serve` over both.
    Keys are never printed.
    """
    from hansard.config import resolve
    from hansard.errors import StartupError

    try:
        settings = resolve({"config": config}, os.environ)
    except StartupError as error:
        raise CommandError(str(error)) from error
    rows = [(name, _shown(settings, name), origin) for name, origin in settings.origins.items()]
    if as_json:
        say_json({name: {"value": value, "origin": origin} for name, value, origin in rows})
    else:
        say_rows(COLUMNS, rows)


def _shown(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    match name:
        case "api_key" | "upstream_key":
            return f"set (from {settings.origins[name]})" if value else ""
        case "cors":
            return ", ".join(value)
        case "models":
            return ", ".join(_model(model) for model in value)
        case "upstreams":
            return ", ".join(_upstream(upstream) for upstream in value)
        case "aliases":
            return ", ".join(f"{alias}={model}" for alias, model in value.items())
        case "redactions":
            return ", ".join(f"{name}={pattern.pattern}" for name, pattern in value.items())
    return "" if value is None else str(value)


def _upstream(upstream: UpstreamSpec) -> str:
    """Its address, and its limits where they are not the usual ones."""
    usual = type(upstream)(name=upstream.name, address=upstream.address)
    tuned = " ".join(
        f"{name}={getattr(upstream, name):g}" for name in LIMITS if getattr(upstream, name) != getattr(usual, name)
    )
    return f"{upstream.name}={upstream.address}" + (f" ({tuned})" if tuned else "")


def _model(model: ModelSpec) -> str:
    if model.targets:
        return f"{model.name}=" + "|".join(f"{target.upstream or 'here'}:{target.model}" for target in model.targets)
    own = ("mmproj", "ctx", "parallel", "threads", "gpu_layers")
    tuned = " ".join(f"{name}={getattr(model, name)}" for name in own if getattr(model, name) is not None)
    return f"{model.name}={model.path or 'builtin'}" + (f" ({tuned})" if tuned else "")

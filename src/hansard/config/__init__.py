"""Every knob of the server: how the one frozen ``Settings`` comes about.

A value is taken from the first that has it: flag, environment (``HANSARD_*``), systemd's
credentials (keys only), TOML file, default. All mistakes are reported together, in one
``StartupError``. Reading stops at the TOML file, key files and whether a model file exists:
nothing is created, opened for use or imported.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from hansard.config import specs, upstreams, values
from hansard.config.contradictions import contradictions, is_keyless
from hansard.config.database import DatabaseUrl, database_url, sqlite_url
from hansard.config.lines import Spot, lines_of
from hansard.config.reader import DEFAULT, Layer, Reader, Secret, absolute
from hansard.config.settings import Settings
from hansard.config.specs import BUILTIN_NAME, ModelSpec, TargetSpec
from hansard.config.upstreams import UpstreamSpec
from hansard.config.values import is_loopback
from hansard.errors import StartupError

__all__ = [
    "BUILTIN_NAME",
    "DEFAULT",
    "DatabaseUrl",
    "ModelSpec",
    "Secret",
    "Settings",
    "TargetSpec",
    "UpstreamSpec",
    "is_loopback",
    "resolve",
]


def resolve(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    *,
    config_dir: Path | None = None,
    data_dir: Path | None = None,
) -> Settings:
    """The settings that these flags and variables ask for.

    ``flags`` go by field name, and ``config``, ``api_key_file`` and ``upstream_key_file``; None
    and empty lists count as not given. The two directories are the platform's own unless named.
    Raises ``StartupError`` with one line per mistake.
    """
    reader = Reader(_flag_layer(flags), _environment_layer(environ), *_credential_layers(environ))
    file = reader.take("config", values.existing_file, None)
    if reader.origins["config"] == DEFAULT:
        file = _default_file(config_dir)
    if file is not None:
        reader.layers.append(_file_layer(file, reader.problems))
    settings = _read(reader, environ, config=file, data_dir=data_dir or _platform_dir("data"))
    reader.reject_unknown()
    problems = [*reader.problems, *contradictions(settings, reader)]
    if problems:
        raise StartupError(*problems)
    return _filled(settings)


def _read(reader: Reader, environ: Mapping[str, str], *, config: Path | None, data_dir: Path) -> Settings:
    data = reader.take("data", absolute, data_dir)
    return Settings(
        config=config,
        host=reader.take("host", values.text, "127.0.0.1"),
        port=reader.take("port", values.whole(0, 65535), 8000),
        tls_cert=reader.take("tls_cert", values.existing_file, None),
        tls_key=reader.take("tls_key", values.existing_file, None),
        cors=reader.take_each("cors", values.origin),
        data=data,
        db=reader.take("db", database_url, sqlite_url(str(data / "hansard.sqlite3"))),
        models=reader.take_each("models", specs.model),
        mmproj=reader.take("mmproj", values.existing_file, None),
        ctx=reader.take("ctx", values.whole(1), None),
        parallel=reader.take("parallel", values.whole(1), None),
        threads=reader.take("threads", values.whole(1), None),
        gpu_layers=reader.take("gpu_layers", values.whole(-1), None),
        upstreams=reader.take_each("upstreams", upstreams.upstream(environ)),
        upstream_key=reader.take_secret("upstream_key"),
        aliases=reader.take("aliases", specs.aliases, {}),
        api_key=reader.take_secret("api_key"),
        organization=reader.take("organization", values.text, None),
        audit=reader.take("audit", values.one_of("all", "acts"), "all"),
        store=reader.take("store", values.one_of("asked", "always", "never"), "asked"),
        redactions=reader.take("redactions", values.redactions, {}),
        list_order=reader.take("list_order", values.one_of("asc", "desc"), "asc"),
        metadata_without_store=reader.take("metadata_without_store", values.one_of("refuse", "accept"), "refuse"),
        search=reader.take("search", values.one_of("off", "on"), "off"),
        search_budget_ms=reader.take("search_budget_ms", values.whole(10, 60_000), 1000),
        nulls=reader.take("nulls", values.one_of("accept", "refuse"), "accept"),
        on_disconnect=reader.take("on_disconnect", values.one_of("cancel", "finish"), "cancel"),
        idempotency_ttl_s=reader.take("idempotency_ttl_s", values.whole(1, 366 * 24 * 60 * 60), 24 * 60 * 60),
        retention=reader.take("retention", values.duration, None),
        retention_bodies=reader.take("retention_bodies", values.duration, None),
        max_body_bytes=reader.take("max_body_bytes", values.whole(1024), 64 * 1024 * 1024),
        max_bodies_bytes=reader.take("max_bodies_bytes", values.whole(1024), 256 * 1024 * 1024),
        max_completion_bytes=reader.take("max_completion_bytes", values.whole(1024), 64 * 1024 * 1024),
        queue=reader.take("queue", values.whole(0), 128),
        silence_s=reader.take("silence_s", values.seconds, 30.0),
        body_s=reader.take("body_s", values.seconds, 600.0),
        unread_s=reader.take("unread_s", values.seconds, 60.0),
        drain=reader.take("drain", values.seconds, 30.0),
        log=reader.take("log", values.one_of("text", "json", "off"), "text"),
        traces=reader.take("traces", values.one_of("off", "otlp"), "off"),
        origins=reader.origins,
    )


def _filled(settings: Settings) -> Settings:
    """The built-in model where nothing else was asked for, and what every model shares."""
    models = settings.models or (() if settings.upstreams else (ModelSpec(name=BUILTIN_NAME),))
    return replace(
        settings,
        models=tuple(_with_shared(model, settings) for model in models),
        upstreams=tuple(
            replace(one, key=settings.upstream_key) if is_keyless(one) else one for one in settings.upstreams
        ),
    )


def _with_shared(model: ModelSpec, settings: Settings) -> ModelSpec:
    shared = ("ctx", "parallel", "threads", "gpu_layers") + (() if model.path is None else ("mmproj",))
    return replace(model, **{name: getattr(settings, name) for name in shared if getattr(model, name) is None})


# Where values come from


# Of those that may be given several times.
_FLAGS = {"models": "model", "upstreams": "upstream", "aliases": "alias", "redactions": "redaction"}


def _flag_layer(flags: Mapping[str, object]) -> Layer:
    def spell(name: str) -> str:
        return "--" + _FLAGS.get(name, name).replace("_", "-")

    given = {name: value for name, value in flags.items() if value is not None and value not in ((), [])}
    return Layer(given, spell, Path.cwd())


# Kubernetes sets these in every pod beside a service called "hansard"; nobody means us by them.
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_SERVICE_LINK = re.compile(r"HANSARD_(SERVICE_(HOST|PORT).*|PORT_\d+_(TCP|UDP).*|PORT=(tcp|udp)://.*)")


def _environment_layer(environ: Mapping[str, str]) -> Layer:
    ours = {
        name.removeprefix("HANSARD_").lower(): value
        for name, value in environ.items()
        if name.startswith("HANSARD_") and value and not _SERVICE_LINK.fullmatch(f"{name}={value}")
    }
    return Layer(ours, lambda name: f"HANSARD_{name.upper()}", Path.cwd(), plain_secrets=True)


# https://systemd.io/CREDENTIALS/: a directory that only this service can read, each secret in a file of its own.
_CREDENTIALS = "CREDENTIALS_DIRECTORY"
_CREDENTIAL_KEYS = ("api_key", "upstream_key")


def _credential_layers(environ: Mapping[str, str]) -> list[Layer]:
    """The keys that are there under the names of their settings; other files there are none of ours."""
    directory = Path(environ.get(_CREDENTIALS) or ".")
    if not directory.is_absolute():
        return []
    ours = {f"{key}_file": directory / key for key in _CREDENTIAL_KEYS if (directory / key).is_file()}
    return [Layer(ours, lambda name: f"credential {name.removesuffix('_file')}", directory)] if ours else []


def _default_file(config_dir: Path | None) -> Path | None:
    file = (config_dir or _platform_dir("config")) / "hansard.toml"
    return file if file.is_file() else None


def _file_layer(file: Path, problems: list[str]) -> Layer:
    content: Mapping[str, object] = {}
    text = ""
    try:
        text = file.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except OSError as error:
        problems.append(f"{file}: cannot be read: {error.strerror}.")
    except ValueError as error:  # tomllib.TOMLDecodeError and UnicodeDecodeError alike
        problems.append(f"{file}: is not TOML: {error}.")
    return Layer(content, lambda name: f"{name} in {file}", file.parent, spot=Spot(lines=lines_of(text)))


def _platform_dir(kind: Literal["config", "data"]) -> Path:
    import platformdirs

    if kind == "config":
        return platformdirs.user_config_path("hansard", appauthor=False)
    return platformdirs.user_data_path("hansard", appauthor=False)

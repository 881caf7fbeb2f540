"""Models, upstreams and aliases: what each is, and how one is read from a flag or a TOML table.

On the command line a model is ``[NAME=]FILE`` or ``[NAME=]builtin``, an upstream ``[NAME=]URL``,
an alias ``NAME=MODEL``; in the TOML file each may say more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from hansard.config.reader import Given, Layer, Reader, Secret, SettingError, absolute, check_secret, read_secret
from hansard.config.values import existing_file, http_url, text, whole

BUILTIN_NAME = "hansard-tiny"

# What may stand in place of a model file, and the name that it then goes by.
WITHOUT_FILE = {"builtin": BUILTIN_NAME, "echo": "echo"}


class ModelSpec(Struct, frozen=True, kw_only=True):
    """A model served from here; ``path`` is None for the built-in one and for the echo of tests.

    ``ctx`` is tokens for one request; ``gpu_layers`` -1 means all. None leaves it to the engine.
    """

    name: str
    path: Path | None = None
    mmproj: Path | None = None
    ctx: int | None = None
    parallel: int | None = None
    threads: int | None = None
    gpu_layers: int | None = None


class UpstreamSpec(Struct, frozen=True, kw_only=True):
    """A chat server elsewhere. ``base_url`` has no slash at its end."""

    name: str
    base_url: str
    key: Secret | None = None


def model(given: Given) -> ModelSpec:
    """One model, from ``[NAME=]FILE``, ``[NAME=]builtin`` or a table."""
    if not isinstance(given.value, Mapping):
        name, file = _named(text(given), name=r"[^=/\\]+")
        given = given._replace(value=file)
        return _with_its_own_name(ModelSpec(name=name or _model_name(given), path=_model_file(given)))
    table = _table(given)
    spec = ModelSpec(
        name=table.take("name", text, None) or table.require("path", _model_name, ""),
        path=table.require("path", _model_file, None),
        mmproj=table.take("mmproj", existing_file, None),
        ctx=table.take("ctx", whole(1), None),
        parallel=table.take("parallel", whole(1), None),
        threads=table.take("threads", whole(1), None),
        gpu_layers=table.take("gpu_layers", whole(-1), None),
    )
    table.finish()
    return _with_its_own_name(spec)


def upstream(environ: Mapping[str, str]) -> Callable[[Given], UpstreamSpec]:
    """One upstream, from ``[NAME=]URL`` or a table whose ``key_env`` names one of these variables."""

    def parse(given: Given) -> UpstreamSpec:
        if not isinstance(given.value, Mapping):
            name, url = _named(text(given), name=r"[^=/:]+")
            given = given._replace(value=url)
            return UpstreamSpec(name=name or _host(given), base_url=http_url(given))
        table = _table(given)
        spec = UpstreamSpec(
            name=table.take("name", text, None) or table.require("base_url", _host, ""),
            base_url=table.require("base_url", http_url, ""),
            key=table.take("key_file", read_secret, None) or table.take("key_env", _variable(environ), None),
        )
        table.finish()
        return spec

    return parse


def alias(given: Given) -> tuple[tuple[str, str], ...]:
    """Names and the models they stand for, from ``NAME=MODEL`` or a table of them."""
    if isinstance(given.value, Mapping):
        return tuple((name, text(given._replace(value=model))) for name, model in given.value.items())
    name, _, model = text(given).partition("=")
    if not name.strip() or not model.strip():
        raise SettingError(f"{given.value!r} is not NAME=MODEL.")
    return ((name.strip(), model.strip()),)


def _table(given: Given) -> Reader:
    assert isinstance(given.value, Mapping)
    return Reader(Layer(given.value, lambda key: f"{key} of {given.where}", given.base))


def _named(word: str, *, name: str) -> tuple[str, str]:
    """``NAME=VALUE`` in two; without a name, "" and the whole."""
    match = re.fullmatch(rf"({name})=(.+)", word)
    return (match[1].strip(), match[2].strip()) if match else ("", word)


def _with_its_own_name(spec: ModelSpec) -> ModelSpec:
    if spec.path is None and spec.name not in WITHOUT_FILE.values():
        raise SettingError(f"only a model file can be given a name; use --alias {spec.name}={BUILTIN_NAME}.")
    return spec


def _model_name(given: Given) -> str:
    """The file's stem; of a file in parts, without the part's number."""
    if given.value in WITHOUT_FILE:
        return WITHOUT_FILE[str(given.value)]
    return re.sub(r"-\d{5}-of-\d{5}$", "", absolute(given).stem)


def _model_file(given: Given) -> Path | None:
    return None if given.value in WITHOUT_FILE else existing_file(given)


def _host(given: Given) -> str:
    return urlsplit(http_url(given)).netloc


def _variable(environ: Mapping[str, str]) -> Callable[[Given], Secret]:
    def parse(given: Given) -> Secret:
        name = text(given)
        if not environ.get(name):
            raise SettingError(f"the variable {name} is not set; put the upstream's key in it.")
        return check_secret(environ[name])

    return parse

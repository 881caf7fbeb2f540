"""Models and aliases: what each is, and how one is read from a flag or a TOML table.

On the command line a model is ``[NAME=]FILE`` or ``[NAME=]builtin``, an alias ``NAME=MODEL``; in the
TOML file a model may say more, or be a name for targets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from hansard.config.reader import Flawed, Given, Reader, SettingError, absolute, each, each_named, named, table_of
from hansard.config.values import existing_file, share, text, whole

BUILTIN_NAME = "hansard-tiny"

# What may stand in place of a model file, and the name that it then goes by.
WITHOUT_FILE = {"builtin": BUILTIN_NAME, "echo": "echo"}


class TargetSpec(Struct, frozen=True, kw_only=True):
    """A model by the name it has at an upstream, or here if none is named. ``weight`` is its share of the requests."""

    model: str
    upstream: str | None = None
    weight: float | None = None


class ModelSpec(Struct, frozen=True, kw_only=True):
    """A model served from here; ``path`` is None for the built-in one and for the echo of tests.

    ``ctx`` is tokens for one request; ``gpu_layers`` -1 means all. None leaves it to the engine.
    One with ``targets`` is only a name, and they answer for it.
    """

    name: str
    path: Path | None = None
    mmproj: Path | None = None
    ctx: int | None = None
    parallel: int | None = None
    threads: int | None = None
    gpu_layers: int | None = None
    targets: tuple[TargetSpec, ...] = ()


def model(given: Given) -> ModelSpec:
    """One model, from ``[NAME=]FILE``, ``[NAME=]builtin`` or a table. Flawed, its name is "" if it cannot be read."""
    if not isinstance(given.value, Mapping):
        try:
            return _from_word(given)
        except SettingError as wrong:
            raise Flawed(ModelSpec(name=""), f"{given.place}: {wrong}") from wrong
    if "targets" in given.value:
        return _routed(table_of(given))
    table = table_of(given)
    spec = ModelSpec(
        name=table.take("name", text, None) or table.require("path", _model_name, ""),
        path=table.require("path", _model_file, None),
        mmproj=table.take("mmproj", existing_file, None),
        ctx=table.take("ctx", whole(1), None),
        parallel=table.take("parallel", whole(1), None),
        threads=table.take("threads", whole(1), None),
        gpu_layers=table.take("gpu_layers", whole(-1), None),
    )
    if "name" in table.failed:
        spec = replace(spec, name="")
    elif "path" not in table.failed and (why := _wrong_name(spec)):
        table.problems.append(f"{given.place}: {why}")
    return table.finish(spec)


def _from_word(given: Given) -> ModelSpec:
    name, file = named(text(given), name=r"[^=/\\]+")
    given = given._replace(value=file)
    spec = ModelSpec(name=name or _model_name(given), path=_model_file(given))
    if why := _wrong_name(spec):
        raise SettingError(why)
    return spec


def _routed(table: Reader) -> ModelSpec:
    spec = ModelSpec(name=table.require("name", text, ""), targets=table.take("targets", _targets, ()))
    for own in ("path", "mmproj", "ctx", "parallel", "threads", "gpu_layers"):
        table.take(own, _no_place, None)
    return table.finish(spec)


def _no_place(given: Given) -> None:
    raise SettingError("has no place beside targets; a model is a file or a name for others.")


def _targets(given: Given) -> tuple[TargetSpec, ...]:
    if not isinstance(given.value, list) or not given.value:
        raise SettingError('is a list of one or more, as [{ upstream = "NAME", model = "NAME THERE" }].')
    return each(given, _target)


def _target(given: Given) -> TargetSpec:
    if not isinstance(given.value, Mapping):
        form = '{ upstream = "NAME", model = "NAME THERE" }'
        raise Flawed(TargetSpec(model=""), f"{given.place}: {given.value!r} is not a target; write {form}.")
    table = table_of(given)
    spec = TargetSpec(
        model=table.require("model", text, ""),
        upstream=table.take("upstream", text, None),
        weight=table.take("weight", share, None),
    )
    if "upstream" in table.failed:  # or it would pass for a model of ours
        spec = replace(spec, upstream="")
    return table.finish(spec)


def aliases(given: Given) -> dict[str, str]:
    """All of them; a name can stand for one model only."""
    found: dict[str, str] = {}
    lines: list[str] = []
    try:
        pairs = each(given, alias)
    except Flawed as wrong:
        pairs = wrong.readable
        lines.extend(wrong.problems)
    for name, model in chain.from_iterable(pair.items() for pair in pairs):
        if found.setdefault(name, model) != model:
            lines.append(f"{given.place}: {name} stands for {found[name]} and for {model}; keep one.")
    if lines:
        raise Flawed(found, *lines)
    return found


def alias(given: Given) -> dict[str, str]:
    """Names and the models they stand for, from ``NAME=MODEL`` or a table of them."""
    if isinstance(given.value, Mapping):
        return each_named(given, lambda _, model: text(model))
    name, _, model = text(given).partition("=")
    if not name.strip() or not model.strip():
        raise SettingError(f"{given.value!r} is not NAME=MODEL.")
    return {name.strip(): model.strip()}


def _wrong_name(spec: ModelSpec) -> str:
    if spec.path is None and spec.name not in WITHOUT_FILE.values():
        return f"only a model file can be given a name; use --alias {spec.name}={BUILTIN_NAME}."
    return ""


def _model_name(given: Given) -> str:
    """The file's stem; of a file in parts, without the part's number."""
    if given.value in WITHOUT_FILE:
        return WITHOUT_FILE[str(given.value)]
    return re.sub(r"-\d{5}-of-\d{5}$", "", absolute(given).stem)


def _model_file(given: Given) -> Path | None:
    return None if given.value in WITHOUT_FILE else existing_file(given)

"""What contradicts what: settings that are each fine and cannot hold together, each with its place.

Of what was refused already only what could be read is looked at: a name that could not is "" (see ``Flawed``).
"""

from __future__ import annotations

from collections.abc import Iterator

from hansard.config.reader import Reader
from hansard.config.settings import Settings
from hansard.config.specs import BUILTIN_NAME, ModelSpec
from hansard.config.upstreams import UpstreamSpec


def contradictions(settings: Settings, reader: Reader) -> Iterator[str]:
    """One line for each."""
    if settings.tls_key is not None and settings.tls_cert is None and "tls_cert" not in reader.failed:
        yield f"{reader.place('tls_key')}: belongs to a certificate; name it with --tls-cert FILE."
    yield from _names(settings, reader)
    yield from _shared_by_several(settings, reader)
    yield from _aliases(settings, reader)
    for number, model in enumerate(settings.models, 1):
        yield from _targets(model, number, settings, reader)


def _names(settings: Settings, reader: Reader) -> Iterator[str]:
    for field, flag in (("models", "--model NAME=FILE"), ("upstreams", "--upstream NAME=URL")):
        seen: set[str] = set()
        told: set[str] = set()
        for number, spec in enumerate(getattr(settings, field), 1):
            if spec.name and spec.name in seen - told:
                yield f"{reader.place(field, number)}: two {field} are called {spec.name}; name them apart with {flag}."
                told.add(spec.name)
            seen.add(spec.name)


def _shared_by_several(settings: Settings, reader: Reader) -> Iterator[str]:
    files = [model.name for model in settings.models if model.path is not None]
    if settings.mmproj is not None and (len(files) > 1 or (not files and "models" not in reader.failed)):
        yield (
            f"{reader.place('mmproj')}: belongs to one model file, and there are {len(files)}; "
            "give each model its own mmproj under [[models]] in the TOML file."
        )
    keyless = [upstream.name for upstream in settings.upstreams if is_keyless(upstream)]
    if settings.upstream_key is not None and len(keyless) != 1:
        yield (
            f"{reader.place('upstream_key')}: goes to one upstream, and {len(keyless)} have no key of their own; "
            "give each its key_env or key_file under [[upstreams]] in the TOML file."
        )


def _aliases(settings: Settings, reader: Reader) -> Iterator[str]:
    served = [model.name for model in settings.models] or ([] if settings.upstreams else [BUILTIN_NAME])
    for name, model in settings.aliases.items():
        where = reader.place("aliases", name)
        if name in served:
            yield f"{where}: {name} is a model already; an alias needs a name of its own."
        elif name == model:
            yield f"{where}: {name} stands for itself; name another model, or leave it out."
        elif model in settings.aliases:
            yield f"{where}: {model} is an alias itself; name the model, {settings.aliases[model]}."
        elif not settings.upstreams and model not in served and "" not in served:
            yield f"{where}: no model is called {model}; these are served: {', '.join(served)}."


def _targets(model: ModelSpec, number: int, settings: Settings, reader: Reader) -> Iterator[str]:
    upstreams = {upstream.name for upstream in settings.upstreams}
    names = {one.name for one in settings.models if one.targets}
    here = {one.name for one in settings.models if not one.targets}
    seen: set[tuple[str | None, str]] = set()
    for position, target in enumerate(model.targets, 1):
        if not (target.model if target.upstream is None else target.upstream):
            continue
        where = reader.place("models", number, "targets", position, "model" if target.upstream is None else "upstream")
        if target.upstream is None and target.model == model.name and target.model not in here:
            yield f"{where}: {model.name} is a target of itself; name an upstream or another model."
        elif target.upstream is None and target.model in names - here:
            yield f"{where}: {target.model} is only a name for targets; name a model or an upstream."
        elif target.upstream is None and target.model not in here and "" not in here:
            yield f"{where}: no model here is called {target.model}; name its upstream, or add it under [[models]]."
        elif target.upstream is not None and target.upstream not in upstreams and "" not in upstreams:
            known = f"these are there: {', '.join(sorted(upstreams))}" if upstreams else "add it under [[upstreams]]"
            yield f"{where}: no upstream is called {target.upstream}; {known}."
        elif target.model and (target.upstream, target.model) in seen:
            yield f"{where}: the same target is in the list already; keep one."
        seen.add((target.upstream, target.model))


def is_keyless(upstream: UpstreamSpec) -> bool:
    """Whether it has no key of its own, so that the shared one may be for it."""
    return upstream.key is None and not upstream.takes_client_key

"""Which engine answers for a model name: names, then aliases, then whoever takes any name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from hansard.engines.base import Engine, ServedModel
from hansard.errors import ModelNotFound

ANY = "*"


class Route(msgspec.Struct, frozen=True):
    """Where a request goes: the engine, and the model's name there and in the reply."""

    engine: Engine
    model: str


class Router:
    """Finds the engine for a model name.

    An exact name wins over an alias, an alias over the alias ``*``, and that over an engine that
    takes any name. An alias names a model, never another alias.
    """

    def __init__(self, *, engines: Sequence[Engine], aliases: Mapping[str, str]) -> None:
        self._engines = tuple(engines)
        self._aliases = dict(aliases)

    @property
    def engines(self) -> Sequence[Engine]:
        return self._engines

    def pick(self, model: str) -> Route:
        """The route for the name a client sent, or ModelNotFound."""
        for name in (model, self._aliases.get(model), self._aliases.get(ANY)):
            if name is not None and (engine := self._serving(name)) is not None:
                return Route(engine, name)
        for engine in self._engines:
            if engine.takes_any_model:
                return Route(engine, self._aliases.get(model, model))
        raise ModelNotFound(model)

    def models(self) -> list[ServedModel]:
        """Every name a client may send now, each once, aliases last. Never waits."""
        listed: dict[str, ServedModel] = {}
        for engine in self._engines:
            for model in engine.models():
                listed.setdefault(model.id, model)
        for alias, target in self._aliases.items():
            if alias != ANY and target in listed:
                listed.setdefault(alias, msgspec.structs.replace(listed[target], id=alias))
        return list(listed.values())

    def _serving(self, name: str) -> Engine | None:
        return next((engine for engine in self._engines if any(model.id == name for model in engine.models())), None)

"""Which engine answers for a model name: names, then aliases, then whoever takes any name.

A name may also stand for an ordered list of targets: then the way goes on to the next one while
nothing has been answered.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing

import msgspec

from hansard.contract import Document
from hansard.contract.request import ChatRequest
from hansard.core.accumulate import IncompleteStream
from hansard.core.rules import first_of
from hansard.core.spelled import Spelled
from hansard.engines.base import Call, Chunks, Engine, ServedModel
from hansard.errors import HansardError, InvalidRequest, ModelNotFound, UpstreamRefused
from hansard.observe import Observer, TargetFailed, ignore

ANY = "*"
OWNER = "hansard"
OTHER = "other"


class Target(msgspec.Struct, frozen=True):
    """An engine, and the model's name there.

    Targets with a ``weight`` share the requests in that proportion. The others are tried in their
    order once all before them have failed.
    """

    engine: Engine
    model: str
    weight: float | None = None


class Route:
    """The way of one request: its targets in the order they are tried, and the one that ``answered``.

    ``model_name`` is the served name that the client's stands for, ``other`` where an engine takes any.
    """

    def __init__(self, targets: Sequence[Target], *, model_name: str, observer: Observer = ignore) -> None:
        self.model_name = model_name
        self._targets = targets
        self._observer = observer
        self.answered = targets[0]
        """The first target, until another one has answered."""

    @property
    def takes_unknown_parameters(self) -> bool:
        """Whether every target does: what a request may say must not depend on who happens to be up."""
        if len(self._targets) == 1:
            return self.answered.engine.takes_unknown_parameters
        return all(target.engine.takes_unknown_parameters for target in self._targets)

    def refusals(self, request: ChatRequest) -> Iterable[InvalidRequest]:
        """What no target supports, in the first one's words, as far as they can say at once."""
        first, *others = ([*target.engine.refusals(request)] for target in self._targets)
        params = [{refusal.param for refusal in refused} for refused in others]
        return [refusal for refusal in first if all(refusal.param in refused for refused in params)]

    async def complete(self, call: Call) -> Document:
        """The completion from the first target that gives one."""
        passed: list[HansardError] = []
        for target in self._targets:
            try:
                made = await target.engine.complete(_for(target, call))
            except HansardError as error:
                self._pass_over(target, error, passed)
            else:
                self.answered = target
                return _named(made, target)
        raise _why_nobody(passed, call)

    def stream(self, call: Call) -> AsyncGenerator[Chunks, None]:
        """The chunks of the first target that gives one."""
        if len(self._targets) > 1:
            return self._stream(call)
        [target] = self._targets
        return target.engine.stream(_for(target, call))

    async def _stream(self, call: Call) -> AsyncGenerator[Chunks, None]:
        passed: list[HansardError] = []
        for target in self._targets:
            async with aclosing(target.engine.stream(_for(target, call))) as stream:
                try:
                    first = await anext(stream, None)
                    if first is None:
                        raise IncompleteStream("The model's stream ended before it began.")
                except HansardError as error:
                    self._pass_over(target, error, passed)
                    continue
                self.answered = target
                # A chunk in its own spelling names its model.
                yield [first[0] if isinstance(first[0], Spelled) else _named(first[0], target), *first[1:]]
                async for chunks in stream:
                    yield chunks
                return
        raise _why_nobody(passed, call)

    def _pass_over(self, target: Target, error: HansardError, passed: list[HansardError]) -> None:
        """Note why the next target is asked, or raise what is the client's own doing and would fail there as well.

        Nor does it go on from a target that had begun: it has worked for the request, whatever became of it.
        """
        if error.has_begun or not (_is_unable(error) or error.status >= 500 or error.status == 429):
            raise error
        passed.append(error)
        if target is not self._targets[-1] and not _is_unable(error):
            self._observer(TargetFailed(engine=target.engine.name, model=target.model, reason=error.word))


class Router:
    """Finds the way for a model name.

    An exact name wins over an alias, an alias over the alias ``*``, and that over an engine that
    takes any name. A name with ``targets`` of its own wins over an engine that lists it. An alias
    names a model, never another alias. ``chance`` gives random numbers from 0 to 1.
    """

    def __init__(
        self,
        *,
        engines: Sequence[Engine],
        aliases: Mapping[str, str],
        targets: Mapping[str, Sequence[Target]] | None = None,
        chance: Callable[[], float] = random.random,
        observer: Observer = ignore,
    ) -> None:
        self._engines = tuple(engines)
        self._aliases = dict(aliases)
        self._targets = {name: tuple(listed) for name, listed in (targets or {}).items()}
        self._chance = chance
        self._observer = observer
        self._listed: list[Sequence[ServedModel]] = []
        self._by_name: dict[str, Sequence[Target]] = {}

    @property
    def engines(self) -> Sequence[Engine]:
        return self._engines

    def pick(self, model: str) -> Route:
        """The way for the name a client sent, or ModelNotFound."""
        name, targets = self._find(model)
        order = [*self._order(targets)] if len(targets) > 1 else targets
        return Route(order, model_name=name, observer=self._observer)

    def targets_of(self, model: str) -> Sequence[Target]:
        """Who may answer for the name a client sent, as listed; or ModelNotFound."""
        return self._find(model)[1]

    def _find(self, model: str) -> tuple[str, Sequence[Target]]:
        serving = self.targets()
        for name in (model, self._aliases.get(model), self._aliases.get(ANY)):
            if name is not None and (targets := serving.get(name)) is not None:
                return name, targets
        for engine in self._engines:
            if engine.takes_any_model:
                # An alias is the operator's word, any other name the client's.
                return self._aliases.get(model, OTHER), (Target(engine, self._aliases.get(model, model)),)
        raise ModelNotFound(model)

    def models(self) -> list[ServedModel]:
        """Every name a client may send now, each once, aliases last. Never waits."""
        listed = {name: ServedModel(id=name, created=0, owned_by=OWNER) for name in self._targets}
        for engine in self._engines:
            for model in engine.models():
                listed.setdefault(model.id, model)
        for alias, target in self._aliases.items():
            if alias != ANY and target in listed:
                listed.setdefault(alias, msgspec.structs.replace(listed[target], id=alias))
        return list(listed.values())

    def targets(self) -> Mapping[str, Sequence[Target]]:
        """Who answers for each name that is no alias. Made anew only when an engine lists something else."""
        listed = [engine.models() for engine in self._engines]
        if listed != self._listed or not self._by_name:
            self._by_name = dict(self._targets)
            for engine, models in zip(self._engines, listed, strict=True):
                for model in models:
                    self._by_name.setdefault(model.id, (Target(engine, model.id),))
            self._listed = listed
        return self._by_name

    def _order(self, targets: Sequence[Target]) -> Iterator[Target]:
        """Those with a weight as they are drawn, then the others as they are listed."""
        weighted = [(target, target.weight) for target in targets if target.weight is not None]
        while weighted:
            at = self._chance() * sum(weight for _, weight in weighted)
            for drawn, (target, weight) in enumerate(weighted):
                at -= weight
                if at < 0 or drawn == len(weighted) - 1:
                    yield target
                    del weighted[drawn]
                    break
        yield from (target for target in targets if target.weight is None)


def _is_unable(error: HansardError) -> bool:
    """Whether an engine of ours says that its target cannot take the request; an upstream's own word is the client's.

    Such a target is left out for this request: what one may say must not depend on who was drawn or happens to be up.
    """
    return isinstance(error, InvalidRequest) and not isinstance(error, UpstreamRefused)


def _why_nobody(passed: Sequence[HansardError], call: Call) -> HansardError:
    """The last failure of a target that could have; if none could, what the client wrote first that one cannot take."""
    failures = [error for error in passed if not _is_unable(error)]
    if failures:
        return failures[-1]
    unable = [error for error in passed if isinstance(error, InvalidRequest)]
    return first_of(sorted(unable, key=lambda error: error.message), call.document)


def _named(made: Document, target: Target) -> Document:
    """With the target's name for the model, if the engine did not say one."""
    return made if made.get("model") else {**made, "model": target.model}


def _for(target: Target, call: Call) -> Call:
    """The call as this target may see it: its name for the model, and the client's key only where that is to go."""
    authorization = call.authorization if target.engine.takes_client_key else None
    if call.model == target.model and call.authorization == authorization:
        return call
    return msgspec.structs.replace(call, model=target.model, authorization=authorization)

"""engines/router.py: which engine answers for a name."""

from __future__ import annotations

import json

import pytest

from hansard.core.accumulate import Accumulator
from hansard.core.validate import parse_create
from hansard.engines.base import Call
from hansard.engines.echo import EchoEngine
from hansard.engines.router import Router, Target
from hansard.errors import (
    HansardError,
    InvalidRequest,
    ModelNotFound,
    RateLimited,
    Unavailable,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
)
from hansard.observe import Event, TargetFailed
from tests.engines.scripted import ScriptedEngine, Step, finish, said

SMALL = ScriptedEngine(name="small", models=["tiny", "shared"])
LARGE = ScriptedEngine(name="large", models=["huge", "shared"])
ANYTHING = ScriptedEngine(name="anything", models=["listed"], takes_any_model=True)


@pytest.mark.parametrize(
    ("asked", "engine", "model"),
    [
        ("tiny", SMALL, "tiny"),
        ("huge", LARGE, "huge"),
        ("shared", SMALL, "shared"),  # the first engine that lists it
        ("gpt-4o", LARGE, "huge"),
        ("never heard of", SMALL, "tiny"),  # the alias *
    ],
)
def test_names_then_aliases_then_the_alias_for_all(asked: str, engine: ScriptedEngine, model: str) -> None:
    route = Router(engines=[SMALL, LARGE], aliases={"gpt-4o": "huge", "*": "tiny"}).pick(asked)

    assert (route.answered.engine, route.answered.model) == (engine, model)


@pytest.mark.parametrize(
    ("asked", "name"),
    [("tiny", "tiny"), ("gpt-4o", "huge"), ("short", "unlisted"), ("a client's own words", "other")],
)
def test_a_way_is_counted_under_a_name_of_the_operators(asked: str, name: str) -> None:
    aliases = {"gpt-4o": "huge", "short": "unlisted"}

    assert Router(engines=[SMALL, LARGE, ANYTHING], aliases=aliases).pick(asked).model_name == name


def test_an_unknown_name_has_the_apis_own_error() -> None:
    with pytest.raises(ModelNotFound) as refused:
        Router(engines=[SMALL], aliases={}).pick("gpt-x")
    assert refused.value.message == "The model `gpt-x` does not exist or you do not have access to it."
    assert (refused.value.status, refused.value.code, refused.value.param) == (404, "model_not_found", None)


def test_an_engine_that_takes_any_name_gets_what_nobody_lists() -> None:
    router = Router(engines=[SMALL, ANYTHING], aliases={"short": "unlisted"})

    def picked(model: str) -> tuple[object, str]:
        target = router.pick(model).answered
        return target.engine, target.model

    assert picked("tiny") == (SMALL, "tiny")
    assert picked("other") == (ANYTHING, "other")
    assert picked("short") == (ANYTHING, "unlisted")


def test_aliases_do_not_chain() -> None:
    with pytest.raises(ModelNotFound):
        Router(engines=[SMALL], aliases={"a": "b", "b": "tiny"}).pick("a")


def test_models_are_listed_once_each_with_their_aliases() -> None:
    router = Router(engines=[SMALL, LARGE], aliases={"gpt-4o": "huge", "*": "tiny", "dangling": "nobody"})

    assert [model.id for model in router.models()] == ["tiny", "shared", "huge", "gpt-4o"]
    assert [model.owned_by for model in router.models()] == ["small", "small", "large", "large"]


def test_what_an_engine_begins_to_list_is_found() -> None:
    engine = ScriptedEngine(models=["old"])
    router = Router(engines=[engine], aliases={})
    router.pick("old")

    engine.serve("new")

    assert router.pick("new").answered.model == "new"
    with pytest.raises(ModelNotFound):
        router.pick("old")


# Targets


def call(**more: object) -> Call:
    body = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}], **more}
    received = parse_create(json.dumps(body).encode())
    return Call(
        request=received.request, document=received.document, model="chat", seed=1, authorization="Bearer theirs"
    )


async def asked_of(router: Router, *, streamed: bool) -> tuple[str, str, str]:
    """Who answered, what they said, and the model the reply names."""
    route = router.pick("chat")
    if streamed:
        accumulator = Accumulator()
        async for chunks in route.stream(call()):
            for chunk in chunks:
                accumulator.feed(chunk)
        made = accumulator.finish()
    else:
        made = await route.complete(call())
    return route.answered.engine.name, made["choices"][0]["message"]["content"], made["model"]


def engine(name: str, *steps: Step, **options: object) -> ScriptedEngine:
    return ScriptedEngine(*(steps or (said(name), finish())), name=name, models=(), **options)  # type: ignore[arg-type]


def over(*targets: Target, events: list[Event] | None = None, chance: float = 0.0) -> Router:
    observer = (events if events is not None else []).append
    return Router(
        engines=[], aliases={"short": "chat"}, targets={"chat": targets}, observer=observer, chance=lambda: chance
    )


DOWN = UpstreamFailed("gone")
BOTH = pytest.mark.parametrize("streamed", [True, False])


@BOTH
@pytest.mark.anyio
async def test_the_first_target_answers(streamed: bool) -> None:
    first, second = engine("one"), engine("two")

    assert await asked_of(over(Target(first, "a"), Target(second, "b")), streamed=streamed) == ("one", "one", "a")
    assert [asked.model for asked in first.calls] == ["a"]
    assert second.calls == []


@pytest.mark.parametrize(
    "failure", [DOWN, UpstreamTimeout("late"), Unavailable("busy"), RateLimited("slow down")], ids=lambda e: e.message
)
@BOTH
@pytest.mark.anyio
async def test_what_fails_before_the_first_chunk_goes_to_the_next_target(failure: HansardError, streamed: bool) -> None:
    events: list[Event] = []
    first, second = engine("one", failure), engine("two")

    answer = await asked_of(over(Target(first, "a"), Target(second, "b"), events=events), streamed=streamed)

    assert answer == ("two", "two", "b")
    assert events == [TargetFailed(engine="one", model="a", reason=failure.code or failure.type)]


@BOTH
@pytest.mark.anyio
async def test_the_last_failure_is_the_one_that_is_told(streamed: bool) -> None:
    with pytest.raises(UpstreamTimeout):
        await asked_of(
            over(Target(engine("one", DOWN), "a"), Target(engine("two", UpstreamTimeout("late")), "b")),
            streamed=streamed,
        )


@BOTH
@pytest.mark.anyio
async def test_what_is_the_clients_own_doing_is_told_at_once(streamed: bool) -> None:
    second = engine("two")
    refused = UpstreamRefused("wrong", status=400)
    with pytest.raises(UpstreamRefused):
        await asked_of(over(Target(engine("one", refused), "a"), Target(second, "b")), streamed=streamed)
    assert second.calls == []


CANNOT = InvalidRequest("no n", param="n")


@pytest.mark.parametrize("chance", [0.0, 0.99])
@pytest.mark.parametrize("weight", [None, 1.0])
@BOTH
@pytest.mark.anyio
async def test_a_target_that_cannot_take_the_request_is_left_out(
    streamed: bool, weight: float | None, chance: float
) -> None:
    """Whoever is drawn: what a request may say must not depend on chance. Nor is that a failure of the target's."""
    events: list[Event] = []
    able, unable = Target(engine("able"), "a", weight), Target(engine("unable", CANNOT), "b", weight)

    for targets in ([able, unable], [unable, able]):
        answer = await asked_of(over(*targets, events=events, chance=chance), streamed=streamed)
        assert answer == ("able", "able", "a")
    assert events == []


@pytest.mark.parametrize("chance", [0.0, 0.99])
@BOTH
@pytest.mark.anyio
async def test_one_that_could_and_is_away_is_told_rather_than_one_that_cannot(streamed: bool, chance: float) -> None:
    away, unable = Target(engine("away", DOWN), "a", 1.0), Target(engine("unable", CANNOT), "b", 1.0)

    with pytest.raises(UpstreamFailed, match="gone"):
        await asked_of(over(away, unable, chance=chance), streamed=streamed)


@pytest.mark.parametrize("chance", [0.0, 0.99])
@BOTH
@pytest.mark.anyio
async def test_if_none_can_take_it_the_clients_first_such_field_is_named(streamed: bool, chance: float) -> None:
    no_tools, no_n = engine("one", InvalidRequest("no tools", param="tools[0].type")), engine("two", CANNOT)
    route = over(Target(no_tools, "a", 1.0), Target(no_n, "b", 1.0), chance=chance).pick("chat")
    asked = call(n=2, tools=[{"type": "function", "function": {"name": "f"}}])

    with pytest.raises(InvalidRequest, match="no n"):
        if streamed:
            await anext(route.stream(asked))
        await route.complete(asked)


@BOTH
@pytest.mark.anyio
async def test_what_a_model_here_cannot_do_a_target_elsewhere_may(streamed: bool) -> None:
    route = over(Target(EchoEngine(), "echo"), Target(engine("two"), "b")).pick("chat")
    asked = call(tools=[{"type": "function", "function": {"name": "f"}}])

    if streamed:
        await anext(route.stream(asked))
    else:
        await route.complete(asked)

    assert route.answered.engine.name == "two"


@pytest.mark.anyio
async def test_what_fails_after_the_first_chunk_is_told() -> None:
    second = engine("two")
    with pytest.raises(UpstreamFailed):
        await asked_of(over(Target(engine("one", said("x"), DOWN), "a"), Target(second, "b")), streamed=True)
    assert second.calls == []


@BOTH
@pytest.mark.anyio
async def test_what_has_begun_is_asked_of_nobody_else(streamed: bool) -> None:
    second = engine("two")
    cut = UpstreamFailed("cut")
    cut.has_begun = True
    with pytest.raises(UpstreamFailed, match="cut"):
        await asked_of(over(Target(engine("one", cut), "a"), Target(second, "b")), streamed=streamed)
    assert second.calls == []


@pytest.mark.anyio
async def test_a_model_that_an_engine_names_is_kept() -> None:
    named = engine("one", {**said("x"), "model": "a-2026"}, finish())

    assert await asked_of(over(Target(named, "a"), Target(engine("two"), "b")), streamed=True) == ("one", "x", "a-2026")


@pytest.mark.parametrize(("chance", "order"), [(0.0, "abcd"), (0.24, "abcd"), (0.26, "bacd"), (0.99, "bacd")])
@pytest.mark.anyio
async def test_weights_share_and_the_others_follow_in_order(chance: float, order: str) -> None:
    tried: list[Event] = []
    engines = {name: engine(name, DOWN) for name in "abcd"}
    weights = {"a": 1.0, "b": 3.0}
    # A draw of 0 in the second round takes the one that is left.
    router = over(*(Target(engines[name], name, weights.get(name)) for name in "abcd"), events=tried, chance=chance)

    with pytest.raises(UpstreamFailed):
        await asked_of(router, streamed=False)

    assert [event.model for event in tried if isinstance(event, TargetFailed)] == list(order[:-1])


def test_targets_come_before_what_an_engine_lists_and_aliases_may_name_them() -> None:
    own = engine("own")
    lister = ScriptedEngine(name="lister", models=["chat"])
    router = Router(engines=[lister], aliases={"short": "chat"}, targets={"chat": [Target(own, "a")]})

    assert router.pick("chat").answered.engine is own
    assert router.pick("short").answered.model == "a"
    assert [(model.id, model.owned_by) for model in router.models()] == [("chat", "hansard"), ("short", "hansard")]


def test_unknown_parameters_need_targets_that_all_take_them() -> None:
    knows, does_not = engine("one"), engine("two", takes_unknown_parameters=False)

    assert over(Target(knows, "a"), Target(knows, "b")).pick("chat").takes_unknown_parameters
    assert not over(Target(knows, "a"), Target(does_not, "b")).pick("chat").takes_unknown_parameters


@pytest.mark.anyio
async def test_the_clients_key_goes_only_to_targets_that_take_it() -> None:
    takes, takes_not = engine("one", DOWN, takes_client_key=True), engine("two")

    await asked_of(over(Target(takes, "a"), Target(takes_not, "b")), streamed=False)

    assert [asked.authorization for asked in (*takes.calls, *takes_not.calls)] == ["Bearer theirs", None]

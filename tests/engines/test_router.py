"""engines/router.py: which engine answers for a name."""

from __future__ import annotations

import pytest

from hansard.engines.router import Router
from hansard.errors import ModelNotFound
from tests.engines.scripted import ScriptedEngine

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

    assert (route.engine, route.model) == (engine, model)


def test_an_unknown_name_has_the_apis_own_error() -> None:
    with pytest.raises(ModelNotFound) as refused:
        Router(engines=[SMALL], aliases={}).pick("gpt-x")
    assert refused.value.message == "The model `gpt-x` does not exist or you do not have access to it."
    assert (refused.value.status, refused.value.code, refused.value.param) == (404, "model_not_found", None)


def test_an_engine_that_takes_any_name_gets_what_nobody_lists() -> None:
    router = Router(engines=[SMALL, ANYTHING], aliases={"short": "unlisted"})

    assert router.pick("tiny").engine is SMALL
    assert (router.pick("other").engine, router.pick("other").model) == (ANYTHING, "other")
    assert (router.pick("short").engine, router.pick("short").model) == (ANYTHING, "unlisted")


def test_aliases_do_not_chain() -> None:
    with pytest.raises(ModelNotFound):
        Router(engines=[SMALL], aliases={"a": "b", "b": "tiny"}).pick("a")


def test_models_are_listed_once_each_with_their_aliases() -> None:
    router = Router(engines=[SMALL, LARGE], aliases={"gpt-4o": "huge", "*": "tiny", "dangling": "nobody"})

    assert [model.id for model in router.models()] == ["tiny", "shared", "huge", "gpt-4o"]
    assert [model.owned_by for model in router.models()] == ["small", "small", "large", "large"]

"""References: those that lead nowhere, those that never end, and how far those that double may go."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from hansard.engines.llamacpp import references, schema

Level = Callable[[str], dict[str, Any]]
TREE = {"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}, "required": ["left"]}
NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["next"]}
QUICK_S = 1.0


def chain(levels: int, level: Level) -> dict[str, Any]:
    """Definitions of which each leads to the next."""
    defined = {f"d{number}": level(f"#/$defs/d{number + 1}") for number in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": {**defined, f"d{levels}": {"type": "string"}}}


def doubled(keyword: str) -> Level:
    return lambda pointer: {keyword: [{"$ref": pointer}, {"$ref": pointer}]}


def pair(pointer: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": {"$ref": pointer}, "b": {"$ref": pointer}}, "required": ["a", "b"]}


@pytest.mark.parametrize(
    "sound",
    [
        {"type": "string"},
        chain(12, doubled("anyOf")),
        chain(40, pair),
        {**TREE, "required": []},
        {"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#"}, "minItems": 1}]},
        {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"]},
        {"properties": {"list": {"$ref": "#/$defs/node"}}, "$defs": {"node": NODE}},
        {"properties": {"$ref": {"type": "string"}}},
        {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "string"}}},
        {"enum": [{"$ref": "#"}]},
    ],
)
def test_what_ends_is_sound(sound: dict[str, Any]) -> None:
    assert references.wrong(sound) is None


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf", "allOf"])
@pytest.mark.parametrize("levels", [14, 25, 40])
def test_references_that_double_are_refused_at_once(keyword: str, levels: int) -> None:
    begun_s = time.thread_time()

    said = schema.check(chain(levels, doubled(keyword)))

    assert said == "its references lead to more than 10000 alternatives at one place, which is not supported."
    assert time.thread_time() - begun_s < QUICK_S


def test_references_that_double_inside_an_object_are_refused() -> None:
    inner = chain(40, doubled("anyOf"))

    said = schema.check({"properties": {"a": {"$ref": inner["$ref"]}}, "$defs": inner["$defs"]})

    assert said is not None
    assert "10000 alternatives" in said


@pytest.mark.parametrize(
    ("loop", "pointer"),
    [
        ({"properties": {"a": {"$ref": "#/properties/a"}}}, "#/properties/a"),
        ({"$defs": {"x": {"$ref": "#/$defs/x"}}, "properties": {"b": {"$ref": "#/$defs/x"}}}, "#/$defs/x"),
        ({"$ref": "#"}, "#"),
        ({"anyOf": [{"$ref": "#"}, {"type": "string"}]}, "#"),
    ],
)
def test_a_reference_to_itself_is_refused(loop: dict[str, Any], pointer: str) -> None:
    assert schema.check(loop) == f"reference '{pointer}' leads back to itself with no object or array in between."


@pytest.mark.parametrize(
    "endless",
    [
        TREE,
        {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
        {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
        {"properties": {"a": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}, "required": ["a"]},
    ],
)
def test_a_schema_that_requires_itself_is_refused(endless: dict[str, Any]) -> None:
    assert schema.check(endless) == "it requires itself, so that no finite value can match it."


def test_a_long_chain_is_refused_and_no_stack_overflows() -> None:
    assert schema.check(chain(5000, lambda pointer: {"$ref": pointer})) == (
        "more than 100 references and alternatives inside each other are not supported."
    )


def listed(most: int) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": "#/$defs/d"}, "minItems": 1, "maxItems": most}


def operation(kind: str, *names: str) -> dict[str, Any]:
    inner = {name: {"$ref": "#/$defs/d"} for name in names}
    return {"type": "object", "properties": {"kind": {"const": kind}, **inner}, "required": ["kind", *names]}


def recursive(*branches: dict[str, Any]) -> dict[str, Any]:
    return {"$ref": "#/$defs/d", "$defs": {"d": {"anyOf": [*branches, {"type": "null"}]}}}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (recursive(listed(2), listed(3)), True),
        (recursive(operation("add", "left"), operation("add", "right")), True),
        (recursive(operation("add", "left"), operation("not", "right")), False),
        (recursive(listed(2), operation("add", "left")), False),
        ({"anyOf": [{"type": "array"}, {"type": "array", "minItems": 2}]}, False),
    ],
)
def test_ways_that_multiply_with_depth_are_not_for_the_engines_own_grammar(asked: Any, expected: bool) -> None:
    assert references.multiplies(asked) is expected
    assert schema.held_by_engine(asked) is not expected

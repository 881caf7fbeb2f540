"""Two JSON Schemas side by side: each as a table of small facts, and where the two tables differ.

A fact has a place (``create body/messages/each/<user>/content``), a name and a value:

==============  ===========================================================================
``there``       a property of that name is described
``required``    whether it must be there
``kinds``       the JSON kinds it may be of, null apart
``null``        whether it may be null
``enum``        the strings it may be, if it is one of a few
``minimum`` ..  bounds, each by its keyword
``closed``      whether other keys are forbidden
==============  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

Schema = dict[str, Any]

BOUNDS = ("minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems", "maxProperties")
TAGS = ("type", "role")


class Difference(NamedTuple):
    """``what`` is the fact's name and whether it holds only here, only there, or differs."""

    place: str
    what: str
    theirs: Any
    ours: Any


class Facts:
    """The facts of one document's schemas. ``visited`` are the names of all that were come by."""

    def __init__(self, components: Schema) -> None:
        self._components = components
        self.visited: set[str] = set()

    def of(self, schema: Schema, place: str) -> dict[tuple[str, str], Any]:
        return dict(self._of(schema, place))

    def _of(self, schema: Schema, place: str) -> Iterator[tuple[tuple[str, str], Any]]:
        leaves = self.leaves(schema)
        kinds = {kind for leaf in leaves for kind in _kinds(leaf)}
        yield (place, "kinds"), frozenset(kinds - {"null"})
        yield (place, "null"), "null" in kinds or "anything" in kinds
        strings = [leaf for leaf in leaves if "string" in _kinds(leaf)]
        if strings and all("enum" in leaf for leaf in strings):
            yield (place, "enum"), frozenset(value for leaf in strings for value in leaf["enum"])
        for leaf in leaves:
            yield from (((place, bound), leaf[bound]) for bound in BOUNDS if bound in leaf)
            if "items" in leaf:
                yield from self._of(leaf["items"], f"{place}/each")
        yield from self._of_objects([leaf for leaf in leaves if "object" in _kinds(leaf)], place)

    def _of_objects(self, leaves: list[Schema], place: str) -> Iterator[tuple[tuple[str, str], Any]]:
        for leaf in leaves:
            at = place if len(leaves) == 1 else f"{place}/<{self._tag(leaf)}>"
            others = leaf.get("additionalProperties", True)
            yield (at, "closed"), others is False
            if isinstance(others, dict) and others:
                yield from self._of(others, f"{at}/any")
            for name, item in leaf.get("properties", {}).items():
                yield (f"{at}/{name}", "there"), True
                yield (f"{at}/{name}", "required"), name in leaf.get("required", [])
                yield from self._of(item, f"{at}/{name}")

    def _tag(self, leaf: Schema) -> str:
        """What tells this object from its alternatives."""
        for name in TAGS:
            for tag in self.leaves(leaf.get("properties", {}).get(name, {})):
                if len(values := tag.get("enum", [])) == 1:
                    return str(values[0])
        return ""

    def leaves(self, schema: Schema) -> list[Schema]:
        """The alternatives of a schema, references and branches resolved; null is one of them."""
        rest = {
            key: value for key, value in schema.items() if key not in ("$ref", "anyOf", "oneOf", "allOf", "nullable")
        }
        leaves = [rest]
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            self.visited.add(name)
            leaves = _all_of(leaves, self.leaves(self._components[name]))
        for branch in schema.get("allOf", []):
            leaves = _all_of(leaves, self.leaves(branch))
        for word in ("anyOf", "oneOf"):
            if word in schema:
                leaves = _all_of(leaves, [leaf for branch in schema[word] for leaf in self.leaves(branch)])
        if schema.get("nullable") is True:
            leaves = [*leaves, {"type": "null"}]
        return leaves


def _all_of(some: list[Schema], others: list[Schema]) -> list[Schema]:
    """What fits one of the first and one of the second."""
    return [_both(one, other) for one in some for other in others if _kinds(one) & _kinds(other) or not _typed(one)]


def _both(one: Schema, other: Schema) -> Schema:
    merged = {**one, **other}
    if "required" in one and "required" in other:
        merged["required"] = [*one["required"], *other["required"]]
    if "properties" in one and "properties" in other:
        merged["properties"] = {**one["properties"], **other["properties"]}
        for name in one["properties"].keys() & other["properties"].keys():
            merged["properties"][name] = {"allOf": [one["properties"][name], other["properties"][name]]}
    return merged


def _typed(leaf: Schema) -> bool:
    return _kinds(leaf) != {"anything"}


def _kinds(leaf: Schema) -> set[str]:
    if "type" in leaf:
        return {leaf["type"]} if isinstance(leaf["type"], str) else set(leaf["type"])
    if "enum" in leaf:
        return {"string"}
    return {"object"} if "properties" in leaf else {"anything"}


def differences(theirs: dict[tuple[str, str], Any], ours: dict[tuple[str, str], Any]) -> list[Difference]:
    """Where the tables differ; of a property that only one of them has, only that."""
    missing = {place for place, fact in theirs.keys() ^ ours.keys() if fact == "there"}
    return [
        Difference(place, f"{fact} {_how(left, right)}", left, right)
        for place, fact in sorted(theirs.keys() | ours.keys())
        if (left := theirs.get((place, fact))) != (right := ours.get((place, fact)))
        and not any(place.startswith(f"{outer}/") or (place == outer and fact != "there") for outer in missing)
    ]


def _how(theirs: Any, ours: Any) -> str:
    if theirs is None or theirs is False:
        return "only here"
    return "only there" if ours is None or ours is False else "differs"

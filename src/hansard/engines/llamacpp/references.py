"""What a schema grows to where its references are followed: does it end, and how many ways lead through one place.

The engine's own grammar builder follows each way on its own, so 2 KB of references that double hold it for ever (seen).
Pure, and counted without following any way twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from graphlib import CycleError, TopologicalSorter
from typing import Any

from hansard.core.pointers import MISSING, target

# A million ways hold the engine for 0.5 s, ten thousand for 5 ms (measured); a schema that is no accident has tens.
MOST_WAYS = 10_000
# References and alternatives at one place, one inside the other: a bound for our own stack.
MOST_LEVELS = 100
# Each round finds what ends one step further; where they do not suffice, the schema is let pass.
ROUNDS = 20
# Two to this power of ways are soon followed.
MOST_ALIKE = 8

_CHOICES = ("anyOf", "oneOf")
_BRANCHES = (*_CHOICES, "allOf")
_VALUES = ("enum", "type")
_PLACES = ("properties", "patternProperties", "$defs", "definitions")
_DATA = frozenset(("enum", "const", "default", "examples", "example"))


def wrong(schema: Mapping[str, Any]) -> str | None:
    """What is wrong with where its references lead, or None."""
    pointers = dict.fromkeys(_pointers(schema))
    targets = {pointer: found for pointer in pointers if (found := _target(schema, pointer)) is not MISSING}
    try:
        ways = _Ways(targets)
        most = max(map(ways.through, [schema, *targets.values(), *schemas(schema)]))
    except _LoopError as loop:
        return f"reference '{loop.pointer}' leads back to itself with no object or array in between."
    except _DepthError:
        return f"more than {MOST_LEVELS} references and alternatives inside each other are not supported."
    if most > MOST_WAYS:
        return f"its references lead to more than {MOST_WAYS} alternatives at one place, which is not supported."
    if not _ends(schema, targets, elsewhere=pointers.keys() - targets.keys()):
        return "it requires itself, so that no finite value can match it."
    return None


class _LoopError(Exception):
    def __init__(self, pointer: str) -> None:
        super().__init__(pointer)
        self.pointer = pointer


class _DepthError(Exception):
    """Too many levels."""


class _Ways:
    """Counts the ways through one place. What stands inside an object or an array is another place."""

    def __init__(self, targets: Mapping[str, Any]) -> None:
        self._targets = targets
        self._known: dict[str, int] = {}
        self._open: list[str] = []

    def through(self, schema: Any, level: int = 0) -> int:
        if not isinstance(schema, Mapping):
            return 1
        if level > MOST_LEVELS:
            raise _DepthError
        ways = sum(self.through(branch, level + 1) for keyword in _BRANCHES for branch in _list(schema, keyword))
        ways += sum(len(_list(schema, keyword)) for keyword in _VALUES)
        pointer = schema.get("$ref")
        if isinstance(pointer, str) and pointer in self._targets:
            ways += self._behind(pointer, level + 1)
        return max(ways, 1)

    def _behind(self, pointer: str, level: int) -> int:
        if pointer in self._open:
            raise _LoopError(pointer)
        if pointer not in self._known:
            self._open.append(pointer)
            self._known[pointer] = self.through(self._targets[pointer], level)
            self._open.pop()
        return self._known[pointer]


def multiplies(schema: Mapping[str, Any]) -> bool:
    """Whether texts can be read in ways that multiply with their depth, each of which the engine's own grammar follows.

    Seen: an array of one or two of itself, or of one to three, held it for good at the sixteenth bracket.
    """
    places = sum(
        len(_list(inner, keyword)) > 1 and _alike(schema, inner) for inner in schemas(schema) for keyword in _CHOICES
    )
    return places > MOST_ALIKE or (places > 0 and _recursive(schema))


def cut(schema: Any) -> Any:
    """The same with anything where a reference stood, so that nothing nests without end."""
    if isinstance(schema, list):
        return [cut(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {key: cut(value) for key, value in schema.items() if not (key == "$ref" and isinstance(value, str))}


def _alike(root: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    """Whether two of its branches can begin with the same text and go on inside."""
    seen: set[Any] = set()
    for branch in _branches(root, schema, set()):
        for beginning in _beginnings(branch):
            if beginning in seen:
                return True
            seen.add(beginning)
    return False


def _branches(root: Mapping[str, Any], schema: Any, followed: set[str]) -> Iterator[Mapping[str, Any]]:
    """What one place can be, each reference followed once."""
    if not isinstance(schema, Mapping):
        return
    inner = [branch for keyword in _CHOICES for branch in _list(schema, keyword)]
    if isinstance(pointer := schema.get("$ref"), str):
        if pointer in followed:
            return
        followed.add(pointer)
        inner.append(_target(root, pointer))
    if not inner:
        yield schema
    for branch in inner:
        yield from _branches(root, branch, followed)


def _beginnings(schema: Mapping[str, Any]) -> set[Any]:
    """The ways an array or an object of this schema can begin: the name of a first property, and what it must be."""
    kind = schema.get("type", "object" if "properties" in schema else None)
    if kind == "array":
        return {"["}
    if kind != "object":
        return set()
    found: set[Any] = set()
    properties, required = schema.get("properties"), _list(schema, "required")
    for name, inner in properties.items() if isinstance(properties, Mapping) else ():
        values = [inner["const"]] if isinstance(inner, Mapping) and "const" in inner else _list(inner, "enum")
        found |= {(name, repr(value)) for value in values} if values else {(name, None)}
        if name in required:
            return found
    return found | {"{"}


def _recursive(schema: Mapping[str, Any]) -> bool:
    """Whether any of its references leads to where it stands, at any depth."""
    leads = {pointer: set(_pointers(_target(schema, pointer))) for pointer in set(_pointers(schema))}
    try:
        TopologicalSorter(leads).prepare()
    except CycleError:
        return True
    return False


def _ends(schema: Mapping[str, Any], targets: Mapping[str, Any], *, elsewhere: Set[str]) -> bool:
    """Whether some value that ends matches it; what is not known counts as yes, and so does what stands elsewhere."""
    ending = set(elsewhere)
    for _ in range(ROUNDS):
        more = {pointer for pointer, target in targets.items() if pointer not in ending and _finite(target, ending)}
        if not more:
            return _finite(schema, ending)
        ending |= more
    return True


def _finite(schema: Any, ending: Set[str]) -> bool:
    """Whether a value that ends can match, if one can for each reference in ``ending`` and for no other."""
    if not isinstance(schema, Mapping):
        return True
    pointer = schema.get("$ref")
    if isinstance(pointer, str) and pointer not in ending:
        return False
    if any(
        branches and not any(_finite(branch, ending) for branch in branches)
        for branches in (_list(schema, keyword) for keyword in _CHOICES)
    ):
        return False
    return all(_finite(inner, ending) for inner in (*_list(schema, "allOf"), *_demanded(schema)))


def _demanded(schema: Mapping[str, Any]) -> Iterator[Any]:
    """What each value of it must have inside."""
    kind = schema.get("type", "object" if "properties" in schema else None)
    properties, least = schema.get("properties"), schema.get("minItems")
    if kind == "object" and isinstance(properties, Mapping):
        yield from (properties[name] for name in _list(schema, "required") if name in properties)
    if kind == "array" and isinstance(least, int | float) and least > len(_list(schema, "prefixItems")):
        yield schema.get("items")


def _list(schema: Any, keyword: str) -> list[Any]:
    """The value of a keyword where it is a list, else nothing."""
    value = schema.get(keyword) if isinstance(schema, Mapping) else None
    return value if isinstance(value, list) else []


def _pointers(schema: Any) -> Iterator[str]:
    return (inner["$ref"] for inner in schemas(schema) if isinstance(inner.get("$ref"), str))


def schemas(schema: Any) -> Iterator[Mapping[str, Any]]:
    """It and each schema in it, at any depth."""
    if isinstance(schema, list):
        for item in schema:
            yield from schemas(item)
    if not isinstance(schema, Mapping):
        return
    yield schema
    for keyword, value in schema.items():
        if keyword in _PLACES and isinstance(value, Mapping):
            for inner in value.values():
                yield from schemas(inner)
        elif keyword not in _DATA:
            yield from schemas(value)


def _target(schema: Any, pointer: str) -> Any:
    """What a pointer from the root refers to; ``MISSING`` for other references and for what is not there."""
    return target(schema, pointer) if pointer == "#" or pointer.startswith("#/") else MISSING

"""The subset of JSON Schema that ``strict: true`` promises to follow to the letter.

Rules: the API's published profile. Texts: its error replies, where recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

MAX_LEVELS: Final = 10
MAX_ENUM_CHARACTERS: Final = 15_000
LONG_ENUM: Final = 250
"""From how many values on an enum's characters are limited."""

_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_REJECTED: Final = frozenset({"allOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas"})
_DEFINITIONS: Final = ("$defs", "definitions")
_HOLDERS: Final = frozenset({"properties", *_DEFINITIONS, "items", "anyOf"})
"""Where schemas lie within a schema."""
_KINDS: Final = frozenset({"type", "enum", "const", "anyOf"})
"""One of these says what a value is."""
_ARRAY_INDEX: Final = re.compile("[0-9]{1,9}")

Context = tuple[str, ...]


def strict_violation(schema: Any) -> str | None:
    """What keeps the schema out of the subset, in the API's words; None if nothing does."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        kind = schema.get("type") if isinstance(schema, dict) else None
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    for context, level, node in _schemas(schema):
        violation = _node_violation(node, schema)
        if violation is None and level > MAX_LEVELS:
            violation = f"at most {MAX_LEVELS} levels of nesting are allowed."
        if violation is not None:
            return f"In context={context}, {violation}"
    return None


def _schemas(root: dict[str, Any]) -> Iterator[tuple[Context, int, Any]]:
    """Every schema in it, in the order of the text, with where it stands and how deep."""
    waiting: list[tuple[Context, int, Any]] = [((), 1, root)]
    while waiting:
        context, level, node = waiting.pop()
        yield context, level, node
        if isinstance(node, dict) and not _HOLDERS.isdisjoint(node):
            waiting.extend(reversed([(context + step, level + down, item) for step, down, item in _children(node)]))


def _children(node: dict[str, Any]) -> Iterator[tuple[Context, int, Any]]:
    for key in ("properties", *_DEFINITIONS):
        named = node.get(key)
        if isinstance(named, dict):
            for name, item in named.items():
                yield (key, name), 1 if key == "properties" else 0, item
    if "items" in node:
        yield ("items",), 1, node["items"]
    if isinstance(node.get("anyOf"), list):
        for index, item in enumerate(node["anyOf"]):
            yield ("anyOf", str(index)), 0, item


def _node_violation(node: Any, root: dict[str, Any]) -> str | None:
    if not isinstance(node, dict):
        return "schema must be an object."
    if not _REJECTED.isdisjoint(node):
        return f"'{next(keyword for keyword in node if keyword in _REJECTED)}' is not permitted."
    if "$ref" in node:
        return _reference_violation(node["$ref"], root)
    if _KINDS.isdisjoint(node):
        return "schema must have a 'type' key."
    types = node.get("type", [])
    types = types if isinstance(types, list) else [types]
    for kind in types:
        if not isinstance(kind, str) or kind not in _TYPES:
            return f"'{kind}' is not valid under any of the given schemas."
    if "array" in types and "items" not in node:
        return "array schema missing items."
    if "object" in types or "properties" in node:
        return _object_violation(node)
    return _enum_violation(node.get("enum"))


def _object_violation(node: dict[str, Any]) -> str | None:
    if node.get("additionalProperties") is not False:
        return "'additionalProperties' is required to be supplied and to be false."
    properties = node.get("properties", {})
    if not isinstance(properties, dict):
        return "'properties' must be an object."
    required = node.get("required", [] if not properties else None)
    say = "'required' is required to be supplied and to be an array including every key in properties."
    if not isinstance(required, list):
        return f"{say} Missing '{next(iter(properties), '')}'."
    named = {name for name in required if isinstance(name, str)}
    for name in properties:
        if name not in named:
            return f"{say} Missing '{name}'."
    for name in required:
        if not isinstance(name, str) or name not in properties:
            return f"{say} Extra required key '{name}' supplied."
    return None


def _enum_violation(values: Any) -> str | None:
    if isinstance(values, list) and len(values) > LONG_ENUM:
        characters = sum(len(value) for value in values if isinstance(value, str))
        if characters > MAX_ENUM_CHARACTERS:
            return (
                f"an enum with more than {LONG_ENUM} values may have at most {MAX_ENUM_CHARACTERS} characters "
                f"in total, but received {characters}."
            )
    return None


def _reference_violation(reference: Any, root: dict[str, Any]) -> str | None:
    """A reference points at the root or, by a JSON pointer, at something inside it."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return "reference must be a string that starts with '#'."
    target: Any = root
    for step in reference.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(target, list) and _ARRAY_INDEX.fullmatch(key) and int(key) < len(target):
            target = target[int(key)]
        elif isinstance(target, dict) and key in target:
            target = target[key]
        else:
            return f"reference '{reference}' can not be resolved."
    return None

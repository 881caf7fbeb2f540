"""The subset of JSON Schema that ``strict: true`` promises to follow to the letter.

Rules: the API's published profile, an allow-list: what it does not name is refused by name. Texts: its error
replies, where recorded or reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from hansard.core import pointers
from hansard.core.limits import SchemaSize, depth, too_large

MAX_LEVELS: Final = 10
MAX_ENUM_CHARACTERS: Final = 15_000
LONG_ENUM: Final = 250
"""From how many values on an enum's characters are limited."""
FORMATS: Final = frozenset(("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"))

_TYPES: Final = frozenset(("string", "number", "integer", "boolean", "object", "array", "null"))
_PLAIN: Final = _TYPES - {"object", "array"}
_NAMED: Final = (("properties", 1), ("$defs", 0), ("definitions", 0))
"""Where schemas with names lie within a schema, and how many levels further down that counts as."""
_HOLDERS: Final = frozenset((*(key for key, _ in _NAMED), "items", "anyOf"))
_OF_OBJECTS: Final = frozenset(("properties", "required", "additionalProperties"))
_KINDS: Final = frozenset(("type", "enum", "const", "anyOf"))
"""One of these says what a value is, and so does a reference."""
_VALUES: Final = frozenset(("enum", "const"))
_LONGEST_QUOTE: Final = 200  # characters of what the client sent that an error repeats

Context: TypeAlias = tuple[str, ...]
_Place: TypeAlias = tuple[Context, int, Any]
"""Where a schema stands, on which level, and the schema."""


def judged(schema: Any) -> tuple[str | None, SchemaSize]:
    """What keeps the schema out of the subset, in the API's words, None if nothing does; and what it weighs.

    Both are of the same walk, so of a schema that is outside the weight is as far as that went.
    """
    if not isinstance(schema, dict) or schema.get("type") != "object":
        kind = schema.get("type") if isinstance(schema, dict) else None
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{_shown(kind)}\"'.", SchemaSize()
    walk = _Walk(schema)
    violation = walk.violation()
    return violation or too_large(walk.size()), walk.size()


class _Walk:
    """Every schema of one, in the order of the text; what they weigh is summed up on the way."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._schemas: set[int] = set()
        self._references: list[tuple[Context, str]] = []
        self._depth = self._properties = self._enum_values = self._characters = 0

    def size(self) -> SchemaSize:
        """What was seen so far."""
        return SchemaSize(self._depth, self._properties, self._enum_values, self._characters)

    def violation(self) -> str | None:
        """The first one."""
        waiting: list[_Place] = [((), 1, self._root)]
        while waiting:
            context, level, node = waiting.pop()
            violation = self._in(context, level, node)
            if violation is not None:
                return f"In context={context}, {violation}"
            if not _HOLDERS.isdisjoint(node):
                inner = list(self._inner(context, level, node))
                inner.reverse()
                waiting += inner
        return self._dangling()

    def _in(self, context: Context, level: int, node: Any) -> str | None:
        """What is wrong with one schema by itself."""
        if type(node) is not dict:
            return "schema must be an object."
        self._schemas.add(id(node))
        if len(context) >= self._depth:
            self._depth = len(context) + 1
        if not context and "anyOf" in node:
            return "'anyOf' is not permitted."
        if level > MAX_LEVELS:
            return f"at most {MAX_LEVELS} levels of nesting are allowed."
        for keyword, value in node.items():
            if keyword not in _KEYWORDS:
                return f"'{_shown(keyword)}' is not permitted."
            sound = _KEYWORDS[keyword]
            if sound is not None and (wrong := sound(value)) is not None:
                return wrong
        if not _VALUES.isdisjoint(node):
            self._weigh_values(context, node)
        if "$ref" in node:
            self._references.append((context, node["$ref"]))
        return _kind_violation(node)

    def _inner(self, context: Context, level: int, node: dict[str, Any]) -> Iterator[_Place]:
        for key, down in _NAMED:
            if named := node.get(key):
                self._properties += down * len(named)
                self._characters += sum(map(len, named))
                inner, below = level + down, (*context, key)
                for name, item in named.items():
                    if inner > MAX_LEVELS or not _is_plain(item):
                        yield (*below, name), inner, item
                    else:  # most schemas are no more, and need no further look
                        self._schemas.add(id(item))
                        self._depth = max(self._depth, len(below) + 2)
        if "items" in node:
            yield (*context, "items"), level + 1, node["items"]
        if "anyOf" in node:
            for index, item in enumerate(node["anyOf"]):
                yield (*context, "anyOf", str(index)), level, item

    def _weigh_values(self, context: Context, node: dict[str, Any]) -> None:
        enum = node.get("enum", [])
        self._enum_values += len(enum)
        self._depth = max(self._depth, len(context) + 1 + max(depth(enum), depth(node.get("const"))))
        self._characters += sum(len(value) for value in (*enum, node.get("const")) if isinstance(value, str))

    def _dangling(self) -> str | None:
        """The first reference to what is no schema: what lies in a value of an enum, say, was not judged as one."""
        for context, reference in self._references:
            if id(pointers.target(self._root, reference)) not in self._schemas:
                return f"In context={context}, reference '{_shown(reference)}' can not be resolved."
        return None


def _is_plain(schema: Any) -> bool:
    """Whether it says the type of a plain value and nothing else."""
    return type(schema) is dict and len(schema) == 1 and type(kind := schema.get("type")) is str and kind in _PLAIN


def _kind_violation(node: dict[str, Any]) -> str | None:
    if _KINDS.isdisjoint(node) and "$ref" not in node:
        return "schema must have a 'type' key."
    types = node.get("type", ())
    if types == []:
        return "[] is not valid under any of the given schemas."
    types = types if isinstance(types, list | tuple) else [types]
    for kind in types:
        if not isinstance(kind, str) or kind not in _TYPES:
            return f"'{_shown(kind)}' is not valid under any of the given schemas."
    if "array" in types and "items" not in node:
        return "array schema missing items."
    if "object" in types or not _OF_OBJECTS.isdisjoint(node):
        return _object_violation(node)
    return None


def _object_violation(node: dict[str, Any]) -> str | None:
    if node.get("additionalProperties") is not False:
        return "'additionalProperties' is required to be supplied and to be false."
    properties = node.get("properties", {})
    required = node.get("required", [] if not properties else None)
    say = "'required' is required to be supplied and to be an array including every key in properties."
    if not isinstance(required, list):
        return f"{say} Missing '{next(iter(properties), '')}'."
    named = {name for name in required if isinstance(name, str)}
    if len(named) == len(required) and named == properties.keys():
        return None
    for name in properties:
        if name not in named:
            return f"{say} Missing '{name}'."
    for name in required:
        if not isinstance(name, str) or name not in properties:
            return f"{say} Extra required key '{_shown(name)}' supplied."
    return f"{_shown(required)} has non-unique elements."


def _an_object(value: Any) -> str | None:
    return None if isinstance(value, dict) else f"{_shown(value)} is not of type 'object'."


def _a_string(value: Any) -> str | None:
    return None if isinstance(value, str) else f"{_shown(value)} is not of type 'string'."


def _a_number(value: Any) -> str | None:
    return None if _is_number(value) else f"{_shown(value)} is not of type 'number'."


def _a_divisor(value: Any) -> str | None:
    return _a_number(value) or (None if value > 0 else f"{_shown(value)} is less than or equal to the minimum of 0.")


def _a_count(value: Any) -> str | None:
    if not _is_number(value) or value != int(value):
        return f"{_shown(value)} is not of type 'integer'."
    return None if value >= 0 else f"{_shown(value)} is less than the minimum of 0."


def _a_choice(value: Any) -> str | None:
    if not isinstance(value, list):
        return f"{_shown(value)} is not of type 'array'."
    return None if value else "[] should be non-empty."


def _a_reference(value: Any) -> str | None:
    if isinstance(value, str) and (value == "#" or value.startswith("#/")):
        return None
    return "reference must be a string that starts with '#'."


def _a_format(value: Any) -> str | None:
    return _a_string(value) or (None if value in FORMATS else f"'{_shown(value)}' is not a valid format.")


def _an_enum(values: Any) -> str | None:
    if (wrong := _a_choice(values)) is not None or len(values) <= LONG_ENUM:
        return wrong
    characters = sum(len(value) for value in values if isinstance(value, str))
    if characters <= MAX_ENUM_CHARACTERS:
        return None
    return (
        f"an enum with more than {LONG_ENUM} values may have at most {MAX_ENUM_CHARACTERS} characters "
        f"in total, but received {characters}."
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return str(value)[:_LONGEST_QUOTE]


_KEYWORDS: Final[dict[str, Callable[[Any], str | None] | None]] = {
    # What a value is. Types and what belongs to objects and arrays are judged together, by ``_kind_violation``.
    "type": None,
    "enum": _an_enum,
    "const": None,
    "anyOf": _a_choice,
    "$ref": _a_reference,
    "$defs": _an_object,
    "definitions": _an_object,
    "properties": _an_object,
    "required": None,
    "additionalProperties": None,
    "items": None,
    # What bounds it. The profile names no minLength and no maxLength.
    "pattern": _a_string,
    "format": _a_format,
    "multipleOf": _a_divisor,
    "minimum": _a_number,
    "maximum": _a_number,
    "exclusiveMinimum": _a_number,
    "exclusiveMaximum": _a_number,
    "minItems": _a_count,
    "maxItems": _a_count,
    # Annotations, which bind nothing. ``default`` is none of these: the API is reported to refuse it.
    "title": None,
    "description": None,
    "$schema": None,
    "$comment": None,
    "examples": None,
    "deprecated": None,
    "readOnly": None,
    "writeOnly": None,
}
"""The keywords of the subset, and what says whether a keyword's value is sound."""

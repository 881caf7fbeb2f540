"""How deep and how large what a client sends may be, before anything native or recursive sees it.

The numbers are the API's own for strict schemas, held here for every schema: engines have been
seen to die of 20,000 nested levels and to stall for minutes on an enum of 50,000 values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, Final

import msgspec

MAX_DEPTH: Final = 100
MAX_PROPERTIES: Final = 5_000
MAX_ENUM_VALUES: Final = 1_000
MAX_NAME_CHARACTERS: Final = 120_000
MAX_MESSAGES: Final = 10_000
MAX_PARTS: Final = 10_000
"""Content parts and tool calls of all messages together; ours, like the number of messages: the API names none."""
# Schemas of one request together: tools share one grammar in an engine.
MAX_REQUEST_ENUM_VALUES: Final = 5_000

_STRING: Final = re.compile(rb'"[^"]*"')
_BRACKETS: Final = b'[]{}"'
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in _BRACKETS)
_WEIGHED: Final = frozenset({"properties", "$defs", "definitions", "enum", "const"})
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1, ord('"'): 0}


def depth(document: Any) -> int:
    """How many levels of objects and arrays it has; a plain value has none."""
    return sum(1 for _ in _levels(document))


def parts(messages: list[Any]) -> int:
    """How many content parts and tool calls they have, whatever they are."""
    listed = (message.get(name) for message in messages if type(message) is dict for name in ("content", "tool_calls"))
    return sum(len(items) for items in listed if type(items) is list)


def is_deeper(text: bytes, limit: int) -> bool:
    """Whether JSON text nests more than ``limit`` levels; also answers for text that is not quite JSON."""
    if text.count(b"{") + text.count(b"[") <= limit:
        return False
    unescaped = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = _STRING.sub(b"", unescaped.translate(None, delete=_NOT_BRACKETS))
    return max(accumulate(_STEP[byte] for byte in brackets), default=0) > limit


class SchemaSize(msgspec.Struct, frozen=True):
    """What a schema, or several, weigh. ``characters`` are those of names and of enum and const texts."""

    depth: int = 0
    properties: int = 0
    enum_values: int = 0
    characters: int = 0


def schema_size(schema: Any) -> SchemaSize:
    """Measure a schema that may be anything at all."""
    levels = properties = enum_values = characters = 0
    for level in _levels(schema):
        levels += 1
        for node in level:
            if type(node) is not dict or _WEIGHED.isdisjoint(node):
                continue
            for key in ("properties", "$defs", "definitions"):
                named = node.get(key)
                if isinstance(named, dict):
                    properties += len(named) if key == "properties" else 0
                    characters += sum(map(len, named))
            values = node.get("enum")
            if isinstance(values, list):
                enum_values += len(values)
                characters += sum(len(value) for value in values if isinstance(value, str))
            if isinstance(node.get("const"), str):
                characters += len(node["const"])
    return SchemaSize(levels, properties, enum_values, characters)


def too_large(size: SchemaSize) -> str | None:
    """Which limit is passed, in a sentence; None if none is."""
    for what, limit, got in (
        ("levels of nesting", MAX_DEPTH, size.depth),
        ("object properties total", MAX_PROPERTIES, size.properties),
        ("enum values in total within a schema", MAX_ENUM_VALUES, size.enum_values),
        ("characters of names, enum values and const values", MAX_NAME_CHARACTERS, size.characters),
    ):
        if got > limit:
            return f"Expected at most {limit} {what}, but received {got}."
    return None


def _levels(document: Any) -> Iterator[list[Any]]:
    """The objects and arrays of each level, from the outermost on."""
    level = [document] if type(document) is dict or type(document) is list else []
    while level:
        yield level
        level = [
            item
            for node in level
            for item in (node.values() if type(node) is dict else node)
            if type(item) is dict or type(item) is list
        ]

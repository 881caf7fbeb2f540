"""What the engine's own grammar builder makes of a schema: what it holds exactly, and what it cannot be given at all.

It passes in silence over what it does not know, and bounds that contradict each other hold it for good (seen).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ANNOTATIONS = frozenset(("title", "description", "default", "examples", "example", "deprecated", "readOnly")).union(
    ("writeOnly", "$schema", "$comment", "$defs", "definitions", "discriminator")
)
_BOUNDS = {
    "string": frozenset(("minLength", "maxLength")),
    "integer": frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")),
    "array": frozenset(("items", "minItems", "maxItems")),
    "object": frozenset(("properties", "required", "additionalProperties")),
}
_PAIRS = (("minLength", "maxLength"), ("minItems", "maxItems"), ("minimum", "maximum"))
_COUNTS = frozenset(("minLength", "maxLength", "minItems", "maxItems"))
_NUMBERS = frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"))
_MAPS = ("properties", "patternProperties", "$defs", "definitions")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_ONES = ("items", "additionalProperties")
_INT64 = 2**63
_IS = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, Mapping),
}


def holds(schema: Any) -> bool:
    """Whether whatever it lets the model write is by the schema: only what is known to hold counts."""
    if not isinstance(schema, Mapping) or not all(holds(each) for each in _inside(schema)):
        return False
    keywords = schema.keys() - ANNOTATIONS
    if "$ref" in schema:
        return keywords == {"$ref"} and _resolves(schema["$ref"])
    if "anyOf" in schema:
        return keywords == {"anyOf"}
    types = _types(schema)
    if "enum" in schema or "const" in schema:
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        return len(keywords - {"type"}) == 1 and all(
            not types or any(_IS[kind](value) for kind in types) for value in values
        )
    if not types and "properties" in schema:
        types = ("object",)  # it takes it so, and an object is never wrong there
    known = frozenset[str]().union(*(_BOUNDS.get(kind, ()) for kind in types))
    if not keywords - {"type"} <= known or ("number" in types and keywords & _NUMBERS):
        return False
    required = schema.get("required", ())
    return set(required) <= schema.get("properties", {}).keys() and not _unreadable(schema)


def readable(schema: Any) -> Any:
    """The same schema for the eyes of the model alone, without what the builder stumbles over."""
    if schema is True:
        return {}
    if schema is False:
        return {"not": {}}
    if not isinstance(schema, Mapping):
        return schema
    dropped = _unreadable(schema)
    if "$ref" in schema and not _resolves(schema["$ref"]):
        dropped |= {"$ref"}
    plain: dict[str, Any] = {}
    for key, value in schema.items():
        if key in dropped:
            continue
        if key in _MAPS and isinstance(value, Mapping):
            plain[key] = {name: readable(each) for name, each in value.items()}
        elif key in _LISTS and isinstance(value, list):
            plain[key] = [readable(each) for each in value]
        elif key in _ONES and not (key == "additionalProperties" and isinstance(value, bool)):
            plain[key] = [readable(each) for each in value] if isinstance(value, list) else readable(value)
        else:
            plain[key] = value
    return plain


def _inside(schema: Mapping[str, Any]) -> list[Any]:
    found = [each for key in _MAPS for each in schema.get(key, {}).values()]
    found += [each for key in _LISTS for each in schema.get(key, ())]
    found += [schema[key] for key in _ONES if key in schema and not _is_plain_switch(key, schema[key])]
    return found


def _is_plain_switch(key: str, value: Any) -> bool:
    return key == "additionalProperties" and isinstance(value, bool)


def _types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    kind = schema.get("type", ())
    return (kind,) if isinstance(kind, str) else tuple(kind)


def _resolves(reference: Any) -> bool:
    return (
        isinstance(reference, str)
        and (reference == "#" or reference.startswith("#/"))
        and not {"%", "~"} & set(reference)
    )


def _unreadable(schema: Mapping[str, Any]) -> set[str]:
    """The bounds that it cannot read or that never end."""
    found = {
        key
        for key in (_COUNTS | _NUMBERS) & schema.keys()
        if not isinstance(schema[key], int) or isinstance(schema[key], bool) or not -_INT64 < schema[key] < _INT64
    }
    for least, most in _PAIRS:
        low, high = schema.get(least, 0 if least in _COUNTS else None), schema.get(most)
        if least == "minimum":
            low, high = _tightest(schema)
        if low is not None and high is not None and not found & {least, most} and low > high:
            found |= {least, most} | (_NUMBERS & schema.keys() if least == "minimum" else set())
    return found & schema.keys()


def _tightest(schema: Mapping[str, Any]) -> tuple[int | float | None, int | float | None]:
    above = [schema[key] + step for key, step in (("minimum", 0), ("exclusiveMinimum", 1)) if key in schema]
    below = [schema[key] - step for key, step in (("maximum", 0), ("exclusiveMaximum", 1)) if key in schema]
    return max(above, default=None), min(below, default=None)

"""JSON schemas on their way to the engine: are they sound, and which of its two grammars can hold them.

The engine's own grammar builder passes silently over what it does not know, so it gets only what ``builder`` trusts it
with. Its second one, LLGuidance, holds far more, but takes a prompt that must not think aloud. What neither holds is
refused by name.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import msgspec

from hansard.contract import Document
from hansard.engines.llamacpp import builder, formats, grammars, references
from hansard.errors import InvalidRequest

ANY_OBJECT: Document = {"type": "object"}

# LLGuidance writes JSON with any white space unless told how; models are trained on this form.
_LLGUIDANCE_STYLE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
# Valid regular expressions that LLGuidance cannot follow and drops together with the whole grammar.
_UNFOLLOWED = ("\\b", "\\B", "\\A", "\\z")
# JSON Schema 2020-12 keywords it drops the grammar for (seen: "Unimplemented keys").
_UNIMPLEMENTED = frozenset(
    ("not", "if", "then", "else", "contains", "minContains", "maxContains", "uniqueItems", "propertyNames")
).union(("dependentSchemas", "dependentRequired", "dependencies", "unevaluatedItems", "unevaluatedProperties"))
# Keywords whose value maps names of any kind to schemas: those names are no keywords.
_NAMED_SCHEMAS = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))
# Where more than one schema may speak of the same value.
_COMBINED = frozenset(("anyOf", "oneOf", "$ref"))
_DATA = frozenset(("enum", "const", "default", "examples", "example"))
# A grammar of optional properties grows with their square: 200 hold the engine for 2 s, 4,000 for minutes (seen).
MOST_OPTIONAL = 100
# The engine's grammars demand nothing more often than this; how often something may come is not limited (seen).
MOST_DEMANDED = 2000
_DEMANDS = ("minLength", "minItems")
# LLGuidance takes a millisecond for each to compare it with the others beside it, and the whole is read three times.
MOST_PROPERTY_PATTERNS = 200
# Each takes a millisecond to try.
MOST_FORMATS_TRIED = 20
_UNSATISFIABLE = "Unsatisfiable schema"
# What Zod writes for every integer, the whole numbers that JavaScript holds exactly. A small model takes digits from it
# (seen: 3007199174091991 for 30).
_SAFE_INTEGERS = {"minimum": 1 - 2**53, "maximum": 2**53 - 1}


def check(schema: Mapping[str, Any]) -> str | None:
    """What is wrong with a schema, in the API's words, or None. Nothing is fetched to find out."""
    import jsonschema_rs  # here, because most requests have no schema

    try:
        # The plain regex engine: what it refuses (look-around, back references), no grammar can follow.
        jsonschema_rs.validator_for(
            dict(schema), retriever=_fetch_nothing, pattern_options=jsonschema_rs.RegexOptions()
        )
    except jsonschema_rs.ValidationError as failure:
        return f"In context={_context(failure.instance_path)}, {_unsound(schema, failure)}"
    if (wrong := references.wrong(schema)) is not None:
        return wrong
    for path, keyword, value in _keywords(schema, ()):
        if keyword in _DEMANDS and isinstance(value, int | float) and value > MOST_DEMANDED:
            return f"In context={_context(path)}, '{keyword}' above {MOST_DEMANDED} is not supported."
    if (optional := _most_optional(schema)) > MOST_OPTIONAL:
        return f"an object with {optional} optional properties is not supported. Expected at most {MOST_OPTIONAL}."
    if _has_patterns(schema):
        for path, keyword, value in _keywords(schema, ()):
            if keyword == "pattern" and any(unfollowed in value for unfollowed in _UNFOLLOWED):
                return f"In context={_context(path)}, the pattern {value!r} is not supported."
    return None


def held_by_engine(schema: Mapping[str, Any]) -> bool:
    """Whether the engine's own grammar holds it, and is not held by it."""
    return builder.holds(schema) and not references.multiplies(schema)


def _unsound(schema: Mapping[str, Any], failure: Any) -> str:
    """What jsonschema_rs found, in words that say whose limit it is."""
    import jsonschema_rs

    if failure.message.startswith("Unknown meta-schema"):
        return f"the '$schema' {schema.get('$schema')!r} is not supported."
    if failure.message.endswith('is not a "regex"'):
        try:
            jsonschema_rs.validator_for(
                {"pattern": failure.instance}, pattern_options=jsonschema_rs.FancyRegexOptions()
            )
        except (jsonschema_rs.ValidationError, ValueError):
            return f"{failure.message}."
        return f"the pattern {failure.instance!r} has look-around or a back reference, which is not supported."
    return f"{failure.message}."


def constraint(schema: Mapping[str, Any], *, param: str, name: str | None = None) -> Document:
    """The body fields that make the engine answer with JSON of this schema and no other.

    Raises ``InvalidRequest`` with ``param``, where the schema comes from, and the ``name`` that the client gave it.
    """
    if not held_by_engine(schema):
        if (wrong := unheld(schema)) is not None:
            named = param if name is None else f"{param} '{name}'"
            raise InvalidRequest(f"Invalid schema for {named}: {wrong}", param=param)
        return grammars.constraint(grammars.sound(grammars.one_of([form(schema)]), param=param))
    return {"response_format": {"type": "json_schema", "json_schema": {"schema": _rooted(schema)}}}


def unheld(schema: Mapping[str, Any]) -> str | None:
    """What no grammar of the engine can hold an answer to, or None."""
    if held_by_engine(schema):
        return None
    if property_patterns(schema) > MOST_PROPERTY_PATTERNS:
        return f"more than {MOST_PROPERTY_PATTERNS} 'patternProperties' are not supported."
    for path, keyword, value in _keywords(schema, ()):
        if keyword in _UNIMPLEMENTED:
            return f"In context={_context(path)}, '{keyword}' is not supported."
        if keyword == "format" and value in formats.UNHELD:
            return f"In context={_context(path)}, the format {value!r} is not supported."
    found = grammars.wrong(grammars.one_of([form(schema)]))
    if found is not None and "coerce_one_of" in found:
        return "'oneOf' is not supported where more than one of its schemas may hold. Use 'anyOf'."
    if found is not None and _UNSATISFIABLE in found and (named := _format_of_nothing(schema)) is not None:
        return f"{_UNSATISFIABLE}: no string of the format {named!r} matches what stands beside it."
    return None if found is None else f"{_reason(found)}."


def _reason(found: str) -> str:
    """The compiler's first line, without the place in a grammar that the client never saw, and regexes of its own."""
    line = found.partition("\n")[0].rpartition("failed to compile JSON schema: ")[2]
    return line.partition(": Regex is empty")[0].rstrip(".")


def _format_of_nothing(schema: Mapping[str, Any]) -> str | None:
    """The first format that the keywords beside it leave nothing of, if it is among the first few."""
    with_format = (inner for inner in references.schemas(schema) if isinstance(inner.get("format"), str))
    for inner in itertools.islice((each for each in with_format if "$ref" not in each), MOST_FORMATS_TRIED):
        if _UNSATISFIABLE in (grammars.wrong(grammars.one_of([form(inner)])) or ""):
            return str(inner["format"])
    return None


def form(schema: Mapping[str, Any]) -> str:
    """The same as a form for ``grammars.one_of``."""
    bound = formats.spelled_out(_closed(_rooted(schema)) if _stands_alone(schema) else _rooted(schema))
    return "%json " + msgspec.json.encode({**bound, "x-guidance": _LLGUIDANCE_STYLE}).decode()


def _stands_alone(schema: Any) -> bool:
    """Whether no object in it is described in two places, so that what one does not name is not named elsewhere."""
    if isinstance(schema, list):
        return all(map(_stands_alone, schema))
    if not isinstance(schema, Mapping):
        return True
    keywords = schema.keys() - builder.ANNOTATIONS
    if "allOf" in keywords or (not _COMBINED.isdisjoint(keywords) and not keywords <= _COMBINED):
        return False  # a property of one of these names means no more than an open object
    return all(_stands_alone(value) for key, value in schema.items() if key not in _DATA)


def _closed(schema: Any) -> Any:
    """The same without properties that nobody named: the other builder writes none either, and a model would ramble."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    inner = {
        key: {name: _closed(each) for name, each in value.items()}
        if key in _NAMED_SCHEMAS and isinstance(value, Mapping)
        else value
        if key in _DATA
        else _closed(value)
        for key, value in schema.items()
    }
    named = inner.get("properties")
    if not isinstance(named, Mapping) or not set(inner.get("required", ())) <= named.keys():
        return inner
    if "patternProperties" not in inner:
        inner.setdefault("type", "object")
        inner.setdefault("additionalProperties", False)
    return inner


def _rooted(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The engine resolves no reference to the root itself, so such a root moves to where it can be referred to."""
    if any(keyword == "$ref" and value == "#" for _, keyword, value in _keywords(schema, ())):
        return {"$ref": "#/$defs/root", "$defs": {"root": moved(schema, "/$defs/root")}}
    return schema


def told(schema: Any) -> Any:
    """The schema as the model is told it: without the bounds that hold every number anybody means."""
    if isinstance(schema, Mapping):
        return {
            key: value if key in _DATA else told(value)
            for key, value in schema.items()
            if key not in _SAFE_INTEGERS or value != _SAFE_INTEGERS[key]
        }
    if isinstance(schema, list):
        return [told(item) for item in schema]
    return schema


def moved(schema: Any, pointer: str) -> Any:
    """The same schema for a place further down: ``pointer`` is where its root then stands, like ``/anyOf/0``."""
    if isinstance(schema, Mapping):
        return {
            key: "#" + pointer + value[1:]
            if key == "$ref" and isinstance(value, str) and (value == "#" or value.startswith("#/"))
            else moved(value, pointer)
            for key, value in schema.items()
            if not (key == "$id" and isinstance(value, str))  # further down it would be what pointers start from
        }
    if isinstance(schema, list):
        return [moved(item, pointer) for item in schema]
    return schema


def _most_optional(schema: Any) -> int:
    """The most optional properties that any one object in it has."""
    if isinstance(schema, list):
        return max(map(_most_optional, schema), default=0)
    if not isinstance(schema, Mapping):
        return 0
    properties, required = schema.get("properties"), schema.get("required")
    here = 0
    if isinstance(properties, Mapping):
        named = {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()
        here = len(properties.keys() - named)
    return max(here, *map(_most_optional, schema.values()), 0)


def property_patterns(schema: Mapping[str, Any]) -> int:
    """How many patterns of property names it has."""
    return sum(
        len(value)
        for _, keyword, value in _keywords(schema, ())
        if keyword == "patternProperties" and isinstance(value, Mapping)
    )


def _has_patterns(schema: Mapping[str, Any]) -> bool:
    return any(keyword in ("pattern", "patternProperties") for _, keyword, _ in _keywords(schema, ()))


def _keywords(schema: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """Each keyword of a schema and of those inside it, with where it stands."""
    if isinstance(schema, list):
        for item in schema:
            yield from _keywords(item, path)
    if not isinstance(schema, Mapping):
        return
    for keyword, value in schema.items():
        if keyword in _NAMED_SCHEMAS and isinstance(value, Mapping):
            yield path, keyword, value
            for name, inner in value.items():
                yield from _keywords(inner, (*path, keyword, name))
        elif keyword not in _DATA:
            yield path, keyword, value
            yield from _keywords(value, (*path, keyword))


def _fetch_nothing(uri: str) -> NoReturn:
    raise InvalidRequest(f"the schema refers to {uri}, and this server fetches nothing")


def _context(path: Any) -> str:
    """A place in the way the API spells it, which is Python's: ``('properties', 'x')``."""
    return repr(tuple(path))

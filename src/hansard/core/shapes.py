"""Says where and how a document leaves the contract, in the API's own words.

The contract's structs are the only rules there are: this module reads their annotations, so it
can neither know a bound they lack nor miss one they have. It runs when a fast typed conversion
has already failed, or to look for unknown keys. Texts and codes: the API's recorded errors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct, UnsetType

from hansard.core import documents
from hansard.errors import InvalidRequest

Kind: TypeAlias = Literal["null", "boolean", "integer", "decimal", "string", "array", "object"]

_KINDS: Final[dict[type, Kind]] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "decimal",
    str: "string",
    list: "array",
    dict: "object",
}
_NO_BOUNDS: Final = Meta()
LARGEST_INTEGER: Final = 9_223_372_036_854_776_000
"""An int64's bound, as the specification rounds it to a float."""
_LONGEST_QUOTE: Final = 200  # characters of what the client sent that an error repeats
_MESSAGE_CONTENT: Final = re.compile(r"messages\[([0-9]+)\]\.content")


class Rule:
    """What a value of one JSON kind must be. This one is content with the kind alone."""

    noun: str

    def __init__(self, noun: str) -> None:
        self.noun = noun

    def check(self, value: Any, path: str, *, closed: bool = False) -> None:
        """Raise ``InvalidRequest`` where the value leaves the contract; ``closed`` as for ``Shape.check``."""

    def knows(self, value: Any) -> bool:
        """Whether the contract names every key in it."""
        return True


class Shape:
    """What a value may be: one rule for each JSON kind it may have, in the order the contract names them."""

    def __init__(self, rules: dict[Kind, Rule]) -> None:
        self._rules = rules
        self._anything = not rules

    def check(self, value: Any, path: str, *, closed: bool = False) -> None:
        """Raise ``InvalidRequest`` at the first place, in the document's order, where the value leaves the contract.

        ``closed`` takes what the contract does not name for a mistake as well: keys, and the types and roles that
        tell objects apart.
        """
        if self._anything:
            _held(value, path)
            return
        rule = self._rule(value)
        if rule is None:
            raise self.wrong_type(value, path)
        rule.check(value, path, closed=closed)

    def knows(self, value: Any) -> bool:
        """Whether the contract names every key in it: the fast question, asked before a closed ``check``."""
        rule = self._rules.get("object" if type(value) is dict else "array")
        return rule is None or rule.knows(value)

    @property
    def plural(self) -> str:
        """What an array of these is an array of."""
        nouns = dict.fromkeys(rule.noun + "s" for rule in self._rules.values())
        return " or ".join(nouns)

    def _rule(self, value: Any) -> Rule | None:
        kind = _kind(value)
        return self._rules.get(kind) or (self._rules.get("decimal") if kind == "integer" else None)

    def wrong_type(self, value: Any, path: str) -> InvalidRequest:
        """The value is of a kind that it may not be."""
        if value is None and (at := _MESSAGE_CONTENT.fullmatch(path)):
            return null_content(int(at[1]))
        nouns = list(dict.fromkeys(rule.noun for kind, rule in self._rules.items() if kind != "null"))
        expected = _listed([_with_article(nouns[0]), *nouns[1:]], "or")
        if len(nouns) > 1:
            expected = "one of " + expected
        got = "null" if value is None else _with_article(_kind(value))
        return InvalidRequest(
            f"Invalid type for '{path}': expected {expected}, but got {got} instead.", param=path, code="invalid_type"
        )


class Number(Rule):
    """An integer or a decimal between bounds."""

    def __init__(self, noun: Literal["integer", "decimal"], least: float | None, most: float | None) -> None:
        super().__init__(noun)
        self._least, self._most = least, most

    def check(self, value: Any, path: str, *, closed: bool = False) -> None:
        if type(value) is msgspec.Raw:
            raise self._beyond_all(value, path)
        if self._least is not None and value < self._least:
            raise self._out("below minimum value", f">= {self._least}", value, path, "below_min_value")
        if self._most is not None and value > self._most:
            raise self._out("above maximum value", f"<= {self._most}", value, path, "above_max_value")

    def _beyond_all(self, value: msgspec.Raw, path: str) -> InvalidRequest:
        """Past what is held, so past every bound; where the contract has none, past an int64's."""
        spelled = bytes(value).decode()
        if documents.is_negative(value):
            least = -LARGEST_INTEGER if self._least is None else self._least
            return self._out("below minimum value", f">= {least}", spelled, path, "below_min_value")
        most = LARGEST_INTEGER if self._most is None else self._most
        return self._out("above maximum value", f"<= {most}", spelled, path, "above_max_value")

    def _out(self, how: str, expected: str, value: Any, path: str, code: str) -> InvalidRequest:
        got = quoted(str(value))
        return InvalidRequest(
            f"Invalid '{path}': {self.noun} {how}. Expected a value {expected}, but got {got} instead.",
            param=path,
            code=f"{self.noun}_{code}",
        )


class String(Rule):
    """A string of a bounded length, perhaps of a pattern."""

    def __init__(self, meta: Meta) -> None:
        super().__init__("string")
        self._longest, self._pattern = meta.max_length, meta.pattern

    def check(self, value: Any, path: str, *, closed: bool = False) -> None:
        if self._pattern is not None and not re.search(self._pattern, value):
            raise InvalidRequest(
                f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern "
                f"'{self._pattern.replace(chr(92) + 'Z', '$')}'.",
                param=path,
                code="invalid_value",
            )
        if self._longest is not None and len(value) > self._longest:
            raise InvalidRequest(
                f"Invalid '{path}': string too long. Expected a string with maximum length {self._longest}, "
                f"but got a string with length {len(value)} instead.",
                param=path,
                code="string_above_max_length",
            )


class OneOf(Rule):
    """One of a few strings."""

    def __init__(self, values: Sequence[str]) -> None:
        super().__init__("string")
        self._values = tuple(values)

    def check(self, value: Any, path: str, *, closed: bool = False) -> None:
        if value not in self._values:
            raise _not_supported(value, self._values, path)


class Array(Rule):
    """Items of one shape, not too few and not too many."""

    def __init__(self, item: Shape, meta: Meta) -> None:
        super().__init__(f"array of {item.plural}" if item.plural else "array")
        self._item, self._least, self._most = item, meta.min_length, meta.max_length

    def check(self, value: Any, path: str, *, closed: bool = False) -> None:
        if self._least is not None and len(value) < self._least:
            raise InvalidRequest(
                f"Invalid '{path}': empty array. Expected an array with minimum length {self._least}, "
                "but got an empty array instead.",
                param=path,
                code="empty_array",
            )
        if self._most is not None and len(value) > self._most:
            raise InvalidRequest(
                f"Invalid '{path}': array too long. Expected an array with maximum length {self._most}, "
                f"but got an array with length {len(value)} instead.",
                param=path,
                code="array_above_max_length",
            )
        for index, item in enumerate(value):
            self._item.check(item, f"{path}[{index}]", closed=closed)

    def knows(self, value: Any) -> bool:
        return all(self._item.knows(item) for item in value if type(item) is dict)


class Map(Rule):
    """An object with free keys, such as metadata."""

    def __init__(self, key: Meta, value: Shape, meta: Meta) -> None:
        super().__init__("object")
        self._longest, self._value, self._most = key.max_length, value, meta.max_length

    def check(self, value: Any, path: str, *, closed: bool = False) -> None:
        if self._most is not None and len(value) > self._most:
            raise InvalidRequest(
                f"Invalid '{path}': too many properties. Expected an object with at most {self._most} properties, "
                f"but got an object with {len(value)} properties instead.",
                param=path,
                code="object_above_max_properties",
            )
        for key, item in value.items():
            if self._longest is not None and len(key) > self._longest:
                raise InvalidRequest(
                    f"Invalid property name in '{path}': string too long. Expected a string with maximum length "
                    f"{self._longest}, but got a string with length {len(key)} instead.",
                    param=path,
                    code="string_above_max_length",
                )
            self._value.check(item, _at(path, key), closed=closed)


class Object(Rule):
    """An object that a struct describes, or one of several that their tag tells apart."""

    def __init__(self, structs: Sequence[type[Struct]]) -> None:
        super().__init__("object")
        self._tag_field = structs[0].__struct_config__.tag_field
        self._by_tag = {struct.__struct_config__.tag: struct for struct in structs}

    def check(self, value: Any, path: str, *, closed: bool = False) -> None:
        if not closed and self._is_foreign(value):
            return
        struct = self._struct(value, path)
        fields = _fields(struct)
        closed_here = closed or struct.__struct_config__.forbid_unknown_fields
        for key, item in value.items():
            if key in fields:
                fields[key].check(item, _at(path, key), closed=closed)
            elif closed_here and key != self._tag_field:
                raise unknown(_at(path, key))
        for name in required(struct):  # what is not there stands behind all that is
            if name not in value:
                raise missing(_at(path, name))

    def knows(self, value: Any) -> bool:
        fields, tag_field = _fields(self._struct(value, "")), self._tag_field
        for key, item in value.items():
            if key not in fields:
                if key != tag_field:
                    return False
            elif (type(item) is dict or type(item) is list) and not fields[key].knows(item):
                return False
        return True

    def _is_foreign(self, value: Any) -> bool:
        """Whether its tag is none of the contract's: an upstream may know it."""
        tag = value.get(self._tag_field) if self._tag_field is not None else None
        return isinstance(tag, str) and tag not in self._by_tag

    def _struct(self, value: Any, path: str) -> type[Struct]:
        if self._tag_field is None:
            return self._by_tag[None]
        tag = value.get(self._tag_field)
        struct = self._by_tag.get(tag) if isinstance(tag, str) else None
        if struct is None:
            raise self._bad_tag(value, _at(path, self._tag_field))
        return struct

    def _bad_tag(self, value: Any, path: str) -> InvalidRequest:
        if self._tag_field not in value:
            return missing(path)
        tag, tags = value[self._tag_field], [str(known) for known in self._by_tag]
        if not isinstance(tag, str):
            return Shape({"string": OneOf(tags)}).wrong_type(tag, path)
        return _not_supported(tag, tags, path)


def _kind(value: Any) -> Kind:
    if type(value) is msgspec.Raw:
        return "integer" if documents.is_integer(value) else "decimal"
    return _KINDS[type(value)]


def _held(value: Any, path: str) -> None:
    """Raise for the first number that is not held in what the contract leaves free, such as a schema. Text ours."""
    if type(value) is msgspec.Raw:
        raise InvalidRequest(f"Invalid '{path}': number out of range.", param=path, code="invalid_value")
    if type(value) is dict:
        for key, item in value.items():
            _held(item, _at(path, key))
    if type(value) is list:
        for index, item in enumerate(value):
            _held(item, f"{path}[{index}]")


def quoted(text: str) -> str:
    """As much of what the client sent as an error may repeat."""
    return text[:_LONGEST_QUOTE]


def missing(path: str) -> InvalidRequest:
    """A required field is not there."""
    return InvalidRequest(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")


def unknown(path: str) -> InvalidRequest:
    """A field that the contract does not name."""
    return InvalidRequest(f"Unknown parameter: '{path}'.", param=path, code="unknown_parameter")


def null_content(index: int) -> InvalidRequest:
    """Null where a message must have content; the API still spells this path the old way."""
    return InvalidRequest(
        "Invalid value for 'content': expected a string, got null.", param=f"messages.[{index}].content"
    )


@cache
def shape(annotation: Any) -> Shape:
    """The shape that a contract type describes."""
    rules: dict[Kind, Rule] = {}
    structs: list[type[Struct]] = []
    for member, meta in _members(annotation):
        origin, args = get_origin(member), get_args(member)
        if member is Any:
            return Shape({})
        if isinstance(member, type) and issubclass(member, Struct):
            structs.append(member)
            rules["object"] = Object(structs)
        elif origin is Literal:
            rules["string"] = OneOf(args)
        elif origin is list:
            rules["array"] = Array(shape(args[0]), meta)
        elif origin is dict:
            ((_, key_meta),) = _members(args[0])
            rules["object"] = Map(key_meta, shape(args[1]), meta)
        elif member is int or member is float:
            noun: Literal["integer", "decimal"] = "integer" if member is int else "decimal"
            rules[noun] = Number(noun, meta.ge, meta.le)
        elif member is str:
            rules["string"] = String(meta)
        else:
            rules[_KINDS[member]] = Rule(_KINDS[member])
    return Shape(rules)


def _members(annotation: Any, meta: Meta = _NO_BOUNDS) -> list[tuple[Any, Meta]]:
    """The alternatives of a type with the bounds on each."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _members(args[0], args[1])
    if origin is Union or origin is UnionType:
        return [member for arg in args if arg is not UnsetType for member in _members(arg)]
    return [(annotation, meta)]


@cache
def _fields(struct: type[Struct]) -> dict[str, Shape]:
    hints = get_type_hints(struct, include_extras=True)
    return {name: shape(hints[name]) for name in struct.__struct_fields__}


def field(struct: type[Struct], name: str) -> Shape:
    """The shape of one of a struct's fields."""
    return _fields(struct)[name]


@cache
def required(struct: type[Struct]) -> tuple[str, ...]:
    """The fields that must be there."""
    return tuple(field.name for field in msgspec.structs.fields(struct) if field.required)


def _at(path: str, key: str) -> str:
    key = quoted(key)
    return f"{path}.{key}" if path else key


def _not_supported(value: str, values: Sequence[str], path: str) -> InvalidRequest:
    supported = _listed([f"'{known}'" for known in values], "and")
    return InvalidRequest(
        f"Invalid value: '{quoted(value)}'. Supported values are: {supported}.", param=path, code="invalid_value"
    )


def _listed(words: Sequence[str], last: Literal["and", "or"]) -> str:
    if len(words) < 3:
        return f" {last} ".join(words)
    return f"{', '.join(words[:-1])}, {last} {words[-1]}"


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeio" else f"a {noun}"

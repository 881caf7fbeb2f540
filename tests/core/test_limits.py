"""Depth and size, of text and of schemas."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.core.limits import SchemaSize, depth, is_deeper, schema_size, too_large

KEYS = st.text(alphabet='[]{}"\\a', max_size=3)
JSON = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\a\n', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[]{}"\\a', max_size=3), inner, max_size=3)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("document", "levels"), [(1, 0), ("[", 0), ([], 1), ({}, 1), ({"a": [1, {"b": {}}]}, 4), ([[], [[]]], 3)]
)
def test_depth(document: Any, levels: int) -> None:
    assert depth(document) == levels


@given(JSON)
def test_text_and_document_have_the_same_depth(document: Any) -> None:
    text = msgspec.json.encode(document)
    levels = depth(document)
    assert not is_deeper(text, levels)
    assert levels == 0 or is_deeper(text, levels - 1)


@pytest.mark.parametrize(
    ("text", "limit", "deeper"),
    [
        (b"", 0, False),
        (b"[[[", 2, True),  # unfinished arguments of a cut reply
        (b'{"a": "[[[[[["}', 1, False),
        (rb'{"a": "\"[[[["}', 1, False),
        (rb'{"a": "\\", "b": [[]]}', 2, True),
        (b"[],[],[],[]", 1, False),
    ],
)
def test_depth_of_text_that_may_not_be_json(text: bytes, limit: int, deeper: bool) -> None:
    assert is_deeper(text, limit) is deeper


@given(st.binary(), st.integers(0, 3))
def test_any_text_has_an_answer_and_what_is_deeper_than_more_is_deeper_than_less(text: bytes, limit: int) -> None:
    assert is_deeper(text, limit) or not is_deeper(text, limit + 1)


def test_schema_size() -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"enum": ["aa", "b", 3]}, "other": {"const": "ccc"}},
        "$defs": {"place": {"properties": {"x": {}}}},
        "anyOf": [{"enum": [None]}],
    }
    assert schema_size(schema) == SchemaSize(
        depth=5, properties=3, enum_values=4, characters=len("nameotheraabcccplacex")
    )


@pytest.mark.parametrize("schema", [None, True, [], {}, {"properties": 1, "enum": 2, "const": [3], "$defs": "x"}])
def test_a_schema_may_be_anything(schema: Any) -> None:
    assert too_large(schema_size(schema)) is None


@pytest.mark.parametrize(
    ("size", "problem"),
    [
        (SchemaSize(depth=100, properties=5_000, enum_values=1_000, characters=120_000), None),
        (SchemaSize(depth=101), "Expected at most 100 levels of nesting, but received 101."),
        (SchemaSize(properties=5_001), "Expected at most 5000 object properties total, but received 5001."),
        (
            SchemaSize(enum_values=1_001),
            "Expected at most 1000 enum values in total within a schema, but received 1001.",
        ),
        (
            SchemaSize(characters=120_001),
            "Expected at most 120000 characters of names, enum values and const values, but received 120001.",
        ),
    ],
)
def test_too_large(size: SchemaSize, problem: str | None) -> None:
    assert too_large(size) == problem
